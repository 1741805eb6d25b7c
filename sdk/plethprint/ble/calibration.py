"""Calibration of one unit, read from an encrypted link."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

from plethprint.ble.field_reader import FieldReader
from plethprint.ble.frame import MAX_CHANNELS
from plethprint.errors import ProtocolError

__all__ = ["Calibration", "ChannelCalibration"]

_CALIBRATION = struct.Struct("<BBH")
_CHANNEL_CALIBRATION = struct.Struct("<fiHh")
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class ChannelCalibration:
    """Calibration of one channel of one unit: current = gain * (counts - offset)."""

    gain_pa_per_count: float
    """Photocurrent per count, picoamperes (single precision on the wire)."""
    offset_counts: int
    """Counts in the dark."""
    led_current_ua: int
    """LED drive current at this calibration, microamperes, 0..65535."""
    temperature_cdeg: int = 0
    """Temperature at calibration, hundredths of a degree Celsius."""


@dataclass(frozen=True)
class Calibration:
    """Contents of the ``calibration`` characteristic; readable on an encrypted link only.

    Examples
    --------
    >>> unit = Calibration((ChannelCalibration(30.5, -120, 8000),))
    >>> Calibration.from_bytes(unit.to_bytes()) == unit
    True
    """

    channels: tuple[ChannelCalibration, ...]
    """One entry per channel, in the order of `Info.channels`."""
    serial: int = 0
    """Serial number of the calibration, 0..65535; a new one after each recalibration."""

    def to_bytes(self) -> bytes:
        """Value of the characteristic, CRC-32 at the end.

        Raises
        ------
        ProtocolError
            A field does not fit the layout.
        """
        if not 1 <= len(self.channels) <= MAX_CHANNELS:
            raise ProtocolError(f"expected 1..{MAX_CHANNELS} channels, got {self.channels}")
        if not all(math.isfinite(c.gain_pa_per_count) for c in self.channels):
            raise ProtocolError("a channel's gain must be a finite number")
        try:
            body = _CALIBRATION.pack(1, len(self.channels), self.serial) + b"".join(
                _CHANNEL_CALIBRATION.pack(
                    c.gain_pa_per_count,
                    c.offset_counts,
                    c.led_current_ua,
                    c.temperature_cdeg,
                )
                for c in self.channels
            )
        except (struct.error, OverflowError) as error:
            raise ProtocolError(f"calibration field out of range: {error}") from None
        return body + _CRC.pack(zlib.crc32(body))

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Calibration:
        """Decode the characteristic.

        Raises
        ------
        ProtocolError
            Wrong version, length or checksum, or a gain that is not a number.
        """
        data = bytes(data)
        reader = FieldReader(data, "calibration")
        version, n_channels, serial = reader.take(_CALIBRATION)
        if version != 1 or not 1 <= n_channels <= MAX_CHANNELS:
            raise ProtocolError(
                f"unknown calibration version {version} ({n_channels} channels)"
            )
        channels = tuple(
            ChannelCalibration(*reader.take(_CHANNEL_CALIBRATION))
            for _ in range(n_channels)
        )
        (checksum,) = reader.take(_CRC)
        if reader.left or zlib.crc32(data[: -_CRC.size]) != checksum:
            raise ProtocolError(
                "the calibration's checksum or length is wrong; read it again"
            )
        if not all(math.isfinite(c.gain_pa_per_count) for c in channels):
            raise ProtocolError("the calibration holds a gain that is not a finite number")
        return cls(channels, serial)

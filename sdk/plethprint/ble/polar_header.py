"""What every frame of Polar's Measurement Data protocol (PMD) begins with."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from plethprint.ble.polar_control import PmdMeasurement
from plethprint.errors import FrameError

__all__ = ["PMD_HEADER_BYTES", "PmdHeader"]

_HEADER = struct.Struct("<BQB")
PMD_HEADER_BYTES = _HEADER.size
"""Bytes before the samples of a frame."""
_COMPRESSED = 0x80


@dataclass(frozen=True)
class PmdHeader:
    """Measurement, time of the last sample, type of frame.

    Examples
    --------
    >>> header = PmdHeader(PmdMeasurement.PPG, 1_000_000_000, 0, compressed=True)
    >>> header.to_bytes().hex()
    '0100ca9a3b0000000080'
    >>> PmdHeader.read(header.to_bytes() + b"x", PmdMeasurement.PPG) == (header, b"x")
    True
    """

    measurement: int
    timestamp_ns: int
    """When the last sample was taken, ns since 2000-01-01 by the device's clock, u64."""
    frame_type: int
    """0..127."""
    compressed: bool

    def to_bytes(self) -> bytes:
        """The ten bytes."""
        kind = self.frame_type | (_COMPRESSED if self.compressed else 0)
        return _HEADER.pack(self.measurement, self.timestamp_ns, kind)

    @classmethod
    def read(
        cls, data: bytes | bytearray | memoryview, wanted: PmdMeasurement
    ) -> tuple[PmdHeader, bytes]:
        """Header of a notification, and the bytes behind it.

        Raises
        ------
        FrameError
            Nothing behind the header, or another measurement than wanted.
        """
        data = bytes(data)
        if len(data) <= _HEADER.size:
            raise FrameError(
                f"a PMD frame has more than {_HEADER.size} bytes, got {len(data)}"
            )
        measurement, timestamp_ns, kind = _HEADER.unpack_from(data)
        if measurement != wanted:
            raise FrameError(
                f"expected {wanted.name} ({wanted.value}), got measurement {measurement}"
            )
        compressed = bool(kind & _COMPRESSED)
        header = cls(measurement, timestamp_ns, kind & ~_COMPRESSED, compressed)
        return header, data[_HEADER.size :]

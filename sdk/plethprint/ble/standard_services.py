"""The Bluetooth SIG's services that stand beside a PPG service in most wearables.

Heart Rate (0x180D), Battery (0x180F) and Device Information (0x180A). Layouts after the
SIG's GATT Specification Supplement. The codecs are pure; `read_device_information`,
`read_battery_percent` and `heart_rates` ask a link for what is there and take what comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import struct
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plethprint.ble.answers import Answers
from plethprint.errors import (
    FrameError,
    LinkError,
    LinkLostError,
    LinkTimeoutError,
    PlethprintError,
    ProtocolError,
)

if TYPE_CHECKING:
    from plethprint.ble.gatt import GattLink

__all__ = [
    "BATTERY_LEVEL_UUID",
    "BATTERY_UUID",
    "DEVICE_INFORMATION_UUID",
    "HEART_RATE_MEASUREMENT_UUID",
    "HEART_RATE_UUID",
    "DeviceInformation",
    "HeartRateMeasurement",
    "battery_percent",
    "heart_rates",
    "read_battery_percent",
    "read_device_information",
    "sig_uuid",
]


def sig_uuid(number: int) -> str:
    """Full UUID of a 16-bit number that the SIG assigned, lower case.

    Examples
    --------
    >>> sig_uuid(0x180D)
    '0000180d-0000-1000-8000-00805f9b34fb'
    """
    return f"0000{number:04x}-0000-1000-8000-00805f9b34fb"


HEART_RATE_UUID = sig_uuid(0x180D)
"""Heart Rate service."""
HEART_RATE_MEASUREMENT_UUID = sig_uuid(0x2A37)
"""notify: `HeartRateMeasurement`."""
BATTERY_UUID = sig_uuid(0x180F)
"""Battery service."""
BATTERY_LEVEL_UUID = sig_uuid(0x2A19)
"""read: percent."""
DEVICE_INFORMATION_UUID = sig_uuid(0x180A)
"""Device Information service."""

_TEXT_UUIDS = {
    "manufacturer": sig_uuid(0x2A29),
    "model": sig_uuid(0x2A24),
    "serial": sig_uuid(0x2A25),
    "firmware": sig_uuid(0x2A26),
    "hardware": sig_uuid(0x2A27),
}
_LOGGER = logging.getLogger(__name__)

_LONGEST_TEXT = 64
_SILENT_S = 30.0  # wearables tell their heart rate about once a second
_RR_PER_S = 1024
_U16 = struct.Struct("<H")


class _Flag(enum.IntFlag):
    RATE_16_BIT = 0x01
    CONTACT = 0x02
    CONTACT_TOLD = 0x04
    ENERGY = 0x08
    RR_INTERVALS = 0x10


@dataclass(frozen=True)
class HeartRateMeasurement:
    """One notification of characteristic 0x2A37.

    Examples
    --------
    >>> HeartRateMeasurement.from_bytes(bytes.fromhex("10480004"))
    HeartRateMeasurement(bpm=72, on_skin=None, energy_kj=None, rr_intervals_s=(1.0,))
    """

    bpm: int
    """Beats per minute, 0..65535; wearables send 0 while they have no reading."""
    on_skin: bool | None = None
    """Whether the sensor has contact; None when the wearable cannot tell."""
    energy_kj: int | None = None
    """Energy expended since its last reset, kilojoules."""
    rr_intervals_s: tuple[float, ...] = ()
    """Times from beat to beat since the last notification, seconds, in steps of 1/1024."""

    def to_bytes(self) -> bytes:
        """Bytes of the notification.

        Raises
        ------
        FrameError
            A field does not fit the layout.
        """
        flags = _Flag(0)
        parts = []
        if self.bpm > 0xFF:
            flags |= _Flag.RATE_16_BIT
        if self.on_skin is not None:
            flags |= _Flag.CONTACT_TOLD | (_Flag.CONTACT if self.on_skin else _Flag(0))
        try:
            parts.append(struct.pack("<H" if self.bpm > 0xFF else "<B", self.bpm))
            if self.energy_kj is not None:
                flags |= _Flag.ENERGY
                parts.append(_U16.pack(self.energy_kj))
            if self.rr_intervals_s:
                flags |= _Flag.RR_INTERVALS
                parts += [_U16.pack(round(rr * _RR_PER_S)) for rr in self.rr_intervals_s]
        except (struct.error, ValueError, OverflowError) as error:
            raise FrameError(f"heart rate field out of range: {error}") from None
        return bytes([flags]) + b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> HeartRateMeasurement:
        """Decode a notification.

        Raises
        ------
        FrameError
            The bytes are too short for what their flags announce, or cut in mid-field.
        """
        data = bytes(data)
        flags = _Flag(data[0] & 0x1F) if data else _Flag(0)
        wide = bool(flags & _Flag.RATE_16_BIT)
        need = 1 + (2 if wide else 1) + (2 if flags & _Flag.ENERGY else 0)
        left = len(data) - need
        if left < 0 or left % 2:
            raise FrameError(
                f"a heart rate measurement with these flags has {need} bytes and 2 for "
                f"each interval, got {len(data)}: {data[:20].hex() or 'nothing'}"
            )
        bpm = _U16.unpack_from(data, 1)[0] if wide else data[1]
        energy = (
            _U16.unpack_from(data, 3 if wide else 2)[0] if flags & _Flag.ENERGY else None
        )
        intervals = (
            struct.unpack_from(f"<{left // 2}H", data, need)
            if flags & _Flag.RR_INTERVALS
            else ()
        )
        return cls(
            bpm=bpm,
            on_skin=bool(flags & _Flag.CONTACT) if flags & _Flag.CONTACT_TOLD else None,
            energy_kj=energy,
            rr_intervals_s=tuple(rr / _RR_PER_S for rr in intervals),
        )


def battery_percent(data: bytes | bytearray | memoryview) -> int:
    r"""Decode the battery level, 0..100.

    Raises
    ------
    FrameError
        Not one byte, or more than 100 %.

    Examples
    --------
    >>> battery_percent(b"\x57")
    87
    """
    data = bytes(data)
    if len(data) != 1 or data[0] > 100:
        raise FrameError(f"a battery level is one byte of 0..100, got {data[:8].hex()!r}")
    return data[0]


@dataclass(frozen=True)
class DeviceInformation:
    """What the Device Information service tells; empty where it is silent."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    hardware: str = ""


async def read_device_information(link: GattLink) -> DeviceInformation:
    """Read what there is; what is missing or not readable stays empty.

    Raises
    ------
    LinkLostError, LinkTimeoutError
        The link failed meanwhile.
    """
    if DEVICE_INFORMATION_UUID not in link.service_uuids:
        return DeviceInformation()
    texts: dict[str, str] = {}
    for name, uuid in _TEXT_UUIDS.items():
        try:
            raw = await link.read(uuid, f"the {name}")
        except (LinkLostError, LinkTimeoutError):
            raise
        except PlethprintError:
            continue  # not there, or not for everybody
        text = raw[:_LONGEST_TEXT].decode(errors="replace").rstrip("\0")
        texts[name] = "".join(c if c.isprintable() else "?" for c in text)
    return DeviceInformation(**texts)


async def read_battery_percent(link: GattLink) -> int | None:
    """Read the battery level; None where there is none to read.

    Raises
    ------
    FrameError
        What came is no battery level.
    LinkError
        The link failed.
    """
    if BATTERY_UUID not in link.service_uuids:
        return None
    return battery_percent(await link.read(BATTERY_LEVEL_UUID, "the battery level"))


async def heart_rates(link: GattLink) -> AsyncGenerator[HeartRateMeasurement, None]:
    """Subscribe to the Heart Rate service and give what it tells, about once a second.

    What is no measurement is skipped.

    Raises
    ------
    ProtocolError
        The wearable has no such service.
    LinkLostError, LinkTimeoutError
        The link dropped, or the service fell silent.
    """
    if HEART_RATE_UUID not in link.service_uuids:
        raise ProtocolError("the wearable has no Heart Rate service")
    told = Answers(link)
    await link.subscribe(HEART_RATE_MEASUREMENT_UUID, "heart rate", told.put)
    try:
        while True:
            deadline_s = asyncio.get_running_loop().time() + _SILENT_S
            raw = await told.get("the heart rate", deadline_s)
            try:
                measurement = HeartRateMeasurement.from_bytes(raw)
            except FrameError as error:
                _LOGGER.debug("%s", error)
                continue
            yield measurement
    finally:
        with contextlib.suppress(LinkError, ProtocolError):
            await link.unsubscribe(HEART_RATE_MEASUREMENT_UUID, "heart rate")

"""Colmi R02 and its sisters: single raw readings, without number and time.

Pure encoding and decoding, no Bluetooth. Every message has 16 bytes, the last of which is
the sum of the others. Raw readings come as ``A1 kind ...``, big-endian. Sources:
edgeimpulse/example-data-collection-colmi-r02 (whose README holds captured packets),
tahnok/colmi_r02_client and the notes of atc1441/ATC_RF03_Ring.

A ring of this kind says so little that most of what a stream needs cannot be known: how
often it reads (about once a second with the maker's firmware, about four times with a
modified one), when it read, and whether a reading was lost on the way.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from plethprint.errors import ControlError, FrameError

__all__ = [
    "COLMI_COUNTS_PER_G",
    "COLMI_NOTIFY_UUID",
    "COLMI_PACKET_BYTES",
    "COLMI_SERVICE_UUID",
    "COLMI_START",
    "COLMI_STOP",
    "COLMI_WRITE_UUID",
    "ColmiAcceleration",
    "ColmiPpg",
    "ColmiSpo2",
    "command_from_bytes",
    "command_to_bytes",
    "reading_from_bytes",
]

COLMI_SERVICE_UUID = "6e40fff0-b5a3-f393-e0a9-e50e24dcca9e"
"""The primary service."""
COLMI_WRITE_UUID = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
"""write: commands."""
COLMI_NOTIFY_UUID = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
"""notify: answers and readings."""
COLMI_PACKET_BYTES = 16
"""Bytes of every message."""
COLMI_COUNTS_PER_G = 512.0
"""Of the accelerometer, about: what captured packets of a ring at rest are long."""

_RAW = 0xA1
COLMI_START = bytes([_RAW, 0x04])
"""Command that starts raw readings."""
COLMI_STOP = bytes([_RAW, 0x02])
"""Command that stops them."""

_SPO2, _PPG, _ACCELERATION = 0x01, 0x02, 0x03
_FOUR = struct.Struct(">4H")
_SIX = struct.Struct("6B")
_AXIS_BITS = 12


def command_to_bytes(command: bytes) -> bytes:
    """Bytes to write: the command, zeros, the sum.

    Raises
    ------
    ControlError
        Longer than 15 bytes.

    Examples
    --------
    >>> command_to_bytes(COLMI_START).hex()
    'a10400000000000000000000000000a5'
    """
    if not 1 <= len(command) < COLMI_PACKET_BYTES:
        raise ControlError(f"a Colmi command has 1..15 bytes, got {len(command)}")
    body = command.ljust(COLMI_PACKET_BYTES - 1, b"\0")
    return body + bytes([sum(body) & 0xFF])


def command_from_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """Return the 15 bytes before the sum, as a device does.

    Raises
    ------
    ControlError
        A wrong length or sum.
    """
    try:
        return _checked(bytes(data))
    except FrameError as error:
        raise ControlError(str(error)) from None


@dataclass(frozen=True)
class ColmiPpg:
    """One reading of the green light."""

    counts: int
    """u16; 0 when there was no reading."""
    most: int
    """Largest reading by the ring's own memory, u16."""
    least: int
    """Smallest, u16."""
    span: int
    """What the ring says of their difference, u16."""

    def to_bytes(self) -> bytes:
        """Bytes of the notification."""
        return _packet(_PPG, _FOUR, self.counts, self.most, self.least, self.span)


@dataclass(frozen=True)
class ColmiSpo2:
    """One reading of the sensor for blood oxygen; raw, not a percentage."""

    counts: int
    """u16; 0 when there was no reading."""
    most: int
    """Largest, u16."""
    least: int
    """Smallest, u16."""
    span: int
    """Difference, u16."""

    def to_bytes(self) -> bytes:
        """Bytes of the notification."""
        return _packet(_SPO2, _FOUR, self.counts, self.most, self.least, self.span)


@dataclass(frozen=True)
class ColmiAcceleration:
    """One reading of the accelerometer: 12 bits each, about 512 to the g.

    The sign is bit 11 of the twelve; with it the captured packets are 1 g long. (Two public
    clients take another bit, and get -1859 where the ring lies still.)
    """

    x: int
    """-2048..2047."""
    y: int
    """-2048..2047."""
    z: int
    """-2048..2047."""

    def to_bytes(self) -> bytes:
        """Bytes of the notification."""
        parts: list[int] = []
        for value in (self.y, self.z, self.x):
            if not -(1 << 11) <= value < 1 << 11:
                raise FrameError(f"an axis has 12 bits, got {value}")
            word = value & 0xFFF
            parts += [word >> 4, word & 0xF]
        return _packet(_ACCELERATION, _SIX, *parts)


def reading_from_bytes(
    data: bytes | bytearray | memoryview,
) -> ColmiPpg | ColmiSpo2 | ColmiAcceleration:
    """Decode a raw reading.

    Raises
    ------
    FrameError
        A wrong length or sum, or another message.

    Examples
    --------
    A packet of the Edge Impulse example:

    >>> reading_from_bytes(bytes.fromhex("a10229812acd29c1010c01000000003c"))
    ColmiPpg(counts=10625, most=10957, least=10689, span=268)
    """
    body = _checked(bytes(data))
    if body[0] == _RAW and body[1] == _PPG:
        return ColmiPpg(*_FOUR.unpack_from(body, 2))
    if body[0] == _RAW and body[1] == _SPO2:
        return ColmiSpo2(*_FOUR.unpack_from(body, 2))
    if body[0] == _RAW and body[1] == _ACCELERATION:
        y, z, x = (_axis(body[at], body[at + 1]) for at in (2, 4, 6))
        return ColmiAcceleration(x, y, z)
    raise FrameError(f"not a raw reading of a Colmi ring: {body.hex()}")


def _axis(high: int, low: int) -> int:
    word = high << 4 | low & 0xF
    return word - (1 << _AXIS_BITS) if word >> (_AXIS_BITS - 1) else word


def _checked(data: bytes) -> bytes:
    if len(data) != COLMI_PACKET_BYTES:
        raise FrameError(f"a Colmi message has 16 bytes, got {len(data)}")
    if data[-1] != sum(data[:-1]) & 0xFF:
        raise FrameError(f"the sum of a Colmi message is wrong: {data.hex()}")
    return data[:-1]


def _packet(kind: int, layout: struct.Struct, *fields: int) -> bytes:
    try:
        return command_to_bytes(bytes([_RAW, kind]) + layout.pack(*fields))
    except struct.error as error:
        raise FrameError(f"reading out of range: {error}") from None

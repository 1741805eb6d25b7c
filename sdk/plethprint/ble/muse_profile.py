"""Muse 2 and Muse S (first generations): PPG beside the EEG of a headband.

Pure encoding and decoding, no Bluetooth. Commands are short texts; each of three PPG
channels notifies on a characteristic of its own::

    u16 BE   sequence, one for each notification of a channel, wraps around
    6 x u24 BE   counts

and the accelerometer on one more, about 17 times a second::

    u16 BE   sequence
    3 x (i16 BE x, y, z)   16,384 to the g

Sources: the clients muse-lsl (``muse.py``), muse-js and brainflow, which agree. No document
of the maker's is public. What a Muse does not say: any time, its true rate (64 Hz is what
the clients take), and whether its counter goes on over a lost link.
"""

from __future__ import annotations

import json
import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.ble.standard_services import sig_uuid
from plethprint.errors import ControlError, FrameError, ProtocolError

__all__ = [
    "MUSE_ACCELERATION_RATE_HZ",
    "MUSE_ACCELERATION_SAMPLES",
    "MUSE_ACCELERATION_UUID",
    "MUSE_CONTROL_UUID",
    "MUSE_COUNTS_PER_G",
    "MUSE_PACKET_BYTES",
    "MUSE_PPG_UUIDS",
    "MUSE_RATE_HZ",
    "MUSE_SAMPLES",
    "MUSE_SERVICE_UUID",
    "MuseAcceleration",
    "MuseAssembler",
    "MuseFrame",
    "MuseReplies",
    "command_from_bytes",
    "command_to_bytes",
]

MUSE_SERVICE_UUID = sig_uuid(0xFE8D)
"""The primary service; the SIG gave the number to InteraXon."""
MUSE_CONTROL_UUID = "273e0001-4c4d-454d-96be-f03bac821358"
"""write, notify: commands and their replies."""
MUSE_PPG_UUIDS = (
    "273e000f-4c4d-454d-96be-f03bac821358",
    "273e0010-4c4d-454d-96be-f03bac821358",
    "273e0011-4c4d-454d-96be-f03bac821358",
)
"""notify: ambient, infrared and red light (muse-js and muse-lsl name them so)."""
MUSE_RATE_HZ = 64.0
"""Nominal sample rate of each channel."""
MUSE_SAMPLES = 6
"""Samples of a notification."""

MUSE_ACCELERATION_UUID = "273e000a-4c4d-454d-96be-f03bac821358"
"""notify: acceleration."""
MUSE_ACCELERATION_RATE_HZ = 52.0
"""Nominal sample rate of the accelerometer."""
MUSE_ACCELERATION_SAMPLES = 3
"""Samples of a notification of acceleration."""
MUSE_COUNTS_PER_G = 16_384.0
"""The clients' factor of 0.0000610352 g, which is 2 g / 2**15."""

_PACKET = struct.Struct(">H18s")
MUSE_PACKET_BYTES = _PACKET.size
_LONGEST_COMMAND = 18
_LONGEST_REPLY = 1024
_FRAMES_WAITING = 8


def command_to_bytes(command: str) -> bytes:
    r"""Bytes to write for a command: its length, the text, a line feed.

    ``p50`` and ``p61`` choose a preset with PPG, ``d`` starts, ``h`` halts, ``k`` keeps the
    headband from going off.

    Raises
    ------
    ProtocolError
        Empty, too long, or not ASCII.

    Examples
    --------
    >>> command_to_bytes("p50")
    b'\x04p50\n'
    """
    if not 1 <= len(command) <= _LONGEST_COMMAND or not command.isascii():
        raise ProtocolError(
            f"a Muse command has 1..{_LONGEST_COMMAND} ASCII letters, got {command!r}"
        )
    return bytes([len(command) + 1]) + command.encode() + b"\n"


def command_from_bytes(data: bytes | bytearray | memoryview) -> str:
    """Decode a command, as a device does.

    Raises
    ------
    ControlError
        Not a command.
    """
    data = bytes(data)
    if len(data) < 3 or data[0] != len(data) - 1 or data[-1:] != b"\n":
        raise ControlError(f"not a Muse command: {data[:20].hex() or 'nothing'}")
    text = data[1:-1]
    if not text.isascii():
        raise ControlError(f"a Muse command is ASCII, got {text[:20].hex()}")
    return text.decode()


class MuseReplies:
    """Gathers the pieces of replies on the control characteristic.

    A reply is JSON text in pieces of a length byte and up to 19 letters, the next piece
    straight after the one before, up to the closing brace.

    Examples
    --------
    >>> MuseReplies().feed(bytes([8]) + b'{"rc":0}')
    {'rc': 0}
    """

    def __init__(self) -> None:
        self._text = b""

    def feed(self, piece: bytes) -> dict[str, object] | None:
        """Take a notification; return the reply once it is whole, else None.

        Raises
        ------
        ControlError
            What came is no reply; the pieces so far are forgotten.
        """
        size = piece[0] if piece else 0
        self._text += piece[1 : 1 + size]
        if not self._text.rstrip(b"\n\0").endswith(b"}"):
            if len(self._text) > _LONGEST_REPLY:
                self._text = b""
                raise ControlError(f"a Muse reply is longer than {_LONGEST_REPLY} letters")
            return None
        text, self._text = self._text, b""
        try:
            reply = json.loads(text.rstrip(b"\n\0"))
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise ControlError(f"not a Muse reply: {text[:40]!r}")
        return reply


@dataclass(frozen=True, eq=False)
class MuseFrame:
    """Notifications of one sequence number, one for each channel.

    Raises
    ------
    FrameError
        A field does not fit the layout.

    Examples
    --------
    >>> frame = MuseFrame(513, np.array([[1], [2], [3], [4], [5], [6]]))
    >>> frame.to_bytes().hex()
    '0201000001000002000003000004000005000006'
    >>> MuseFrame.from_bytes(frame.to_bytes()) == frame
    True
    """

    sequence: int
    """Number of the notifications, u16."""
    counts: npt.NDArray[np.int32]
    """Shape (6, channels), 24-bit unsigned."""

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts)
        if counts.ndim != 2 or counts.shape[0] != MUSE_SAMPLES or not counts.shape[1]:
            raise FrameError(
                f"a Muse frame has counts of shape ({MUSE_SAMPLES}, channels), got "
                f"{counts.shape}"
            )
        if counts.min() < 0 or counts.max() >= 1 << 24 or not 0 <= self.sequence < 1 << 16:
            raise FrameError("Muse counts are u24 and sequences u16")
        object.__setattr__(self, "counts", counts.astype(np.int32, copy=False))

    def packets(self) -> list[bytes]:
        """Notification of each channel."""
        words = np.ascontiguousarray(self.counts.T, dtype=">i4").view(np.uint8)
        body = words.reshape(-1, MUSE_SAMPLES, 4)[:, :, 1:]
        return [_PACKET.pack(self.sequence, channel.tobytes()) for channel in body]

    def to_bytes(self) -> bytes:
        """Notifications of all channels, one after the other."""
        return b"".join(self.packets())

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> MuseFrame:
        """Decode the notifications of all channels, one after the other.

        Raises
        ------
        FrameError
            Not whole notifications, or of different sequence numbers.
        """
        data = bytes(data)
        if not data or len(data) % MUSE_PACKET_BYTES:
            raise FrameError(
                f"a Muse PPG notification has {MUSE_PACKET_BYTES} bytes, got {len(data)}"
            )
        parts = [_PACKET.unpack_from(data, at) for at in range(0, len(data), _PACKET.size)]
        sequences = {sequence for sequence, _ in parts}
        if len(sequences) != 1:
            raise FrameError(f"notifications of different numbers: {sorted(sequences)}")
        words = np.zeros((len(parts) * MUSE_SAMPLES, 4), np.uint8)
        bodies = b"".join(body for _, body in parts)
        words[:, 1:] = np.frombuffer(bodies, np.uint8).reshape(-1, 3)
        counts = words.view(">i4").astype(np.int32).reshape(len(parts), MUSE_SAMPLES).T
        return cls(parts[0][0], counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MuseFrame):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())


@dataclass(frozen=True, eq=False)
class MuseAcceleration:
    """One notification of the accelerometer.

    Raises
    ------
    FrameError
        A field does not fit the layout.

    Examples
    --------
    >>> frame = MuseAcceleration(7, np.array([[0, -1, 16384]] * 3))
    >>> frame.to_bytes().hex()
    '00070000ffff40000000ffff40000000ffff4000'
    >>> MuseAcceleration.from_bytes(frame.to_bytes()) == frame
    True
    """

    sequence: int
    """Number of the notification, u16; not the one of the PPG."""
    counts: npt.NDArray[np.int32]
    """Shape (3, 3): three samples of x, y, z, i16."""

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts)
        if counts.shape != (MUSE_ACCELERATION_SAMPLES, 3):
            raise FrameError(f"Muse acceleration has shape (3, 3), got {counts.shape}")
        if (
            counts.min() < -(1 << 15)
            or counts.max() >= 1 << 15
            or not 0 <= self.sequence < 1 << 16
        ):
            raise FrameError("Muse acceleration is i16 and sequences u16")
        object.__setattr__(self, "counts", counts.astype(np.int32, copy=False))

    def to_bytes(self) -> bytes:
        """Bytes of the notification."""
        return _PACKET.pack(self.sequence, self.counts.astype(">i2").tobytes())

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> MuseAcceleration:
        """Decode a notification.

        Raises
        ------
        FrameError
            Of another length.
        """
        data = bytes(data)
        if len(data) != MUSE_PACKET_BYTES:
            raise FrameError(
                f"a Muse notification of acceleration has {MUSE_PACKET_BYTES} bytes, got "
                f"{len(data)}"
            )
        sequence, body = _PACKET.unpack(data)
        return cls(sequence, np.frombuffer(body, ">i2").astype(np.int32).reshape(3, 3))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MuseAcceleration):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())


class MuseAssembler:
    """Puts the notifications of several channels together by their number.

    A frame of which one channel was lost is lost: its number is then missing. At most
    eight frames wait for their other channels.

    Parameters
    ----------
    channels : sequence of int
        The channels that are listened to, positions in `MUSE_PPG_UUIDS`.

    Examples
    --------
    >>> both = MuseAssembler([1, 2])
    >>> infrared, red = MuseFrame(7, np.zeros((6, 2), int)).packets()
    >>> both.feed(2, red) is None, both.feed(1, infrared) == infrared + red
    (True, True)
    """

    def __init__(self, channels: Sequence[int]) -> None:
        self._channels = tuple(channels)
        self._waiting: OrderedDict[int, dict[int, bytes]] = OrderedDict()

    def feed(self, channel: int, packet: bytes) -> bytes | None:
        """Take a notification; return those of all channels once they are there.

        What is no notification is given back alone, for the decoder to refuse.
        """
        if len(packet) != MUSE_PACKET_BYTES:
            return packet
        (sequence,) = struct.unpack_from(">H", packet)
        parts = self._waiting.setdefault(sequence, {})
        parts[channel] = packet
        if len(parts) < len(self._channels):
            if len(self._waiting) > _FRAMES_WAITING:
                self._waiting.popitem(last=False)
            return None
        del self._waiting[sequence]
        return b"".join(parts[at] for at in self._channels)

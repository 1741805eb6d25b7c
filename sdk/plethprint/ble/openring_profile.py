"""OpenRing: three colours of PPG, movement and temperature from a ring.

Pure encoding and decoding, no Bluetooth. Source: the app of github.com/thuhci/OpenRing
(``NotificationHandler.java``), which is the only description there is::

    u8 type, u8 id, u8 command 0x3C, u8 subcommand     every message, both ways
    u8 sequence, u8 n, u64 LE time (ms since 1970)     subcommand 0x01: samples
    n x (u32 LE green, red, infrared; i16 LE x 3 acceleration, rotation, temperature)

What the app does not say: whether the time is of a frame's first or last sample (taken for
the last here; a constant either way), the units of movement and temperature, and whether
the ring obeys the rate it is asked for (the app calls that field reserved).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.errors import ControlError, FrameError, ProtocolError

__all__ = [
    "RING_HEADER_BYTES",
    "RING_NOTIFY_UUID",
    "RING_RATE_HZ",
    "RING_SAMPLE_BYTES",
    "RING_SERVICE_UUID",
    "RING_WRITE_UUID",
    "RingFrame",
    "RingStart",
    "RingStop",
    "is_ring_frame",
    "ring_request_from_bytes",
]

RING_SERVICE_UUID = "bae80001-4f05-4503-8e65-3af1f7329d1f"
"""The primary service."""
RING_WRITE_UUID = "bae80010-4f05-4503-8e65-3af1f7329d1f"
"""write: requests."""
RING_NOTIFY_UUID = "bae80011-4f05-4503-8e65-3af1f7329d1f"
"""notify: responses and samples."""
RING_RATE_HZ = 25.0
"""Rate that the app asks for."""

_COMMAND = 0x3C
_START, _SAMPLES, _STOP = 0x00, 0x01, 0x04
_HEADER = struct.Struct("<BBBBBBQ")
RING_HEADER_BYTES = _HEADER.size
"""Bytes before the samples of a frame."""
_SAMPLE = np.dtype(
    [
        ("light", "<u4", 3),
        ("acceleration", "<i2", 3),
        ("rotation", "<i2", 3),
        ("temperature", "<i2", 3),
    ]
)
RING_SAMPLE_BYTES = _SAMPLE.itemsize
"""Bytes of a sample."""
_REQUEST = struct.Struct("<BBBB")
_START_BODY = struct.Struct("<7B")
_MAX_LIGHT = (1 << 31) - 1

IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class RingStart:
    """Request to start measuring.

    Examples
    --------
    >>> RingStart(frame_id=1, time_s=30).to_bytes().hex()
    '00013c001e191414140101'
    """

    frame_id: int = 0
    """Number of the request, u8; the response carries it too."""
    time_s: int = 255
    """How long, u8."""
    rate_hz: int = 25
    """Rate, u8; reserved, says the app."""
    currents: tuple[int, int, int] = (20, 20, 20)
    """LED currents of green, infrared and red in steps of 0.392 mA, 0..50."""
    tells_progress: bool = True
    """Whether the ring tells how far it is."""
    tells_samples: bool = True
    """Whether the ring sends samples."""

    def to_bytes(self) -> bytes:
        """Bytes to write.

        Raises
        ------
        ProtocolError
            A field does not fit the layout.
        """
        try:
            return _REQUEST.pack(0, self.frame_id, _COMMAND, _START) + _START_BODY.pack(
                self.time_s,
                self.rate_hz,
                *self.currents,
                self.tells_progress,
                self.tells_samples,
            )
        except struct.error as error:
            raise ProtocolError(f"ring request field out of range: {error}") from None


@dataclass(frozen=True)
class RingStop:
    """Request to stop measuring.

    Examples
    --------
    >>> RingStop(2).to_bytes().hex()
    '00023c04'
    """

    frame_id: int = 0
    """Number of the request, u8."""

    def to_bytes(self) -> bytes:
        """Bytes to write.

        Raises
        ------
        ProtocolError
            The number is no u8.
        """
        if not 0 <= self.frame_id <= 0xFF:
            raise ProtocolError(f"frame_id is u8, got {self.frame_id}")
        return _REQUEST.pack(0, self.frame_id, _COMMAND, _STOP)


def ring_request_from_bytes(data: bytes | bytearray | memoryview) -> RingStart | RingStop:
    """Decode a request, as a device does.

    Raises
    ------
    ControlError
        Not one of the two.
    """
    data = bytes(data)
    if len(data) >= _REQUEST.size:
        kind, frame_id, command, subcommand = _REQUEST.unpack_from(data)
        body = data[_REQUEST.size :]
        if (kind, command, subcommand) == (0, _COMMAND, _STOP) and not body:
            return RingStop(frame_id)
        if (kind, command, subcommand) == (0, _COMMAND, _START) and len(body) == 7:
            time_s, rate_hz, green, infrared, red, progress, samples = body
            lit = (green, infrared, red)
            return RingStart(frame_id, time_s, rate_hz, lit, bool(progress), bool(samples))
    raise ControlError(f"not a ring request: {data[:20].hex() or 'nothing'}")


def is_ring_frame(data: bytes) -> bool:
    """Whether a notification is meant as samples; the rest are responses and progress.

    A response with the time has the same subcommand and 13 bytes.
    """
    return len(data) != 13 and data[2:4] == bytes([_COMMAND, _SAMPLES])


@dataclass(frozen=True, eq=False)
class RingFrame:
    """One notification with samples.

    Raises
    ------
    FrameError
        A field does not fit the layout.

    Examples
    --------
    >>> frame = RingFrame(7, 1_700_000_000_000, np.array([[10, 20, 30]]))
    >>> RingFrame.from_bytes(frame.to_bytes()) == frame
    True
    """

    sequence: int
    """Number of the frame, u8, wraps around."""
    time_ms: int
    """Milliseconds since 1970 by the ring's clock, u64."""
    counts: IntArray
    """Shape (n, 3): green, red, infrared; 0..2**31 - 1."""
    acceleration: IntArray | None = None
    """Shape (n, 3), i16, unit unknown; zeros when None."""
    rotation: IntArray | None = None
    """Shape (n, 3), i16, unit unknown; zeros when None."""
    temperature: IntArray | None = None
    """Shape (n, 3), i16, three sensors, unit unknown; zeros when None."""
    frame_id: int = 0
    """Second byte, u8."""

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts)
        if counts.ndim != 2 or not 1 <= len(counts) <= 255 or counts.shape[1] != 3:
            raise FrameError(f"ring counts have shape (1..255, 3), got {counts.shape}")
        if counts.min() < 0 or counts.max() > _MAX_LIGHT:
            raise FrameError("ring counts lie in 0..2**31 - 1")
        if not (
            0 <= self.sequence <= 0xFF
            and 0 <= self.frame_id <= 0xFF
            and 0 <= self.time_ms < 1 << 64
        ):
            raise FrameError("sequence and frame_id are u8, time_ms is u64")
        object.__setattr__(self, "counts", counts.astype(np.int32, copy=False))
        for name in ("acceleration", "rotation", "temperature"):
            given = getattr(self, name)
            values = np.zeros((len(counts), 3), int) if given is None else np.asarray(given)
            if values.shape != (len(counts), 3) or np.abs(values + 0.5).max() > 32_767.5:
                raise FrameError(f"{name} has shape ({len(counts)}, 3) of i16")
            object.__setattr__(self, name, values.astype(np.int32, copy=False))

    def to_bytes(self) -> bytes:
        """Bytes of the notification."""
        rows = np.zeros(len(self.counts), _SAMPLE)
        rows["light"] = self.counts
        for name in ("acceleration", "rotation", "temperature"):
            rows[name] = getattr(self, name)
        head = _HEADER.pack(
            1, self.frame_id, _COMMAND, _SAMPLES, self.sequence, len(rows), self.time_ms
        )
        return head + rows.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> RingFrame:
        """Decode a notification.

        Raises
        ------
        FrameError
            Another message, a wrong length, or light beyond 31 bits.
        """
        data = bytes(data)
        if len(data) < _HEADER.size or not is_ring_frame(data):
            raise FrameError(f"not samples of a ring: {data[:20].hex() or 'nothing'}")
        _, frame_id, _, _, sequence, n, time_ms = _HEADER.unpack_from(data)
        expected = _HEADER.size + n * RING_SAMPLE_BYTES
        if n == 0 or len(data) != expected:
            raise FrameError(
                f"a ring frame of {n} samples has {expected} bytes, got {len(data)}; was "
                "the notification longer than the MTU?"
            )
        rows = np.frombuffer(data, _SAMPLE, offset=_HEADER.size)
        if rows["light"].max() > _MAX_LIGHT:
            raise FrameError("a ring's light is beyond 31 bits")
        return cls(
            sequence,
            time_ms,
            rows["light"].astype(np.int32),
            rows["acceleration"].astype(np.int32),
            rows["rotation"].astype(np.int32),
            rows["temperature"].astype(np.int32),
            frame_id,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RingFrame):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

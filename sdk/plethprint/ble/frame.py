"""PPG frames of the open profile: 24-bit counts with everything needed to place them.

A frame says which samples it holds (`first_index`), when the device took them
(`device_time_us`), which frame it is (`sequence`) and how many frames the device had to
throw away so far (`overflow_frames`), so a receiver can tell every kind of loss apart.
The layout is specified in ``docs/ble-profile.md``; this module is its reference.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.errors import FrameError

__all__ = [
    "COUNT_MAX",
    "COUNT_MIN",
    "FRAME_HEADER_BYTES",
    "FRAME_VERSION",
    "MAX_CHANNELS",
    "FrameStatus",
    "PpgFrame",
    "longest_value",
    "samples_per_frame",
]

FRAME_VERSION = 1
"""Layout version in byte 0 of every frame."""
MAX_CHANNELS = 4
"""Most channels that one frame carries."""
COUNT_MIN, COUNT_MAX = -(1 << 23), (1 << 23) - 1
"""Range of one sample, in ADC counts."""

_HEADER = struct.Struct("<BBHIIHBB")
FRAME_HEADER_BYTES = _HEADER.size
_COUNT_BYTES = 3
_ATT_HEADER_BYTES = 3
_LONGEST_ATTRIBUTE_BYTES = 512
_MAX_SAMPLES = 255


class FrameStatus(enum.IntFlag):
    """What the sensor knew about the samples of one frame.

    Bits 6 and 7 are reserved: senders clear them, receivers ignore them.
    """

    CONTACT = 0x01
    """The sensor sits on skin."""
    SATURATED = 0x02
    """At least one sample reached the end of the ADC range."""
    MOTION = 0x04
    """The device moved enough to disturb the pulse."""
    AMBIENT = 0x08
    """Ambient light was too strong to be cancelled."""
    GAIN_CHANGED = 0x10
    """Gain or LED current changed inside this frame: expect a step."""
    DROPPED = 0x20
    """Frames straight before this one were dropped by the device's own buffer."""


@dataclass(frozen=True, eq=False)
class PpgFrame:
    """A run of consecutive PPG samples as the device sent it.

    Two frames are equal when their bytes are.

    Raises
    ------
    FrameError
        A field lies outside its range or the counts have a wrong shape.

    Examples
    --------
    >>> frame = PpgFrame(sequence=7, first_index=1000, device_time_us=8_000_000,
    ...                  counts=np.array([[-1], [2]]))
    >>> PpgFrame.from_bytes(frame.to_bytes()) == frame
    True
    """

    sequence: int
    """Frame number since the stream started, modulo 2**16."""
    first_index: int
    """Index of the first sample on the device's sample clock, modulo 2**32."""
    device_time_us: int
    """Device clock when the first sample was taken, microseconds modulo 2**32."""
    counts: npt.NDArray[np.int32]
    """Samples, shape (n, channels), 24-bit signed ADC counts."""
    overflow_frames: int = 0
    """Frames dropped by the device since the stream started, modulo 2**16."""
    status: FrameStatus = FrameStatus(0)  # noqa: RUF009 - enum members are constants
    """Sensor state over these samples."""

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts)
        if counts.ndim != 2 or not np.issubdtype(counts.dtype, np.integer):
            raise FrameError(
                "counts must be integers of shape (samples, channels), got "
                f"{counts.dtype} of shape {counts.shape}"
            )
        samples, channels = counts.shape
        if not 1 <= samples <= _MAX_SAMPLES or not 1 <= channels <= MAX_CHANNELS:
            raise FrameError(
                f"a frame holds 1..{_MAX_SAMPLES} samples of 1..{MAX_CHANNELS} channels, "
                f"got shape {counts.shape}"
            )
        if counts.min() < COUNT_MIN or counts.max() > COUNT_MAX:
            raise FrameError(
                f"counts must lie in {COUNT_MIN}..{COUNT_MAX}, got "
                f"{counts.min()}..{counts.max()}"
            )
        for name, bits in (
            ("sequence", 16),
            ("first_index", 32),
            ("device_time_us", 32),
            ("overflow_frames", 16),
            ("status", 8),
        ):
            value = getattr(self, name)
            if not 0 <= value < 1 << bits:
                raise FrameError(
                    f"{name} must be an unsigned {bits}-bit number, got {value}"
                )
        object.__setattr__(self, "counts", counts.astype(np.int32, copy=False))
        object.__setattr__(self, "status", FrameStatus(self.status))

    @property
    def samples(self) -> int:
        """Samples per channel in this frame."""
        return int(self.counts.shape[0])

    @property
    def on_skin(self) -> bool:
        """Whether the samples are of a wearer at all."""
        return bool(self.status & FrameStatus.CONTACT)

    @property
    def moving(self) -> bool:
        """Whether the device says that it moved enough to disturb the pulse."""
        return bool(self.status & FrameStatus.MOTION)

    @property
    def channels(self) -> int:
        """Channels in this frame."""
        return int(self.counts.shape[1])

    def to_bytes(self) -> bytes:
        """Bytes of one notification on the ``ppg`` characteristic."""
        header = _HEADER.pack(
            FRAME_VERSION,
            int(self.status),
            self.sequence,
            self.first_index,
            self.device_time_us,
            self.overflow_frames,
            self.channels,
            self.samples,
        )
        # The low three bytes of a little-endian int32 are its two's-complement int24.
        words = np.ascontiguousarray(self.counts, dtype="<i4").view(np.uint8)
        return header + words.reshape(-1, 4)[:, :_COUNT_BYTES].tobytes()

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> PpgFrame:
        """Decode one notification.

        Parameters
        ----------
        data : bytes-like
            The value of one notification, as it came.

        Raises
        ------
        FrameError
            The bytes are no frame of this version: too short, cut, padded, or empty.
        """
        data = bytes(data)
        if len(data) < FRAME_HEADER_BYTES:
            raise FrameError(
                f"a PPG frame has at least {FRAME_HEADER_BYTES} bytes, got {len(data)}"
            )
        version, status, sequence, index, time_us, overflow, channels, samples = (
            _HEADER.unpack_from(data)
        )
        if version != FRAME_VERSION:
            raise FrameError(
                f"expected PPG frame version {FRAME_VERSION}, got {version}; "
                "update plethprint or the wearable's firmware"
            )
        if not 1 <= channels <= MAX_CHANNELS or samples == 0:
            raise FrameError(
                f"a frame holds 1..{MAX_CHANNELS} channels and at least one sample, got "
                f"{channels} channels and {samples} samples"
            )
        expected = FRAME_HEADER_BYTES + _COUNT_BYTES * channels * samples
        if len(data) != expected:
            # Some stacks cut a notification that exceeds the MTU without a word.
            raise FrameError(
                f"a frame of {samples} samples x {channels} channels has {expected} bytes, "
                f"got {len(data)}; was the notification longer than the MTU?"
            )
        packed = np.frombuffer(data, np.uint8, offset=FRAME_HEADER_BYTES)
        words = np.zeros((channels * samples, 4), np.uint8)
        words[:, 1:] = packed.reshape(-1, _COUNT_BYTES)
        # Bytes sit in the upper three quarters; the arithmetic shift extends the sign.
        counts = (words.view("<i4") >> 8).astype(np.int32).reshape(samples, channels)
        return cls(
            sequence=sequence,
            first_index=index,
            device_time_us=time_us,
            counts=counts,
            overflow_frames=overflow,
            status=FrameStatus(status),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PpgFrame):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())


def longest_value(mtu: int) -> int:
    """Longest value, bytes, that one notification or write may carry.

    An attribute is never longer than 512 bytes, even where the MTU has room for more.

    Examples
    --------
    >>> longest_value(247), longest_value(517)
    (244, 512)
    """
    return min(mtu - _ATT_HEADER_BYTES, _LONGEST_ATTRIBUTE_BYTES)


def samples_per_frame(mtu: int, channels: int) -> int:
    """Most samples per channel that fit into one notification.

    Parameters
    ----------
    mtu : int
        ATT MTU of the connection, 23..517 bytes.
    channels : int
        Channels in the frame, 1..4.

    Returns
    -------
    int
        0..255; 0 when the MTU is too small for a single sample of every channel.
    """
    room = longest_value(mtu) - FRAME_HEADER_BYTES
    return max(0, min(_MAX_SAMPLES, room // (_COUNT_BYTES * channels)))

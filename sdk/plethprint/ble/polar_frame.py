"""PPG frames of Polar's Measurement Data protocol (PMD), raw and compressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.ble.delta_frames import decode_deltas, encode_deltas
from plethprint.ble.info import ChannelKind
from plethprint.ble.polar_control import PmdMeasurement
from plethprint.ble.polar_header import PmdHeader
from plethprint.errors import FrameError

__all__ = ["LAYOUTS", "Layout", "PmdFrame"]

_RAW_CHANNELS = 4
_COUNT_BYTES = 3
_COUNT_MIN, _COUNT_MAX = -(1 << 23), (1 << 23) - 1


@dataclass(frozen=True)
class Layout:
    """Channels of one type of PPG frame."""

    kinds: tuple[ChannelKind, ...]
    """Light of each channel as far as Polar's own parser names it."""
    has_status: bool = True
    """Whether 24 status bits follow the channels."""

    @property
    def columns(self) -> int:
        """Columns on the wire."""
        return len(self.kinds) + self.has_status


_GREEN, _OTHER = ChannelKind.GREEN, ChannelKind.OTHER
LAYOUTS: dict[int, Layout] = {
    0: Layout((_GREEN, _GREEN, _GREEN, ChannelKind.AMBIENT), has_status=False),
    7: Layout((_OTHER,) * 16),
    8: Layout((_OTHER,) * 24),
    10: Layout((_GREEN,) * 8 + (ChannelKind.RED,) * 6 + (ChannelKind.INFRARED,) * 6),
    13: Layout((_GREEN,) * 2),
}
"""PPG frame types that carry samples. Others (4, 5, 6, 9, 14) tell gains and modes."""


@dataclass(frozen=True, eq=False)
class PmdFrame:
    """One PPG notification with samples.

    Raises
    ------
    FrameError
        A type without samples, counts of a wrong shape or beyond 24 bits (raw frames, and
        the first sample of compressed ones).

    Examples
    --------
    >>> frame = PmdFrame(2_000_000_000, 0, np.array([[197121, 394500, 8388607, 0]]))
    >>> frame.to_bytes().hex()
    '010094357700000000' '00' '010203040506ffff7f000000'
    >>> PmdFrame.from_bytes(frame.to_bytes()) == frame
    True
    """

    timestamp_ns: int
    """When the last sample was taken, ns since 2000-01-01 by the device's clock, u64."""
    frame_type: int
    """0, 7, 8, 10 or 13."""
    counts: npt.NDArray[np.int32]
    """Shape (n, channels), n >= 1."""
    status: npt.NDArray[np.int32] | None = None
    """24 status bits of each sample, shape (n,); None with type 0."""
    compressed: bool = False
    """Whether it travels as differences; only type 0 can do without."""

    def __post_init__(self) -> None:
        layout = LAYOUTS.get(self.frame_type)
        if layout is None or not (self.compressed or self.frame_type == 0):
            kind = "compressed" if self.compressed else "raw"
            raise FrameError(f"{kind} PPG frames of type {self.frame_type} hold no samples")
        counts = np.asarray(self.counts)
        if counts.ndim != 2 or not len(counts) or counts.shape[1] != len(layout.kinds):
            raise FrameError(
                f"type {self.frame_type} has counts of shape (n, {len(layout.kinds)}), "
                f"got {counts.shape}"
            )
        if (self.status is not None) != layout.has_status or (
            self.status is not None and np.shape(self.status) != counts.shape[:1]
        ):
            raise FrameError(f"type {self.frame_type} has status bits that do not fit")
        if not 0 <= self.timestamp_ns < 1 << 64:
            raise FrameError(f"timestamp_ns is u64, got {self.timestamp_ns}")
        object.__setattr__(self, "counts", counts.astype(np.int32, copy=False))

    @property
    def last_s(self) -> float:
        """Device time of the last sample, seconds since 2000-01-01."""
        return self.timestamp_ns * 1e-9

    def scaled(self, factor: float) -> npt.NDArray[np.int32]:
        """Counts times the factor that START answered, towards zero as Polar does it."""
        if factor == 1.0:
            return self.counts
        scaled = self.counts.astype(np.float32) * np.float32(factor)
        if not np.isfinite(scaled).all() or np.abs(scaled).max() >= 2**31:
            raise FrameError(f"counts times the factor {factor:g} are beyond 32 bits")
        return np.asarray(scaled, np.int32)

    def to_bytes(self) -> bytes:
        """Bytes of the notification."""
        header = PmdHeader(
            PmdMeasurement.PPG, self.timestamp_ns, self.frame_type, self.compressed
        ).to_bytes()
        if self.compressed:
            columns = self.counts
            if self.status is not None:  # 24 bits, the topmost of which is taken for a sign
                signed = (self.status.astype(np.int32) << 8) >> 8
                columns = np.column_stack([columns, signed])
            return header + encode_deltas(columns)
        if self.counts.min() < _COUNT_MIN or self.counts.max() > _COUNT_MAX:
            raise FrameError("raw counts have 24 bits")
        words = np.ascontiguousarray(self.counts, dtype="<i4").view(np.uint8)
        return header + words.reshape(-1, 4)[:, :_COUNT_BYTES].tobytes()

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> PmdFrame:
        """Decode a notification.

        Raises
        ------
        FrameError
            Another measurement, a type without samples, or a frame that is cut.
        """
        head, body = PmdHeader.read(data, PmdMeasurement.PPG)
        timestamp_ns, frame_type = head.timestamp_ns, head.frame_type
        compressed = head.compressed
        layout = LAYOUTS.get(frame_type)
        if layout is None or not (compressed or frame_type == 0):
            raise FrameError(
                f"{'compressed' if compressed else 'raw'} PPG frames of type {frame_type} "
                "are not known, or hold no samples"
            )
        if not compressed:
            return cls(timestamp_ns, frame_type, _raw(body))
        columns = decode_deltas(body, layout.columns)
        if not layout.has_status:
            return cls(timestamp_ns, frame_type, columns, compressed=True)
        status = columns[:, -1] & 0xFFFFFF
        return cls(timestamp_ns, frame_type, columns[:, :-1], status, compressed=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PmdFrame):
            return NotImplemented
        return (
            self.timestamp_ns == other.timestamp_ns
            and (self.frame_type, self.compressed) == (other.frame_type, other.compressed)
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(
                () if self.status is None else self.status,
                () if other.status is None else other.status,
            )
        )

    def __hash__(self) -> int:
        return hash((self.timestamp_ns, self.frame_type, self.counts.tobytes()))


def _raw(body: bytes) -> npt.NDArray[np.int32]:
    size = _RAW_CHANNELS * _COUNT_BYTES
    if len(body) % size:
        raise FrameError(
            f"raw PPG samples have {size} bytes each, got {len(body)}; was the "
            "notification cut?"
        )
    words = np.zeros((len(body) // _COUNT_BYTES, 4), np.uint8)
    words[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, _COUNT_BYTES)
    return (words.view("<i4") >> 8).astype(np.int32).reshape(-1, _RAW_CHANNELS)

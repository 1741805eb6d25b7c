"""Acceleration frames of Polar's Measurement Data protocol (PMD), raw and compressed.

Source: the parser of polar-ble-sdk (``AccData.kt``) and its test vectors. The types differ
in width and unit::

    raw 0, 1, 2        3 axes of 8, 16 or 24 bits, signed, little-endian, milli-g
    compressed 0       differences, reference of 16 bits; times the factor of START: g
    compressed 1       the same; times the factor, if START answered one: milli-g

A Verity Sense sends compressed frames: those that people quoted up to 2022 are of type 0,
those since 2023 of type 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.ble.delta_frames import decode_deltas, encode_deltas
from plethprint.ble.polar_control import PmdMeasurement
from plethprint.ble.polar_header import PmdHeader
from plethprint.errors import FrameError

__all__ = ["PmdAcceleration"]

_AXES = 3
_RAW_BYTES = {0: 1, 1: 2, 2: 3}  # of an axis, by frame type
_COMPRESSED_TYPES = (0, 1)
_REFERENCE_BITS = 16
_MOST_MILLI_G = 1_000_000  # no accelerometer of a wearable goes beyond 32 g


@dataclass(frozen=True, eq=False)
class PmdAcceleration:
    """One notification of acceleration.

    Raises
    ------
    FrameError
        A type that is not known, or counts of a wrong shape or width.

    Examples
    --------
    >>> frame = PmdAcceleration(2_000_000_000, 1, np.array([[-9, -1, 999]]))
    >>> frame.to_bytes().hex()
    '02009435770000000001f7ffffffe703'
    >>> PmdAcceleration.from_bytes(frame.to_bytes()) == frame
    True
    """

    timestamp_ns: int
    """When the last sample was taken, ns since 2000-01-01 by the device's clock, u64."""
    frame_type: int
    """0, 1 or 2; compressed 0 or 1."""
    counts: npt.NDArray[np.int32]
    """Shape (n, 3): x, y, z; n >= 1."""
    compressed: bool = False
    """Whether it travels as differences."""

    def __post_init__(self) -> None:
        known = _COMPRESSED_TYPES if self.compressed else tuple(_RAW_BYTES)
        if self.frame_type not in known:
            kind = "compressed" if self.compressed else "raw"
            raise FrameError(
                f"{kind} acceleration frames of type {self.frame_type} are not known"
            )
        counts = np.asarray(self.counts)
        if counts.ndim != 2 or not len(counts) or counts.shape[1] != _AXES:
            raise FrameError(f"acceleration has shape (n, {_AXES}), got {counts.shape}")
        if not 0 <= self.timestamp_ns < 1 << 64:
            raise FrameError(f"timestamp_ns is u64, got {self.timestamp_ns}")
        object.__setattr__(self, "counts", counts.astype(np.int32, copy=False))

    @property
    def last_s(self) -> float:
        """Device time of the last sample, seconds since 2000-01-01."""
        return self.timestamp_ns * 1e-9

    def milli_g(self, factor: float = 1.0) -> npt.NDArray[np.int32]:
        """Acceleration, thousandths of a g, shape (n, 3), towards zero as Polar does it.

        Parameters
        ----------
        factor : float
            What START answered; 1 where it answered none.

        Raises
        ------
        FrameError
            Beyond a thousand g: then factor or frame is nonsense.
        """
        unit = factor if self.compressed else 1.0
        if self.compressed and self.frame_type == 0:
            unit *= 1000.0
        scaled = self.counts * np.float64(unit)
        if not np.isfinite(scaled).all() or np.abs(scaled).max() > _MOST_MILLI_G:
            raise FrameError(f"acceleration times the factor {factor:g} is beyond 1000 g")
        return np.asarray(scaled, np.int32)

    def to_bytes(self) -> bytes:
        """Bytes of the notification.

        Raises
        ------
        FrameError
            Counts beyond the width of the type.
        """
        header = PmdHeader(
            PmdMeasurement.ACCELERATION, self.timestamp_ns, self.frame_type, self.compressed
        ).to_bytes()
        if self.compressed:
            return header + encode_deltas(self.counts, resolution=_REFERENCE_BITS)
        size = _RAW_BYTES[self.frame_type]
        limit = 1 << (8 * size - 1)
        if self.counts.min() < -limit or self.counts.max() >= limit:
            raise FrameError(f"an axis of type {self.frame_type} has {8 * size} bits")
        words = np.ascontiguousarray(self.counts, dtype="<i4").view(np.uint8)
        return header + words.reshape(-1, 4)[:, :size].tobytes()

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> PmdAcceleration:
        """Decode a notification.

        Raises
        ------
        FrameError
            Another measurement, a type that is not known, or a frame that is cut.
        """
        head, body = PmdHeader.read(data, PmdMeasurement.ACCELERATION)
        if head.compressed:
            counts = decode_deltas(body, _AXES, resolution=_REFERENCE_BITS)
        else:
            counts = _raw(body, _RAW_BYTES.get(head.frame_type, 1))
        return cls(head.timestamp_ns, head.frame_type, counts, head.compressed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PmdAcceleration):
            return NotImplemented
        return (
            self.timestamp_ns == other.timestamp_ns
            and (self.frame_type, self.compressed) == (other.frame_type, other.compressed)
            and np.array_equal(self.counts, other.counts)
        )

    def __hash__(self) -> int:
        return hash((self.timestamp_ns, self.frame_type, self.counts.tobytes()))


def _raw(body: bytes, size: int) -> npt.NDArray[np.int32]:
    if len(body) % (_AXES * size):
        raise FrameError(
            f"raw acceleration has {_AXES * size} bytes a sample, got {len(body)}; was "
            "the notification cut?"
        )
    words = np.zeros((len(body) // size, 4), np.uint8)
    words[:, 4 - size :] = np.frombuffer(body, np.uint8).reshape(-1, size)
    signed = words.view("<i4").ravel() >> 8 * (4 - size)
    return signed.astype(np.int32).reshape(-1, _AXES)

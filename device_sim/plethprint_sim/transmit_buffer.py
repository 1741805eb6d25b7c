"""What a wearable keeps while the radio is slow or gone: a bounded queue of frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Leaving", "TransmitBuffer"]

F = TypeVar("F")


@dataclass(frozen=True)
class Leaving(Generic[F]):
    """A frame that leaves the buffer."""

    frame: F
    dropped_frames: int
    """Frames dropped since the buffer was cleared."""
    dropped_before: bool
    """Whether frames straight before this one were dropped."""


@dataclass(frozen=True)
class _Waiting(Generic[F]):
    frame: F
    samples: int
    size_bytes: int


class TransmitBuffer(Generic[F]):
    """Bounded first-in first-out queue; the oldest frame makes room for a new one.

    Frames are numbered when they are made, so a dropped one leaves a hole; how many were
    dropped is known when the next one leaves, so a protocol with room for it can put the
    hole down to the device and not to the radio.

    Parameters
    ----------
    capacity_samples : int
        Samples per channel that fit.
    """

    def __init__(self, capacity_samples: int) -> None:
        if capacity_samples < 1:
            raise ValueError(f"a buffer holds at least one sample, got {capacity_samples}")
        self._capacity_samples = capacity_samples
        self._frames: deque[_Waiting[F]] = deque()
        self._samples = 0
        self._dropped = 0
        self._dropped_since_take = False

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def dropped_frames(self) -> int:
        """Frames dropped since the buffer was cleared."""
        return self._dropped

    def clear(self) -> None:
        """Start anew: nothing queued, nothing dropped."""
        self._frames.clear()
        self._samples = self._dropped = 0
        self._dropped_since_take = False

    def put(self, frame: F, *, samples: int, size_bytes: int) -> None:
        """Queue a frame, dropping the oldest ones when it does not fit."""
        self._frames.append(_Waiting(frame, samples, size_bytes))
        self._samples += samples
        while self._samples > self._capacity_samples and len(self._frames) > 1:
            self._drop()

    def take(self, longest_bytes: int) -> Leaving[F] | None:
        """Next frame to send; None when empty.

        Frames longer than `longest_bytes` (made for a larger MTU) are dropped.
        """
        while self._frames and self._frames[0].size_bytes > longest_bytes:
            self._drop()
        if not self._frames:
            return None
        waiting = self._frames.popleft()
        self._samples -= waiting.samples
        dropped_before, self._dropped_since_take = self._dropped_since_take, False
        return Leaving(waiting.frame, self._dropped, dropped_before)

    def _drop(self) -> None:
        self._samples -= self._frames.popleft().samples
        self._dropped += 1
        self._dropped_since_take = True

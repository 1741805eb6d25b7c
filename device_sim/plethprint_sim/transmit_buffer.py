"""What a wearable keeps while the link is slow or gone: a bounded queue of PPG frames."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from plethprint.ble.open_profile import FrameStatus, PpgFrame

__all__ = ["TransmitBuffer"]


class TransmitBuffer:
    """Bounded first-in first-out queue; the oldest frame makes room for a new one.

    Sequence numbers are given when a frame is made, so a dropped frame leaves a hole in
    them; the overflow count is written when a frame leaves, so the receiver can put the
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
        self._frames: deque[PpgFrame] = deque()
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

    def put(self, frame: PpgFrame) -> None:
        """Queue a frame, dropping the oldest ones when it does not fit."""
        self._frames.append(frame)
        self._samples += frame.samples
        while self._samples > self._capacity_samples and len(self._frames) > 1:
            self._drop()

    def take(self, longest_bytes: int) -> PpgFrame | None:
        """Next frame to send, overflow count and DROPPED bit filled in; None when empty.

        Frames longer than `longest_bytes` (made for a larger MTU) are dropped.
        """
        while self._frames and len(self._frames[0].to_bytes()) > longest_bytes:
            self._drop()
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._samples -= frame.samples
        status = (
            frame.status | FrameStatus.DROPPED if self._dropped_since_take else frame.status
        )
        self._dropped_since_take = False
        return replace(frame, overflow_frames=self._dropped & 0xFFFF, status=status)

    def _drop(self) -> None:
        self._samples -= self._frames.popleft().samples
        self._dropped += 1
        self._dropped_since_take = True

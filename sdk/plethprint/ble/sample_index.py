"""An index for samples of wearables that do not number them.

The timeline places samples by an index that counts every sample period. Few wearables
send one. :class:`SampleIndex` makes it from what they do send:

=====================  =========================================================
the wearable sends     a hole of the stream is
=====================  =========================================================
device time of frames  as long as the device's clock says, to half a sample
a frame counter        as many frames as the counter jumps, each as long as this one
neither                not to be seen; frames are taken to follow each other
=====================  =========================================================
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass

__all__ = ["SampleIndex"]

_HISTORY = 64  # frames by which a late or repeated one is placed
_LEARNING_FRAMES = 8  # frames in a row until the measured rate is believed
_RATE_UNKNOWN = 0.10  # by how much a front end may be off its nominal rate at first
_RATE_KNOWN = 0.01  # by how much once it was measured
_HALF_A_SAMPLE = 0.5
_WRAP = 1 << 32


@dataclass(frozen=True)
class _Anchor:
    """A frame that has its place."""

    last_s: float
    end: int
    samples: int


@dataclass(frozen=True)
class _Counted:
    """The newest frame that was placed by its number."""

    sequence: int
    first: int
    samples: int
    last_s: float | None


class SampleIndex:
    """Gives each frame the index of its first sample, modulo 2**32.

    Parameters
    ----------
    sample_rate_hz : float
        Nominal rate; the true one is measured on the device's own clock.
    sequence_bits : int
        Width of the wearable's frame counter, 0 without one.

    Examples
    --------
    Frames of 10 samples at 50 Hz, of which the second is lost:

    >>> index = SampleIndex(50.0)
    >>> index.by_time(10, last_s=100.18), index.by_time(10, last_s=100.58)
    (0, 20)
    >>> counter = SampleIndex(50.0, sequence_bits=8)
    >>> counter.by_sequence(10, 255), counter.by_sequence(10, 1)
    (0, 20)
    """

    def __init__(self, sample_rate_hz: float, *, sequence_bits: int = 0) -> None:
        self._period_s = 1.0 / sample_rate_hz
        self._sequence_span = 1 << sequence_bits
        self._anchors: list[_Anchor] = []  # by device time
        self._order: deque[_Anchor] = deque()  # by arrival, to forget the oldest
        self._run: tuple[float, int, int] | None = None  # last_s, end, frames since
        self._learnt = False
        self._counted: _Counted | None = None
        self._is_new_link = True
        self._end = 0

    @property
    def period_s(self) -> float:
        """Seconds of the device's clock from one sample to the next, as measured so far."""
        return self._period_s

    def by_time(self, samples: int, *, last_s: float) -> int:
        """Place a frame by the device time of its last sample, seconds.

        A frame straight after another one gets the index straight after it, although
        clock and rate are not exact; only what does not fit is taken for a hole. A time
        that went back over a new link is another boot of the device: all begins afresh.
        """
        went_back = bool(self._anchors) and last_s < self._anchors[-1].last_s
        if self._is_new_link and went_back:
            self._anchors.clear()
            self._order.clear()
            self._run = None
        self._is_new_link = False
        at = bisect.bisect_right(self._anchors, last_s, key=lambda anchor: anchor.last_s)
        if not self._anchors:
            end = samples
        elif at == 0:  # before everything known
            first = self._anchors[0]
            end = first.end + round((last_s - first.last_s) / self._period_s)
        else:
            end = self._end_after(self._anchors[at - 1], samples, last_s)
        anchor = _Anchor(last_s, end, samples)
        self._anchors.insert(at, anchor)
        self._order.append(anchor)
        if len(self._order) > _HISTORY:
            self._anchors.remove(self._order.popleft())
        return (end - samples) % _WRAP

    def by_sequence(
        self, samples: int, sequence: int, *, last_s: float | None = None
    ) -> int:
        """Place a frame by the wearable's counter of frames.

        On a new link the counter may have started afresh. Then the device time of the
        last sample tells how much is absent; without it the index starts afresh as well.
        On one link that time tells how often a narrow counter has wrapped meanwhile.
        """
        before = self._counted
        if before is None or (self._is_new_link and last_s is None):
            first = 0
        elif self._is_new_link and last_s is not None and before.last_s is not None:
            passed = round((last_s - before.last_s) / self._period_s)
            first = before.first + before.samples + passed - samples
        else:
            expected = 0
            if last_s is not None and before.last_s is not None:
                expected = round((last_s - before.last_s) / (self._period_s * samples))
            step = self._steps(sequence - before.sequence, expected)
            if step <= 0:  # late, or once more
                return (before.first + step * samples) % _WRAP
            first = before.first + before.samples + (step - 1) * samples
        self._is_new_link = False
        self._counted = _Counted(sequence, first, samples, last_s)
        return first % _WRAP

    def by_order(self, samples: int) -> int:
        """Place a frame straight after the one before: nothing else is known."""
        first, self._end = self._end, self._end + samples
        return first % _WRAP

    def new_link(self) -> None:
        """Say that the next frame comes over another link."""
        self._is_new_link = True
        self._end = 0

    def _steps(self, difference: int, expected: int) -> int:
        """Frames from one number to another of a wrapping counter: nearest to expected."""
        half = self._sequence_span >> 1
        return expected + (difference - expected + half) % self._sequence_span - half

    def _end_after(self, before: _Anchor, samples: int, last_s: float) -> int:
        elapsed_s = last_s - before.last_s
        if elapsed_s == 0.0 and samples == before.samples:
            return before.end  # once more
        passed = elapsed_s / self._period_s
        off = _RATE_KNOWN if self._learnt else _RATE_UNKNOWN
        tolerance = max(_HALF_A_SAMPLE, off * samples)
        if abs(passed - samples) <= tolerance:
            self._measure(before, samples, last_s)
            return before.end + samples
        return before.end + round(passed)

    def _measure(self, before: _Anchor, samples: int, last_s: float) -> None:
        """Learn the rate from frames that follow each other without a hole."""
        if self._run is None or before is not self._order[-1]:
            self._run = before.last_s, before.end, 0
        began_s, began, frames = self._run
        self._run = began_s, began, frames + 1
        counted = before.end + samples - began
        if frames + 1 >= _LEARNING_FRAMES:
            self._learnt = True
        elif self._learnt:
            return  # a longer run told the rate better
        self._period_s = (last_s - began_s) / counted

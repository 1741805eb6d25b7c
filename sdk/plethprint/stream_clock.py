"""When which sample was taken: one stream on the host's clock, and two side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Alignment", "StreamClock", "align"]


@dataclass(frozen=True)
class StreamClock:
    """Sample index to host time, as far as it is known now; a line near `anchor_index`.

    Examples
    --------
    >>> clock = StreamClock(0, 1000, 50.0, 0.008, 0.002)
    >>> clock.host_time(1125)
    51.0
    >>> round(clock.index_at(51.0), 6)
    1125.0
    """

    epoch: int
    """Epoch of the index, see `Block.epoch`."""
    anchor_index: int
    """Sample index near which the line holds best."""
    anchor_s: float
    """Host time (Unix, s) of that sample."""
    host_period_s: float
    """Host time from one sample to the next, seconds: drift included."""
    uncertainty_s: float
    """How far off `anchor_s` may be, seconds; infinite while unknown."""

    def host_time(self, index: float) -> float:
        """Host time (Unix, s) of a sample; the index may lie between two."""
        return self.anchor_s + (index - self.anchor_index) * self.host_period_s

    def index_at(self, host_s: float) -> float:
        """Sample index at a host time; lies between two samples as a rule."""
        return self.anchor_index + (host_s - self.anchor_s) / self.host_period_s


@dataclass(frozen=True)
class Alignment:
    """Two streams side by side."""

    first: StreamClock
    second: StreamClock

    @property
    def uncertainty_s(self) -> float:
        """How far off the two may be from each other, seconds."""
        return math.hypot(self.first.uncertainty_s, self.second.uncertainty_s)

    @property
    def samples_per_sample(self) -> float:
        """Samples that the second takes while the first takes one."""
        return self.first.host_period_s / self.second.host_period_s

    def second_index(self, first_index: float) -> float:
        """Sample index of the second at the moment of one of the first."""
        return self.second.index_at(self.first.host_time(first_index))

    def offset_s(self, first_index: float, second_index: float) -> float:
        """Seconds by which a sample of the second is later than one of the first."""
        return self.second.host_time(second_index) - self.first.host_time(first_index)


def align(first: StreamClock, second: StreamClock) -> Alignment:
    """Put two streams of one session's host clock, or of one computer's, side by side.

    Parameters
    ----------
    first, second : StreamClock
        From `Wearable.stream_clock`, taken at about the same time.

    Examples
    --------
    >>> left = StreamClock(0, 0, 100.000, 0.008, 0.001)
    >>> right = StreamClock(0, 0, 100.004, 0.010, 0.001)
    >>> both = align(left, right)
    >>> round(both.offset_s(0, 0), 6), round(both.second_index(125), 6)
    (0.004, 99.6)
    """
    return Alignment(first, second)

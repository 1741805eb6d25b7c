"""The lower edge of delays that are never too short: what is true plus the least latency.

A message can arrive late but never early. Of all lines below the points (time, delay) the
one nearest to them in the mean is the edge of their lower convex hull that lies under the
middle of the window (a linear program whose optimum is at a hull edge under the centroid).
Its slope is the drift of one clock against the other.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

__all__ = ["LowerEnvelope", "Slope"]

_FOLDS = 5
_RESOLUTION_S = 5e-5  # what no arrival time is better than, on any host


@dataclass(frozen=True)
class Slope:
    """Slope of an envelope, and how far it can be trusted."""

    value: float
    """Seconds of delay a second."""
    uncertainty: float
    """How far off it may be, about one standard deviation; infinite when unknown."""


_UNKNOWN = Slope(0.0, math.inf)


@dataclass
class _Bucket:
    """The points of a stretch of time: the fastest, and their mean."""

    number: int
    time_s: float  # of the fastest
    delay_s: float
    total_s: float
    count: int


class LowerEnvelope:
    """Keeps the fastest of each stretch of time, over a window of the past.

    Parameters
    ----------
    window_s : float
        How much of the past is used.
    bucket_s : float
        Length of a stretch.

    Examples
    --------
    >>> envelope = LowerEnvelope(window_s=60.0, bucket_s=1.0)
    >>> for second in range(30):
    ...     _ = envelope.add(float(second), 0.1 + 0.002 * (second % 3) + 1e-4 * second)
    >>> round(envelope.slope().value * 1e6)
    100
    """

    def __init__(self, *, window_s: float, bucket_s: float) -> None:
        self._window_s = window_s
        self._bucket_s = bucket_s
        self._buckets: deque[_Bucket] = deque()

    def __len__(self) -> int:
        return len(self._buckets)

    def clear(self) -> None:
        """Forget everything."""
        self._buckets.clear()

    @property
    def span_s(self) -> float:
        """Seconds from the oldest to the newest point that is kept."""
        buckets = self._buckets
        return buckets[-1].time_s - buckets[0].time_s if buckets else 0.0

    @property
    def first_s(self) -> float:
        """Time of the oldest point that is kept, 0 when there is none."""
        return self._buckets[0].time_s if self._buckets else 0.0

    def add(self, time_s: float, delay_s: float) -> bool:
        """Take a point; say whether a new stretch began with it."""
        number = math.floor(time_s / self._bucket_s)
        buckets = self._buckets
        if buckets and number <= buckets[-1].number:
            if number == buckets[-1].number:
                newest = buckets[-1]
                newest.total_s += delay_s
                newest.count += 1
                if delay_s < newest.delay_s:
                    newest.time_s, newest.delay_s = time_s, delay_s
            return False  # older ones came late: nothing to learn
        buckets.append(_Bucket(number, time_s, delay_s, delay_s, 1))
        while time_s - buckets[0].time_s > self._window_s:
            buckets.popleft()
        return True

    def slope(self, *, independent: bool = False) -> Slope:
        """Slope of the hull edge under the middle of the window.

        The uncertainty is what the latency's floor may have moved over the window: at
        worst as much as the points usually lie above the line. A device whose frames keep
        step with the connection events shows a floor that stands still and means nothing,
        and is seen through by this.

        Parameters
        ----------
        independent : bool, optional
            Whether each latency is drawn anew, so that more of them find the floor better.
        """
        if len(self._buckets) < _FOLDS or self.span_s <= 0.0:
            return _UNKNOWN
        value = _edge_slope(self._buckets)
        spread_s = self.spread_s(value, self.lowest_s(value))
        if not independent:
            return Slope(value, max(spread_s, _RESOLUTION_S) / self.span_s)
        # The shortest of n waits is about median / (0.7 n); each end of the line rests on
        # half of the points, and the line on half of the window.
        spread_s *= min(1.0, 12.0 / len(self._buckets))
        by_waits = max(spread_s, _RESOLUTION_S) / self.span_s
        return Slope(value, max(by_waits, self._jackknife()))

    def _jackknife(self) -> float:
        """How much the slope depends on which points happen to be there."""
        points = list(self._buckets)
        slopes = [
            _edge_slope([b for at, b in enumerate(points) if at % _FOLDS != left_out])
            for left_out in range(_FOLDS)
        ]
        mean = sum(slopes) / _FOLDS
        squares = sum((slope - mean) ** 2 for slope in slopes)
        return math.sqrt(squares * (_FOLDS - 1) / _FOLDS)

    def lowest_s(self, slope: float) -> float:
        """Delay at time 0 of the highest line of this slope below all points."""
        return min(b.delay_s - slope * b.time_s for b in self._buckets)

    def spread_s(self, slope: float, lowest_s: float) -> float:
        """How far the points lie above a line: the median over the stretches' means."""
        return median(
            b.total_s / b.count - slope * b.time_s - lowest_s for b in self._buckets
        )


def _edge_slope(buckets: Collection[_Bucket]) -> float:
    """Slope of the lower hull's edge under the middle of points sorted by time."""
    middle_s = sum(b.time_s for b in buckets) / len(buckets)
    hull: list[_Bucket] = []
    for bucket in buckets:
        while len(hull) >= 2 and _turns_right(hull[-2], hull[-1], bucket):
            hull.pop()
        hull.append(bucket)
    for left, right in pairwise(hull):
        if left.time_s <= middle_s <= right.time_s and right.time_s > left.time_s:
            return (right.delay_s - left.delay_s) / (right.time_s - left.time_s)
    return 0.0


def _turns_right(a: _Bucket, b: _Bucket, c: _Bucket) -> bool:
    return (b.time_s - a.time_s) * (c.delay_s - a.delay_s) <= (b.delay_s - a.delay_s) * (
        c.time_s - a.time_s
    )

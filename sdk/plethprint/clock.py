"""Device clock to host clock, from nothing but the arrival times of frames.

A frame can arrive late (retransmission, connection interval, a busy host) but never
early, so the *lower envelope* of ``arrival - device time`` is the truth plus the
smallest latency of the link. :class:`DeviceClock` keeps the fastest arrival of each
second over a window of a minute and a half, and reads offset and drift from the edge of
their lower convex hull that lies under the middle of the window. A stall that delays
everything for seconds lies above that edge and changes nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise

__all__ = ["DeviceClock", "HostClock"]

_Point = tuple[float, float]


class DeviceClock:
    """Maps seconds of a device's clock to seconds of the host's clock.

    Parameters
    ----------
    window_s : float, optional
        How much of the past is used, 60..120 s is sensible: shorter follows the drift
        of a warming crystal faster, longer averages more jitter.
    fit_after_s : float, optional
        Span of observations from which on drift is estimated. Before it the drift is
        taken as none (50 ppm make 1 ms in 20 s).
    max_drift_ppm : float, optional
        Drift beyond this is not believed while less than two thirds of the window are
        filled: a stall at the start looks like a fast clock. Later the bound is 5 %,
        enough for an optical front end that samples by its own RC oscillator.

    Examples
    --------
    >>> clock = DeviceClock()
    >>> for second in range(60):
    ...     clock.observe(float(second), 1000.0 + second + 0.015 * (second % 3))
    >>> round(clock.host_time(59.0), 6)
    1059.0
    """

    def __init__(
        self,
        *,
        window_s: float = 90.0,
        fit_after_s: float = 20.0,
        max_drift_ppm: float = 500.0,
    ) -> None:
        self._window_s = window_s
        self._fit_after_s = fit_after_s
        self._max_drift = max_drift_ppm * 1e-6
        # (device time, arrival - device time), the fastest of each second, by time.
        self._fastest: deque[_Point] = deque()
        self._reference_s = 0.0
        self._offset_s = 0.0
        self._drift = 0.0

    @property
    def drift_ppm(self) -> float:
        """How much slower the device's clock runs than the host's, parts per million."""
        return self._drift * 1e6

    @property
    def ready(self) -> bool:
        """Whether anything was observed yet."""
        return bool(self._fastest)

    def restart(self) -> None:
        """Forget everything: the device's clock restarted or the host's was set."""
        self._fastest.clear()
        self._drift = 0.0

    def observe(self, device_s: float, arrival_s: float) -> None:
        """Take the arrival of something that the device finished at a known time.

        Parameters
        ----------
        device_s : float
            Device time, seconds, of the newest sample in the frame: the earliest moment
            at which the frame could have been sent.
        arrival_s : float
            Host time, seconds, at which the frame arrived.
        """
        point = (device_s, arrival_s - device_s)
        if not self._fastest:
            self._fastest.append(point)
            self._fit()
            return
        newest_s, newest_delay_s = self._fastest[-1]
        if device_s < self._fastest[0][0]:
            return  # older than the window: nothing to learn
        if int(device_s) > int(newest_s):
            self._fastest.append(point)
            while device_s - self._fastest[0][0] > self._window_s:
                self._fastest.popleft()
            self._fit()
        elif int(device_s) == int(newest_s) and point[1] < newest_delay_s:
            self._fastest[-1] = point
            # Refit only for news: a frame faster than the line says is possible.
            if arrival_s < self.host_time(device_s):
                self._fit()

    def host_time(self, device_s: float) -> float:
        """Return the host time, seconds, of a moment of the device's clock."""
        elapsed_s = device_s - self._reference_s
        return device_s + self._offset_s + self._drift * elapsed_s

    def _fit(self) -> None:
        points = self._fastest
        self._reference_s = points[0][0]
        span_s = points[-1][0] - points[0][0]
        self._drift = 0.0
        if span_s >= self._fit_after_s:
            middle_s = sum(point[0] for point in points) / len(points)
            slope = _edge_slope_under(points, middle_s)
            filled = span_s >= self._window_s * 2 / 3
            bound = 0.05 if filled else self._max_drift
            self._drift = min(max(slope, -bound), bound)
        # The line rests on the points: the fastest of all had the smallest latency.
        self._offset_s = min(
            delay_s - self._drift * (device_s - self._reference_s)
            for device_s, delay_s in points
        )


def _edge_slope_under(points: deque[_Point], middle_s: float) -> float:
    """Slope of the lower-hull edge below `middle_s`; points are sorted by time.

    Of all lines below the points this edge is the one nearest to them in the mean
    (a linear program whose optimum lies on the hull edge under the centroid).
    """
    hull: list[_Point] = []
    for point in points:
        while len(hull) >= 2 and _turns_right(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    for left, right in pairwise(hull):
        if left[0] <= middle_s <= right[0] and right[0] > left[0]:
            return (right[1] - left[1]) / (right[0] - left[0])
    return 0.0


def _turns_right(a: _Point, b: _Point, c: _Point) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])


class HostClock:
    """Wall-clock time that never steps while a link lasts.

    The wall clock is read once; from there on a monotonic clock carries it, so that a
    correction of the computer's clock in mid-stream moves no sample.

    Parameters
    ----------
    monotonic : callable
        Seconds of a clock that never goes back, usually ``loop.time``.
    wall : callable, optional
        Seconds since 1970, usually ``time.time``.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._offset_s = wall() - monotonic()

    def now(self) -> float:
        """Return the host time, seconds since 1970."""
        return self._monotonic() + self._offset_s

    def resynchronise(self, *, tolerance_s: float = 1.0) -> float:
        """Read the wall clock again; say by how many seconds it had stepped, else 0.

        Called when a link comes back: a laptop that slept meanwhile has lost time on
        its monotonic clock.
        """
        offset_s = self._wall() - self._monotonic()
        step_s = offset_s - self._offset_s
        if abs(step_s) <= tolerance_s:
            return 0.0
        self._offset_s = offset_s
        return step_s

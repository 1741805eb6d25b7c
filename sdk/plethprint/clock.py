"""Device clock to host clock, from arrival times and, where there are any, exchanges.

A frame can arrive late (retransmission, connection interval, a busy host) but never
early, so the *lower envelope* of ``arrival - device time`` is the truth plus the
smallest latency of the link. A stall that delays everything for seconds lies above that
envelope and changes nothing.

That smallest latency is the weak spot: frames that keep step with the connection events
wait up to an interval each, always the same, and no arrival tells how long. Where the
wearable says what time it is when asked, each question bounds the truth from the other
side, as in IEEE 1588 (PTP): the device cannot have taken it before it was sent. Questions
come at random moments, so that the fastest of some dozen waited next to nothing. The drift
is then read from the answers: the device makes them at a connection event and they leave at
the next, so that their latency stays the same whatever the clocks do.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from plethprint.envelope import LowerEnvelope, Slope

__all__ = ["DeviceClock", "HostClock", "TimeExchange"]

_LONG_WINDOW_S = 900.0  # for drift alone: a crystal at a wrist keeps its rate that long
_LONG_BUCKET_S = 5.0
_MOST_QUESTIONS = 128
_FEWEST_QUESTIONS = 3
_HOST_JITTER_S = 5e-4  # what an arrival time is good for on an idle computer
_SLACK_S = 0.002  # by which a drift not yet known well may cross the two bounds
_CONTRADICTS = 2.0  # uncertainties by which the recent past refutes the longer one


@dataclass(frozen=True)
class TimeExchange:
    """One question to a wearable for its time, and the answer."""

    sent_s: float
    """Host time, seconds, just before the question was sent."""
    device_time_us: int
    """Device time in the answer, microseconds, u32: when it took the question."""
    received_s: float
    """Host time, seconds, at which the answer arrived."""


class DeviceClock:
    """Maps seconds of a device's clock to seconds of the host's clock.

    Parameters
    ----------
    window_s : float, optional
        How much of the past decides the offset, 60..120 s is sensible: shorter follows
        the drift of a warming crystal faster, longer averages more jitter.
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
        # Points are (device time, delay): arrival, question or answer minus device time.
        self._arrivals = LowerEnvelope(window_s=window_s, bucket_s=1.0)
        self._long = LowerEnvelope(window_s=_LONG_WINDOW_S, bucket_s=_LONG_BUCKET_S)
        self._answers = LowerEnvelope(window_s=_LONG_WINDOW_S, bucket_s=1.0)
        self._asked = LowerEnvelope(window_s=_LONG_WINDOW_S, bucket_s=1.0)  # upside down
        self._questions: deque[tuple[float, float]] = deque(maxlen=_MOST_QUESTIONS)
        self._slow_slopes: tuple[Slope, ...] = ()  # of the long windows, seldom renewed
        self._reference_s = 0.0
        self._offset_s = 0.0
        self._drift = Slope(0.0, math.inf)
        self._uncertainty_s = math.inf

    @property
    def drift_ppm(self) -> float:
        """How much slower the device's clock runs than the host's, parts per million."""
        return self._drift.value * 1e6

    @property
    def drift_uncertainty_ppm(self) -> float:
        """How far off `drift_ppm` may be, about one standard deviation; inf if unknown."""
        return self._drift.uncertainty * 1e6

    @property
    def uncertainty_s(self) -> float:
        """How far off `host_time` may be near now, seconds; inf while unknown.

        Between questions and arrivals half of what lies between them; of arrivals alone
        as much as they usually lie above their envelope.
        """
        return self._uncertainty_s

    @property
    def ready(self) -> bool:
        """Whether anything was observed yet."""
        return len(self._arrivals) > 0

    def restart(self) -> None:
        """Forget everything: the device's clock restarted or the host's was set."""
        for envelope in (self._arrivals, self._long, self._answers, self._asked):
            envelope.clear()
        self._questions.clear()
        self._slow_slopes = ()
        self._drift = Slope(0.0, math.inf)
        self._uncertainty_s = math.inf

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
        delay_s = arrival_s - device_s
        if self._long.add(device_s, delay_s):
            asked = self._asked.slope(independent=True)
            self._slow_slopes = (
                self._answers.slope(independent=True),
                Slope(-asked.value, asked.uncertainty),
                self._long.slope(),
            )
        # Refit for news alone: a new second, or a frame faster than the line says it can.
        if self._arrivals.add(device_s, delay_s) or arrival_s < self.host_time(device_s):
            self._fit()

    def observe_exchange(self, sent_s: float, device_s: float, received_s: float) -> None:
        """Take a question for the device's time, and its answer.

        Parameters
        ----------
        sent_s : float
            Host time, seconds, just before the question was sent.
        device_s : float
            Device time, seconds, at which the device took it.
        received_s : float
            Host time, seconds, at which the answer arrived.
        """
        if received_s < sent_s or not self.ready:
            return
        self._answers.add(device_s, received_s - device_s)
        self._asked.add(device_s, device_s - sent_s)
        self._questions.append((device_s, sent_s - device_s))
        self._fit()

    def host_time(self, device_s: float) -> float:
        """Return the host time, seconds, of a moment of the device's clock."""
        elapsed_s = device_s - self._reference_s
        return device_s + self._offset_s + self._drift.value * elapsed_s

    def _fit(self) -> None:
        arrivals = self._arrivals
        self._drift = self._chosen_drift()
        drift = self._drift.value
        self._reference_s = arrivals.first_s
        # The line rests on the points: the fastest of all had the smallest latency.
        latest_s = arrivals.lowest_s(drift)
        at_zero_s, self._uncertainty_s = self._between(latest_s, drift)
        self._offset_s = at_zero_s + drift * self._reference_s

    def _chosen_drift(self) -> Slope:
        """The surest of the slopes, unless the recent past speaks against it."""
        arrivals = self._arrivals
        if arrivals.span_s < self._fit_after_s:
            return Slope(0.0, math.inf)
        recent = arrivals.slope()
        slopes = [
            slope
            for slope in (*self._slow_slopes, recent)
            if abs(slope.value - recent.value) <= _CONTRADICTS * recent.uncertainty
        ]
        surest = min(slopes, key=lambda slope: slope.uncertainty)
        filled = arrivals.span_s >= self._window_s * 2 / 3
        bound = 0.05 if filled else self._max_drift
        return Slope(min(max(surest.value, -bound), bound), surest.uncertainty)

    def _between(self, latest_s: float, drift: float) -> tuple[float, float]:
        """Offset at device time 0, and its uncertainty, below the envelope of arrivals."""
        waits = sorted(
            latest_s - (delay_s - drift * device_s) for device_s, delay_s in self._useful()
        )
        if len(waits) < _FEWEST_QUESTIONS or waits[0] < -_SLACK_S:
            # None were asked, or they contradict the arrivals: a clock was set meanwhile.
            return latest_s, self._arrivals.spread_s(drift, latest_s)
        # The truth lies between the fastest question and the fastest arrival. Of n waits
        # spread evenly the shortest is half the median's part of 2 / (n + 1).
        typical_s = waits[len(waits) // 2] - waits[0]
        shortest_s = 2.0 * typical_s / len(waits)
        width_s = max(waits[0], 0.0)
        tilt_s = min(self._drift.uncertainty, self._max_drift) * self._arrivals.span_s / 2
        within_s = math.hypot(width_s / 2, tilt_s, _HOST_JITTER_S)
        return latest_s - width_s + min(width_s / 2, shortest_s), within_s

    def _useful(self) -> Iterable[tuple[float, float]]:
        """Questions so young that the drift since then is known well enough."""
        span_s = _SLACK_S / 2 / self._drift.uncertainty
        oldest_s = self._questions[-1][0] if self._questions else 0.0
        oldest_s -= min(max(span_s, self._window_s), _LONG_WINDOW_S)
        return (question for question in self._questions if question[0] >= oldest_s)


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

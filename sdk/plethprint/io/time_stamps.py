"""From time stamps to samples at an even rate, with what is missing told.

Two ways, and the stamps decide. Where every sample keeps its place on an even grid (to one
period), samples stay as they are and whole missing ones are put in. Where they do not, as
in phone cameras whose frames come when they come or whose rate changes with the light, the
signal is read off the stamps' own time by straight lines: counting late frames as gaps
would stretch time (by up to 6 % in the phone recordings this was tried on).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint.resample import MAX_RATE_HZ, MIN_RATE_HZ
from plethprint.samples import FILL_VALUE_FROM

__all__ = ["UNIX_TIME_FROM", "EvenTimes", "even_times", "guess_unit_s", "start_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

UNIX_TIME_FROM = 1e8
"""Seconds; smaller stamps count from the start of a recording."""
_GAP_PERIODS = 1.5
_MAX_GAP_SHARE = 0.2
_SHORT_GAP_S = 1.0
_MAX_SHORT_LOSS = 0.3
_MAX_SAMPLES = 50_000_000
_A_FEW = 10
_SHORTEST_PERIOD_S = 1e-6
_WITHOUT_TIMES = "pass over the times (time_column none) and give sample_rate_hz"
_MOST_OUT_OF_PLACE = 1.0  # periods
_FAR_PERIODS = 0.75
"""Read off between stamps, a sample is missing when none lies as near as this."""


def guess_unit_s(stamps: FloatArray) -> float:
    """Return the unit of time stamps in seconds: 1, 1e-3, 1e-6 or 1e-9.

    Rates of 20 to 500 Hz give steps that fit one unit only; 1 when none fits.
    """
    steps = np.diff(stamps[np.abs(stamps) < FILL_VALUE_FROM])
    if not (steps > 0).any():
        return 1.0
    step = float(np.median(steps[steps > 0]))
    for unit_s in (1.0, 1e-3, 1e-6, 1e-9):
        if 1.0 / MAX_RATE_HZ <= step * unit_s <= 1.0 / MIN_RATE_HZ:
            return unit_s
    return 1.0


def start_of(stamps_s: FloatArray) -> float:
    """Unix time of the first sample, s; 0 where stamps count from somewhere else."""
    first_s = float(stamps_s[0])
    return first_s if first_s >= UNIX_TIME_FROM else 0.0


class EvenTimes:
    """How samples with time stamps come to lie at an even rate.

    Parameters
    ----------
    stamps_s : ndarray of float64, shape (T,)
        Rising.
    rate_hz : float
        The rate that the stamps show.
    missing : ndarray of int64, shape (T,)
        How many samples are missing after each one; empty where the samples have no place
        on an even grid, and are read off between the stamps.
    """

    def __init__(self, stamps_s: FloatArray, rate_hz: float, missing: IntArray) -> None:
        self._stamps_s = stamps_s
        self._missing = missing
        self.rate_hz = rate_hz
        """Rate of what `of` gives, Hz."""
        if missing.size:
            self.gap_samples = int(missing.sum())
            """Samples that the stamps show to be missing."""
            return
        periods = (stamps_s[-1] - stamps_s[0]) * rate_hz
        self._grid_s = stamps_s[0] + np.arange(int(periods + 1e-6) + 1) / rate_hz
        after = np.clip(np.searchsorted(stamps_s, self._grid_s), 1, stamps_s.size - 1)
        nearest_s = np.minimum(
            np.abs(self._grid_s - stamps_s[after - 1]),
            np.abs(stamps_s[after] - self._grid_s),
        )
        self._absent = nearest_s * rate_hz > _FAR_PERIODS
        self.gap_samples = int(self._absent.sum())

    def of(self, values: FloatArray) -> FloatArray:
        """Samples of the stamps, shape (T,), at the even rate; NaN where one is missing."""
        if not self._missing.size:
            read = np.interp(self._grid_s, self._stamps_s, values)
            return np.where(self._absent, np.nan, read)
        before = np.concatenate([[0], np.cumsum(self._missing)[:-1]])
        filled = np.full(values.size + self.gap_samples, np.nan)
        filled[np.arange(values.size) + before] = values
        return filled


def even_times(
    stamps_s: FloatArray, where: str, place: Callable[[int], str] | None = None
) -> EvenTimes:
    """Find the even rate that time stamps in seconds, shape (T,), show.

    It is the mean rate of the steps that are no gaps, so that stamps rounded to whole
    milliseconds still give 64 Hz.

    Parameters
    ----------
    stamps_s : ndarray of float64, shape (T,)
    where : str
        What they belong to, for messages.
    place : callable, optional
        Names the sample of an index, for messages; ``sample 3`` by default.

    Raises
    ------
    RecordingError
        If a stamp is missing, time stands still or runs backwards, steps are too uneven to
        show a rate, or gaps would blow the recording up beyond 50 million samples.

    Examples
    --------
    >>> stamps_s = np.array([0.00, 0.02, 0.04, 0.08, 0.10, 0.12, 0.14])
    >>> even_times(stamps_s, "walk").of(np.arange(7.0))
    array([ 0.,  1.,  2., nan,  3.,  4.,  5.,  6.])
    """
    name = place or (lambda index: f"sample {index}")
    told = np.abs(stamps_s) < FILL_VALUE_FROM
    if not told.all():
        first = int(np.flatnonzero(~told)[0])
        raise RecordingError(f"{name(first)} of {where} has no time stamp")
    steps = np.diff(stamps_s)
    if not steps.size:
        raise RecordingError(f"{where} has a single sample, which shows no sample rate")
    repeated = int((steps == 0).sum())
    if repeated > max(_A_FEW, _MAX_GAP_SHARE * steps.size) and (steps >= 0).all():
        raise RecordingError(
            f"{repeated} of {stamps_s.size} time stamps of {where} repeat the one before, "
            f"as of samples that come in packets: they show no rate; {_WITHOUT_TIMES}"
        )
    if (steps <= 0).any():
        first = int(np.flatnonzero(steps <= 0)[0]) + 1
        raise RecordingError(
            f"on {name(first)} of {where} time does not go on; sort by time and leave "
            f"repeated stamps out, or {_WITHOUT_TIMES}"
        )
    even = steps < _GAP_PERIODS * np.median(steps)
    if steps[even].mean() < _SHORTEST_PERIOD_S:
        raise RecordingError(
            f"the time stamps of {where} are {np.median(steps):g} s apart, which is no PPG"
        )
    rate_hz = float(1.0 / steps[even].mean())
    # Stamps of arrival come in bursts: quick steps, and between them pauses that look like
    # gaps. What is lost in true short gaps is little.
    is_short = steps < max(_SHORT_GAP_S, _GAP_PERIODS / rate_hz)
    short_s = float(steps[is_short].sum())
    mean_hz = float(is_short.sum() / short_s)
    if (~even).mean() > _MAX_GAP_SHARE or 1.0 - mean_hz / rate_hz > _MAX_SHORT_LOSS:
        raise RecordingError(
            f"the time stamps of {where} are too uneven to show a sample rate; "
            f"{_WITHOUT_TIMES}"
        )
    missing = _missing_after(steps, rate_hz, where)
    if not missing.any():
        return EvenTimes(stamps_s, *_kept(stamps_s, rate_hz, missing, mean_hz))
    # With the samples that are missing counted, every short step tells of the rate.
    periods = missing[:-1][is_short].sum() + is_short.sum()
    rate_hz = float(periods / short_s)
    return EvenTimes(stamps_s, *_kept(stamps_s, rate_hz, missing, mean_hz))


def _kept(
    stamps_s: FloatArray, rate_hz: float, missing: IntArray, mean_hz: float
) -> tuple[float, IntArray]:
    """Rate and missing samples where each sample keeps its place; else the mean rate."""
    before = np.concatenate([[0], np.cumsum(missing)[:-1]])
    late = (stamps_s - stamps_s[0]) * rate_hz - (np.arange(stamps_s.size) + before)
    # A pause does not last whole periods: what it adds is no unevenness.
    pauses = np.diff(stamps_s, prepend=stamps_s[0]) >= _SHORT_GAP_S
    late = late - np.cumsum(np.where(pauses, np.diff(late, prepend=0.0), 0.0))
    if np.abs(late - np.median(late)).max() <= _MOST_OUT_OF_PLACE:
        return rate_hz, missing
    return mean_hz, np.empty(0, np.int64)


def _missing_after(steps: FloatArray, rate_hz: float, where: str) -> IntArray:
    """How many samples are missing after each one, shape (T,)."""
    periods = np.append(steps, 0.0) * rate_hz
    missing = np.where(periods >= _GAP_PERIODS, np.rint(periods) - 1.0, 0.0)
    if missing.sum() + missing.size > _MAX_SAMPLES:
        raise RecordingError(
            f"{where} has a gap of {periods.max() / rate_hz / 3600:.1f} h; "
            "split it there into several files"
        )
    counts: IntArray = missing.astype(np.int64)
    return counts

"""From the time stamps of a table to a sample rate and to where samples are missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint.resample import MAX_RATE_HZ, MIN_RATE_HZ

__all__ = ["fill_gaps", "guess_unit_s", "missing_after", "rate_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_GAP_PERIODS = 1.5
_MAX_GAP_SHARE = 0.2
_SHORT_GAP_S = 1.0
_MAX_SHORT_LOSS = 0.3
_MAX_SAMPLES = 50_000_000


def guess_unit_s(stamps: FloatArray) -> float:
    """Return the unit of time stamps in seconds: 1, 1e-3, 1e-6 or 1e-9.

    Rates of 20 to 500 Hz give steps that fit one unit only; 1 when none fits.
    """
    steps = np.diff(stamps)
    if not (steps > 0).any():
        return 1.0
    step = float(np.median(steps[steps > 0]))
    for unit_s in (1.0, 1e-3, 1e-6, 1e-9):
        if MIN_RATE_HZ <= 1.0 / (step * unit_s) <= MAX_RATE_HZ:
            return unit_s
    return 1.0


def rate_of(stamps_s: FloatArray, line_numbers: Sequence[int], where: str) -> float:
    """Return the sample rate in Hz that time stamps in seconds, shape (T,), show.

    It is the mean rate of the steps that are no gaps, so that stamps rounded to whole
    milliseconds still give 64 Hz.

    Raises
    ------
    RecordingError
        If a stamp is missing, time stands still or runs backwards, or steps are uneven.
    """
    if np.isnan(stamps_s).any():
        line = line_numbers[int(np.flatnonzero(np.isnan(stamps_s))[0])]
        raise RecordingError(f"line {line} of {where} has no time stamp")
    steps = np.diff(stamps_s)
    if not steps.size:
        raise RecordingError(f"{where} has a single sample, which shows no sample rate")
    if (steps <= 0).any():
        line = line_numbers[int(np.flatnonzero(steps <= 0)[0]) + 1]
        raise RecordingError(
            f"on line {line} of {where} time does not go on; sort the lines, or take the "
            "time column out and give sample_rate_hz"
        )
    even = steps < _GAP_PERIODS * np.median(steps)
    rate_hz = float(1.0 / steps[even].mean())
    # Stamps of arrival come in bursts: quick steps, and between them pauses that look like
    # gaps. What is lost in true short gaps is little.
    short = steps[steps < max(_SHORT_GAP_S, _GAP_PERIODS / rate_hz)]
    lost = 1.0 - short.size / (short.sum() * rate_hz)
    if (~even).mean() > _MAX_GAP_SHARE or lost > _MAX_SHORT_LOSS:
        raise RecordingError(
            f"the time stamps of {where} are too uneven to show a sample rate; take the "
            "time column out and give sample_rate_hz"
        )
    return rate_hz


def missing_after(stamps_s: FloatArray, rate_hz: float, where: str) -> IntArray:
    """Return how many samples are missing after each one, shape (T,).

    Raises
    ------
    RecordingError
        If gaps would blow the recording up beyond 50 million samples.
    """
    periods = np.diff(stamps_s, append=stamps_s[-1:]) * rate_hz
    missing = np.where(periods >= _GAP_PERIODS, np.rint(periods) - 1.0, 0.0)
    if missing.sum() + missing.size > _MAX_SAMPLES:
        raise RecordingError(
            f"{where} has a gap of {periods.max() / rate_hz / 3600:.1f} h; "
            "split it there into several files"
        )
    counts: IntArray = missing.astype(np.int64)
    return counts


def fill_gaps(values: FloatArray, missing: IntArray) -> FloatArray:
    """Return the values, shape (T,), with NaN put in where samples are missing."""
    places = np.arange(values.size) + np.concatenate([[0], np.cumsum(missing)[:-1]])
    filled = np.full(values.size + int(missing.sum()), np.nan)
    filled[places] = values
    return filled

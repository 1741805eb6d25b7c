"""`plethprint.quality` of an int8 window in integers: the model of ``pp_quality.c``.

The six measures and their weights are those of `plethprint.quality.assess`. Two things
are cheaper: the best lag is looked for at half the rate (the band ends at 8 Hz), then
taken exactly beside the best one found; and the logistic function comes from a table.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from plethprint.errors import WindowShapeError
from plethprint_quantize.firmware import signal_tables as tables

__all__ = ["quality_255"]

Int64Array = npt.NDArray[np.int64]

_Q16 = 1 << 16
_ENOUGH = round(0.8 * 0.8 * _Q16)  # squares of the ends between which `period` counts
_TOO_LITTLE = round(0.2 * _Q16)


def quality_255(window: npt.NDArray[np.int8], missing: int = 0) -> int:
    """Quality of one window as the device gives it.

    Parameters
    ----------
    window
        int8, shape (640,).
    missing
        How many of its samples were missing and filled in.

    Returns
    -------
    int
        0..255: `plethprint.quality.assess` times 255, within 2.

    Raises
    ------
    WindowShapeError
        If the window has another shape or type.

    Examples
    --------
    >>> quality_255(np.zeros(640, np.int8))
    0
    """
    if window.shape != (tables.WINDOW,) or window.dtype != np.int8:
        raise WindowShapeError(
            f"a window is int8 of shape ({tables.WINDOW},), "
            f"not {window.dtype} of shape {window.shape}"
        )
    steps = window.astype(np.int64)
    energy = int((steps * steps).sum())
    if energy == 0 or missing >= tables.MOST_MISSING:
        return 0
    slope = np.diff(steps)
    slope_energy = int((slope * slope).sum())
    bend_energy = int((np.diff(slope) ** 2).sum())
    seconds = steps.reshape(-1, tables.SECOND)
    power = (seconds * seconds).sum(axis=1)
    drift_energy = int((seconds.sum(axis=1) ** 2).sum())
    count = len(seconds)
    # The smallest and the largest second against the mean of all.
    total = max(energy, count)
    weakest = math.isqrt((int(power.min()) * count << 32) // total)
    burst = math.isqrt((total << 32) // (count * max(int(power.max()), 1)))
    rough = min(slope_energy * _Q16 // energy, round(0.15 * _Q16))
    drift = min(drift_energy * _Q16 // (tables.SECOND * energy), round(0.2 * _Q16))
    jerk = min(bend_energy * _Q16 // max(slope_energy, 1), round(0.4 * _Q16))
    logit = (
        max(_period_q16(steps), _TOO_LITTLE)
        + 4 * weakest
        + 5 * burst // 2
        - 6 * rough
        - 4 * drift
        - 25 * jerk
        - _Q16 // 2
    )
    full = tables.MOST_MISSING
    scaled = _logistic_q15(logit) * 255 * (full - missing)
    return (scaled + (full << 14)) // (full << 15)


def _period_q16(steps: Int64Array) -> int:
    """Best normalised autocorrelation at the lags of a pulse, at most 0.8, Q16."""
    halved = steps[::2]
    best, best_lag = 0, 0
    for lag in range((tables.SHORTEST_LAG + 1) // 2, tables.LONGEST_LAG // 2 + 1):
        square = _squared_correlation(halved, lag)
        if square > best:
            best, best_lag = square, 2 * lag
        if best >= _ENOUGH:
            return round(0.8 * _Q16)
    if best_lag == 0:
        return 0
    fine = [
        _squared_correlation(steps, lag)
        for lag in (best_lag - 1, best_lag, best_lag + 1)
        if tables.SHORTEST_LAG <= lag <= tables.LONGEST_LAG
    ]
    return math.isqrt(min(max(fine), _ENOUGH) << 16)


def _squared_correlation(steps: Int64Array, lag: int) -> int:
    """Squared normalised autocorrelation, Q16; 0 where it is negative."""
    head, tail = steps[:-lag], steps[lag:]
    product = int(head @ tail)
    if product <= 0:
        return 0
    return (product * product << 16) // (int(head @ head) * int(tail @ tail))


def _logistic_q15(logit_q16: int) -> int:
    table = tables.sigmoid_q15().tolist()
    bits = 16 - int(math.log2(tables.SIGMOID_STEPS))
    entry, part = divmod(abs(logit_q16), 1 << bits)
    value: int = table[-1]
    if entry < len(table) - 1:
        value = table[entry] + ((table[entry + 1] - table[entry]) * part >> bits)
    return value if logit_q16 >= 0 else (1 << 15) - value

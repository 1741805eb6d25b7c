"""What callers hand in as signal, turned into plain float64 with NaN for "missing"."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from plethprint.errors import SignalError, WindowShapeError

__all__ = ["FILL_VALUE_FROM", "as_samples", "checked_start"]

FILL_VALUE_FROM = 1e36
"""From this magnitude on a number is a fill value (such as FLT_MAX), not a measurement."""


def as_samples(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return samples as float64 of the same shape, NaN wherever one is missing.

    Parameters
    ----------
    values : array_like
        Numbers of any real type; ``None``, NaN, infinities, masked entries and fill values
        from `FILL_VALUE_FROM` on are missing samples.

    Raises
    ------
    WindowShapeError
        If they are not real numbers, or nested lists differ in length.

    Examples
    --------
    >>> as_samples(np.ma.masked_equal([1, -999, 3], -999))
    array([ 1., nan,  3.])
    """
    try:
        given = np.asanyarray(values)
        if given.dtype.kind not in "biufO":
            raise TypeError(f"{given.dtype} is no real number")
        numbers = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise WindowShapeError(f"samples must be an array of numbers: {error}") from error
    plain = np.asarray(numbers)
    # Written so that NaN fails the comparison.
    present = (np.abs(plain) < FILL_VALUE_FROM) & ~np.ma.getmaskarray(numbers)
    return plain if present.all() else np.where(present, plain, np.nan)


def checked_start(start: object) -> float:
    """Return the time of a first sample, seconds, if it is one.

    Raises
    ------
    SignalError
        If it is no finite number; a moment of a calendar is none.

    Examples
    --------
    >>> checked_start(0)
    0.0
    """
    if isinstance(start, (int, float, np.integer, np.floating)) and math.isfinite(start):
        return float(start)
    raise SignalError(
        "start is a time in seconds, as datetime.timestamp() or time.time() give, "
        f"not {start!r}"
    )

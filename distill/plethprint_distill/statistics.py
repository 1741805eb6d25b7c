"""Means with intervals over people: windows of one person are not independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "mean_over_people"]


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % bootstrap interval over people."""

    mean: float
    low: float
    high: float
    people: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_over_people(
    values: npt.ArrayLike,
    person: npt.NDArray[np.str_],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of each person's mean, with people drawn anew; NaN values are left out.

    Parameters
    ----------
    values
        (N,) one figure for each window.
    person
        (N,) whose window it is.

    Examples
    --------
    >>> mean_over_people([1.0, 3.0, 5.0], np.array(["a", "a", "b"])).mean
    3.5
    """
    numbers = np.asarray(values, dtype=np.float64)
    known = np.isfinite(numbers)
    names, inverse = np.unique(person[known], return_inverse=True)
    if not len(names):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    means = np.bincount(inverse, numbers[known]) / np.bincount(inverse)
    rng = np.random.default_rng(seed)
    again = means[rng.integers(0, len(means), (draws, len(means)))].mean(axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    return Interval(float(means.mean()), float(low), float(high), len(names))

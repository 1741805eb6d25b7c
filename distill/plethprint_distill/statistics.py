"""Intervals over people and tests between models: windows of one person are no sample.

Every interval draws people anew, with all their windows. Two models on the same people
are compared in pairs: by DeLong's test where the figure is an AUROC, by flipping the sign
of people's differences where it is a mean over people, by the paired bootstrap elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Comparison",
    "Estimate",
    "Interval",
    "delong",
    "estimate",
    "holm",
    "mean_over_people",
    "middle_95",
    "paired_bootstrap",
    "paired_permutation",
    "people_weights",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % bootstrap interval over people; NaN ends of one person alone."""

    mean: float
    low: float
    high: float
    people: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval and the draws the interval was taken from."""

    interval: Interval
    draws: FloatArray
    """(draws,) the figure on people drawn anew; draw i of two models is of one people."""


@dataclass(frozen=True)
class Comparison:
    """The difference of two models' figures, first minus second."""

    difference: float
    low: float
    high: float
    p: float
    """Two-sided; not yet corrected for how many were compared."""
    test: str


def people_weights(person: npt.NDArray[np.str_], draws: int, seed: int) -> FloatArray:
    """How often each row counts when people are drawn anew, (draws, N).

    The same seed and the same number of people draw the same places of the sorted names,
    so that two models, or two tasks, see the same people in each draw.
    """
    names, inverse = np.unique(person, return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    weights: FloatArray = counts.astype(np.float64)[:, inverse]
    return weights


def estimate(
    metric: Callable[[FloatArray], FloatArray],
    person: npt.NDArray[np.str_],
    *,
    draws: int = 1000,
    seed: int = 0,
    chunk: int = 125,
) -> Estimate:
    """Any figure of weighted rows, with its interval over people.

    Parameters
    ----------
    metric
        Takes weights (D, N), gives the figure for each row of them, (D,); NaN where it
        cannot be told (a class that was not drawn), which the interval leaves out.
    person
        (N,) whose row it is.

    Examples
    --------
    >>> x = np.array([1.0, 3.0, 5.0])
    >>> mean = lambda weights: weights @ x / weights.sum(axis=1)
    >>> estimate(mean, np.array(["a", "b", "c"])).interval.mean
    3.0
    """
    point = float(metric(np.ones((1, len(person))))[0])
    weights = people_weights(person, draws, seed)
    again = np.concatenate([metric(weights[i : i + chunk]) for i in range(0, draws, chunk)])
    people = len(np.unique(person))
    if people < 2:
        # Drawn anew, one person is always the same: no spread is not certainty.
        again = np.full(draws, np.nan)
    low, high = middle_95(again)
    return Estimate(Interval(point, low, high, people), again)


def mean_over_people(
    values: npt.ArrayLike,
    person: npt.NDArray[np.str_],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of each person's mean, with people drawn anew; NaN values are left out.

    One person alone has no interval: its ends are NaN.

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
    low, high = middle_95(again) if len(names) > 1 else (float("nan"),) * 2
    return Interval(float(means.mean()), low, high, len(names))


def delong(
    truth: npt.NDArray[np.bool_],
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    person: npt.NDArray[np.str_] | None = None,
) -> Comparison:
    """Compare two AUROCs on the same rows (DeLong, DeLong, Clarke-Pearson 1988).

    With `person`, rows of one person are one cluster (Obuchowski 1997); with a row a
    person that is DeLong's own variance. Where all rows of a kind are one person's, how
    people spread cannot be told and nothing is compared.

    Parameters
    ----------
    truth
        (N,) which rows are positive; both kinds are needed.
    first, second
        (N,) scores of the two models, or (R, N) of R partitions: then the areas compared
        are means over partitions, as the tables' are, and not the area of a mean score,
        which is larger. The two may differ in R.

    Examples
    --------
    >>> truth = np.arange(40) % 2 == 0
    >>> delong(truth, truth, np.zeros(40)).difference
    0.5
    """
    from scipy.stats import norm

    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return _no_comparison("DeLong")
    parts = [
        np.mean(
            [_components(truth, s) for s in np.atleast_2d(np.asarray(x, np.float64))], 0
        )
        for x in (first, second)
    ]
    placement = parts[0] - parts[1]  # of each row among the rows of the other kind
    difference = float(placement[truth].mean())
    cluster = np.arange(len(truth)) if person is None else person
    names, inverse = np.unique(cluster, return_inverse=True)
    of_kind = []
    for kind in (truth, ~truth):
        sums = np.bincount(inverse[kind], placement[kind], len(names))
        counts = np.bincount(inverse[kind], minlength=len(names))
        clusters = int((counts > 0).sum())
        if clusters < 2:
            return _no_comparison("DeLong, clustered")
        scale = clusters / (clusters - 1)
        of_kind.append((sums - counts * difference, scale))
    (ups, up_scale), (downs, down_scale) = of_kind
    both = len(names) / max(len(names) - 1, 1)
    variance = (
        up_scale * (ups @ ups) / positives**2
        + down_scale * (downs @ downs) / negatives**2
        + 2 * both * (ups @ downs) / (positives * negatives)
    )
    spread = max(float(variance), 0.0) ** 0.5
    p = (
        2 * float(norm.sf(abs(difference) / spread))
        if spread > 0
        else float(not difference)
    )
    reach = 1.959964 * spread
    name = "DeLong" if person is None or len(names) == len(truth) else "DeLong, clustered"
    return Comparison(difference, difference - reach, difference + reach, p, name)


def paired_permutation(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    person: npt.NDArray[np.str_],
    *,
    draws: int = 5000,
    seed: int = 0,
) -> Comparison:
    """Compare two means over people by flipping the sign of people's differences.

    Parameters
    ----------
    first, second
        (N,) a figure of each row (an error, a hit), averaged within people.
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    known = np.isfinite(difference)
    names, inverse = np.unique(person[known], return_inverse=True)
    if len(names) < 2:
        return _no_comparison("permutation over people")
    means = np.bincount(inverse, difference[known]) / np.bincount(inverse)
    rng = np.random.default_rng(seed)
    flipped = (rng.choice([-1.0, 1.0], (draws, len(means))) * means).mean(axis=1)
    mean = float(means.mean())
    p = float((1 + (np.abs(flipped) >= abs(mean) - 1e-12).sum()) / (1 + draws))
    again = means[rng.integers(0, len(means), (1000, len(means)))].mean(axis=1)
    return Comparison(mean, *middle_95(again), p, "permutation over people")


def paired_bootstrap(first: Estimate, second: Estimate) -> Comparison:
    """Compare any two figures by their draws on the same people."""
    again = first.draws - second.draws
    again = again[np.isfinite(again)]
    if not again.size:
        return _no_comparison("bootstrap over people")
    tail = min((again <= 0).sum(), (again >= 0).sum())
    p = min(1.0, 2.0 * float(1 + tail) / (1 + again.size))
    difference = first.interval.mean - second.interval.mean
    return Comparison(difference, *middle_95(again), p, "bootstrap over people")


def holm(p: npt.ArrayLike) -> FloatArray:
    """Holm's step-down correction of many p values, (N,); NaN stays NaN, uncounted.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, dtype=np.float64)
    corrected = np.full(given.shape, np.nan)
    order = np.argsort(given)[: int(np.isfinite(given).sum())]
    steps = given[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def _no_comparison(test: str) -> Comparison:
    nan = float("nan")
    return Comparison(nan, nan, nan, nan, test)


def _components(truth: npt.NDArray[np.bool_], score: FloatArray) -> FloatArray:
    """Share of the rows of the other kind that each row is on the right side of, (N,)."""
    from scipy.stats import rankdata

    placement = np.empty(len(truth))
    ranks = rankdata(score)
    for kind, flip in ((truth, False), (~truth, True)):
        below = (ranks[kind] - rankdata(score[kind])) / max(int((~kind).sum()), 1)
        placement[kind] = 1 - below if flip else below
    return placement


def middle_95(draws: FloatArray) -> tuple[float, float]:
    """Ends of the middle 95 % of draws (D,), NaN left out; NaN where none is known."""
    known = draws[np.isfinite(draws)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)

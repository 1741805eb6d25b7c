"""Figures of predictions, weighted by row, so that people can be drawn anew cheaply.

Weights are (D, N), one row for each draw; every metric gives (D,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Reliability",
    "auroc",
    "auroc_of_people",
    "brier",
    "calibration_error",
    "equal_error_rate",
    "macro_auroc",
    "mean_by_person",
    "mean_of_known",
    "pearson",
    "reliability",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def auroc(
    truth: BoolArray, score: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Area under the ROC curve, ties counted half; NaN where a kind is not there.

    Examples
    --------
    >>> auroc(np.array([False, True, True]), np.array([0.1, 0.4, 0.1])).tolist()
    [0.75]
    """
    if weights is None:
        weights = np.ones((1, len(truth)))
    if not len(truth):
        return np.full(len(weights), np.nan)
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    ordered = weights[:, order]
    ups = np.add.reduceat(ordered * truth[order], starts, axis=1)
    downs = np.add.reduceat(ordered * ~truth[order], starts, axis=1)
    below = np.cumsum(downs, axis=1) - 0.5 * downs
    pairs = ups.sum(axis=1) * downs.sum(axis=1)
    won = (ups * below).sum(axis=1)
    return _divided(won, pairs, pairs > 0)


def auroc_of_people(
    truth: BoolArray, score: FloatArray, person: npt.NDArray[np.str_]
) -> Callable[[FloatArray], FloatArray]:
    """`auroc` of weights (D, N) that count people: fast where people have many rows.

    The pairs that each person's positives win against each other person's negatives are
    counted once; a draw of people only weighs these counts.

    Examples
    --------
    >>> truth, score = np.arange(12) % 2 == 0, np.arange(12.0) % 5
    >>> person, ones = np.repeat(["a", "b"], 6), np.ones((1, 12))
    >>> bool(auroc_of_people(truth, score, person)(ones)[0] == auroc(truth, score)[0])
    True
    """
    names, first, inverse = np.unique(person, return_index=True, return_inverse=True)
    if len(truth) < 4 * len(names):
        return lambda weights: auroc(truth, score, weights)
    ups = np.bincount(inverse[truth], minlength=len(names)).astype(np.float64)
    downs = np.bincount(inverse[~truth], minlength=len(names)).astype(np.float64)
    won = np.zeros((len(names), len(names)))
    for place in range(len(names)):
        against = np.sort(score[~truth & (inverse == place)])
        below = np.searchsorted(against, score[truth], side="left")
        up_to = np.searchsorted(against, score[truth], side="right")
        wins = 0.5 * (below + up_to)
        won[:, place] = np.bincount(inverse[truth], wins, len(names))

    def area(weights: FloatArray) -> FloatArray:
        counts = weights[:, first]
        pairs = (counts @ ups) * (counts @ downs)
        return _divided(((counts @ won) * counts).sum(axis=1), pairs, pairs > 0)

    return area


def mean_of_known(each: FloatArray) -> FloatArray:
    """Mean over the first axis of (K, D), NaN left out; NaN where all are."""
    known = np.isfinite(each)
    count = known.sum(axis=0)
    return _divided(np.where(known, each, 0.0).sum(axis=0), count, count > 0)


def macro_auroc(
    truth: BoolArray, score: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Mean over classes of one class against the rest; truth and score are (N, K).

    A class that a draw of people has not, or has alone, is left out of that draw's mean.
    """
    each = np.stack(
        [auroc(truth[:, k], score[:, k], weights) for k in range(truth.shape[1])]
    )
    return mean_of_known(each)


def mean_by_person(
    values: FloatArray, person: npt.NDArray[np.str_], weights: FloatArray | None = None
) -> FloatArray:
    """Mean over people of each person's mean; NaN values are left out."""
    if weights is None:
        weights = np.ones((1, len(values)))
    known = np.isfinite(values)
    _, inverse, counts = np.unique(person[known], return_inverse=True, return_counts=True)
    even = weights[:, known] / counts[inverse]
    total = even.sum(axis=1)
    return _divided(even @ values[known], total, total > 0)


def pearson(
    truth: FloatArray, score: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Correlation of rows; NaN where one side does not vary."""
    if weights is None:
        weights = np.ones((1, len(truth)))
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
    x = truth - (share @ truth)[:, None]
    y = score - (share @ score)[:, None]
    together = (share * x * y).sum(axis=1)
    scale = np.sqrt((share * x * x).sum(axis=1) * (share * y * y).sum(axis=1))
    return _divided(together, scale, scale > 1e-12)


def brier(
    truth: BoolArray, probability: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Mean squared error of probabilities; with (N, K), the mean over classes."""
    error = (probability - truth) ** 2
    if error.ndim == 2:
        error = error.mean(axis=1)
    if weights is None:
        weights = np.ones((1, len(error)))
    mean: FloatArray = weights @ error / np.maximum(weights.sum(axis=1), 1e-30)
    return mean


@dataclass(frozen=True)
class Reliability:
    """A calibration curve: what was said against what happened, by bins of equal count."""

    stated: FloatArray
    """(B,) mean probability of each bin."""
    observed: FloatArray
    """(B,) share of positives in it."""
    count: npt.NDArray[np.int64]


def reliability(truth: BoolArray, probability: FloatArray, bins: int = 10) -> Reliability:
    """Calibration curve of (N,) or, classes pooled, of (N, K)."""
    said, seen = probability.ravel(), truth.ravel().astype(np.float64)
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    return Reliability(
        np.array([said[p].mean() for p in parts]),
        np.array([seen[p].mean() for p in parts]),
        np.array([p.size for p in parts], dtype=np.int64),
    )


def calibration_error(truth: BoolArray, probability: FloatArray, bins: int = 10) -> float:
    """Expected calibration error: mean gap of the calibration curve (Naeini 2015).

    Examples
    --------
    >>> calibration_error(np.array([True, True]), np.array([0.75, 0.75]))
    0.25
    """
    curve = reliability(truth, probability, bins)
    gap = np.abs(curve.stated - curve.observed)
    return float((gap * curve.count).sum() / curve.count.sum())


def equal_error_rate(genuine: FloatArray, impostor: FloatArray) -> float:
    """Error rate at which as many of the right are refused as of the wrong let in.

    Examples
    --------
    >>> equal_error_rate(np.array([3.0, 2.0]), np.array([1.0, 0.0]))
    0.0
    """
    bars = np.unique(np.concatenate([genuine, impostor]))
    if bars.size > 2000:
        bars = bars[np.linspace(0, bars.size - 1, 2000).astype(int)]
    refused = np.searchsorted(np.sort(genuine), bars, side="left") / genuine.size
    let_in = 1 - np.searchsorted(np.sort(impostor), bars, side="left") / impostor.size
    at = int(np.argmin(np.abs(refused - let_in)))
    return float((refused[at] + let_in[at]) / 2)


def _divided(top: FloatArray, bottom: FloatArray, where: BoolArray) -> FloatArray:
    """Quotients, NaN elsewhere."""
    quotient: FloatArray = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=quotient, where=where)
    return quotient

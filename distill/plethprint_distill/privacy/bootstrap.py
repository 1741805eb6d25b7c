"""Error rates with intervals over people: people are drawn anew, never their windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint_distill.statistics import Interval

__all__ = [
    "DetCurve",
    "auroc_over_people",
    "det_curve",
    "people_statistic",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_BINS = 2000


@dataclass(frozen=True)
class DetCurve:
    """Detection error trade-off: what is let in wrongly against what is turned away."""

    equal_error_rate: Interval
    false_accept: list[float]
    """Share of pairs of strangers that reach the threshold, one for each threshold."""
    false_reject: list[float]
    """Share of true pairs that stay below it."""


def people_statistic(
    statistic: Callable[[FloatArray], float],
    people: int,
    *,
    draws: int = 500,
    seed: int = 0,
) -> Interval:
    """A statistic of weights of people, with the interval when people are drawn anew.

    Parameters
    ----------
    statistic
        Takes weights (people,), how often each person was drawn, and gives a number; NaN
        where a draw leaves nothing to count, which is left out.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(people, np.full(people, 1 / people), draws)
    found = np.array([statistic(row.astype(np.float64)) for row in drawn])
    found = found[np.isfinite(found)]
    whole = statistic(np.ones(people))
    if not found.size:
        return Interval(whole, float("nan"), float("nan"), people)
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(float(whole), float(low), float(high), people)


def det_curve(
    scores: FloatArray,
    probe: IntArray,
    gallery: IntArray,
    *,
    draws: int = 200,
    points: int = 40,
    seed: int = 0,
) -> DetCurve:
    """Error rates of verification with intervals over people.

    Parameters
    ----------
    scores
        (P, G), higher is more alike.
    probe, gallery
        (P,) and (G,): whose each is, numbered from 0.
    points
        Thresholds that are kept of the curve.

    Examples
    --------
    >>> who = np.array([0, 1, 2])
    >>> det_curve(np.eye(3), who, who).equal_error_rate.mean
    0.0
    """
    people = int(max(probe.max(), gallery.max())) + 1
    # Ranks, so that any scale of scores fills the bins evenly.
    order = np.searchsorted(np.sort(scores, axis=None), scores.ravel(), side="right")
    bins = np.minimum((order * _BINS) // (scores.size + 1), _BINS - 1)
    row, column = np.repeat(probe, len(gallery)), np.tile(gallery, len(probe))
    true = row == column

    def rates(weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        ours = np.bincount(bins[true], weights[row[true]], _BINS)
        pair = weights[row[~true]] * weights[column[~true]]
        theirs = np.bincount(bins[~true], pair, _BINS)
        reject = np.concatenate([[0.0], np.cumsum(ours)]) / max(ours.sum(), 1e-12)
        below = np.concatenate([[0.0], np.cumsum(theirs)]) / max(theirs.sum(), 1e-12)
        return 1.0 - below, reject

    def equal(weights: FloatArray) -> float:
        if not weights[row[true]].any():  # a draw without anybody who probes
            return float("nan")
        accept, reject = rates(weights)
        crossing = int(np.argmax(reject >= accept))
        if not crossing:
            return float((reject[0] + accept[0]) / 2)
        # Between two thresholds both rates are taken for straight lines.
        gap = accept - reject
        share = gap[crossing - 1] / max(gap[crossing - 1] - gap[crossing], 1e-12)
        step = reject[crossing] - reject[crossing - 1]
        return float(reject[crossing - 1] + share * step)

    accept, reject = rates(np.ones(people))
    # Evenly in both rates' tails, where the curve is read.
    targets = np.concatenate(
        [np.logspace(-3, 0, points // 2), np.linspace(0, 1, points // 2)]
    )
    kept = np.unique([int(np.argmin(np.abs(accept - t))) for t in targets])
    return DetCurve(
        people_statistic(equal, people, draws=draws, seed=seed),
        accept[kept].tolist(),
        reject[kept].tolist(),
    )


def auroc_over_people(
    score: npt.ArrayLike,
    positive: npt.NDArray[np.bool_],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """AUROC of one score for each person; both groups are drawn anew.

    Examples
    --------
    >>> auroc_over_people([0.1, 0.2, 0.8, 0.9], np.array([False, False, True, True])).mean
    1.0
    """
    values = np.asarray(score, dtype=np.float64)
    known = np.isfinite(values)
    ours, theirs = values[known & positive], values[known & ~positive]
    if not ours.size or not theirs.size:
        return Interval(float("nan"), float("nan"), float("nan"), int(known.sum()))
    wins = (ours[:, None] > theirs) + 0.5 * (ours[:, None] == theirs)
    rng = np.random.default_rng(seed)
    a = rng.multinomial(ours.size, np.full(ours.size, 1 / ours.size), draws)
    b = rng.multinomial(theirs.size, np.full(theirs.size, 1 / theirs.size), draws)
    again = np.einsum("di,ij,dj->d", a, wins, b, optimize=True) / wins.size
    low, high = np.quantile(again, [0.025, 0.975])
    return Interval(float(wins.mean()), float(low), float(high), int(known.sum()))

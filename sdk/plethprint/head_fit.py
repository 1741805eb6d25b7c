"""Fitting a head: the penalty by held-out people, and figures of those."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import HeadError
from plethprint.fitted_head import FittedHead, platt_probabilities
from plethprint.head_neighbourhood import neighbourhood, rounded
from plethprint.linear_fit import RIDGE_PENALTIES, one_against_rest, platt_curve, ridge
from plethprint.people_folds import check_people, people_folds, person_weights

__all__ = ["FittedHead", "fit_classes", "fit_number", "people_folds"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

LOGISTIC_PENALTIES = tuple(float(p) for p in np.logspace(-4, 0, 7))
_KNOTS = 50


def fit_number(
    vectors: FloatArray,
    answers: npt.NDArray[Any],
    owner: IntArray,
    *,
    log: bool,
    confidence: float,
    seed: int,
) -> tuple[FittedHead, dict[str, float]]:
    """Fit ridge regression; see `plethprint.head`.

    Parameters
    ----------
    vectors
        (N, D) of unit length.
    answers
        (N,) numbers.
    owner
        (N,) whose row it is, 0..P-1.

    Returns
    -------
    FittedHead, dict
        And the mean absolute error over held-out people with what the mean would have.
    """
    truth = answers.astype(np.float64)
    if not np.isfinite(truth).all() or (log and (truth <= 0.0).any()):
        raise HeadError(f"labels must be finite{' and positive' if log else ''} numbers")
    target = np.log(truth) if log else truth
    folds = people_folds(
        owner, np.digitize(target, np.quantile(target, [0.33, 0.67])), seed
    )
    check_people(owner, confidence)
    even = person_weights(owner)
    said = np.full((len(RIDGE_PENALTIES), len(target)), np.nan)
    models: list[tuple[FloatArray, FloatArray]] = []
    null = np.empty(len(target))
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        weights, bias = ridge(vectors[~held], target[~held], even[~held])
        models.append((weights, bias))
        said[:, held] = weights @ vectors[held].T + bias[:, None]
        null[held] = np.average(target[~held], weights=even[~held])
    error = np.abs(said - target)
    best = int(np.argmin(error @ even))
    weights, bias = ridge(vectors, target, even)
    share, knots = [], []
    people = int(owner.max()) + 1
    for fold in range(len(models)):
        held = folds == fold
        share.append(len(np.unique(owner[held])) / (people + 1))
        knots.append(_knots(error[best, held], person_weights(owner[held])))
    fitted = FittedHead(
        weights=rounded(weights[best : best + 1]),
        bias=rounded(bias[best : best + 1]),
        **neighbourhood(vectors, owner, folds),
        log=log,
        fold_weights=rounded(np.stack([m[0][best] for m in models])),
        fold_bias=rounded(np.array([m[1][best] for m in models])),
        fold_share=rounded(np.array(share)),
        residuals=rounded(np.stack(knots)),
    )
    guess = [np.exp(g) if log else g for g in (said[best], null)]
    figures = {
        name: float(np.abs(g - truth) @ even)
        for name, g in zip(("mae", "mae_of_mean"), guess, strict=True)
    }
    return fitted, {**figures, "penalty": RIDGE_PENALTIES[best]}


def fit_classes(
    vectors: FloatArray,
    index: IntArray,
    owner: IntArray,
    names: tuple[str, ...],
    *,
    confidence: float,
    seed: int,
) -> tuple[FittedHead, dict[str, float]]:
    """Fit one logistic regression a class; see `plethprint.head`.

    Parameters
    ----------
    vectors
        (N, D) of unit length.
    index
        (N,) place of the row's class in `names`.
    owner
        (N,) whose row it is, 0..P-1.
    """
    if len(names) < 2:
        raise HeadError(f"classes must be two or more; the labels have {names}")
    for place, name in enumerate(names):
        if len(np.unique(owner[index == place])) < 2:
            raise HeadError(
                f"class {name!r} is in fewer than two people; whole numbers, text and "
                "truth values are classes, a number is fitted to floating-point labels"
            )
    folds = people_folds(owner, index, seed)
    check_people(owner, confidence)
    even = person_weights(owner)
    truth = (index[:, None] == np.arange(len(names))).astype(np.float64)
    scores = np.empty((len(LOGISTIC_PENALTIES), len(index), len(names)))
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        for place, penalty in enumerate(LOGISTIC_PENALTIES):
            weights, bias = one_against_rest(
                vectors[~held], truth[~held], even[~held], penalty
            )
            scores[place, held] = vectors[held] @ weights.T + bias
    losses, curves = [], []
    for score in scores:
        platt = rounded(
            np.array(
                [platt_curve(score[:, k], truth[:, k], even) for k in range(len(names))]
            )
        )
        said = platt_probabilities(score, platt)
        right = np.maximum((said * truth).sum(axis=1), 1e-12)
        losses.append(float(-np.log(right) @ even))
        curves.append((platt, said, right))
    best = int(np.argmin(losses))
    platt, said, right = curves[best]
    weights, bias = one_against_rest(vectors, truth, even, LOGISTIC_PENALTIES[best])
    people = int(owner.max()) + 1
    order = np.argsort(right)[::-1]
    mass = np.cumsum(even[order]) * people / (people + 1)
    at = min(int((mass < confidence - 1e-9).sum()), len(order) - 1)
    fitted = FittedHead(
        weights=rounded(weights),
        bias=rounded(bias),
        **neighbourhood(vectors, owner, folds),
        platt=platt,
        threshold=float(rounded(np.array(right[order[at]] * (1 - 1e-9)))),
    )
    hit = said.argmax(axis=1) == index
    figures = {
        "log_loss": losses[best],
        "accuracy": float(hit @ even),
        "share_of_largest_class": float((truth * even[:, None]).sum(axis=0).max()),
        "penalty": LOGISTIC_PENALTIES[best],
    }
    return fitted, figures


def _knots(errors: FloatArray, weight: FloatArray) -> FloatArray:
    """`_KNOTS` values of equal weight that stand for weighted errors, none too small."""
    order = np.argsort(errors)
    mass = np.cumsum(weight[order])
    levels = np.arange(1, _KNOTS + 1) / _KNOTS
    at = np.minimum(np.searchsorted(mass, levels - 1e-9), len(order) - 1)
    knots: FloatArray = errors[order][at]
    return knots

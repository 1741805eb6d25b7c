"""What a frozen fingerprint knows: linear probes with nested, person-wise validation.

Features are standardised on the rows that fit; ridge regression follows, on the label
itself or, for classes, on one column of 0/1 for each, rows weighted so that classes count
alike. Its strength is chosen for each column by inner folds over people, in closed form:
one eigendecomposition serves every strength and every inner fold. Probabilities are a
logistic curve over the scores that the inner folds were held out for (Platt 1999).

Scores that are ranked have the mean of their own fold's training scores taken off:
pooled as they come, out-of-fold scores fall *below* chance on small sets, because a fold
that trains without a positive expects fewer of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint_distill.folds import Fold, Repeats, folds_over_people

__all__ = ["Prediction", "probe"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

STRENGTHS = tuple(float(s) for s in np.logspace(-4, 3, 15))
"""Ridge strengths tried, for each row that fits."""

_CONSTANT = 1e3  # a feature so large that the penalty does not reach its weight


@dataclass(frozen=True)
class Prediction:
    """What a probe says of every row, for each repeat; NaN where a row was not tested."""

    score: FloatArray
    """(R, N, K) for ranking: centred on the training rows of its fold."""
    value: FloatArray
    """(R, N, K) in units of the label, or a probability."""


def probe(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.floating],
    person: npt.NDArray[np.str_],
    repeats: Repeats,
    *,
    classes: bool,
    balanced: bool = True,
) -> Prediction:
    """Fit and predict every fold of every repeat.

    Parameters
    ----------
    features
        (N, F), finite.
    labels
        (N, K): 0/1 for classes, numbers otherwise.
    person
        (N,) whose row it is; inner folds are over people too.
    classes
        Whether the labels are classes and `value` is to be a probability.
    balanced
        For classes that exclude each other: whether each weighs as much as any other.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> person = np.arange(40).astype(str)
    >>> folds = folds_over_people(person, x, repeats=1)
    >>> said = probe(x, 3 * x, person, folds, classes=False)
    >>> bool(np.abs(said.value[0] - 3 * x).max() < 0.01)
    True
    """
    table = labels.reshape(len(labels), -1).astype(np.float64)
    shape = (len(repeats), *table.shape)
    score, value = np.full(shape, np.nan), np.full(shape, np.nan)
    for r, partition in enumerate(repeats):
        for fold in partition:
            ranked, said = _fold(features, table, person, fold, classes, balanced)
            score[r, fold.test], value[r, fold.test] = ranked, said
    return Prediction(score, value)


def _fold(
    features: npt.NDArray[np.floating],
    labels: FloatArray,
    person: npt.NDArray[np.str_],
    fold: Fold,
    classes: bool,
    balanced: bool,
) -> tuple[FloatArray, FloatArray]:
    train, truth = features[fold.train].astype(np.float64), labels[fold.train]
    mean, spread = train.mean(axis=0), train.std(axis=0)
    still = spread <= 1e-9 * np.maximum(np.abs(mean), 1e-6)
    spread[still] = np.inf  # such a column becomes zero
    train = (train - mean) / spread
    weight = _class_weights(truth) if classes and balanced else np.ones(len(truth))
    inner = [
        part.test
        for part in folds_over_people(person[fold.train], truth, repeats=1, seed=7)[0]
    ]
    # Means of the labels are taken off for the numerics' sake; the constant fits the rest.
    middle = truth.mean(axis=0)
    ridge = _Ridge(train, weight)
    held_out, chosen = ridge.held_out(truth - middle, inner)
    slope, constant = ridge.weights(truth - middle, chosen)
    # Standardised by way of the weights: a copy of wide test features would be large.
    slope = slope / spread[:, None]
    said = features[fold.test] @ slope + (constant - mean @ slope)
    ranked = said - held_out.mean(axis=0)
    if not classes:
        return ranked, said + middle
    chance = np.empty_like(said)
    for k in range(truth.shape[1]):
        steep, offset = _platt(held_out[:, k], truth[:, k])
        chance[:, k] = _sigmoid(steep * said[:, k] + offset)
    return ranked, chance


class _Ridge:
    """Ridge regression of weighted rows at many strengths, in closed form.

    With the rows' singular value decomposition X = U S V', predictions at strength a are
    Q (S^2 + a)^-1 Q' y with Q = X V (or U S where there are more features than rows).
    """

    def __init__(self, rows: FloatArray, weight: FloatArray) -> None:
        self._root = np.sqrt(weight)[:, None]
        self._rows = self._root * rows
        n, p = rows.shape
        self._wide = p >= n
        column = _CONSTANT * self._root
        if self._wide:
            # Single precision halves the time of thousands of columns; the constant, which
            # is large, is added in double.
            single = self._rows.astype(np.float32)
            gram = (single @ single.T).astype(np.float64) + column @ column.T
        else:
            self._rows = np.concatenate([self._rows, column], axis=1)
            gram = self._rows.T @ self._rows
        values, vectors = np.linalg.eigh(gram)
        keep = values > 1e-10 * max(float(values[-1]), 1e-30)
        self._energy, self._vectors = values[keep], vectors[:, keep]
        self._scores: FloatArray = (
            self._vectors * np.sqrt(self._energy)
            if self._wide
            else self._rows @ self._vectors
        )

    def held_out(
        self, truth: FloatArray, blocks: list[IntArray]
    ) -> tuple[FloatArray, FloatArray]:
        """Predictions (n, K) of each block without it, and the strengths (K,) chosen."""
        wanted = self._root * truth
        whole = self._scores.T @ wanted
        said = np.zeros((len(STRENGTHS), *truth.shape))
        for block in blocks:
            part = self._scores[block]
            moment = whole - part.T @ wanted[block]
            for a, strength in enumerate(STRENGTHS):
                penalty = strength * len(truth)
                said[a, block] = self._without(part, wanted[block], whole, moment, penalty)
        said /= self._root
        weight = self._root**2
        error = (weight * (said - truth) ** 2).sum(axis=1)
        best = error.argmin(axis=0)
        columns = np.arange(truth.shape[1])
        chosen = np.asarray(STRENGTHS)[best] * len(truth)
        return said[best, :, columns].T, chosen

    def _without(
        self,
        part: FloatArray,
        wanted: FloatArray,
        whole: FloatArray,
        moment: FloatArray,
        penalty: float,
    ) -> FloatArray:
        """Predictions of a block's rows by a fit on all other rows."""
        if len(part) >= part.shape[1]:
            without = np.diag(self._energy + penalty) - part.T @ part
            solved: FloatArray = part @ np.linalg.solve(without, moment)
            return solved
        scaled = part / (self._energy + penalty)
        fitted, hat = scaled @ whole, scaled @ part.T
        residual = np.linalg.solve(np.eye(len(part)) - hat, wanted - fitted)
        out: FloatArray = wanted - residual
        return out

    def weights(
        self, truth: FloatArray, strengths: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Weights (F, K) and constants (K,), a strength for each column."""
        moment = self._scores.T @ (self._root * truth)
        shrunk = moment / (self._energy[:, None] + strengths)
        if self._wide:
            dual = (self._vectors / np.sqrt(self._energy)) @ shrunk
            constant: FloatArray = _CONSTANT**2 * (self._root.T @ dual)[0]
            return self._rows.T @ dual, constant
        found = self._vectors @ shrunk
        return found[:-1], _CONSTANT * found[-1]


def _class_weights(truth: FloatArray) -> FloatArray:
    """(n,) so that each class has the same total weight; of mean 1."""
    if truth.shape[1] == 1:
        truth = np.concatenate([truth, 1 - truth], axis=1)
    counts = np.maximum(truth.sum(axis=0), 1.0)
    weight = (truth / counts).sum(axis=1)
    weight = np.where(weight > 0, weight, 1 / len(truth))
    return np.asarray(weight * len(truth) / weight.sum())


def _platt(score: FloatArray, truth: FloatArray) -> tuple[float, float]:
    """Slope and offset of the logistic curve over scores, by Newton's method."""
    positives = truth.sum()
    # Platt's smoothed targets keep the curve finite where classes are cut clean.
    target = np.where(
        truth > 0.5,
        (positives + 1) / (positives + 2),
        1 / (len(truth) - positives + 2),
    )
    scale = max(float(score.std()), 1e-12)
    design = np.stack([score / scale, np.ones_like(score)], axis=1)
    line = np.array([0.0, np.log(target.mean() / (1 - target.mean()))])
    for _ in range(30):
        chance = _sigmoid(design @ line)
        slack = np.maximum(chance * (1 - chance), 1e-6)
        step = np.linalg.solve(
            design.T @ (design * slack[:, None]) + 1e-6 * np.eye(2),
            design.T @ (target - chance) - 1e-6 * line,
        )
        line = line + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-8:
            break
    return float(line[0] / scale), float(line[1])


def _sigmoid(x: FloatArray) -> FloatArray:
    out: FloatArray = 1 / (1 + np.exp(-np.clip(x, -40, 40)))
    return out

"""Ridge and logistic regression of weighted rows, and Platt's curve over scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["RIDGE_PENALTIES", "one_against_rest", "platt_curve", "ridge"]

FloatArray = npt.NDArray[np.float64]

RIDGE_PENALTIES = tuple(float(p) for p in np.logspace(-7, 1, 17))
"""For each row, features at unit variance."""


def ridge(
    vectors: FloatArray, target: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weights (penalties, D) and bias (penalties,) of ridge regression, every penalty."""
    share = weight / weight.sum()
    centre, spread = _standard(vectors, share)
    x = (vectors - centre) / spread
    mean = float(share @ target)
    values, basis = np.linalg.eigh((x * share[:, None]).T @ x)
    seen = basis.T @ ((x * share[:, None]).T @ (target - mean))
    scaled = seen / (np.maximum(values, 0.0) + np.array(RIDGE_PENALTIES)[:, None])
    weights = (scaled @ basis.T) / spread
    return weights, mean - weights @ centre


def one_against_rest(
    vectors: FloatArray, truth: FloatArray, weight: FloatArray, penalty: float
) -> tuple[FloatArray, FloatArray]:
    """Logistic regression of each class by Newton's method: weights (C, D), bias (C,)."""
    share = weight / weight.sum()
    centre, spread = _standard(vectors, share)
    x = np.concatenate([(vectors - centre) / spread, np.ones((len(vectors), 1))], axis=1)
    lift = np.full(x.shape[1], penalty)
    lift[-1] = 1e-9  # the constant is free, but for a class that is never or always there
    found = np.stack([_newton(x, column, share, lift) for column in truth.T])
    weights = found[:, :-1] / spread
    return weights, found[:, -1] - weights @ centre


def platt_curve(score: FloatArray, truth: FloatArray, weight: FloatArray) -> FloatArray:
    """Slope and offset of a logistic curve over scores; Platt's softened targets."""
    ups, n = float(truth @ weight) * len(truth), len(truth)
    soft = np.where(truth > 0, (ups + 1) / (ups + 2), 1 / (n - ups + 2))
    x = np.stack([score, np.ones(n)], axis=1)
    return _newton(x, soft, weight / weight.sum(), np.full(2, 1e-6))


def _newton(
    x: FloatArray, truth: FloatArray, share: FloatArray, lift: FloatArray
) -> FloatArray:
    """Least penalised logistic loss: Newton's steps, halved while they do not help."""

    def loss(at: FloatArray) -> float:
        score = x @ at
        each = np.logaddexp(0.0, score) - truth * score
        return float(share @ each + 0.5 * lift @ at**2)

    found = np.zeros(x.shape[1])
    now = loss(found)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ found, -30.0, 30.0)))
        slope = x.T @ (share * (p - truth)) + lift * found
        bend = (x * (share * p * (1.0 - p))[:, None]).T @ x + np.diag(lift)
        step = np.linalg.solve(bend + 1e-12 * np.eye(len(bend)), slope)
        size = 1.0
        while size > 1e-4 and loss(found - size * step) > now:
            size /= 2
        found = found - size * step
        before, now = now, loss(found)
        if before - now < 1e-10:
            break
    return found


def _standard(vectors: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    centre = share @ vectors
    spread = np.sqrt(share @ (vectors - centre) ** 2)
    # A number that never varies is not to be blown up by one that does later.
    return centre, np.maximum(spread, 1e-3 * max(float(spread.max()), 1e-12))

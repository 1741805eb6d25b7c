"""Where the fingerprints that a head was fitted on lie, and how far is far."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.people_folds import person_weights

__all__ = ["neighbourhood", "rounded"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_FAR_SHARE = 0.99
_DIGITS = 7


def neighbourhood(vectors: FloatArray, owner: IntArray, folds: IntArray) -> dict[str, Any]:
    """Where the fingerprints lie, and how far from there held-out people's are."""
    away = np.empty(len(vectors))
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        centre, whitening = _whitening(vectors[~held], person_weights(owner[~held]))
        white = (vectors[held] - centre) @ whitening.T
        away[held] = np.sqrt(np.mean(white * white, axis=1))
    centre, whitening = _whitening(vectors, person_weights(owner))
    order = np.argsort(away)
    mass = np.cumsum(person_weights(owner)[order])
    at = min(int((mass < _FAR_SHARE - 1e-9).sum()), len(order) - 1)
    return {
        "centre": rounded(centre),
        "whitening": rounded(whitening),
        "far_from": float(rounded(away[order[at : at + 1]])[0]),
    }


def _whitening(vectors: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    centre = share @ vectors
    x = vectors - centre
    spread = (x * share[:, None]).T @ x
    mean = float(np.trace(spread)) / len(spread)
    # Drawn a little towards a ball: few people do not fill every direction.
    spread = 0.95 * spread + (0.05 * mean + 1e-9) * np.eye(len(spread))
    lower: FloatArray = np.linalg.inv(np.linalg.cholesky(spread))
    return centre, lower


def rounded(values: FloatArray) -> FloatArray:
    """To seven digits, so that a head that was saved is the one that was fitted."""
    flat = [float(f"{value:.{_DIGITS}g}") for value in np.ravel(values).tolist()]
    return np.array(flat).reshape(np.shape(values))

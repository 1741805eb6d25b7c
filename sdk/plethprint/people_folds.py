"""Folds that no person crosses, and weights that let people count alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.errors import HeadError

__all__ = ["check_people", "people_folds", "person_weights"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

FOLDS = 10


def person_weights(owner: IntArray) -> FloatArray:
    """Weight of each row so that people count alike and all sum to one, (N,)."""
    people, inverse, counts = np.unique(owner, return_inverse=True, return_counts=True)
    weights: FloatArray = 1.0 / (counts[inverse] * len(people))
    return weights


def people_folds(owner: IntArray, kind: IntArray, seed: int) -> IntArray:
    """A fold for each row, (N,), that no person crosses and that shares out the kinds."""
    people = int(owner.max()) + 1
    counts = np.zeros((people, int(kind.max()) + 1))
    np.add.at(counts, (owner, kind), 1.0)
    counts /= np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    counts /= np.maximum(counts.sum(axis=0), 1e-12)  # rare kinds weigh as much
    count = min(FOLDS, people)
    rng = np.random.default_rng(seed)
    order = rng.permutation(people)
    order = order[np.argsort(-counts[order].max(axis=1), kind="stable")]
    load, sizes = np.zeros((count, counts.shape[1])), np.zeros(count)
    home = np.empty(people, np.intp)
    for person in order:
        cost = ((load + counts[person]) ** 2 - load**2).sum(axis=1)
        fits = sizes < np.ceil(people / count)
        home[person] = int(np.argmin(np.where(fits, cost, np.inf)))
        load[home[person]] += counts[person]
        sizes[home[person]] += 1
    _, folds = np.unique(home[owner], return_inverse=True)
    return folds.astype(np.intp)


def check_people(owner: IntArray, confidence: float) -> None:
    """Raise `HeadError` where people are too few for an interval of that confidence."""
    people = int(owner.max()) + 1
    needed = int(np.ceil(confidence / (1.0 - confidence) - 1e-9))
    if people < needed:
        raise HeadError(
            f"a confidence of {confidence:g} needs {needed} people or more, not {people}; "
            "ask for less"
        )

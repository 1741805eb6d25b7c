"""How a teacher's fingerprints of PPG stand to those of ECG, over people drawn anew."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint_distill.metrics import mean_by_person
from plethprint_distill.statistics import Estimate, estimate

__all__ = ["DRAWS", "mean_of_people", "partners_found", "rank_of_people"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

DRAWS = 400
"""People drawn anew, for every figure of a jury."""


def mean_of_people(values: FloatArray, person: npt.NDArray[np.str_]) -> Estimate:
    """The mean over people of each one's own mean of `values` (N,)."""
    return estimate(
        lambda weights: mean_by_person(values, person, weights), person, draws=DRAWS
    )


def partners_found(asking: Float32Array, asked: Float32Array, pool: int = 256) -> BoolArray:
    """(N,) whether a row's nearest among `pool` of the other side is its own partner.

    As `plethprint.agreement.retrieval_at`, row by row; the rows that are left over by
    whole pools make one more with rows of the first.
    """
    order = np.random.default_rng(0).permutation(len(asking))
    x, y = (_unit(rows.astype(np.float64))[order] for rows in (asking, asked))
    found = np.zeros(len(order), dtype=np.bool_)
    for first in range(0, len(order), pool):
        own = np.arange(first, min(first + pool, len(order)))
        others = own if len(own) == pool else np.r_[own, np.arange(min(pool, first))]
        others = others[:pool]
        found[own] = np.argmax(x[own] @ y[others].T, axis=1) == np.arange(len(own))
    hits = np.empty_like(found)
    hits[order] = found
    return hits


def _unit(rows: FloatArray) -> FloatArray:
    centred = rows - rows.mean(axis=0)
    lengths = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    unit: FloatArray = centred / lengths
    return unit


def rank_of_people(vectors: Float32Array, person: npt.NDArray[np.str_]) -> Estimate:
    """`space.effective_rank`, with people drawn anew by their own sums and squares."""
    names, first, inverse = np.unique(person, return_index=True, return_inverse=True)
    x = vectors.astype(np.float64) - vectors.mean(axis=0)
    count = np.bincount(inverse).astype(np.float64)
    sums = np.stack([x[inverse == k].sum(axis=0) for k in range(len(names))])
    squares = np.stack([x[inverse == k].T @ x[inverse == k] for k in range(len(names))])

    def rank(weights: FloatArray) -> FloatArray:
        own = weights[:, first]
        total = np.maximum(own @ count, 1e-30)
        out = np.empty(len(own))
        for draw, drawn in enumerate(own):
            mean = drawn @ sums / total[draw]
            covariance = np.tensordot(drawn, squares, 1) / total[draw]
            values = np.linalg.eigvalsh(covariance - np.outer(mean, mean))
            share = np.maximum(values, 0) / max(values.sum(), 1e-30)
            share = share[share > 1e-12]
            out[draw] = np.exp(-(share * np.log(share)).sum())
        return out

    return estimate(rank, person, draws=DRAWS)

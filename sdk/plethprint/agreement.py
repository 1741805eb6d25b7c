"""How alike two models see the same windows: five measures on rows of vectors.

Raw cosine alone is near 1 for a useless model, because all fingerprints share a mean.
So the mean is taken off (centred cosine, with its 5th percentile), and it is asked
whether the same windows are neighbours on both sides (overlap@10) and whether a window
finds its own partner among 256 (retrieval@256).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import WindowShapeError

__all__ = [
    "MEASURES",
    "agreement",
    "centred_cosine",
    "cosine",
    "neighbour_overlap",
    "retrieval_at",
]

FloatArray = npt.NDArray[np.float64]

MEASURES = (
    "cosine",
    "centred_cosine",
    "centred_cosine_p5",
    "overlap_at_10",
    "retrieval_at_256",
)
"""Names of the figures of `agreement`, and of the thresholds that a manifest may set."""


def cosine(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Return the cosine of each pair of rows.

    Parameters
    ----------
    a, b : array_like, shape (N, D)
        Row i of one belongs to row i of the other; any scale.

    Returns
    -------
    ndarray of float64, shape (N,)
        -1..1; 0 where either row is all zero.

    Raises
    ------
    WindowShapeError
        If the two are not (N, D) alike.
    """
    x, y = _pairs(a, b)
    return np.asarray((_unit(x) * _unit(y)).sum(axis=1))


def centred_cosine(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    centre_a: npt.ArrayLike | None = None,
    centre_b: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return the cosine of each pair of rows after taking off each side's mean.

    Parameters
    ----------
    a, b : array_like, shape (N, D)
        Brought to unit length before the means are taken off.
    centre_a, centre_b : array_like, shape (D,), optional
        Means of unit vectors to take off; by default those of the rows given.

    Returns
    -------
    ndarray of float64, shape (N,)

    Raises
    ------
    WindowShapeError
        If the two are not (N, D) alike, or a centre is not (D,).

    Examples
    --------
    >>> a = np.array([[10.0, 1.0], [10.0, -1.0]])
    >>> cosine(a, a[::-1]).round(2).tolist()  # swapped, yet nearly 1
    [0.98, 0.98]
    >>> centred_cosine(a, a[::-1]).round(2).tolist()
    [-1.0, -1.0]
    """
    x, y = (_unit(side) for side in _pairs(a, b))
    x = x - _centre(x, centre_a)
    y = y - _centre(y, centre_b)
    return np.asarray((_unit(x) * _unit(y)).sum(axis=1))


def neighbour_overlap(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    k: int = 10,
    *,
    bank_a: npt.ArrayLike | None = None,
    bank_b: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return which share of the k nearest neighbours is the same on both sides.

    Parameters
    ----------
    a, b : array_like, shape (N, D)
        The same windows seen by two models.
    k : int
        How many neighbours; fewer when the bank is smaller.
    bank_a, bank_b : array_like, shape (M, D), optional
        The same M reference windows seen by the two models, to look for neighbours in. By
        default `a` and `b` themselves, where a row is not its own neighbour.

    Returns
    -------
    ndarray of float64, shape (N,)
        0..1; about k / M by chance.

    Raises
    ------
    WindowShapeError
        If shapes do not fit, or only one bank is given, or there is nothing to choose.
    """
    x, y = _pairs(a, b)
    if (bank_a is None) != (bank_b is None):
        raise WindowShapeError("neighbours need the banks of both sides, or neither")
    alone = bank_a is None or bank_b is None
    near_x, near_y = (x, y) if alone else _banks(x, bank_a, bank_b)
    k = min(k, len(near_x) - alone)
    if k < 1:
        raise WindowShapeError("neighbours need a bank of at least one other window")
    mine, theirs = _nearest(x, near_x, k, alone), _nearest(y, near_y, k, alone)
    shared = [
        len(set(ours) & set(others))
        for ours, others in zip(mine.tolist(), theirs.tolist(), strict=True)
    ]
    return np.array(shared, dtype=np.float64) / k


def retrieval_at(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    n: int = 256,
    *,
    bank_a: npt.ArrayLike | None = None,
    bank_b: npt.ArrayLike | None = None,
) -> float:
    """Return how often a row's nearest among n rows of the other side is its partner.

    Parameters
    ----------
    a, b : array_like, shape (N, D)
        The same windows seen by two models whose vectors share one space.
    n : int
        Size of each pool, 2 or more; rows after the last whole pool are left out, and if
        there are fewer than n rows they are one pool.
    bank_a, bank_b : array_like, shape (M, D), optional
        The same M reference windows seen by the two models. Then each partner competes
        with the first n - 1 of the bank instead of with the other rows.

    Returns
    -------
    float
        0..1; 1 / n by chance.

    Raises
    ------
    WindowShapeError
        If the two are not (N, D) alike, only one bank is given, or n is below 2.
    """
    x, y = (_unit(side) for side in _pairs(a, b))
    if n < 2:
        raise WindowShapeError(f"retrieval needs pools of 2 or more rows, not {n}")
    if (bank_a is None) != (bank_b is None):
        raise WindowShapeError("retrieval needs the banks of both sides, or neither")
    if bank_a is not None:
        near_x, near_y = (_unit(side) for side in _banks(x, bank_a, bank_b))
        x, y = _unit(x - near_x.mean(axis=0)), _unit(y - near_y.mean(axis=0))
        others = _unit(near_y - near_y.mean(axis=0))[: n - 1]
        own = (x * y).sum(axis=1)
        # A zero vector is as near to all: it finds nothing.
        found = (own >= (x @ others.T).max(axis=1)) & x.any(axis=1) & y.any(axis=1)
        return float(found.mean())
    x, y = _unit(x - x.mean(axis=0)), _unit(y - y.mean(axis=0))
    n = min(n, len(x))
    hits = [
        np.argmax(x[first : first + n] @ y[first : first + n].T, axis=1) == np.arange(n)
        for first in range(0, len(x) - n + 1, n)
    ]
    return float(np.mean(hits))


def agreement(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    bank_a: npt.ArrayLike | None = None,
    bank_b: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Return all `MEASURES` of how well two models agree on the same windows.

    Parameters
    ----------
    a, b : array_like, shape (N, D)
        The windows seen by the two models.
    bank_a, bank_b : array_like, shape (M, D), optional
        Reference windows seen by both, such as those of `Golden`: they give the means and
        the neighbours, which a handful of live windows cannot. By default `a` and `b`.

    Raises
    ------
    WindowShapeError
        If shapes do not fit.
    """
    centres: dict[str, Any] = {}
    if bank_a is not None and bank_b is not None:
        near_a, near_b = _banks(_pairs(a, b)[0], bank_a, bank_b)
        centres = {
            "centre_a": _unit(near_a).mean(axis=0),
            "centre_b": _unit(near_b).mean(axis=0),
        }
    centred = centred_cosine(a, b, **centres)
    return {
        "cosine": float(cosine(a, b).mean()),
        "centred_cosine": float(centred.mean()),
        "centred_cosine_p5": float(np.quantile(centred, 0.05)),
        "overlap_at_10": float(
            neighbour_overlap(a, b, 10, bank_a=bank_a, bank_b=bank_b).mean()
        ),
        "retrieval_at_256": retrieval_at(a, b, 256, bank_a=bank_a, bank_b=bank_b),
    }


def _pairs(
    a: npt.ArrayLike | None, b: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    try:
        x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise WindowShapeError(f"vectors to compare must be numbers: {error}") from error
    if x.ndim != 2 or x.shape != y.shape or not len(x):
        raise WindowShapeError(
            "vectors to compare must both be (N, D) with at least one row, "
            f"not {x.shape} and {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise WindowShapeError("vectors to compare must be finite numbers")
    return x, y


def _banks(
    rows: FloatArray, bank_a: npt.ArrayLike | None, bank_b: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    near = _pairs(bank_a, bank_b)
    if near[0].shape[1] != rows.shape[1]:
        raise WindowShapeError(
            f"the banks' vectors have {near[0].shape[1]} numbers, not {rows.shape[1]}"
        )
    return near


def _centre(rows: FloatArray, given: npt.ArrayLike | None) -> FloatArray:
    centre = np.asarray(rows.mean(axis=0) if given is None else given, np.float64)
    if centre.shape != rows.shape[1:]:
        raise WindowShapeError(
            f"a centre has the shape {rows.shape[1:]}, not {centre.shape}"
        )
    return centre


def _unit(rows: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: FloatArray = np.zeros_like(rows)
    np.divide(rows, lengths, out=unit, where=lengths > 0)
    return unit


def _nearest(
    rows: FloatArray, bank: FloatArray, k: int, alone: bool
) -> npt.NDArray[np.intp]:
    """Indices (N, k) of the nearest in the bank by cosine; ties go to the lower index."""
    closeness = _unit(rows) @ _unit(bank).T
    if alone:
        np.fill_diagonal(closeness, -np.inf)
    return np.argsort(-closeness, axis=1, kind="stable")[:, :k]

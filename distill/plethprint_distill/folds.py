"""Who fits and who is tested: a person stands on one side of a fold only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Fold", "Repeats", "folds_over_people", "one_split", "thinned"]

IntArray = npt.NDArray[np.intp]

MAX_TRAINING_ROWS = 2000
"""Rows that fit a probe at most: evenly over people, the same ones for every model."""


@dataclass(frozen=True)
class Fold:
    """Rows that fit and rows that are predicted."""

    train: IntArray
    test: IntArray


Repeats = tuple[tuple[Fold, ...], ...]
"""Several partitions of the people, each a tuple of folds."""


def one_split(
    train: npt.NDArray[np.bool_],
    test: npt.NDArray[np.bool_],
    person: npt.NDArray[np.str_],
    *,
    limit: int = MAX_TRAINING_ROWS,
) -> Repeats:
    """People set apart once, by name; see `plethprint_distill.splits`."""
    rows = thinned(np.flatnonzero(train), person, limit, seed=0)
    return ((Fold(rows, np.flatnonzero(test)),),)


def folds_over_people(
    person: npt.NDArray[np.str_],
    labels: npt.NDArray[np.float64],
    *,
    folds: int = 5,
    repeats: int = 3,
    seed: int = 0,
    limit: int = MAX_TRAINING_ROWS,
) -> Repeats:
    """Partitions of people into folds that hold each class about evenly.

    Parameters
    ----------
    person
        (N,) whose row it is.
    labels
        (N, K) 0/1 by class, or one column of numbers, whose quarters are then evened out.
    folds
        At most as many as there are people.
    """
    classes = _indicators(labels)
    names, inverse = np.unique(person, return_inverse=True)
    counts = np.zeros((len(names), classes.shape[1]))
    np.add.at(counts, inverse, classes)
    # Rare classes weigh as much as common ones.
    counts /= np.maximum(counts.sum(axis=0), 1.0)
    folds = min(folds, len(names))
    partitions = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        order = rng.permutation(len(names))
        # Large people first: small ones even out what those left uneven.
        order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
        load = np.zeros((folds, counts.shape[1]))
        home = np.empty(len(names), np.intp)
        for place in order:
            cost = ((load + counts[place]) ** 2 - load**2).sum(axis=1)
            cheapest = np.flatnonzero(cost <= cost.min() + 1e-12)
            home[place] = rng.choice(cheapest)
            load[home[place]] += counts[place]
        of_row = home[inverse]
        partitions.append(
            tuple(
                Fold(
                    thinned(np.flatnonzero(of_row != k), person, limit, seed=repeat),
                    np.flatnonzero(of_row == k),
                )
                for k in range(folds)
                if (of_row == k).any() and (of_row != k).any()
            )
        )
    return tuple(partitions)


def thinned(
    rows: IntArray, person: npt.NDArray[np.str_], limit: int, *, seed: int
) -> IntArray:
    """At most `limit` of the rows: those of people with many go first."""
    if len(rows) <= limit:
        return rows
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(rows)
    # The k-th row of every person comes before the (k+1)-th of any.
    _, inverse = np.unique(person[shuffled], return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    firsts = np.concatenate([[0], np.cumsum(np.bincount(inverse))[:-1]])
    turn = np.empty(len(shuffled), np.intp)
    turn[order] = np.arange(len(shuffled)) - firsts[inverse[order]]
    kept = shuffled[np.argsort(turn, kind="stable")[:limit]]
    return np.sort(kept)


def _indicators(labels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    table = labels.reshape(len(labels), -1)
    if np.isin(table, (0.0, 1.0)).all():
        if table.shape[1] == 1:
            return np.concatenate([table, 1 - table], axis=1)
        rest = (table.sum(axis=1, keepdims=True) == 0).astype(np.float64)
        return np.concatenate([table, rest], axis=1)
    quarters = np.searchsorted(np.quantile(table[:, 0], [0.25, 0.5, 0.75]), table[:, 0])
    return np.eye(4)[quarters]

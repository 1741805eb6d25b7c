"""How far a change of the device moves a fingerprint, against how far people lie apart.

The measure, for a change c and unit fingerprints f:

    movement(c) = median over windows of |f(c(x)) - f(x)|
                  / median over pairs of people of d(i, j)

with d(i, j) the median distance |f - f'| between the windows of person i and those of
person j. Both medians are of each person first, so that nobody counts for more; the
interval is a bootstrap over people, who are drawn for numerator and denominator at once.
Beside it stands *same person*: two windows of one person in place of f(c(x)) and f(x).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plethprint.errors import SignalError
from plethprint.fingerprinter import Fingerprinter
from plethprint.polarity import upright_evidence
from plethprint.quality import assess
from plethprint_distill.device_changes import INVARIANCES, DeviceChange
from plethprint_distill.statistics import Interval, middle_95
from plethprint_distill.stretches import StretchSet, windows_after_warm_up

__all__ = ["GOAL", "Embedder", "Invariance", "embedder_of", "invariance", "table"]

Float32Array = npt.NDArray[np.float32]
Embedder = Callable[[npt.NDArray[np.int8]], Float32Array]
"""Int8 windows (N, 640) to fingerprints (N, F); of unit length for `invariance`."""

GOAL = 0.1
"""A change that a fingerprint should not notice moves it less than this."""

_DRAWS = 1000


@dataclass(frozen=True)
class Invariance:
    """One row: how far one change moves the fingerprints of one corpus."""

    corpus: str
    change: str
    cold: bool
    """Whether windows were cut as rows of their own, the filter starting anew."""
    movement: Interval
    """In units of the distance between two people."""
    worst: float
    """95th percentile over windows, in the same units."""
    between_people: float
    """The unit: median distance between two people, of unit vectors (0..2)."""
    goal: bool
    """Whether the project's goal of less than `GOAL` is for this change."""

    @property
    def reached(self) -> bool:
        """Whether the movement is below `GOAL`."""
        return self.movement.mean < GOAL


def embedder_of(fingerprinter: Fingerprinter) -> Embedder:
    """Unit fingerprints by the SDK's encoder."""

    def embed(windows: npt.NDArray[np.int8]) -> Float32Array:
        vectors = fingerprinter.encoder.run(windows).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Float32Array = vectors / np.maximum(lengths, 1e-9)
        return unit

    return embed


def invariance(
    embed: Embedder,
    stretches: StretchSet,
    changes: Iterable[DeviceChange] = INVARIANCES,
    *,
    cold: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> list[Invariance]:
    """Measure every change on one corpus; see the module for the measure.

    Parameters
    ----------
    embed
        Int8 windows to unit fingerprints.
    stretches
        Of at least three people held out.
    cold
        Cut windows as rows of their own, as `Fingerprinter.embed_windows` does, instead
        of out of a running filter.

    Raises
    ------
    SignalError
        If there are fewer than three people.
    """
    people, person = np.unique(stretches.person, return_inverse=True)
    if len(people) < 3:
        raise SignalError(f"distances between people need three of them, not {len(people)}")
    plain = embed(stretches.windows(cold=cold))
    apart, within = _distances(plain, person, len(people))
    draws = np.random.default_rng(seed).integers(0, len(people), (_DRAWS, len(people)))
    scale, scales = (
        _between(apart, np.arange(len(people))),
        [_between(apart, draw) for draw in draws],
    )

    def row(name: str, moved: npt.NDArray[np.floating], goal: bool) -> Invariance:
        each = np.array([np.median(moved[person == p]) for p in range(len(people))])
        # A draw of one person alone has no pair to measure by, and is left out.
        again = np.nanmedian(each[draws], axis=1) / scales
        middle = float(np.nanmedian(each)) / scale
        figure = Interval(middle, *middle_95(again), len(people))
        worst = float(np.nanquantile(moved, 0.95)) / scale
        return Invariance(stretches.corpus, name, cold, figure, worst, scale, goal)

    rows = []
    for change in tqdm(list(changes), desc=stretches.corpus, disable=not progress):
        windows = windows_after_warm_up(
            *change.apply(stretches.rows, stretches.rate_hz), cold=cold
        )
        moved = np.linalg.norm(embed(windows) - plain, axis=1)
        rows.append(row(change.name, moved, change.goal))
        if change.family == "polarity":
            moved = np.linalg.norm(embed(_upright(windows)) - plain, axis=1)
            rows.append(row(f"{change.name}, found out", moved, False))
    if np.isfinite(within).any():
        rows.append(row("same person, another window", within, False))
    return rows


def _upright(windows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Each row turned over where that is likelier, as ``polarity="auto"`` does."""
    turn = np.where(upright_evidence(windows, assess(windows)) < 0.0, -1, 1)
    upright: npt.NDArray[np.int8] = windows * turn[:, None].astype(np.int8)
    return upright


def _distances(
    unit: Float32Array, person: npt.NDArray[np.intp], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Median distance of each pair of people, and of each window to others of its own."""
    between = np.sqrt(np.maximum(2.0 - 2.0 * (unit @ unit.T).astype(np.float64), 0.0))
    apart = np.full((count, count), np.nan)
    within = np.full(len(unit), np.nan)
    members = [np.flatnonzero(person == p) for p in range(count)]
    for i, mine in enumerate(members):
        for j in range(i):
            apart[i, j] = apart[j, i] = np.median(between[np.ix_(mine, members[j])])
        if len(mine) > 1:
            own = between[np.ix_(mine, mine)]
            own = own[~np.eye(len(mine), dtype=np.bool_)].reshape(len(mine), -1)
            within[mine] = np.median(own, axis=1)
    return apart, within


def _between(apart: npt.NDArray[np.float64], drawn: npt.NDArray[np.intp]) -> float:
    """Median over the pairs of people drawn; a person drawn twice is no pair."""
    pairs = apart[np.ix_(drawn, drawn)]
    return float(np.nanmedian(pairs)) if np.isfinite(pairs).any() else float("nan")


def table(rows: Iterable[Invariance]) -> str:
    """The rows as a table of Markdown, one line a change, one column a corpus."""
    found = list(rows)
    columns = list(dict.fromkeys((r.corpus, r.cold) for r in found))
    heads = [f"{corpus}{', cold' if cold else ''}" for corpus, cold in columns]
    lines = ["| change | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name in dict.fromkeys(r.change for r in found):
        cells = []
        for column in columns:
            cell = [r for r in found if r.change == name and (r.corpus, r.cold) == column]
            cells.append(_cell(cell[0]) if cell else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: Invariance) -> str:
    figure = row.movement
    mark = "" if not row.goal else (" ok" if row.reached else " **missed**")
    return f"{figure.mean:.3f} [{figure.low:.3f}, {figure.high:.3f}]{mark}"

"""The table of a teacher sweep: what each change makes of each figure, and how surely."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import TrainingError
from plethprint_distill.teacher_jury import FIGURES
from plethprint_distill.teacher_sweep import TEACHER_VARIANTS

__all__ = ["sweep_table"]

FloatArray = npt.NDArray[np.float64]

_Figures = dict[str, tuple[float, FloatArray]]
"""Figure -> its value and its draws of judges, (draws,), of one run."""
_Variant = tuple[str, str]
_Runs = dict[_Variant, dict[int, _Figures]]
"""(axis, value) -> seed -> what was found."""


def sweep_table(folder: Path) -> str:
    """All judged runs of a `teacher_sweep` folder as Markdown, seeds of a variant together.

    The recipe has its intervals over judges. Every other row has, in brackets, what it is
    more or less than the recipe with the same seeds; it stands bold where the interval of
    this difference, on the same draws of judges, leaves out zero. The last row is how far
    two trainings lie apart that differ in their seed alone: a difference below that is
    none, however much the judges agree on it.

    Raises
    ------
    TrainingError
        If nothing was judged, or the runs are not of equally many windows.
    """
    runs = _runs(folder)
    every = [figures for seeds in runs.values() for figures in seeds.values()]
    names = [name for name in FIGURES if any(name in figures for figures in every)]
    recipe = next((seeds for (axis, _), seeds in runs.items() if axis == "recipe"), {})
    lines = [
        "| axis | value | seeds | " + " | ".join(FIGURES[n][0] for n in names) + " |",
        "|---" * (3 + len(names)) + "|",
    ]
    for axis, value in _in_order(runs):
        seeds = runs[axis, value]
        cells = [
            _level(n, seeds) if axis == "recipe" else _change(n, seeds, recipe)
            for n in names
        ]
        lines.append(f"| {axis} | {value} | {len(seeds)} | " + " | ".join(cells) + " |")
    if any(len(seeds) > 1 for seeds in runs.values()):
        apart = [_seeds_apart(n, runs) for n in names]
        lines.append("| seeds apart | mean | | " + " | ".join(apart) + " |")
    return "\n".join(lines) + "\n"


def _runs(folder: Path) -> _Runs:
    found: _Runs = {}
    windows = set()
    for path in sorted(folder.glob("*/judged.json")):
        row = json.loads(path.read_text())["row"]
        with np.load(path.with_name("draws.npz"), allow_pickle=False) as archive:
            figures = {n: (float(row[n]["mean"]), archive[n]) for n in archive.files}
        found.setdefault((row["axis"], row["value"]), {})[int(row["seed"])] = figures
        windows.add(row["windows"])
    if not found:
        raise TrainingError(f"{folder} holds no run that was judged")
    if len(windows) > 1:
        raise TrainingError(f"{folder} holds runs of {sorted(windows)} windows: not alike")
    return found


def _in_order(runs: _Runs) -> list[_Variant]:
    place = {(v.axis, v.value): k for k, v in enumerate(TEACHER_VARIANTS)}
    return sorted(runs, key=lambda variant: place.get(variant, len(place)))


def _digits(name: str) -> int:
    return {"effective_rank": 1, "heart_rate_mae_bpm": 2}.get(name, 3)


def _mean(name: str, seeds: Sequence[_Figures]) -> tuple[float, FloatArray]:
    """Value and draws, each the mean over seeds."""
    value = float(np.mean([figures[name][0] for figures in seeds]))
    return value, np.mean([figures[name][1] for figures in seeds], axis=0)


def _level(name: str, seeds: dict[int, _Figures]) -> str:
    known = [figures for figures in seeds.values() if name in figures]
    if not known:
        return "-"
    value, draws = _mean(name, known)
    low, high = _interval(draws)
    digits = _digits(name)
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _change(name: str, seeds: dict[int, _Figures], recipe: dict[int, _Figures]) -> str:
    """A figure beside the recipe's with the same seeds; alone where it has none of them."""
    both = [seed for seed in seeds if name in seeds[seed] and name in recipe.get(seed, {})]
    if not both:
        return _level(name, seeds)
    value, draws = _mean(name, [seeds[seed] for seed in both])
    before, those = _mean(name, [recipe[seed] for seed in both])
    low, high = _interval(draws - those)
    digits = _digits(name)
    told = f"{value:.{digits}f} ({value - before:+.{digits}f})"
    return f"**{told}**" if low > 0.0 or high < 0.0 else told


def _interval(draws: FloatArray) -> tuple[float, float]:
    known = draws[np.isfinite(draws)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _seeds_apart(name: str, runs: _Runs) -> str:
    """Mean, over variants of several seeds, of the largest less the smallest value."""
    spans = []
    for seeds in runs.values():
        values = [figures[name][0] for figures in seeds.values() if name in figures]
        if len(values) > 1:
            spans.append(max(values) - min(values))
    return f"{np.mean(spans):.{_digits(name)}f}" if spans else "-"

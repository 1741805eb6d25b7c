"""What matters in the teacher: small trainings that differ in one thing, judged alike.

As `plethprint_distill.sweep` does for distillation: nobody held out is looked at. Each run
trains on the people who do not judge, for equally many windows, and is then frozen and
asked by `plethprint_distill.teacher_jury`. A run that was stopped goes on, one that was
judged is not run again; several processes can share a folder on different axes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plethprint.errors import TrainingError
from plethprint_distill.checkpoint import save_teacher
from plethprint_distill.pretrain import pretrain
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.statistics import Estimate
from plethprint_distill.teacher_jury import FIGURES, Jury
from plethprint_distill.windows import WindowSet

__all__ = ["TEACHER_VARIANTS", "TeacherVariant", "sweep_table", "teacher_sweep"]

_LOGGER = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

_ROWS = "rows.jsonl"


@dataclass(frozen=True)
class TeacherVariant:
    """One training of the sweep: what differs from the recipe."""

    axis: str
    value: str
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `PretrainConfig`."""

    def folder(self, seed: int) -> str:
        """Name of the folder of its run with a seed."""
        return f"{self.axis}_{self.value}_seed{seed}".replace(" ", "_")


def _numbers(axis: str, name: str, *values: float) -> tuple[TeacherVariant, ...]:
    return tuple(TeacherVariant(axis, f"{v:g}", {name: v}) for v in values)


TEACHER_VARIANTS = (
    TeacherVariant("recipe", "as it is"),
    *_numbers("physiology", "physiology", 0.0),
    *_numbers("contrast", "contrast", 0.0, 1.0),
    *_numbers("reconstruction", "reconstruction", 0.0, 0.3, 3.0),
    *_numbers("agreement", "agreement", 0.0),
    *_numbers("decorrelation", "decorrelation", 0.0),
    *_numbers("mask ratio", "mask_ratio", 0.25, 0.75),
    *_numbers("temperature", "temperature", 0.05, 0.2),
    *_numbers("virtual share", "virtual_share", 0.2, 0.8),
    *_numbers("kin share", "kin_share", 0.0, 0.3),
    *(TeacherVariant("fingerprint", f"{dim}", {"dim": dim}) for dim in (32, 128, 256)),
)
"""Runs of the table in docs/training.md."""


def teacher_sweep(
    folder: Path,
    sets: Mapping[str, WindowSet],
    base: PretrainConfig,
    variants: Sequence[TeacherVariant] = TEACHER_VARIANTS,
    *,
    seeds: Sequence[int] = (0,),
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train and judge every variant with every seed.

    Parameters
    ----------
    folder
        Where the runs are kept, each in a folder of its own; a row for each is appended to
        `rows.jsonl` when it was judged.
    sets
        Training windows with context, nobody of them held out for tests.
    base
        The recipe that variants differ from; its `windows` hold for all, and so the share
        of them over which the learning rate falls.

    Returns
    -------
    list of dict
        A row a run: axis, value, seed, windows, and `FIGURES` with their intervals over the
        judges (mean, low, high, people).

    Raises
    ------
    TrainingError
        If there is nobody to judge, or a run of the folder was judged with other settings.
    """
    jury = Jury(sets)
    _LOGGER.info("people who judge, by pool: %s", jury.people())
    # Seed by seed: a sweep that is stopped has compared everything once before twice.
    runs = [(variant, seed) for seed in seeds for variant in variants]
    rows = []
    bar = tqdm(runs, desc="teachers", unit="run", disable=not progress)
    for variant, seed in bar:
        bar.set_postfix_str(f"{variant.axis} {variant.value}, seed {seed}")
        config = replace(base, seed=seed, **variant.config)
        run = folder / variant.folder(seed)
        row = _judged(run, config)
        if row is None:
            teacher = pretrain(run, jury.training_sets, config, progress=progress)
            found = jury.judge(teacher)
            save_teacher(teacher, run / "teacher.npz")
            row = _write(run, variant, config, found)
            with (folder / _ROWS).open("a") as lines:
                lines.write(json.dumps(row) + "\n")
        rows.append(row)
    return rows


def _judged(run: Path, config: PretrainConfig) -> dict[str, Any] | None:
    """The row of a run that was finished, None where it was not."""
    path = run / "judged.json"
    if not path.is_file():
        return None
    told: dict[str, Any] = json.loads(path.read_text())
    if told["config"] != asdict(config):
        raise TrainingError(
            f"{run} was judged with other settings ({told['row']['windows']} windows): "
            "remove it, or name another folder"
        )
    row: dict[str, Any] = told["row"]
    return row


def _write(
    run: Path,
    variant: TeacherVariant,
    config: PretrainConfig,
    found: Mapping[str, Estimate],
) -> dict[str, Any]:
    row = {
        "axis": variant.axis,
        "value": variant.value,
        "seed": config.seed,
        "windows": config.windows,
        **{name: asdict(told.interval) for name, told in found.items()},
    }
    draws: dict[str, Any] = {name: told.draws for name, told in found.items()}
    np.savez_compressed(run / "draws.npz", **draws)
    part = run / "judged.part"
    part.write_text(json.dumps({"row": row, "config": asdict(config)}) + "\n")
    part.replace(run / "judged.json")
    return row


def sweep_table(folder: Path) -> str:
    """All judged runs of a folder as Markdown, seeds of a variant together.

    The recipe has its intervals over judges; every other row the difference that its
    figure makes, and stands bold where the interval of the difference, in pairs on the
    same draws of judges, leaves out zero. The last row says how far the seeds of one
    variant lie apart: a difference below that is none, however the judges agree on it.

    Raises
    ------
    TrainingError
        If nothing was judged.
    """
    runs = _runs(folder)
    names = [n for n in FIGURES if any(n in figures for _, figures in runs.values())]
    lines = [
        "| axis | value | seeds | " + " | ".join(FIGURES[n][0] for n in names) + " |",
        "|---" * (3 + len(names)) + "|",
    ]
    recipe = next((f for (axis, _), (_, f) in runs.items() if axis == "recipe"), None)
    for (axis, value), (seeds, figures) in _in_order(runs):
        cells = [_cell(n, figures, None if axis == "recipe" else recipe) for n in names]
        lines.append(f"| {axis} | {value} | {seeds} | " + " | ".join(cells) + " |")
    if any(seeds > 1 for seeds, _ in runs.values()):
        apart = [_seeds_apart(n, runs) for n in names]
        lines.append("| seeds apart | mean | | " + " | ".join(apart) + " |")
    return "\n".join(lines) + "\n"


_Figures = dict[str, tuple[FloatArray, FloatArray]]
"""Figure -> its value for each seed (S,), and the mean over seeds of its draws (draws,)."""


def _runs(folder: Path) -> dict[tuple[str, str], tuple[int, _Figures]]:
    """(axis, value) -> how many seeds, and what was found."""
    rows: dict[tuple[str, str], list[tuple[dict[str, Any], dict[str, FloatArray]]]] = {}
    windows = set()
    for path in sorted(folder.glob("*/judged.json")):
        row = json.loads(path.read_text())["row"]
        with np.load(path.with_name("draws.npz"), allow_pickle=False) as archive:
            draws = {name: archive[name] for name in archive.files}
        rows.setdefault((row["axis"], row["value"]), []).append((row, draws))
        windows.add(row["windows"])
    if not rows:
        raise TrainingError(f"{folder} holds no run that was judged")
    if len(windows) > 1:
        raise TrainingError(f"{folder} holds runs of {sorted(windows)} windows: not alike")
    return {
        key: (
            len(runs),
            {
                name: (
                    np.array([row[name]["mean"] for row, _ in runs]),
                    np.mean([draws[name] for _, draws in runs], axis=0),
                )
                for name in runs[0][1]
            },
        )
        for key, runs in rows.items()
    }


def _in_order(
    runs: Mapping[tuple[str, str], tuple[int, _Figures]],
) -> Iterable[tuple[tuple[str, str], tuple[int, _Figures]]]:
    place = {(v.axis, v.value): k for k, v in enumerate(TEACHER_VARIANTS)}
    return sorted(runs.items(), key=lambda item: place.get(item[0], len(place)))


def _cell(name: str, figures: _Figures, recipe: _Figures | None) -> str:
    if name not in figures:
        return "-"
    values, draws = figures[name]
    digits = 1 if name == "effective_rank" else 2 if name == "heart_rate_mae_bpm" else 3
    if recipe is None or name not in recipe:
        low, high = _quantiles(draws)
        return f"{values.mean():.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    low, high = _quantiles(draws - recipe[name][1])
    mean, change = values.mean(), values.mean() - recipe[name][0].mean()
    told = f"{mean:.{digits}f} ({change:+.{digits}f})"
    return f"**{told}**" if low > 0.0 or high < 0.0 else told


def _quantiles(draws: FloatArray) -> tuple[float, float]:
    known = draws[np.isfinite(draws)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _seeds_apart(name: str, runs: Mapping[tuple[str, str], tuple[int, _Figures]]) -> str:
    """Mean over variants of the largest less the smallest of their seeds."""
    spans = [
        float(np.ptp(figures[name][0]))
        for seeds, figures in runs.values()
        if seeds > 1 and name in figures
    ]
    return f"{np.mean(spans):.3f}" if spans else "-"

"""What matters in the teacher: small trainings that differ in one thing, judged alike.

As `plethprint_distill.sweep` does for distillation: nobody held out is looked at. Each run
trains on the people who do not judge, for equally many windows, and is then frozen and
asked by `plethprint_distill.teacher_jury`. A run that was stopped goes on, one that was
judged is not run again; several processes can share a folder on different axes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from plethprint.errors import TrainingError
from plethprint_distill.checkpoint import save_teacher
from plethprint_distill.pretrain import pretrain
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.run_state import read_state
from plethprint_distill.statistics import Estimate
from plethprint_distill.teacher_jury import Jury
from plethprint_distill.windows import WindowSet

__all__ = ["TEACHER_VARIANTS", "TeacherVariant", "teacher_sweep"]

_LOGGER = logging.getLogger(__name__)

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
    *_numbers("views", "views", 0.0),
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
        A row a run: axis, value, seed, windows, and the jury's `FIGURES` with their
        intervals over the judges (mean, low, high, people).

    Raises
    ------
    TrainingError
        If there is nobody to judge, nothing to train, or a run of the folder was begun with
        other settings.
    """
    if base.windows < base.batch or any(seed < 0 for seed in seeds):
        raise TrainingError(
            f"a run needs at least a batch of {base.batch} windows and a seed from 0 on"
        )
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
    """The row of a run that was finished, None where it was not; both are of `config`."""
    path, told = run / "judged.json", None
    if path.is_file():
        told = json.loads(path.read_text())
        begun = told["config"]
    else:
        state = read_state(run / "teacher.pt")
        begun = asdict(config) if state is None else state["config"]
    # A training alone would go on with another recipe; half of two would be compared here.
    for name, value in asdict(config).items():
        if begun.get(name, value) != value:
            raise TrainingError(
                f"{run} was begun with other settings ({name} {begun[name]}, not {value}): "
                "remove it, or name another folder"
            )
    return None if told is None else dict(told["row"])


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

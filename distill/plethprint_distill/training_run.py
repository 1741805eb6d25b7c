"""The loop that teacher and student share: steps, progress, metrics, checkpoints."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

__all__ = ["TrainingRun", "go_on", "read_metrics"]

_LOGGER = logging.getLogger(__name__)
_ROW_STEPS = 50
_SAVE_S = 60.0


class TrainingRun(Protocol):
    """What can take a step, knows how many it took, and can be written down."""

    step: int

    def run_step(self) -> dict[str, float]:
        """Take one step; give its losses by name, ``loss`` among them."""

    def save(self) -> None:
        """Write the checkpoint whole or not at all; of many ranks, every one calls it."""


def go_on(
    run: TrainingRun,
    folder: Path,
    *,
    windows: int,
    batch: int,
    progress: bool = True,
    leads: bool = True,
    agree: Callable[[bool], bool] = bool,
) -> None:
    """Run until `windows` were seen in all, from the step the run stands at.

    Mean losses of every 50 steps go to `folder`/metrics.jsonl; rows past the step that a
    resumed run goes on from are dropped first, so that each step is told once. Of many
    ranks only the one that `leads` writes; `agree` gives all of them its answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, steps, first = folder / "metrics.jsonl", windows // batch, run.step
    if leads:
        _drop_rows_past(path, first)
    sums: dict[str, list[float]] = {}
    started = saved = time.monotonic()
    bar = tqdm(
        total=steps,
        initial=first,
        unit="step",
        disable=not (progress and leads),
        mininterval=10,
    )
    with bar:
        while run.step < steps:
            for key, value in run.run_step().items():
                sums.setdefault(key, []).append(value)
            bar.update()
            if run.step % _ROW_STEPS and run.step < steps:
                continue
            rate = (run.step - first) * batch / (time.monotonic() - started)
            row = {
                "step": run.step,
                "windows": run.step * batch,
                "windows_per_s": round(rate, 1),
                **{k: round(float(np.mean(v)), 5) for k, v in sums.items()},
            }
            if leads:
                with path.open("a") as metrics:
                    metrics.write(json.dumps(row) + "\n")
            bar.set_postfix(loss=row["loss"])
            sums.clear()
            # Only where a row ends: a run that goes on from here makes whole rows again,
            # the same ones as a run that was never stopped.
            if agree(time.monotonic() - saved > _SAVE_S or run.step == steps):
                run.save()
                saved = time.monotonic()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of a metrics.jsonl; a line torn by a killed run is left out, and told of."""
    rows: list[dict[str, Any]] = []
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            step = row["step"]
        except (ValueError, KeyError, TypeError):
            step = None
        if isinstance(step, int):
            rows.append(row)
        else:
            _LOGGER.warning("%s: line %d is torn and left out", path, number)
    return rows


def _drop_rows_past(path: Path, step: int) -> None:
    """Replace the file at once, so that a kill here loses no row either."""
    kept = [row for row in read_metrics(path) if row["step"] <= step]
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in kept))
    part.replace(path)

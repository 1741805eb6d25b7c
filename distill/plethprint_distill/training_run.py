"""The loop that teacher and student share: steps, progress, metrics, checkpoints."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

__all__ = ["TrainingRun", "go_on"]

_ROW_STEPS = 50
_SAVE_S = 60.0


class TrainingRun(Protocol):
    """What can take a step, knows how many it took, and can be written down."""

    step: int

    def run_step(self) -> dict[str, float]:
        """Take one step; give its losses by name, ``loss`` among them."""

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""


def go_on(
    run: TrainingRun, folder: Path, *, windows: int, batch: int, progress: bool = True
) -> None:
    """Run until `windows` were seen in all, from the step the run stands at.

    Mean losses of every 50 steps go to `folder`/metrics.jsonl; rows past the step that a
    resumed run goes on from are dropped first, so that each step is told once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, steps, first = folder / "metrics.jsonl", windows // batch, run.step
    lines = path.read_text().splitlines() if path.is_file() else []
    kept = [line for line in lines if json.loads(line)["step"] <= first]
    path.write_text("".join(line + "\n" for line in kept))
    sums: dict[str, list[float]] = {}
    started = saved = time.monotonic()
    bar = tqdm(
        total=steps, initial=first, unit="step", disable=not progress, mininterval=10
    )
    with path.open("a") as metrics, bar:
        while run.step < steps:
            for key, value in run.run_step().items():
                sums.setdefault(key, []).append(value)
            bar.update()
            if run.step % _ROW_STEPS == 0 or run.step == steps:
                rate = (run.step - first) * batch / (time.monotonic() - started)
                row = {
                    "step": run.step,
                    "windows": run.step * batch,
                    "windows_per_s": round(rate, 1),
                    **{k: round(float(np.mean(v)), 5) for k, v in sums.items()},
                }
                metrics.write(json.dumps(row) + "\n")
                metrics.flush()
                bar.set_postfix(loss=row["loss"])
                sums.clear()
            if time.monotonic() - saved > _SAVE_S or run.step == steps:
                run.save()
                saved = time.monotonic()

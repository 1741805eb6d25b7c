"""Frozen probes along a training: what the fingerprint is worth after so many windows.

Losses and retrieval go on rising where probes stand still, or the other way round; so the
curve of a training that counts is this one. Each checkpoint of the teacher is settled on
training windows as the last one is, and its fingerprint from PPG alone is a row in the
same tasks that `plethprint evaluate` asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plethprint.errors import TrainingError
from plethprint_distill.benchmark import run_benchmark
from plethprint_distill.checkpoint import load_teacher
from plethprint_distill.embedder import Embedder
from plethprint_distill.labelled_windows import Library
from plethprint_distill.space import effective_rank, fingerprints, settle_space
from plethprint_distill.tasks.task import FIGURES, Task
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet

__all__ = ["PROBED", "ProbePoint", "draw_probe_curve", "probe_curve"]

PROBED = (
    "heart_rate_bidmc",
    "heart_rate_welltory",
    "rhythm_six",
    "af_rest",
    "hypertension",
    "age_ppg_bp",
    "stress",
)
"""Tasks of the curve: one of each family that PPG alone is asked."""


@dataclass(frozen=True)
class ProbePoint:
    """One figure of one checkpoint."""

    windows: int
    """Training windows that the checkpoint had seen."""
    task: str
    figure: str
    mean: float
    low: float
    high: float
    """95 % over people."""


def probe_curve(
    checkpoints: Mapping[int, Path],
    settle_on: WindowSet,
    library: Library,
    tasks: Sequence[Task],
    *,
    draws: int = 200,
    progress: bool = True,
) -> list[ProbePoint]:
    """Probe teachers' checkpoints, named by the windows that each had seen.

    Parameters
    ----------
    checkpoints
        Windows seen -> teacher.pt or teacher.npz.
    settle_on
        Paired training windows, without context, to settle each fingerprint space on.

    Raises
    ------
    TrainingError
        If there is no checkpoint.
    PackageIncompatibleError
        If a file is no teacher.
    """
    if not checkpoints:
        raise TrainingError("a curve needs a checkpoint at least")
    points, rows = [], []
    for windows, path in sorted(checkpoints.items()):
        teacher = load_teacher(path)
        settle_space(teacher, settle_on)
        rank = effective_rank(fingerprints(teacher, settle_on, ("ppg",)))
        points.append(ProbePoint(windows, "effective rank", "rank", rank, rank, rank))
        rows.append(_row(str(windows), teacher))
    found = run_benchmark(library, rows, tasks, draws=draws, progress=progress)
    for result in found.results:
        name = result.task.figures[0]
        for row in result.rows:
            if row.model.isdigit():
                told = row.figures[name].interval
                points.append(
                    ProbePoint(
                        int(row.model),
                        result.task.name,
                        name,
                        told.mean,
                        told.low,
                        told.high,
                    )
                )
    return points


def _row(name: str, teacher: M2AE) -> Embedder:
    return Embedder(
        name,
        "ours",
        "ppg",
        lambda windows: fingerprints(teacher, windows, ("ppg",)),
    )


def draw_probe_curve(
    points: Sequence[ProbePoint],
    path: Path,
    *,
    rivals: Mapping[str, Mapping[str, float]] | None = None,
    breaks: Mapping[int, str] | None = None,
) -> None:
    """One panel a task, its first figure over the windows, with intervals over people.

    Parameters
    ----------
    rivals
        Task -> name -> figure, drawn as level lines.
    breaks
        Windows -> what changed there, drawn as upright lines.
    """
    # Without pyplot: it would keep the figure and look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys((p.task, p.figure) for p in points))
    columns = 4
    lines = -(-len(tasks) // columns)
    figure = Figure(figsize=(12.0, 2.4 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (task, name) in enumerate(tasks):
        axes = figure.add_subplot(lines, columns, place + 1)
        own = sorted((p for p in points if p.task == task), key=lambda p: p.windows)
        seen = [p.windows / 1e6 for p in own]
        axes.fill_between(seen, [p.low for p in own], [p.high for p in own], alpha=0.15)
        axes.plot(seen, [p.mean for p in own], "o-", markersize=3, linewidth=1.4)
        for label, value in (rivals or {}).get(task, {}).items():
            axes.axhline(value, linewidth=0.8, linestyle="--", color="0.4")
            axes.text(seen[0], value, label, fontsize=6, va="bottom", color="0.3")
        for windows in breaks or {}:
            axes.axvline(windows / 1e6, linewidth=0.8, color="0.8")
        known = FIGURES[name].title if name in FIGURES else name
        axes.set_title(f"{task.replace('_', ' ')}: {known}", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("million windows", fontsize=7)
    if breaks:
        told = "; ".join(f"{w / 1e6:.2f} M: {what}" for w, what in breaks.items())
        figure.supxlabel(told, fontsize=7)
    metadata: dict[str, Any] = (
        {"Date": None} if path.suffix == ".svg" else {"Software": None}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata=metadata)

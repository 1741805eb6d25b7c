"""Training curves: the metrics of one run or of several, as one figure.

A row of a metrics.jsonl is the mean over the steps before it. Losses that only some kinds
of step have are absent from rows without such a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plethprint.errors import TrainingError
from plethprint_distill.training_run import read_metrics

__all__ = ["draw_training", "training_curves"]

_NOT_LOSSES = ("step", "windows", "windows_per_s", "scale")
Rows = Sequence[Mapping[str, Any]]


def training_curves(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Draw the runs in `folders` into `out`, PNG or SVG by its name.

    Returns
    -------
    dict
        For each run how many windows it saw and its last row.

    Raises
    ------
    TrainingError
        If a folder holds no metrics, or `out` is neither .png nor .svg.
    """
    if out.suffix not in (".png", ".svg"):
        raise TrainingError(f"a figure is a .png or an .svg, not {out.name}")
    runs = {}
    for folder in folders:
        rows = read_metrics(folder / "metrics.jsonl")
        if not rows:
            raise TrainingError(f"{folder} holds no metrics.jsonl with a row in it")
        runs[str(folder)] = rows
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_training(runs, out)
    return {"figure": str(out), "runs": {name: rows[-1] for name, rows in runs.items()}}


def draw_training(runs: Mapping[str, Rows], path: Path) -> None:
    """Draw each loss, the learned temperature and the windows a second, over the windows.

    `runs` maps a label to its rows. Points are the rows; the line is their running mean
    over nine rows.
    """
    # Without pyplot: it would keep the figure and look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = dict.fromkeys(k for rows in runs.values() for row in rows for k in row)
    panels = [name for name in names if name not in _NOT_LOSSES]
    panels += [name for name in ("scale", "windows_per_s") if name in names]
    columns = 3
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(11.0, 2.3 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(panels):
        axes = figure.add_subplot(lines, columns, place + 1)
        for label, rows in runs.items():
            told = [row for row in rows if name in row]
            windows = [row["windows"] / 1e6 for row in told]
            values = [_shown(name, row[name]) for row in told]
            (line,) = axes.plot(windows, _running_mean(values), linewidth=1.4, label=label)
            axes.plot(windows, values, ".", markersize=2, alpha=0.3, color=line.get_color())
        axes.set_title(_title(name), fontsize=9)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("million windows", fontsize=7)
    if len(runs) > 1:
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left")
    # No date in the file: the same metrics give the same bytes.
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, dpi=120, metadata=metadata)


def _title(name: str) -> str:
    known = {"scale": "temperature of the contrast", "windows_per_s": "windows a second"}
    return known.get(name, name.replace("_", " "))


def _shown(name: str, value: float) -> float:
    """The metrics tell one over the temperature."""
    return 1.0 / value if name == "scale" else value


def _running_mean(values: Sequence[float], half: int = 4) -> list[float]:
    means = []
    for place in range(len(values)):
        # As many on either side, so that an end is not pulled inwards.
        reach = min(half, place, len(values) - 1 - place)
        near = values[place - reach : place + reach + 1]
        means.append(sum(near) / len(near))
    return means

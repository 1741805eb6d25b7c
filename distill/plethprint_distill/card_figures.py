"""Pictures of a model for its card: painted waves, the map of fingerprints, parity.

All of them are of people held out, chosen by a fixed seed and not by how well they came
out. Same models and same windows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plethprint.agreement import centred_cosine
from plethprint.quality import assess
from plethprint.signal import ECG, PPG
from plethprint_distill.evaluate import student_vectors, unit_rows
from plethprint_distill.physiology import TARGETS
from plethprint_distill.reconstruction import paint
from plethprint_distill.space import fingerprints
from plethprint_distill.student import Student
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet

__all__ = ["draw_card_figures", "draw_map", "draw_painted", "draw_parity"]

_RATE = TARGETS.index("log_heart_rate")
_VARIATION = TARGETS.index("log_interval_cv")
_PEOPLE = 4
_PAIRS = 4000


def draw_card_figures(
    teacher: M2AE,
    student: Student,
    test: Mapping[str, WindowSet],
    folder: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Draw painted.svg, map.svg and parity.svg into `folder`.

    Parameters
    ----------
    test
        Corpus -> windows of people held out; painted waves and the map are of the first
        corpus whose windows are pairs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A corpus of ECG alone has no part in what a PPG gives.
    test = {n: w for n, w in test.items() if np.asarray(w.has_ppg).any()}
    paired = {
        name: w.take(np.flatnonzero(np.asarray(w.has_ecg & w.has_ppg)))
        for name, w in test.items()
    }
    name, pairs = next((n, w) for n, w in paired.items() if len(w))
    painted, plane, parity = (folder / f"{n}.svg" for n in ("painted", "map", "parity"))
    say(f"{painted.name}, {plane.name}: {name}")
    draw_painted(teacher, pairs, painted)
    draw_map(teacher, student, pairs, plane)
    say(f"{parity.name}: {', '.join(test)}")
    draw_parity(teacher, student, test, parity)
    return [painted, plane, parity]


def draw_painted(teacher: M2AE, pairs: WindowSet, path: Path, *, seed: int = 0) -> None:
    """True and painted waves, each from the other modality alone; one window a person."""
    rng = np.random.default_rng(seed)
    person = np.asarray(pairs.person)
    people = rng.permutation(np.unique(person))[:_PEOPLE]
    rows = np.sort([rng.choice(np.flatnonzero(person == who)) for who in people])
    chosen = pairs.take(rows)
    figure = _figure(11.0, 1.5 * len(rows))
    for column, (spec, other) in enumerate(((ECG, "ppg"), (PPG, "ecg"))):
        true = np.asarray(getattr(chosen, spec.name), np.float32) * spec.input_scale
        painted = paint(teacher, np.asarray(getattr(chosen, other)), other, spec.name)
        time_s = np.arange(true.shape[1]) / spec.rate_hz
        for line in range(len(rows)):
            axes = figure.add_subplot(len(rows), 2, 2 * line + column + 1)
            axes.plot(time_s, true[line], color="0.6", linewidth=0.9, label="recorded")
            axes.plot(time_s, painted[line], color="C3", linewidth=0.9, label="painted")
            axes.set_yticks([])
            axes.tick_params(labelsize=6)
            if line == 0:
                axes.set_title(
                    f"{spec.name.upper()} from {other.upper()} alone, sd", fontsize=8
                )
                axes.legend(fontsize=6, loc="upper right")
    figure.supxlabel("s", fontsize=7)
    _save(figure, path)


def draw_map(
    teacher: M2AE, student: Student, pairs: WindowSet, path: Path, *, windows: int = 600
) -> None:
    """First two principal components of the teacher's space, in four colourings.

    By heart rate, rhythm (how much the ECG's intervals vary: few corpora name rhythms),
    quality (`plethprint.quality.assess`) and person.

    The student's fingerprints are put on the axes of the teacher's: where the two clouds
    have the same shape the student has learnt the space, not only single cosines.
    """
    rows = np.sort(np.random.default_rng(0).permutation(len(pairs))[:windows])
    chosen = pairs.take(rows)
    both = fingerprints(teacher, chosen, ("ppg", "ecg"))
    clouds = {
        "teacher, ECG + PPG": both,
        "teacher, PPG alone": fingerprints(teacher, chosen, ("ppg",)),
        "student, PPG": unit_rows(student_vectors(student, chosen.ppg)),
    }
    _, share, axes_of = np.linalg.svd(both - both.mean(axis=0), full_matrices=False)
    told = share[:2] ** 2 / (share**2).sum()
    targets = np.asarray(chosen.targets, np.float64)
    _, who = np.unique(np.asarray(chosen.person), return_inverse=True)
    colourings = (
        ("heart rate, bpm", np.exp(targets[:, _RATE]), "viridis"),
        ("rhythm: log of interval variation", targets[:, _VARIATION], "plasma"),
        ("quality, 0 to 1", assess(np.asarray(chosen.ppg)), "cividis"),
        ("", who % 20, "tab20"),
    )
    figure = _figure(11.0, 12.0)
    for column, (name, vectors) in enumerate(clouds.items()):
        flat = (vectors - vectors.mean(axis=0)) @ axes_of[:2].T
        for line, (label, colour, scale) in enumerate(colourings):
            axes = figure.add_subplot(len(colourings), 3, 3 * line + column + 1)
            points = axes.scatter(
                *flat.T, c=colour, cmap=scale, s=5, linewidths=0, rasterized=True
            )
            axes.tick_params(labelsize=6)
            if line == 0:
                axes.set_title(name, fontsize=8)
            if column == 2 and label:
                figure.colorbar(points, ax=axes).set_label(label, fontsize=7)
    figure.supxlabel(
        f"principal components 1 and 2 ({told[0]:.0%} and {told[1]:.0%} of the variance); "
        "last row: a colour a person",
        fontsize=7,
    )
    _save(figure, path)


def draw_parity(
    teacher: M2AE, student: Student, test: Mapping[str, WindowSet], path: Path
) -> None:
    """How alike two windows are to the teacher, against how alike they are to the student.

    Beside it the centred cosine of each window's own two fingerprints, as a histogram.
    """
    names = list(test)
    figure = _figure(11.0, 2.6 * len(names))
    for line, name in enumerate(names):
        windows = test[name]
        windows = windows.take(np.flatnonzero(np.asarray(windows.has_ppg)))
        theirs = fingerprints(teacher, windows, ("ppg",))
        ours = unit_rows(student_vectors(student, windows.ppg))
        rng = np.random.default_rng(0)
        a, b = rng.integers(0, len(windows), (2, _PAIRS))
        a, b = a[a != b], b[a != b]
        axes = figure.add_subplot(len(names), 2, 2 * line + 1)
        axes.hexbin(
            (theirs[a] * theirs[b]).sum(axis=1),
            (ours[a] * ours[b]).sum(axis=1),
            gridsize=45,
            mincnt=1,
            bins="log",
            cmap="magma_r",
            rasterized=True,
        )
        axes.axline((0.0, 0.0), slope=1.0, color="0.5", linewidth=0.8)
        axes.set_title(f"{name}: cosine of two windows", fontsize=8)
        axes.set_xlabel("teacher, PPG alone", fontsize=7)
        axes.set_ylabel("student", fontsize=7)
        axes.tick_params(labelsize=6)
        axes = figure.add_subplot(len(names), 2, 2 * line + 2)
        own = centred_cosine(ours, theirs)
        axes.hist(own, bins=np.linspace(0.0, 1.0, 51).tolist(), color="C0")
        axes.axvline(float(np.mean(own)), color="C3", linewidth=1.0)
        axes.set_title(
            f"{name}: centred cosine, mean {np.mean(own):.3f}, "
            f"5th percentile {np.percentile(own, 5):.3f}",
            fontsize=8,
        )
        axes.tick_params(labelsize=6)
    _save(figure, path)


def _figure(width_in: float, height_in: float) -> Any:
    # Without pyplot: it would keep the figure and look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    """No date and no random ids in the file: the same picture is the same bytes."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none"}):
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=110, metadata=metadata)

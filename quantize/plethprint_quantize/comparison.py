"""What each way of quantising costs: int8 against float, on people held out.

Every recipe goes the whole way, through the converter to a ``.tflite`` that tflite-micro
runs; or, for a quick look and where there is no converter, int8 is pretended in torch.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.agreement import centred_cosine, neighbour_overlap
from plethprint.errors import PackageIncompatibleError
from plethprint_distill.statistics import estimate, mean_over_people
from plethprint_distill.windows import WindowSet
from plethprint_quantize.calibrate import choose_windows, float_fingerprints
from plethprint_quantize.checkpoint import load_ranges, load_student, load_windows
from plethprint_quantize.export import fold
from plethprint_quantize.held_out import held_out_windows
from plethprint_quantize.recipe import Recipe, RecipeBuilder

__all__ = ["GOAL", "compare", "markdown"]

_LOGGER = logging.getLogger(__name__)

GOAL = {"centred_cosine": 0.99, "overlap_at_10": 0.9}
"""Least agreement of int8 with float that a shipped student is to have, on each corpus."""

_CALIBRATED = (
    "min-max",
    "p99.99",
    "p99.9",
    "mse",
    "min-max+equalize",
    "min-max+bias",
    "mse+bias",
    "min-max+equalize+bias",
    "mse+equalize+bias",
)
_LEARNED = ("learned", "learned+bias")

FloatArray = npt.NDArray[np.float64]


def compare(
    student: Path,
    data: Path,
    *,
    recipes: Sequence[str] | None = None,
    calibration: Path | None = None,
    teacher: Path | None = None,
    count: int = 512,
    seed: int = 0,
    cache: Path | None = None,
    pretend: bool = False,
) -> dict[str, Any]:
    """Quantise a student in several ways and hold each against its float form.

    Parameters
    ----------
    student
        ``student.pt``, or the folder that holds it and ``calibration.npy``.
    data
        Folder of the corpora's folders; see `held_out_windows`.
    recipes
        What `Recipe.parse` reads; by default all that this student can be quantised with.
    calibration
        Int8 windows of training people, over those beside the student.
    teacher
        A teacher's file: also tell how int8 and float agree with it, on PPG alone.
    count, seed
        Calibration windows and the seed of their draw.
    cache
        Where held-out windows are kept.
    pretend
        Round in torch (`rounded_fingerprints`) instead of converting and running.

    Returns
    -------
    dict
        JSON-ready. ``runtime``: tflite-micro or pretended. ``corpora``: windows and
        people. ``recipes``: for each recipe and each corpus ``centred_cosine``,
        ``centred_cosine_p5``, ``overlap_at_10`` (and ``teacher_centred_cosine``) as mean,
        low and high over people. ``float``: the float student against the teacher.
        ``goal`` and ``reached``: recipes whose means are at the goal on every corpus.

    Raises
    ------
    PackageIncompatibleError
        A recipe is not known, or needs learned ranges that are not there.
    RecordingError, WindowShapeError, MissingExtraError
        Corpora, calibration windows or a converter are missing.
    """
    network, learned = load_student(student), load_ranges(student)
    names = tuple(recipes or (*(_LEARNED if learned else ()), *_CALIBRATED))
    parsed = {name: Recipe.parse(name) for name in names}
    if learned is None and any(recipe.ranges == "learned" for recipe in parsed.values()):
        raise PackageIncompatibleError(f"{student} holds no learned ranges")
    beside = student if student.is_dir() else student.parent
    setters = choose_windows(
        load_windows(calibration or beside / "calibration.npy"), count=count, seed=seed
    )
    held_out = held_out_windows(data, cache=cache)
    deploy = fold(network)
    exact = {
        corpus: float_fingerprints(deploy, np.asarray(windows.ppg))
        for corpus, windows in held_out.items()
    }
    targets = _targets(teacher, held_out)
    builder = RecipeBuilder(deploy, learned, setters, pretend)
    rows: dict[str, dict[str, Any]] = {}
    for name, recipe in parsed.items():
        run = builder.build(recipe)
        rows[name] = {
            corpus: _figures(
                run(np.asarray(windows.ppg)),
                exact[corpus],
                targets.get(corpus),
                windows.person,
            )
            for corpus, windows in held_out.items()
        }
        _LOGGER.info("%s: %s", name, _brief(rows[name]))
    return {
        "student": str(student),
        "runtime": "pretended" if pretend else "tflite-micro",
        "corpora": {
            corpus: {"windows": len(w), "people": len(np.unique(w.person))}
            for corpus, w in held_out.items()
        },
        "float": {
            corpus: {"teacher_centred_cosine": _with_teacher(vectors, targets[corpus], w)}
            for corpus, vectors in exact.items()
            if corpus in targets
            for w in (held_out[corpus].person,)
        },
        "recipes": rows,
        "goal": GOAL,
        "reached": [name for name, row in rows.items() if _reaches(row)],
    }


def markdown(found: dict[str, Any]) -> str:
    """The result of `compare` as a table for a text."""
    lines = []
    for corpus, counts in found["corpora"].items():
        told = "teacher_centred_cosine" in next(iter(found["recipes"].values()))[corpus]
        lines += [
            f"{corpus}: {counts['windows']} windows of {counts['people']} people, int8 in "
            f"{found['runtime']}",
            "",
            "| recipe | centred cosine | 5th percentile | overlap@10 |"
            + (" centred cosine to the teacher |" if told else ""),
            "|---" * (5 if told else 4) + "|",
        ]
        if told:
            figure = found["float"][corpus]["teacher_centred_cosine"]
            lines.append(f"| float | 1 | 1 | 1 | {_cell(figure)} |")
        for name, row in found["recipes"].items():
            cells = " | ".join(_cell(figure) for figure in row[corpus].values())
            lines.append(f"| {name} | {cells} |")
        lines.append("")
    goal = ", ".join(f"{name} >= {least}" for name, least in found["goal"].items())
    lines.append(f"Goal ({goal}): {', '.join(found['reached']) or 'not reached'}.")
    return "\n".join(lines) + "\n"


def _targets(
    teacher: Path | None, held_out: dict[str, WindowSet]
) -> dict[str, npt.NDArray[np.float32]]:
    if teacher is None:
        return {}
    from plethprint_distill.checkpoint import load_teacher
    from plethprint_distill.space import fingerprints

    model = load_teacher(teacher)
    return {corpus: fingerprints(model, w, ("ppg",)) for corpus, w in held_out.items()}


def _figures(
    int8: npt.ArrayLike,
    exact: npt.ArrayLike,
    target: npt.ArrayLike | None,
    person: npt.NDArray[np.str_],
) -> dict[str, dict[str, float]]:
    person = np.asarray(person)
    closeness = centred_cosine(int8, exact)
    figures = {
        "centred_cosine": _rounded(asdict(mean_over_people(closeness, person))),
        "centred_cosine_p5": _fifth_percentile(closeness, person),
        "overlap_at_10": _rounded(
            asdict(mean_over_people(neighbour_overlap(int8, exact, 10), person))
        ),
    }
    if target is not None:
        figures["teacher_centred_cosine"] = _with_teacher(int8, target, person)
    return figures


def _with_teacher(
    vectors: npt.ArrayLike, target: npt.ArrayLike, person: npt.NDArray[np.str_]
) -> dict[str, float]:
    closeness = centred_cosine(vectors, target)
    return _rounded(asdict(mean_over_people(closeness, np.asarray(person))))


def _fifth_percentile(values: FloatArray, person: npt.NDArray[np.str_]) -> dict[str, float]:
    """The value that one window in twenty is below, its interval over people."""
    order = np.argsort(values)

    def metric(weights: FloatArray) -> FloatArray:
        share = np.cumsum(weights[:, order], axis=1)
        first = (share < 0.05 * share[:, -1:]).sum(axis=1)
        return np.asarray(values[order][np.minimum(first, len(values) - 1)])

    return _rounded(asdict(estimate(metric, person).interval))


def _rounded(figure: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 5) for key, value in figure.items()}


def _reaches(row: dict[str, dict[str, dict[str, float]]]) -> bool:
    return all(
        figures[name]["mean"] >= least
        for figures in row.values()
        for name, least in GOAL.items()
    )


def _brief(row: dict[str, dict[str, dict[str, float]]]) -> str:
    return ", ".join(
        f"{corpus} {figures['centred_cosine']['mean']:.4f}"
        for corpus, figures in row.items()
    )


def _cell(figure: dict[str, float]) -> str:
    return f"{figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"

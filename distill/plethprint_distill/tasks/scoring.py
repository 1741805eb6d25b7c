"""Predictions to figures with intervals, and rows to comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from plethprint_distill import metrics
from plethprint_distill.embedder import STUDENT_INT8
from plethprint_distill.probes import Prediction
from plethprint_distill.statistics import (
    Comparison,
    Estimate,
    Interval,
    delong,
    estimate,
    holm,
    paired_bootstrap,
    paired_permutation,
)
from plethprint_distill.tasks.task import FloatArray, Problem, Row, Task

__all__ = ["compare_rows", "plain", "scored", "take_holm"]


def scored(
    problem: Problem,
    task: Task,
    model: str,
    family: str,
    prediction: Prediction,
    draws: int,
) -> Row:
    """A row: every figure of the task, over people drawn anew."""
    asked = _asked(problem)
    truth, person = problem.labels[asked], problem.person[asked]
    score, value = prediction.score[:, asked], prediction.value[:, asked]
    figures: dict[str, Estimate] = {}
    curve = None

    def over_people(metric: Callable[[int, FloatArray], FloatArray]) -> Estimate:
        """Mean over repeats of a figure, people drawn anew."""
        repeats = range(len(score))
        return estimate(
            lambda w: np.mean([metric(r, w) for r in repeats], axis=0),
            person,
            draws=draws,
        )

    if problem.kind == "number":
        error = np.abs(value[:, :, 0] - truth[:, 0]).mean(axis=0)
        figures["mae"] = estimate(
            lambda w: metrics.mean_by_person(error, person, w), person, draws=draws
        )
        figures["r"] = over_people(
            lambda r, w: metrics.pearson(truth[:, 0], score[r, :, 0], w)
        )
        loss = error
    else:
        yes = truth > 0.5
        if problem.kind == "binary":
            areas = [metrics.auroc_of_people(yes[:, 0], s[:, 0], person) for s in score]
            figures["auroc"] = over_people(lambda r, w: areas[r](w))
            loss = score[:, :, 0]
        elif problem.kind == "within":
            each = _within(yes[:, 0], score[:, :, 0], person)
            figures["within_auroc"] = estimate(
                lambda w: metrics.mean_by_person(each, person, w), person, draws=draws
            )
            loss = each
        else:
            columns = [
                [
                    metrics.auroc_of_people(yes[:, k], s[:, k], person)
                    for k in range(yes.shape[1])
                ]
                for s in score
            ]
            figures["macro_auroc"] = over_people(
                lambda r, w: metrics.mean_of_known(np.stack([c(w) for c in columns[r]]))
            )
            loss = None
        if float(value.min()) >= 0.0 and float(value.max()) <= 1.0:
            figures["brier"] = over_people(lambda r, w: metrics.brier(yes, value[r], w))
            stacked = np.broadcast_to(yes, value.shape)
            figures["ece"] = plain(
                metrics.calibration_error(stacked.ravel(), value.ravel()), person
            )
            curve = metrics.reliability(stacked.ravel(), value.ravel())
    kept = {name: figures[name] for name in task.figures if name in figures}
    groups = _groups(problem, asked, score, value)
    return Row(model, family, kept, curve=curve, groups=groups, loss=loss)


def plain(value: float, person: np.ndarray) -> Estimate:
    """A figure without an interval."""
    nan = float("nan")
    return Estimate(Interval(float(value), nan, nan, len(np.unique(person))), np.empty(0))


def compare_rows(problem: Problem, rows: Sequence[Row], task: Task) -> None:
    """Compare every row with the int8 student, and correct for their number."""
    ours = next((row for row in rows if row.model == STUDENT_INT8), None)
    if ours is None:
        return
    asked = _asked(problem)
    person, yes = problem.person[asked], problem.labels[asked] > 0.5
    first = task.figures[0]
    for row in rows:
        if row is ours:
            continue
        if ours.loss is None or row.loss is None:
            row.versus = paired_bootstrap(ours.figures[first], row.figures[first])
        elif problem.kind == "binary":
            row.versus = delong(yes[:, 0], ours.loss, row.loss, person)
        else:
            row.versus = paired_permutation(ours.loss, row.loss, person)
    take_holm(rows)


def take_holm(rows: Sequence[Row]) -> None:
    """Correct the rows' p values for how many rows were compared."""
    compared: list[tuple[Row, Comparison]] = [
        (row, row.versus) for row in rows if row.versus is not None
    ]
    for (row, _), p in zip(compared, holm([c.p for _, c in compared]), strict=True):
        row.p_corrected = float(p)


def _asked(problem: Problem) -> np.ndarray:
    return np.unique(
        np.concatenate([fold.test for partition in problem.repeats for fold in partition])
    )


def _within(yes: np.ndarray, score: FloatArray, person: np.ndarray) -> FloatArray:
    """Each person's AUROC, at all of their rows; NaN without both kinds."""
    each = np.full(len(yes), np.nan)
    for name in np.unique(person):
        own = person == name
        each[own] = np.mean([metrics.auroc(yes[own], s[own])[0] for s in score])
    return each


def _groups(
    problem: Problem, asked: np.ndarray, score: FloatArray, value: FloatArray
) -> dict[str, float]:
    """The first figure on named units: one figure each, no interval."""
    told: dict[str, float] = {}
    truth = problem.labels[asked]
    for name, mask in problem.groups.items():
        own = mask[asked]
        if problem.kind == "number":
            told[name] = float(np.abs(value[:, own, 0] - truth[own, 0]).mean())
        else:
            told[name] = float(
                np.mean([metrics.auroc(truth[own, 0] > 0.5, s[own, 0])[0] for s in score])
            )
    for k, name in enumerate(problem.class_names):
        told[name] = float(
            np.mean([metrics.auroc(truth[:, k] > 0.5, s[:, k])[0] for s in score])
        )
    return told

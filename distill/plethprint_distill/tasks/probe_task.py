"""Tasks asked by a linear probe on frozen features; the most of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint_distill.embedder import STUDENT_INT8, Embedder
from plethprint_distill.labelled_windows import Library
from plethprint_distill.probes import Prediction, probe
from plethprint_distill.tasks.scoring import compare_rows, scored
from plethprint_distill.tasks.task import (
    Context,
    FloatArray,
    Problem,
    Supervised,
    Task,
    TaskResult,
    windows_of_parts,
)

__all__ = ["ProbeTask", "unit_means"]


@dataclass
class ProbeTask(Task):
    """A task that poses a `Problem`."""

    name: str
    title: str
    section: str
    sets: tuple[str, ...]
    figures: tuple[str, ...]
    unit: str
    about: str
    null: str
    traps: str
    pose: Callable[[Library], Problem]
    modality: str = "ppg"
    in_macro: bool = False
    work: float = 0.5

    def run(self, context: Context) -> TaskResult:
        """Probe every embedder, then the controls and what needs no fit."""
        problem = self.pose(context.library)
        rows = []

        def add(model: str, family: str, prediction: Prediction) -> None:
            rows.append(scored(problem, self, model, family, prediction, context.draws))
            context.tick(f"{self.name}: {model}")

        student: FloatArray | None = None
        for embedder in self.embedders(context):
            features = _features(problem, context, embedder)
            if embedder.name == STUDENT_INT8:
                student = features
            add(embedder.name, embedder.family, _probed(problem, features))
        for name, values in problem.controls.items():
            add(name, "control", _probed(problem, values))
            if problem.join_controls and student is not None:
                both = np.concatenate([student, values], axis=1)
                add(f"{STUDENT_INT8} + {name}", "ours", _probed(problem, both))
                student = None  # with the first control alone
        for learner in problem.supervised:
            made = _supervised(problem, context.library, learner)
            add(learner.name, learner.family, made)
        for name, values in problem.direct.items():
            table = values.reshape(len(values), -1)[None]
            add(name, "baseline", Prediction(table, table))
        if problem.kind == "number":
            add("mean of training", "null", _mean_of_training(problem))
        compare_rows(problem, rows, self)
        return TaskResult(
            self, rows, int(tested(problem).sum()), _people(problem), notes=[]
        )


def unit_means(
    features: npt.NDArray[np.floating], unit: npt.NDArray[np.intp], count: int
) -> npt.NDArray[np.floating]:
    """Mean over the windows of each unit, (count, F)."""
    if len(unit) == count and (unit == np.arange(count)).all():
        return features
    order = np.argsort(unit, kind="stable")
    starts = np.searchsorted(unit[order], np.arange(count))
    sums = np.add.reduceat(features[order], starts, axis=0)
    means: npt.NDArray[np.floating] = sums / np.bincount(unit, minlength=count)[:, None]
    return means


def tested(problem: Problem) -> npt.NDArray[np.bool_]:
    """(U,) units that some fold tests."""
    mask = np.zeros(len(problem.labels), np.bool_)
    for partition in problem.repeats:
        for fold in partition:
            mask[fold.test] = True
    return mask


def _people(problem: Problem) -> int:
    return len(np.unique(problem.person[tested(problem)]))


def _features(problem: Problem, context: Context, embedder: Embedder) -> FloatArray:
    parts = [
        context.features.of(embedder, part.set_name)[part.rows] for part in problem.parts
    ]
    features = parts[0] if len(parts) == 1 else np.concatenate(parts)
    means: FloatArray = unit_means(features, problem.unit, len(problem.labels))  # type: ignore[assignment]
    return means


def _probed(problem: Problem, features: FloatArray) -> Prediction:
    if problem.kind == "within":
        _, inverse, counts = np.unique(
            problem.person, return_inverse=True, return_counts=True
        )
        sums = np.zeros((len(counts), features.shape[1]))
        np.add.at(sums, inverse, features)
        features = features - (sums / counts[:, None])[inverse]
    return probe(
        features,
        problem.labels,
        problem.person,
        problem.repeats,
        classes=problem.kind != "number",
        balanced=problem.kind != "labels",
    )


def _mean_of_training(problem: Problem) -> Prediction:
    value = np.full((len(problem.repeats), *problem.labels.shape), np.nan)
    for r, partition in enumerate(problem.repeats):
        for fold in partition:
            value[r, fold.test] = problem.labels[fold.train].mean(axis=0)
    return Prediction(np.zeros_like(value) + 0 * value, value)


def _supervised(problem: Problem, library: Library, learner: Supervised) -> Prediction:
    """Fit on each fold of the first repeat; windows carry their unit's labels."""
    sets = windows_of_parts(library, problem.parts)
    signal = np.concatenate([getattr(s.windows, learner.modality) for s in sets])
    value = np.full((1, *problem.labels.shape), np.nan)
    score = value.copy()
    for fold in problem.repeats[0]:
        # One window of each unit that fits: several would tell little new, at their price.
        _, firsts = np.unique(problem.unit, return_index=True)
        fits = firsts[fold.train]
        asked = np.isin(problem.unit, fold.test)
        chance, usual = learner.fit_predict(
            np.asarray(signal[fits]),
            problem.labels[fold.train],
            problem.person[fold.train],
            np.asarray(signal[asked]),
        )
        places, unit = np.unique(problem.unit[asked], return_inverse=True)
        value[0, places] = unit_means(chance, unit, len(places))
        # As of a probe's: networks of different folds have no common zero.
        score[0, places] = _log_odds(value[0, places]) - _log_odds(usual).mean(axis=0)
    return Prediction(score, value)


def _log_odds(chance: npt.NDArray[np.floating]) -> FloatArray:
    bounded = np.clip(np.asarray(chance, np.float64), 1e-6, 1 - 1e-6)
    odds: FloatArray = np.log(bounded / (1 - bounded))
    return odds

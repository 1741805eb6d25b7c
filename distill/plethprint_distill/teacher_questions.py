"""What a small teacher's frozen fingerprints are asked by linear probes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint_distill.metrics import auroc_of_people, mean_by_person, pearson
from plethprint_distill.physiology import log_with_floor, target_column
from plethprint_distill.teacher_targets import SPOILED_RATIO
from plethprint_distill.windows import WindowSet
from plethprint_sim.rhythm import AF

__all__ = ["PAIRS", "QUESTIONS", "Question"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """A label of windows that a probe reads from the frozen fingerprint."""

    pools: tuple[str, ...]
    label: Callable[[WindowSet], FloatArray]
    """(N,); NaN where it is not known. Of classes 0 and 1."""
    figure: str
    """mae, r or auroc."""

    def metric(
        self, truth: FloatArray, value: FloatArray, person: npt.NDArray[np.str_]
    ) -> Callable[[FloatArray], FloatArray]:
        """The figure of what was said, (N,) each, as a function of weights (D, N)."""
        if self.figure == "auroc":
            return auroc_of_people(truth > 0.5, value, person)
        if self.figure == "r":
            return lambda weights: pearson(truth, value, weights)
        error = np.abs(truth - value)
        return lambda weights: mean_by_person(error, person, weights)


def _target(name: str) -> Callable[[WindowSet], FloatArray]:
    column = target_column(name)
    return lambda w: np.asarray(w.targets[:, column], np.float64)


def _exponential(name: str) -> Callable[[WindowSet], FloatArray]:
    read = _target(name)
    return lambda w: np.exp(read(w))


def _above(name: str, bar: float) -> Callable[[WindowSet], FloatArray]:
    read = _target(name)

    def label(windows: WindowSet) -> FloatArray:
        value = read(windows)
        return np.where(np.isfinite(value), value > bar, np.nan)

    return label


def _fibrillates(windows: WindowSet) -> FloatArray:
    return np.asarray(np.asarray(windows.rhythm) == AF, np.float64)


PAIRS = ("bidmc", "uci")

QUESTIONS: dict[str, Question] = {
    "heart_rate_mae_bpm": Question(("bidmc",), _exponential("log_heart_rate"), "mae"),
    "interval_variation_r": Question(PAIRS, _target("log_interval_cv"), "r"),
    "early_beats_auroc": Question(PAIRS, _above("early_share", 0.0), "auroc"),
    "late_beats_auroc": Question(PAIRS, _above("late_share", 0.0), "auroc"),
    "systolic_r": Question(("uci",), _exponential("log_sbp"), "r"),
    "disturbed_auroc": Question(
        ("sensors",),
        _above("log_disturbance", float(log_with_floor(SPOILED_RATIO))),
        "auroc",
    ),
    "af_from_ecg_auroc": Question(("ecg",), _fibrillates, "auroc"),
}

"""Cross-modal reconstruction: the ECG of a moment from its PPG, and the other way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plethprint.signal import PPG
from plethprint_distill.metrics import mean_by_person
from plethprint_distill.reconstruction import paint, reconstruction, waveform_figures
from plethprint_distill.splits import test_mask
from plethprint_distill.statistics import Estimate, estimate
from plethprint_distill.tasks.task import Context, Row, Task, TaskResult

__all__ = ["TASKS"]


@dataclass
class Painting(Task):
    """What the teacher paints, beside what another window's painting scores."""

    name: str = "reconstruction"
    title: str = "Cross-modal reconstruction (BIDMC, people held out)"
    section: str = "Cross-modal reconstruction"
    sets: tuple[str, ...] = ("bidmc",)
    figures: tuple[str, ...] = (
        "f1_50ms",
        "f1_100ms",
        "f1_50ms_zero_lag",
        "f1_100ms_zero_lag",
        "interval_error_ms",
        "pearson",
        "rmse",
        "ppg_pearson",
        "ppg_rmse",
    )
    unit: str = "windows"
    about: str = (
        "The teacher paints ten seconds of ECG from the PPG alone. R peaks are matched one "
        "to one at the record's best constant lag, and without any; the interval error is "
        "the median of |painted RR - true RR| between peaks that match. Then the PPG from "
        "the ECG alone."
    )
    null: str = (
        "The painting of another window of the same record, at its own best lag: it has "
        "the wearer's rate and shape, not the moment's beats."
    )
    traps: str = (
        "Monitors delay the PPG by a constant of their own, hence two lags. A regular "
        "pulse can match by chance: read F1 beside its null. RMSE is in standard "
        "deviations of the window, and silence has 1. Students paint nothing: this is the "
        "teacher alone."
    )

    def run(self, context: Context) -> TaskResult:
        """The teacher's row, and its null."""
        whole = context.library.get("bidmc").windows
        person = np.asarray(whole.person)
        chosen = test_mask(person) & np.asarray(whole.has_ecg)
        windows = whole.take(np.flatnonzero(chosen))
        person = person[chosen]
        if context.teacher is None:
            return TaskResult(self, [], len(windows), len(np.unique(person)))
        painted = paint(context.teacher, np.asarray(windows.ecg), "ecg", "ppg")
        truth = np.asarray(windows.ppg, np.float64) * PPG.input_scale
        other = _another(np.asarray(windows.record))
        rows = []
        for name, family, swap in (
            ("teacher", "ours", np.arange(len(windows))),
            ("null: another window's painting", "null", other),
        ):
            found = reconstruction(context.teacher, windows, swap=swap)
            r, error = waveform_figures(painted[swap], truth)
            columns = {
                **{k: getattr(found, k) for k in self.figures if hasattr(found, k)},
                "ppg_pearson": r,
                "ppg_rmse": error,
            }
            rows.append(Row(name, family, _figures(columns, person, context.draws)))
            context.tick(f"{self.name}: {name}")
        return TaskResult(self, rows, len(windows), len(np.unique(person)))


def _figures(
    columns: dict[str, np.ndarray], person: np.ndarray, draws: int
) -> dict[str, Estimate]:
    return {
        name: estimate(
            lambda w, v=values: mean_by_person(v, person, w),  # type: ignore[misc]
            person,
            draws=draws,
        )
        for name, values in columns.items()
    }


def _another(record: np.ndarray) -> np.ndarray:
    """For each window another of its record, half a record away."""
    other = np.arange(len(record))
    for name in np.unique(record):
        own = np.flatnonzero(record == name)
        other[own] = np.roll(own, max(1, len(own) // 2))
    return other


TASKS = (Painting(),)
"""Tasks of this family."""

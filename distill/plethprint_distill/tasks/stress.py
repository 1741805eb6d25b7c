"""Stress against rest, within one person."""

from __future__ import annotations

import numpy as np

from plethprint_distill.folds import one_split
from plethprint_distill.labelled_windows import Library
from plethprint_distill.splits import test_mask
from plethprint_distill.tasks.probe_task import ProbeTask
from plethprint_distill.tasks.task import FloatArray, Part, Problem

__all__ = ["TASKS"]


def _stress(library: Library) -> Problem:
    labelled = library.get("stress_predict")
    stress = labelled.number("stress")
    person = np.asarray(labelled.windows.person)
    both = {
        p
        for p in np.unique(person)
        if {0.0, 1.0} <= set(stress[(person == p) & np.isfinite(stress)])
    }
    rows = np.flatnonzero(np.isfinite(stress) & np.isin(person, sorted(both)))
    held_out = test_mask(person[rows])
    motion = np.stack(
        [labelled.number(f"motion_{k}")[rows] for k in ("sd", "jerk", "mean")], axis=1
    )
    clock = np.asarray(labelled.windows.start_s, np.float64)[rows]
    return Problem(
        parts=(Part("stress_predict", rows),),
        unit=np.arange(len(rows)),
        labels=stress[rows][:, None],
        person=person[rows],
        repeats=one_split(~held_out, held_out, person[rows]),
        kind="within",
        controls={
            "motion (accelerometer)": motion,
            # Tasks come at fixed times: powers and waves of the time since the start.
            "clock alone": _clock(clock),
        },
        join_controls=True,
    )


def _clock(start_s: np.ndarray) -> FloatArray:
    bumps = np.arange(0.0, 3600.0, 200.0)
    features: FloatArray = np.exp(-(((start_s[:, None] - bumps) / 150.0) ** 2))
    return features


TASKS = (
    ProbeTask(
        name="stress",
        title="Stress against rest within a person, wrist (Stress-Predict)",
        section="Stress",
        sets=("stress_predict",),
        figures=("within_auroc", "brier", "ece"),
        unit="windows, AUROC of each person",
        about="Windows under a stress task against windows at rest of the same person, at "
        "the wrist. Fitted on S02..S25, asked of S26..S35; features have each person's "
        "mean over both states taken off, so the probe knows a whole session.",
        null="0.5.",
        traps="The order of the tasks is fixed: a clock alone, the row below, all but "
        "solves it, so any drift over the session counts as stress. Tasks are done with "
        "the hands: the accelerometer's row tells how much of it is motion. Ten people "
        "tested.",
        pose=_stress,
        in_macro=True,
        work=2.0,
    ),
)
"""Tasks of this family."""

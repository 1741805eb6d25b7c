"""Heart rate, where truth is the ECG's own beats."""

from __future__ import annotations

import numpy as np

from plethprint.quality import heart_rate_bpm
from plethprint_distill.folds import one_split
from plethprint_distill.labelled_windows import LabelledWindows, Library
from plethprint_distill.physiology import TARGETS
from plethprint_distill.splits import test_mask
from plethprint_distill.tasks.probe_task import ProbeTask
from plethprint_distill.tasks.task import FloatArray, Part, Problem

__all__ = ["TASKS"]

_RATE = TARGETS.index("log_heart_rate")


def _ecg_rate_bpm(labelled: LabelledWindows) -> FloatArray:
    return np.exp(np.asarray(labelled.windows.targets[:, _RATE], np.float64))


def _counted(ppg: np.ndarray, otherwise_bpm: float) -> FloatArray:
    """Beats counted without a model; the training mean where none are found."""
    counted = np.asarray(heart_rate_bpm(np.asarray(ppg)), np.float64)
    return np.where(np.isfinite(counted), counted, otherwise_bpm)


def _bidmc(library: Library) -> Problem:
    labelled = library.get("bidmc")
    rate = _ecg_rate_bpm(labelled)
    rows = np.flatnonzero(np.isfinite(rate))
    rate, person = rate[rows], np.asarray(labelled.windows.person)[rows]
    held_out = test_mask(person)
    return Problem(
        parts=(Part("bidmc", rows),),
        unit=np.arange(len(rows)),
        labels=rate[:, None],
        person=person,
        repeats=one_split(~held_out, held_out, person),
        kind="number",
        direct={
            "beat counting": _counted(
                labelled.windows.ppg[rows], float(rate[~held_out].mean())
            )
        },
    )


def _welltory(library: Library) -> Problem:
    bidmc, welltory = library.get("bidmc"), library.get("welltory")
    known = _ecg_rate_bpm(bidmc)
    fits = np.flatnonzero(np.isfinite(known) & ~test_mask(np.asarray(bidmc.windows.person)))
    truth = welltory.number("heart_rate_bpm")
    asked = np.flatnonzero(np.isfinite(truth))
    rate = np.concatenate([known[fits], truth[asked]])
    # Who stands behind a record is not known; intervals are over records.
    person = np.concatenate(
        [
            np.asarray(bidmc.windows.person)[fits],
            np.char.add("welltory/", np.asarray(welltory.windows.record)[asked]),
        ]
    )
    foreign = np.arange(len(rate)) >= len(fits)
    ppg = np.concatenate([bidmc.windows.ppg[fits], welltory.windows.ppg[asked]])
    return Problem(
        parts=(Part("bidmc", fits), Part("welltory", asked)),
        unit=np.arange(len(rate)),
        labels=rate[:, None],
        person=person,
        repeats=one_split(~foreign, foreign, person),
        kind="number",
        direct={"beat counting": _counted(ppg, float(known[fits].mean()))},
    )


TASKS = (
    ProbeTask(
        name="heart_rate_bidmc",
        title="Heart rate, finger, ICU (BIDMC)",
        section="Heart rate",
        sets=("bidmc",),
        figures=("mae", "r"),
        unit="windows, beats a minute",
        about="The head is fitted on BIDMC's training people and asked of those held out; "
        "truth is the rate of the ECG's R peaks in the same ten seconds.",
        null="The mean rate of the training windows.",
        traps="Counting beats in the pulse needs no model at all, and stands in the table. "
        "Errors are averaged within a person first.",
        pose=_bidmc,
        in_macro=True,
    ),
    ProbeTask(
        name="heart_rate_welltory",
        title="Heart rate, phone camera, head from BIDMC (Welltory)",
        section="Heart rate",
        sets=("bidmc", "welltory"),
        figures=("mae", "r"),
        unit="windows, beats a minute",
        about="The head of the BIDMC task, moved to phone cameras at 30 frames a second "
        "without a new fit; truth is a chest strap's RR intervals in the same ten seconds.",
        null="The mean rate of BIDMC's training windows.",
        traps="13 unknown people behind 21 records: intervals are over records. Six "
        "records have a green channel that stands still and give no window. All other "
        "windows count, however bad; a linear head extrapolates without shame.",
        pose=_welltory,
        in_macro=True,
    ),
)
"""Tasks of this family."""

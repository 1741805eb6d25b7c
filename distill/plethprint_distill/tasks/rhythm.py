"""Rhythm from PPG alone, on patients whose arrhythmias were read from an ECG."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from plethprint_distill.beat_loop import pulse_feet
from plethprint_distill.folds import folds_over_people
from plethprint_distill.labelled_windows import Library
from plethprint_distill.tasks.probe_task import ProbeTask
from plethprint_distill.tasks.task import FloatArray, Part, Problem

__all__ = ["TASKS", "interval_features"]

RHYTHMS = ("sinus", "PVC", "PAC", "VT", "SVT", "AF")
"""Classes of ppg_arrhythmia_valid, by their codes."""

_SINUS, _AF = 0, 5


def interval_features(ppg: np.ndarray) -> FloatArray:
    """Variation, successive variation and mean of pulse intervals, (N, 3)."""
    table = np.zeros((len(ppg), 3))
    for row, window in enumerate(ppg):
        gaps = np.diff(pulse_feet(window.astype(np.float64), 64.0)) / 64.0
        if gaps.size >= 3:
            table[row] = (
                gaps.std() / gaps.mean(),
                np.sqrt(np.mean(np.diff(gaps) ** 2)) / gaps.mean(),
                gaps.mean(),
            )
    return table


def _posed(
    library: Library,
    chosen: Callable[[np.ndarray], np.ndarray],
    labels: Callable[[np.ndarray], np.ndarray],
    *,
    repeats: int,
    names: tuple[str, ...] = (),
) -> Problem:
    labelled = library.get("ppg_arrhythmia_valid")
    rhythm = labelled.number("rhythm").astype(int)
    rows = np.flatnonzero(chosen(rhythm))
    person = np.asarray(labelled.windows.person)[rows]
    table = labels(rhythm[rows]).astype(np.float64).reshape(len(rows), -1)
    return Problem(
        parts=(Part("ppg_arrhythmia_valid", rows),),
        unit=np.arange(len(rows)),
        labels=table,
        person=person,
        repeats=folds_over_people(person, table, repeats=repeats),
        kind="classes" if names else "binary",
        class_names=names,
        controls={"pulse intervals alone": interval_features(labelled.windows.ppg[rows])},
    )


def _six(library: Library) -> Problem:
    return _posed(
        library,
        lambda rhythm: rhythm >= 0,
        lambda rhythm: np.eye(len(RHYTHMS))[rhythm],
        repeats=3,
        names=RHYTHMS,
    )


def _af_rest(library: Library) -> Problem:
    return _posed(
        library, lambda rhythm: rhythm >= 0, lambda rhythm: rhythm == _AF, repeats=3
    )


def _af_sinus(library: Library) -> Problem:
    return _posed(
        library,
        lambda rhythm: np.isin(rhythm, (_SINUS, _AF)),
        lambda rhythm: rhythm == _AF,
        repeats=1,
    )


_TRAPS = (
    "Segments were scaled to 0..1 by the authors, so amplitude is lost. 28 patients, most "
    "with several rhythms; the split is by patient, and so is the choice of the probe's "
    "strength. No licence is stated: the corpus is for evaluation only. "
)

TASKS = (
    ProbeTask(
        name="rhythm_six",
        title="Six rhythms from PPG",
        section="Rhythm",
        sets=("ppg_arrhythmia_valid",),
        figures=("macro_auroc", "brier", "ece"),
        unit="segments of ten seconds",
        about="Sinus, PVC, PAC, VT, SVT or AF in ten seconds of pulse; mean over classes "
        "of one against the rest.",
        null="0.5.",
        traps=_TRAPS + "Ectopic beats may lie outside what a window's mean can show.",
        pose=_six,
        in_macro=True,
        work=7.0,
    ),
    ProbeTask(
        name="af_rest",
        title="AF against all other rhythms, from PPG",
        section="Rhythm",
        sets=("ppg_arrhythmia_valid",),
        figures=("auroc", "brier", "ece"),
        unit="segments of ten seconds",
        about="Atrial fibrillation against everything else, other arrhythmias included: "
        "the question a wearable is asked.",
        null="0.5.",
        traps=_TRAPS,
        pose=_af_rest,
        in_macro=True,
        work=2.0,
    ),
    ProbeTask(
        name="af_sinus",
        title="AF against sinus rhythm, from PPG (saturated)",
        section="Rhythm",
        sets=("ppg_arrhythmia_valid",),
        figures=("auroc", "brier", "ece"),
        unit="segments of ten seconds",
        about="Atrial fibrillation against sinus rhythm, other rhythms left out.",
        null="0.5.",
        traps=_TRAPS + "Saturated: the spread of pulse intervals alone all but solves it. "
        "It ranks nothing, stands outside the macro-average, and is here because papers "
        "report it. One partition of the people only.",
        pose=_af_sinus,
    ),
)
"""Tasks of this family."""

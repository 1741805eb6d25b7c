"""Diagnoses from one ECG lead: what the teacher's other half knows."""

from __future__ import annotations

import importlib

import numpy as np

from plethprint_distill.folds import folds_over_people, one_split
from plethprint_distill.labelled_windows import LabelledWindows, Library
from plethprint_distill.physiology import INTERVAL_TARGETS
from plethprint_distill.tasks.probe_task import ProbeTask, unit_means
from plethprint_distill.tasks.task import FloatArray, Part, Problem, Supervised

__all__ = ["TASKS"]

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
"""Diagnostic superclasses of PTB-XL."""

CINC_RHYTHMS = ("N", "A", "O", "~")
"""Normal, AF, other rhythm, too noisy."""

_CNN_PASSES = 8_000
"""Windows that the CNN sees in training, repeats counted: at some hundred windows a second
of computing it would otherwise take longer than everything else together."""


def _interval_statistics(labelled: LabelledWindows) -> FloatArray:
    table = np.asarray(labelled.windows.targets[:, : len(INTERVAL_TARGETS)], np.float64)
    unknown = ~np.isfinite(table[:, :1])
    filled = np.where(np.isfinite(table), table, np.nanmean(table, axis=0))
    return np.concatenate([filled, unknown], axis=1)


def _cnn() -> tuple[Supervised, ...]:
    """A supervised CNN of the teacher's size, where it is there."""
    try:
        room = importlib.import_module("plethprint_distill.ecg_baselines")
    except ImportError:
        return ()

    def fit_predict(
        train: np.ndarray, labels: FloatArray, person: np.ndarray, test: np.ndarray
    ) -> tuple[FloatArray, FloatArray]:
        # People who say when to stop are not among those who train it.
        stops = np.zeros(len(train), np.bool_)
        stops[folds_over_people(person, labels, repeats=1, seed=3)[0][0].test] = True
        epochs = int(np.clip(_CNN_PASSES // max(len(train), 1), 6, 40))
        model = room.EcgCnn(room.EcgCnnConfig(epochs=epochs))
        model.fit(train, labels, seed=0, validation=stops)
        asked, apart = (
            np.asarray(model.predict_proba(windows), np.float64)
            for windows in (test, train[stops])
        )
        return asked, apart

    return (Supervised("supervised CNN, ECG", "baseline", "ecg", fit_predict),)


def _ptbxl(library: Library) -> Problem:
    labelled = library.get("ptbxl500")
    stated = labelled.word("superclass")
    table = np.array(
        [[name in s.split("|") for name in SUPERCLASSES] for s in stated],
        np.float64,
    )
    person = np.asarray(labelled.windows.person)
    return Problem(
        parts=(Part("ptbxl500", np.arange(len(labelled))),),
        unit=np.arange(len(labelled)),
        labels=table,
        person=person,
        repeats=folds_over_people(person, table),
        kind="labels",
        class_names=SUPERCLASSES,
        controls={"RR statistics": _interval_statistics(labelled)},
        supervised=_cnn(),
    )


def _cinc(library: Library, classes: tuple[str, ...]) -> Problem:
    labelled = library.get("cinc2017")
    names, first, unit = np.unique(
        np.asarray(labelled.windows.record), return_index=True, return_inverse=True
    )
    rhythm = labelled.word("rhythm")[first]
    test = np.asarray(labelled.labels["test"], np.bool_)[first]
    table = np.stack([rhythm == name for name in classes], axis=1).astype(np.float64)
    intervals = unit_means(_interval_statistics(labelled), unit, len(names))
    return Problem(
        parts=(Part("cinc2017", np.arange(len(labelled))),),
        unit=unit,
        labels=table,
        person=names,
        repeats=one_split(~test, test, names),
        kind="classes" if len(classes) > 1 else "binary",
        class_names=classes if len(classes) > 1 else (),
        controls={"RR statistics": np.asarray(intervals, np.float64)},
        supervised=_cnn() if len(classes) > 1 else (),
    )


_CINC_TRAPS = (
    "The corpus names no people, so the same person may stand on both sides, and the "
    "interval is over records. Tested only on the three records in ten that no teacher may "
    "train on. Some records are upside down at the source. The supervised CNN is fitted "
    "on the four classes alone, from one window of each record."
)

TASKS = (
    ProbeTask(
        name="ptbxl_superclasses",
        title="Five diagnostic superclasses from ECG lead II (PTB-XL)",
        section="Cardiology from ECG",
        sets=("ptbxl500",),
        figures=("macro_auroc", "brier", "ece"),
        unit="records of ten seconds",
        about="Normal, infarction, ST/T change, conduction disturbance, hypertrophy; a "
        "record may have several. Lead II alone, split by patient.",
        null="0.5.",
        traps="500 of PTB-XL's 21,799 records, the oldest; one lead of twelve, so figures "
        "of papers on the whole set do not compare. The CNN is fitted on one partition.",
        pose=_ptbxl,
        modality="ecg",
        work=10.0,
    ),
    ProbeTask(
        name="cinc_af",
        title="AF against the rest from ECG (CinC 2017)",
        section="Cardiology from ECG",
        sets=("cinc2017",),
        figures=("auroc", "brier", "ece"),
        unit="records, mean of their windows",
        about="Atrial fibrillation against normal, other and noisy in up to 30 s of a "
        "hand-held one-lead ECG.",
        null="0.5.",
        traps=_CINC_TRAPS,
        pose=lambda library: _cinc(library, ("A",)),
        modality="ecg",
    ),
    ProbeTask(
        name="cinc_four",
        title="Four classes from ECG (CinC 2017)",
        section="Cardiology from ECG",
        sets=("cinc2017",),
        figures=("macro_auroc", "brier", "ece"),
        unit="records, mean of their windows",
        about="Normal, AF, other rhythm, too noisy.",
        null="0.5.",
        traps=_CINC_TRAPS,
        pose=lambda library: _cinc(library, CINC_RHYTHMS),
        modality="ecg",
        work=2.0,
    ),
)
"""Tasks of this family."""

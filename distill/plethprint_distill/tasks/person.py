"""Age and sex; and whether a fingerprint tells who somebody is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plethprint_distill.embedder import STUDENT_INT8
from plethprint_distill.folds import one_split
from plethprint_distill.labelled_windows import Library
from plethprint_distill.metrics import equal_error_rate, mean_by_person
from plethprint_distill.splits import is_test_person
from plethprint_distill.statistics import Estimate, estimate, paired_permutation
from plethprint_distill.tasks.pressure import of_people, posed_on_people
from plethprint_distill.tasks.probe_task import ProbeTask, unit_means
from plethprint_distill.tasks.scoring import plain, take_holm
from plethprint_distill.tasks.task import (
    Context,
    FloatArray,
    Part,
    Problem,
    Row,
    Task,
    TaskResult,
)
from plethprint_distill.windows import WindowSet

__all__ = ["TASKS"]


def _age_ppg_bp(library: Library) -> Problem:
    labelled = library.get("ppg_bp")
    return posed_on_people(
        labelled, "ppg_bp", labelled.number("age"), kind="number", control="sex+bmi+hr"
    )


def _sex_ppg_bp(library: Library) -> Problem:
    labelled = library.get("ppg_bp")
    label = (labelled.word("sex") == "Female").astype(np.float64)
    return posed_on_people(labelled, "ppg_bp", label, kind="binary", control="age+bmi+hr")


def _bidmc(library: Library, label: FloatArray, kind: str) -> Problem:
    labelled = library.get("bidmc")
    names, unit, first = of_people(labelled)
    known = np.isfinite(label[first])
    rows = np.flatnonzero(known[unit])
    person = names[known]
    held_out = np.array([is_test_person(str(p)) for p in person], np.bool_)
    return Problem(
        parts=(Part("bidmc", rows),),
        unit=(np.cumsum(known) - 1)[unit[rows]],
        labels=label[first[known]][:, None],
        person=person,
        repeats=one_split(~held_out, held_out, person),
        kind=kind,
        controls={"raw level": labelled.number("raw_level")[first[known]][:, None]},
    )


def _age_bidmc(library: Library) -> Problem:
    return _bidmc(library, library.get("bidmc").number("age"), "number")


def _sex_bidmc(library: Library) -> Problem:
    sex = library.get("bidmc").word("sex")
    label = np.where(sex == "F", 1.0, np.where(sex == "M", 0.0, np.nan))
    return _bidmc(library, label, "binary")


@dataclass
class Identification(Task):
    """Enrol people on one stretch of pulse, find them again in another."""

    name: str = "identification"
    title: str = "Re-identification (BIDMC)"
    section: str = "Privacy"
    sets: tuple[str, ...] = ("bidmc",)
    figures: tuple[str, ...] = ("top1", "top1_unseen", "top1_other_record", "eer")
    unit: str = "windows of 46 people"
    about: str = (
        "Each person is enrolled by the mean of the first half of their record; each "
        "window of the second half goes to the nearest of 46 people by cosine, features "
        "standardised on the enrolment. Then among the people held out alone, and for the "
        "three people with several records, from their first record to the others."
    )
    null: str = "1 in 46 (1 in the number of people held out in the second column)."
    traps: str = (
        "A high figure is a leak, not a merit: it stands outside the macro-average. One "
        "session of eight minutes: posture, drugs and the sensor's seat stay the same, so "
        "another day would be harder. Other records are of three people only."
    )

    def run(self, context: Context) -> TaskResult:
        """Every embedder, and the raw level and spread that normalisation takes off."""
        labelled = context.library.get("bidmc")
        levels = np.stack(
            [labelled.number("raw_level"), labelled.number("raw_spread")], axis=1
        )
        rows = []

        def add(name: str, family: str, features: np.ndarray) -> None:
            rows.append(self._row(name, family, features, labelled.windows, context.draws))
            context.tick(f"{self.name}: {name}")

        for embedder in self.embedders(context):
            features = context.features.of(embedder, "bidmc")
            add(embedder.name, embedder.family, features)
        add("raw level and spread", "control", levels)
        ours = next((row for row in rows if row.model == STUDENT_INT8), None)
        probes = _second_half(labelled.windows)
        asked = np.asarray(labelled.windows.person)[probes]
        for row in rows:
            if ours is None or row is ours:
                continue
            if ours.loss is not None and row.loss is not None:
                row.versus = paired_permutation(ours.loss, row.loss, asked)
        take_holm(rows)
        return TaskResult(self, rows, int(probes.sum()), len(np.unique(asked)))

    @staticmethod
    def _row(
        name: str, family: str, features: np.ndarray, windows: WindowSet, draws: int
    ) -> Row:
        person = np.asarray(windows.person)
        record = np.asarray(windows.record)
        late = _second_half(windows)
        hits, closeness, column = _find(features, person, ~late, late)
        asked = person[late]
        figures: dict[str, Estimate] = {"top1": _mean(hits, asked, draws)}
        unseen = np.array([is_test_person(str(p)) for p in person], np.bool_)
        if (unseen & late).any():
            found, _, _ = _find(features, person, ~late & unseen, late & unseen)
            figures["top1_unseen"] = _mean(found, person[late & unseen], draws)
        firsts = {p: np.unique(record[person == p])[0] for p in np.unique(person)}
        later = record != np.array([firsts[p] for p in person])
        if later.any():
            found, _, _ = _find(features, person, ~later, later)
            figures["top1_other_record"] = _mean(found, person[later], draws)
        own = np.zeros(closeness.shape, np.bool_)
        own[np.arange(len(own)), column] = True
        figures["eer"] = plain(equal_error_rate(closeness[own], closeness[~own]), asked)
        return Row(name, family, figures, loss=hits)


def _second_half(windows: WindowSet) -> np.ndarray:
    record = np.asarray(windows.record)
    start = np.asarray(windows.start_s, np.float64)
    late = np.zeros(len(record), np.bool_)
    for name in np.unique(record):
        own = record == name
        late[own] = start[own] > np.median(start[own])
    return late


def _find(
    features: np.ndarray, person: np.ndarray, enrol: np.ndarray, ask: np.ndarray
) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Hits (m,), closeness to everybody (m, P), and the right one's column (m,)."""
    rows = features.astype(np.float64)
    mean, spread = rows[enrol].mean(axis=0), rows[enrol].std(axis=0)
    rows = (rows - mean) / np.where(spread > 1e-9, spread, np.inf)
    names, inverse = np.unique(person[enrol], return_inverse=True)
    gallery = unit_means(rows[enrol], inverse, len(names))
    sides = [
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        for x in (rows[ask], gallery)
    ]
    closeness = sides[0] @ sides[1].T
    column = np.searchsorted(names, person[ask])
    return (closeness.argmax(axis=1) == column).astype(np.float64), closeness, column


def _mean(hits: FloatArray, person: np.ndarray, draws: int) -> Estimate:
    return estimate(lambda w: mean_by_person(hits, person, w), person, draws=draws)


_FEW = (
    "Fitted on the 30 training people, asked of the 16 held out: far too few for a claim, "
    "and ICU patients are old. "
)

TASKS: tuple[Task, ...] = (
    ProbeTask(
        name="age_ppg_bp",
        title="Age (PPG-BP)",
        section="Age and sex",
        sets=("ppg_bp",),
        figures=("mae", "r"),
        unit="people, years",
        about="Age from the finger pulse: arteries stiffen.",
        null="The mean age of the training people.",
        traps="One row a person. The raw level alone, which preprocessing takes off, "
        "carries some age by how the sensor was set.",
        pose=_age_ppg_bp,
        in_macro=True,
    ),
    ProbeTask(
        name="sex_ppg_bp",
        title="Sex (PPG-BP)",
        section="Age and sex",
        sets=("ppg_bp",),
        figures=("auroc", "brier", "ece"),
        unit="people",
        about="Female against male from the finger pulse.",
        null="0.5.",
        traps="One row a person; heart rate and body size differ between the sexes.",
        pose=_sex_ppg_bp,
        in_macro=True,
    ),
    ProbeTask(
        name="age_bidmc",
        title="Age (BIDMC; few people)",
        section="Age and sex",
        sets=("bidmc",),
        figures=("mae", "r"),
        unit="people, years",
        about="Age of ICU patients; 90+ counts as 90.",
        null="The mean age of the training people.",
        traps=_FEW,
        pose=_age_bidmc,
    ),
    ProbeTask(
        name="sex_bidmc",
        title="Sex (BIDMC; few people)",
        section="Age and sex",
        sets=("bidmc",),
        figures=("auroc", "brier", "ece"),
        unit="people",
        about="Female against male among ICU patients.",
        null="0.5.",
        traps=_FEW,
        pose=_sex_bidmc,
    ),
    Identification(),
)
"""Tasks of this family."""

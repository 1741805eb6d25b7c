"""Student against teacher on the same windows of people held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plethprint.agreement import centred_cosine, neighbour_overlap, retrieval_at
from plethprint_distill.embedder import Embedder
from plethprint_distill.metrics import mean_by_person
from plethprint_distill.splits import test_mask
from plethprint_distill.statistics import Estimate, estimate
from plethprint_distill.tasks.scoring import plain
from plethprint_distill.tasks.task import Context, Row, Task, TaskResult
from plethprint_distill.windows import WindowSet

__all__ = ["TASKS"]

_BANK = 2048
_STUDENTS = ("int8 ", "float ")
"""How the names of students begin: the one compared with, and those beside it."""
_TEACHERS = ("teacher, ECG + PPG", "teacher, PPG")


@dataclass
class Parity(Task):
    """How closely the students follow the teacher, corpus by corpus."""

    set_name: str
    corpus_title: str
    section: str = "Student against teacher"
    figures: tuple[str, ...] = (
        "centred_cosine",
        "centred_cosine_p5",
        "overlap_at_10",
        "retrieval_at_256",
    )
    unit: str = "windows"
    about: str = (
        "The same windows through both: cosine after each side's mean is taken off, its "
        "5th percentile, how many of the ten nearest neighbours are the same, and how "
        "often a window finds its own partner among 256."
    )
    null: str = "0 for the cosine, 10 in the number of windows for the overlap, 1 in 256."
    traps: str = (
        "Each figure alone can be had cheaply; read them together, and with the probes. "
        "Windows do not overlap, so a neighbour is never one's own signal moved by a hop."
    )

    def __post_init__(self) -> None:
        self.name = f"parity_{self.set_name}"
        self.title = f"Student against teacher, {self.corpus_title}"
        self.sets = (self.set_name,)

    def run(self, context: Context) -> TaskResult:
        """A row for each pair of student and teacher."""
        windows = context.library.get(self.set_name).windows
        person = _whose(windows)
        rows_held_out = np.flatnonzero(test_mask(person))
        rows = []
        for student, teacher in _pairs(self.embedders(context)):
            name = f"{student.name} against {teacher.name}"
            a, b = (
                context.features.of(e, self.set_name)[rows_held_out]
                for e in (student, teacher)
            )
            rows.append(_row(name, a, b, person[rows_held_out], context.draws))
            context.tick(f"{self.name}: {name}")
        people = len(np.unique(person[rows_held_out]))
        return TaskResult(self, rows, len(rows_held_out), people)


def _whose(windows: WindowSet) -> np.ndarray:
    """Names (N,) as "corpus/person"; where nobody knows who it is, "corpus/record"."""
    person, record = np.asarray(windows.person), np.asarray(windows.record)
    corpus = np.array([p.partition("/")[0] for p in person.tolist()])
    named = np.char.add(np.char.add(corpus, "/"), record)
    return np.where(np.char.endswith(person, "/unknown"), named, person)


def _pairs(embedders: list[Embedder]) -> Iterator[tuple[Embedder, Embedder]]:
    by_name = {e.name: e for e in embedders}
    for student in (e for e in embedders if e.name.startswith(_STUDENTS)):
        for teacher in _TEACHERS:
            if teacher in by_name:
                yield student, by_name[teacher]


def _row(name: str, a: np.ndarray, b: np.ndarray, person: np.ndarray, draws: int) -> Row:
    centred = centred_cosine(a, b)
    some = np.sort(np.random.default_rng(0).permutation(len(a))[:_BANK])
    overlap = neighbour_overlap(a[some], b[some])
    order = np.random.default_rng(0).permutation(len(a))
    figures: dict[str, Estimate] = {
        "centred_cosine": estimate(
            lambda w: mean_by_person(centred, person, w), person, draws=draws
        ),
        "centred_cosine_p5": plain(float(np.quantile(centred, 0.05)), person),
        "overlap_at_10": estimate(
            lambda w: mean_by_person(overlap, person[some], w), person[some], draws=draws
        ),
        "retrieval_at_256": plain(retrieval_at(a[order], b[order], 256), person),
    }
    return Row(name, "ours", figures)


TASKS = tuple(
    Parity(set_name=name, corpus_title=title)
    for name, title in (
        ("bidmc", "BIDMC, people held out"),
        ("uci_cuffless", "UCI cuff-less, part 3"),
        ("stress_predict", "Stress-Predict, people held out"),
        ("welltory", "Welltory, phone cameras"),
        ("ppg_arrhythmia_valid", "arrhythmia patients"),
    )
)
"""Tasks of this family."""

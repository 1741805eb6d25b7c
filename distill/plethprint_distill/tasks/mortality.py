"""Mortality: a protocol for outcomes that a user has, and virtual wearers until then.

Outcomes come as a CSV with the columns `record` and `died` (0 or 1), a line for each
recording of a corpus. MIMIC's may not be passed on, so none come with this project. What
is shown without them is of virtual wearers whose hazard is declared below: it says that
the protocol runs, and nothing about patients.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plethprint.errors import RecordingError
from plethprint_distill.corpora import CORPORA
from plethprint_distill.folds import folds_over_people
from plethprint_distill.labelled_windows import LabelledWindows, Library, Maker, joined
from plethprint_distill.physiology import TARGETS
from plethprint_distill.tasks.pressure import of_people
from plethprint_distill.tasks.probe_task import ProbeTask
from plethprint_distill.tasks.task import FloatArray, Part, Problem
from plethprint_distill.windows import windows_of_recording

__all__ = ["HAZARD", "TASKS", "Outcomes", "read_outcomes", "virtual_deaths"]

HAZARD = {
    "log_heart_rate": 0.6,
    "stiffness": 0.9,
    "log_perfusion": -0.5,
    "ectopic_fraction": 0.5,
}
"""Log odds of a virtual death for each standard deviation of a virtual wearer's trait."""

_BASE_LOG_ODDS = -1.6
_SEED = 31


def read_outcomes(path: Path) -> dict[str, bool]:
    """Who died, by record, from a CSV with the columns `record` and `died`.

    Raises
    ------
    RecordingError
        If the file is not there, has other columns, a value that is neither 0 nor 1, or a
        record twice.
    """
    try:
        with path.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path} is not a readable CSV: {error}") from error
    outcomes: dict[str, bool] = {}
    for line, row in enumerate(rows, start=2):
        record, died = row.get("record"), row.get("died")
        if not record or died not in ("0", "1"):
            raise RecordingError(
                f"{path}, line {line}: a `record` and a `died` of 0 or 1 are expected"
            )
        if record in outcomes:
            raise RecordingError(f"{path}, line {line}: {record} stands there twice")
        outcomes[record] = died == "1"
    if not outcomes:
        raise RecordingError(f"{path} holds no outcome")
    return outcomes


@dataclass(frozen=True)
class Outcomes:
    """A user's outcomes and the corpus that they are of."""

    corpus: str
    died: dict[str, bool]

    def maker(self) -> tuple[str, Maker]:
        """How the set `mortality` is made of them."""
        return self.corpus, self._make

    def _make(self, folder: Path) -> LabelledWindows:
        parts = []
        for recording in CORPORA[self.corpus].read(folder):
            if recording.record not in self.died or recording.ppg is None:
                continue
            windows = windows_of_recording(recording, hop_s=60.0, cold_share=0.0)
            if windows is not None:
                died = np.full(len(windows), float(self.died[recording.record]))
                parts.append(LabelledWindows(windows, {"died": died}))
        if not parts:
            raise RecordingError(f"{folder} has none of the records that outcomes are of")
        return joined(parts)


def virtual_deaths(targets: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Declared log odds (N,) of virtual wearers, and who died by them (N,)."""
    log_odds = np.full(len(targets), _BASE_LOG_ODDS)
    for name, weight in HAZARD.items():
        trait = np.asarray(targets[:, TARGETS.index(name)], np.float64)
        trait = np.where(np.isfinite(trait), trait, np.nanmean(trait))
        log_odds += weight * (trait - trait.mean()) / max(float(trait.std()), 1e-9)
    chance = np.random.default_rng(_SEED).random(len(targets))
    return log_odds, (chance < 1 / (1 + np.exp(-log_odds))).astype(np.float64)


def _virtual(library: Library) -> Problem:
    labelled = library.get("virtual")
    log_odds, died = virtual_deaths(np.asarray(labelled.windows.targets))
    person = np.asarray(labelled.windows.person)
    return Problem(
        parts=(Part("virtual", np.arange(len(labelled))),),
        unit=np.arange(len(labelled)),
        labels=died[:, None],
        person=person,
        repeats=folds_over_people(person, died[:, None]),
        kind="binary",
        direct={"the declared hazard itself (virtual)": log_odds},
    )


def _real(library: Library) -> Problem:
    labelled = library.get("mortality")
    person, unit, first = of_people(labelled)
    died = labelled.number("died")
    # A person counts as dead if any of their records is of somebody who died.
    ever = np.zeros(len(first))
    np.maximum.at(ever, unit, died)
    return Problem(
        parts=(Part("mortality", np.arange(len(labelled))),),
        unit=unit,
        labels=ever[:, None],
        person=person,
        repeats=folds_over_people(person, ever[:, None]),
        kind="binary",
    )


TASKS = (
    ProbeTask(
        name="mortality",
        title="Mortality",
        section="Mortality",
        sets=("mortality",),
        figures=("auroc", "brier", "ece"),
        unit="people, mean of their windows",
        about="Death as the outcomes given with --outcomes tell it, from a window of each "
        "minute of PPG.",
        null="0.5.",
        traps="Age and the reason for admission predict death without any pulse; give "
        "outcomes of patients who are alike, or read the figure with that in mind.",
        pose=_real,
    ),
    ProbeTask(
        name="mortality_virtual",
        title="Mortality of VIRTUAL wearers (no patients)",
        section="Mortality",
        sets=("virtual",),
        figures=("auroc", "brier", "ece"),
        unit="virtual wearers",
        about="VIRTUAL: wearers of the simulator die by a declared hazard of their heart "
        "rate, arterial stiffness, perfusion and ectopy. It shows that the protocol runs.",
        null="0.5; the declared hazard itself is the most that can be had.",
        traps="VIRTUAL: says nothing about patients. The encoders were trained on wearers "
        "of the same simulator, though not on these.",
        pose=_virtual,
    ),
)
"""Tasks of this family."""

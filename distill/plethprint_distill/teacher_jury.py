"""Training people who judge a small teacher, and what they are asked.

A quarter of the *training* people of every corpus (`sweep.is_judge`) is kept from a small
training; nobody held out for tests is looked at. The frozen fingerprints of the others fit
a linear probe for each question, and those of the judges answer it. Every figure has the
judges drawn anew as its interval, by draws that are of the same people for every teacher:
so that two teachers can be compared in pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.agreement import centred_cosine
from plethprint.errors import TrainingError
from plethprint.signal import ECG
from plethprint_distill.folds import Fold, thinned
from plethprint_distill.partner_figures import (
    DRAWS,
    mean_of_people,
    partners_found,
    rank_of_people,
)
from plethprint_distill.probes import probe
from plethprint_distill.reconstruction import paint_ecg
from plethprint_distill.space import fingerprints, mixed_pairs, settle_space
from plethprint_distill.statistics import Estimate, estimate
from plethprint_distill.sweep import is_judge
from plethprint_distill.teacher import M2AE
from plethprint_distill.teacher_questions import PAIRS, QUESTIONS, Question
from plethprint_distill.windows import WindowSet, concatenate

__all__ = ["FIGURES", "Jury"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_FIT, _ASKED = 1500, 1200
"""Windows of each pool that fit the probes, and that are asked, at most."""
_PAINTED = 400
"""Windows that judge painted ECG, of each corpus of pairs at most."""
_SETTLED = 500
"""Pairs of each set that the fingerprint space is settled on."""

_POOLS: dict[str, tuple[tuple[str, ...], str]] = {
    "bidmc": (("bidmc",), "ppg"),
    "uci": (("uci_cuffless",), "ppg"),
    "sensors": (
        ("bidmc_resensed", "uci_cuffless_resensed", "stress_predict_resensed"),
        "ppg",
    ),
    "ecg": (("cinc2017",), "ecg"),
}
"""Sets whose windows are asked together, and what the teacher sees of them."""


FIGURES = {
    "heart_rate_mae_bpm": ("heart rate, bpm", -1),
    "interval_variation_r": ("interval variation, r", 1),
    "early_beats_auroc": ("early beats, AUROC", 1),
    "late_beats_auroc": ("late beats, AUROC", 1),
    "systolic_r": ("systolic, r", 1),
    "af_from_ecg_auroc": ("AF from ECG, AUROC", 1),
    "disturbed_auroc": ("disturbed, AUROC", 1),
    "retrieval_at_256": ("PPG→ECG @256", 1),
    "centred_cosine": ("PPG v both", 1),
    "effective_rank": ("rank", 1),
    "ecg_error": ("ECG error", -1),
}
"""Figure -> its title in a table, and whether more (1) or less (-1) of it is better."""


@dataclass(frozen=True)
class _Pool:
    windows: WindowSet
    """Without context; those that fit and those that are asked."""
    asked: BoolArray
    """(N,) of people who judge."""
    modality: str


class Jury:
    """Windows of training people, parted by person into those who fit and who judge.

    Parameters
    ----------
    sets
        Training windows, with context or without, nobody of them held out for tests.

    Raises
    ------
    TrainingError
        If no pair of BIDMC is of a judge, or none is left to fit.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from plethprint_distill.teacher import TeacherConfig
    >>> from plethprint_distill.virtual import virtual_windows
    >>> windows = virtual_windows(48, seed=1)
    >>> people = np.array([f"bidmc/{row % 8}" for row in range(48)])
    >>> jury = Jury({"bidmc": replace(windows, person=people)})
    >>> jury.people()
    {'bidmc': 2}
    >>> teacher = M2AE(TeacherConfig(width=16, heads=2, encoder_layers=1))
    >>> jury.judge(teacher)["heart_rate_mae_bpm"].interval.mean > 0.0
    True
    """

    def __init__(self, sets: Mapping[str, WindowSet]) -> None:
        judges = {name: _judge_rows(part) for name, part in sets.items()}
        self.training_sets: dict[str, WindowSet] = {}
        """All sets without the windows of judges: what a variant may train on."""
        for name, part in sets.items():
            left = part.take(~judges[name]) if judges[name].any() else part
            if len(left):
                self.training_sets[name] = left
        self._pools = {
            pool: found
            for pool, (names, modality) in _POOLS.items()
            if (found := _pooled(sets, judges, names, modality)) is not None
        }
        if "bidmc" not in self._pools:
            raise TrainingError(
                "no windows of people who judge, or none of others: the sweep needs bidmc"
            )
        self._settle_on = mixed_pairs(self.training_sets, _SETTLED).centred()

    def people(self) -> dict[str, int]:
        """How many judge, by pool."""
        return {
            name: len(np.unique(np.asarray(p.windows.person)[p.asked]))
            for name, p in self._pools.items()
        }

    def judge(self, teacher: M2AE) -> dict[str, Estimate]:
        """Settle the teacher's space on those who trained it, and ask all questions.

        Returns
        -------
        dict
            `FIGURES` -> the figure, its interval over judges and its draws; figures of
            corpora that are not there are left out.
        """
        settle_space(teacher, self._settle_on)
        seen = {
            name: fingerprints(teacher, pool.windows, (pool.modality,))
            for name, pool in self._pools.items()
        }
        found = {
            name: answer
            for name, question in QUESTIONS.items()
            if (answer := self._ask(question, seen)) is not None
        }
        return {**found, **dict(self._of_pairs(teacher, seen))}

    def _ask(self, question: Question, seen: Mapping[str, Float32Array]) -> Estimate | None:
        names = [name for name in question.pools if name in self._pools]
        if not names:
            return None
        pools = [self._pools[name] for name in names]
        label = np.concatenate([question.label(pool.windows) for pool in pools])
        person = np.concatenate([np.asarray(pool.windows.person) for pool in pools])
        asked = np.concatenate([pool.asked for pool in pools])
        known = np.isfinite(label)
        fold = Fold(np.flatnonzero(known & ~asked), np.flatnonzero(known & asked))
        classes = question.figure == "auroc"
        for rows in (fold.train, fold.test):
            if len(rows) < 2 or np.ptp(label[rows]) == 0.0:
                return None  # one class alone, or a label that does not vary
        said = probe(
            np.concatenate([seen[name] for name in names]),
            np.where(known, label, 0.0),
            person,
            ((fold,),),
            classes=classes,
        )
        truth, whose = label[fold.test], person[fold.test]
        value = (said.score if classes else said.value)[0, fold.test, 0]
        return estimate(question.metric(truth, value, whose), whose, draws=DRAWS)

    def _of_pairs(
        self, teacher: M2AE, seen: Mapping[str, Float32Array]
    ) -> Iterator[tuple[str, Estimate]]:
        """How PPG stands to ECG in the judges' pairs."""
        pools = {k: self._pools[k] for k in PAIRS if k in self._pools}
        asked = [pool.windows.take(pool.asked) for pool in pools.values()]
        pairs = concatenate(asked)
        person = np.asarray(pairs.person)
        alone = np.concatenate([seen[k][pool.asked] for k, pool in pools.items()])
        both = fingerprints(teacher, pairs, ("ppg", "ecg"))
        heart = fingerprints(teacher, pairs, ("ecg",))
        yield (
            "retrieval_at_256",
            mean_of_people(partners_found(alone, heart).astype(np.float64), person),
        )
        yield "centred_cosine", mean_of_people(centred_cosine(alone, both), person)
        yield "effective_rank", rank_of_people(alone, person)
        few = concatenate(
            w.take(thinned(np.arange(len(w)), np.asarray(w.person), _PAINTED, seed=1))
            for w in asked
        )
        truth = np.asarray(few.ecg, np.float64) * ECG.input_scale
        error = ((paint_ecg(teacher, few.ppg) - truth) ** 2).mean(axis=1)
        energy = np.maximum(truth.var(axis=1), 1e-9)
        yield "ecg_error", mean_of_people(error / energy, np.asarray(few.person))


def _judge_rows(windows: WindowSet) -> BoolArray:
    """(N,) windows of people who judge; virtual wearers are nobody."""
    people, inverse = np.unique(np.asarray(windows.person), return_inverse=True)
    judges = [not p.startswith("virtual/") and is_judge(p) for p in people.tolist()]
    return np.array(judges, dtype=np.bool_)[inverse]


def _pooled(
    sets: Mapping[str, WindowSet],
    judges: Mapping[str, BoolArray],
    names: tuple[str, ...],
    modality: str,
) -> _Pool | None:
    """Windows of the sets, evenly over people; None where a side is empty."""
    parts, asked = [], []
    for name in names:
        if name not in sets:
            continue
        usable = np.asarray(getattr(sets[name], f"has_{modality}"))
        if name in ("bidmc", "uci_cuffless"):
            usable = usable & np.asarray(sets[name].has_ecg)
        person = np.asarray(sets[name].person)
        for side, most in ((False, _FIT), (True, _ASKED)):
            rows = np.flatnonzero(usable & (judges[name] == side))
            rows = thinned(rows, person, most // len(names), seed=0)
            parts.append(sets[name].take(rows).centred())
            asked.append(np.full(len(rows), side))
    if not parts:
        return None
    found = _Pool(concatenate(parts), np.concatenate(asked), modality)
    return found if found.asked.any() and not found.asked.all() else None

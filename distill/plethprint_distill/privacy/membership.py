"""Was somebody among the people who trained the model? Attacks on what the models do.

Each attack is a score of a window that ought to be larger for people who trained: the
student agrees better with the teacher it learnt from, gives longer vectors, the teacher
paints the ECG better. A person's score is the mean over their windows. *Signal quality* is
no attack but a control: it knows no model, so that its AUROC says how far the two groups
differ by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.agreement import centred_cosine
from plethprint.quality import assess
from plethprint.signal import ECG
from plethprint_distill.privacy.bootstrap import auroc_over_people
from plethprint_distill.reconstruction import paint_ecg
from plethprint_distill.statistics import Interval
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet

__all__ = ["Membership", "membership", "membership_scores"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Membership:
    """How well training people are told from people held out, by one score."""

    corpus: str
    attack: str
    auroc: Interval
    training_people: int
    held_out_people: int


def membership_scores(
    windows: WindowSet,
    vectors: Mapping[str, npt.NDArray[np.floating]],
    teacher: M2AE | None,
) -> dict[str, FloatArray]:
    """Scores (N,) of each attack; `vectors` may hold those of "student" and "teacher"."""
    scores = {"signal quality (control)": assess(np.asarray(windows.ppg)).astype(float)}
    if "student" in vectors:
        ours = np.asarray(vectors["student"], np.float64)
        scores["length of the student's vector"] = np.linalg.norm(ours, axis=1)
        if "teacher" in vectors:
            scores["student agrees with teacher"] = centred_cosine(ours, vectors["teacher"])
    if teacher is not None and bool(np.asarray(windows.has_ecg).all()):
        painted = paint_ecg(teacher, np.asarray(windows.ppg)).astype(np.float64)
        truth = np.asarray(windows.ecg, np.float64) * ECG.input_scale
        scores["teacher paints the ECG"] = _row_pearson(painted, truth)
    return scores


def membership(
    scores: Mapping[str, npt.ArrayLike],
    person: npt.NDArray[np.str_],
    trained: npt.NDArray[np.bool_],
    *,
    corpus: str,
) -> list[Membership]:
    """AUROC of each score (N,) over people; `trained` (N,) says whose windows trained."""
    names, inverse = np.unique(person, return_inverse=True)
    member = np.bincount(inverse, trained) > 0
    rows = []
    for attack, values in scores.items():
        means = np.bincount(inverse, np.asarray(values, float)) / np.bincount(inverse)
        rows.append(
            Membership(
                corpus,
                attack,
                auroc_over_people(means, member),
                int(member.sum()),
                len(names) - int(member.sum()),
            )
        )
    return rows


def _row_pearson(a: FloatArray, b: FloatArray) -> FloatArray:
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found: FloatArray = (a * b).sum(axis=1) / np.maximum(scale, 1e-12)
    return found

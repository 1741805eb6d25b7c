"""Is it the same person? Enrol with some minutes, probe with others, against a gallery.

A template is the mean of a person's unit fingerprints; a probe is the mean of some
consecutive windows. Both are centred on strangers (people of other corpora) and compared by
cosine. The *learnt* scorer is a stronger attacker: on those strangers it learns how one
person's fingerprints vary, and divides by it (within-class covariance normalisation,
Hatch et al. 2006).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.signal import PPG
from plethprint_distill.privacy.bootstrap import DetCurve, det_curve
from plethprint_distill.statistics import Interval, mean_over_people
from plethprint_distill.windows import WindowSet

__all__ = [
    "Enrolment",
    "ReIdentification",
    "Scorer",
    "by_half",
    "by_record",
    "fit_scorer",
    "reidentify",
]

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
Scorer = Callable[[npt.NDArray[Any]], FloatArray]
"""Vectors (N, F) -> vectors whose cosine is the score."""


@dataclass(frozen=True)
class Enrolment:
    """Which windows are enrolled and which probe, and whose they are."""

    protocol: str
    enrol: npt.NDArray[np.intp]
    """Positions of windows to enrol, in order of time."""
    probe: npt.NDArray[np.intp]
    """Positions of windows that probe, in order of time."""
    identity: npt.NDArray[np.str_]
    """(N,) whose each window of the set is."""


@dataclass(frozen=True)
class ReIdentification:
    """What a fingerprint gives away of who wears the sensor."""

    corpus: str
    features: str
    protocol: str
    scorer: str
    gallery: int
    """People (or records) enrolled."""
    enrolment_min: float
    probe_s: float
    rank1: Interval
    rank5: Interval
    chance_rank1: float
    chance_rank5: float
    verification: DetCurve
    rank1_by_gallery: dict[str, Interval]
    rank1_by_enrolment_min: dict[str, Interval]


def by_half(windows: WindowSet, identity: npt.NDArray[np.str_] | None = None) -> Enrolment:
    """The first half of each person's first recording against its second half.

    Windows that lie across the middle are left out.
    """
    who = np.asarray(windows.person if identity is None else identity)
    record, start = np.asarray(windows.record), np.asarray(windows.start_s)
    order = np.lexsort((start, record, who))
    enrol, probe = [], []
    for name in np.unique(who):
        rows = order[who[order] == name]
        rows = rows[record[rows] == record[rows[0]]]
        end = start[rows] + PPG.window_s
        middle = (start[rows[0]] + end[-1]) / 2
        enrol.append(rows[end <= middle + 1e-3])
        probe.append(rows[start[rows] >= middle - 1e-3])
    return Enrolment(
        "later half of the recording", np.concatenate(enrol), np.concatenate(probe), who
    )


def by_record(windows: WindowSet) -> Enrolment:
    """Everybody's first recording against the other recordings of those who have more."""
    who, record = np.asarray(windows.person), np.asarray(windows.record)
    order = np.lexsort((np.asarray(windows.start_s), record, who))
    first: dict[str, str] = {}
    for row in order.tolist():
        first.setdefault(str(who[row]), str(record[row]))
    enrolled = np.array([first[str(w)] == str(r) for w, r in zip(who, record, strict=True)])
    return Enrolment(
        "another recording", order[enrolled[order]], order[~enrolled[order]], who
    )


def fit_scorer(
    vectors: npt.NDArray[Any],
    person: npt.NDArray[np.str_],
    *,
    learnt: bool = False,
) -> Scorer:
    """Centre on strangers' vectors (N, F); `learnt`: also divide by how people vary."""
    known = _unit(np.asarray(vectors, np.float64))
    names, inverse = np.unique(person, return_inverse=True)
    # Each person counts once, however long they were recorded.
    means = np.stack([known[inverse == i].mean(axis=0) for i in range(len(names))])
    centre = means.mean(axis=0)
    matrix = np.eye(known.shape[1])
    if learnt:
        within = np.cov(known - means[inverse], rowvar=False)
        values, directions = np.linalg.eigh(within)
        values = np.maximum(values, 1e-3 * values.max())
        matrix = directions @ np.diag(values**-0.5) @ directions.T

    def scorer(rows: npt.NDArray[Any]) -> FloatArray:
        return _unit((np.asarray(rows, np.float64) - centre) @ matrix)

    return scorer


def reidentify(
    vectors: npt.NDArray[Any],
    enrolment: Enrolment,
    scorer: Scorer,
    *,
    corpus: str,
    features: str,
    scorer_name: str = "cosine",
    enrolment_min: float = 4.0,
    probe_windows: int = 6,
    minutes: tuple[float, ...] = (),
    galleries: tuple[int, ...] = (),
    probe_vectors: npt.NDArray[Any] | None = None,
) -> ReIdentification:
    """All figures of one embedding on one corpus.

    Parameters
    ----------
    vectors
        (N, F), one for each window of the set that `enrolment` speaks of.
    enrolment_min
        Most minutes that are enrolled of each; fewer where there are no more.
    probe_windows
        Consecutive windows of one recording averaged into one probe; 1 is 10 s.
    minutes, galleries
        Further enrolment lengths, where there is so much, and smaller galleries; rank 1
        in a gallery of g is the mean over all galleries of g that hold the person.
    probe_vectors
        (N, F) if probes come from elsewhere, such as another key.
    """
    unit = _unit(np.asarray(vectors, np.float64))
    other = unit if probe_vectors is None else _unit(np.asarray(probe_vectors, np.float64))
    identity = enrolment.identity
    names = np.unique(identity[enrolment.enrol])
    probes, owner = _probes(other, enrolment, probe_windows)
    known = np.isin(owner, names)
    probes, owner = scorer(probes[known]), owner[known]
    whose = np.searchsorted(names, owner)

    def scores(length_min: float) -> FloatArray:
        most = max(1, round(length_min * 60 / PPG.window_s))
        rows = [enrolment.enrol[identity[enrolment.enrol] == n][:most] for n in names]
        templates = scorer(np.stack([unit[r].mean(axis=0) for r in rows]))
        found: FloatArray = probes @ templates.T
        return found

    whole = scores(enrolment_min)
    longest_s = PPG.window_s * max(
        int((identity[enrolment.enrol] == n).sum()) for n in names
    )
    size = len(names)
    return ReIdentification(
        corpus=corpus,
        features=features,
        protocol=enrolment.protocol,
        scorer=scorer_name,
        gallery=size,
        enrolment_min=enrolment_min,
        probe_s=probe_windows * PPG.window_s,
        rank1=mean_over_people(_within_rank(whole, whose, 1, size), owner),
        rank5=mean_over_people(_within_rank(whole, whose, 5, size), owner),
        chance_rank1=1 / size,
        chance_rank5=min(1.0, 5 / size),
        verification=det_curve(whole, whose, np.arange(size)),
        rank1_by_gallery={
            str(g): mean_over_people(_within_rank(whole, whose, 1, g), owner)
            for g in galleries
            if g <= size
        },
        rank1_by_enrolment_min={
            f"{m:g}": mean_over_people(_within_rank(scores(m), whose, 1, size), owner)
            for m in minutes
            if m * 60 <= longest_s
        },
    )


def _probes(
    unit: FloatArray, enrolment: Enrolment, size: int
) -> tuple[FloatArray, npt.NDArray[np.str_]]:
    means, owner = [], []
    identity = enrolment.identity
    for name in np.unique(identity[enrolment.probe]):
        rows = enrolment.probe[identity[enrolment.probe] == name]
        for first in range(0, max(1, len(rows) - size + 1), size):
            means.append(unit[rows[first : first + size]].mean(axis=0))
            owner.append(str(name))
    return np.stack(means), np.array(owner)


def _within_rank(
    scores: FloatArray, whose: npt.NDArray[np.intp], rank: int, gallery: int
) -> FloatArray:
    """Chance (P,) that the true one is among the first `rank` of a gallery of this size.

    Exact over all galleries: how many of the better strangers it holds is hypergeometric.
    """
    from scipy.stats import hypergeom

    true = scores[np.arange(len(scores)), whose][:, None]
    # A tie is lost half the time: a constant embedding must not win.
    better = (scores > true).sum(axis=1) + ((scores == true).sum(axis=1) - 1) / 2
    strangers = scores.shape[1] - 1
    found: FloatArray = hypergeom.cdf(
        rank - 1, strangers, np.ceil(better).astype(int), gallery - 1
    )
    return found


def _unit(rows: FloatArray) -> FloatArray:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    unit: FloatArray = rows / lengths
    return unit

"""What `Fingerprint.protect` costs, what it buys, and where it ends: attacks on it.

Three attackers of growing knowledge try to turn a breached set of protected fingerprints
back, and are judged by how near they come and by whether the people can then be found in a
gallery of plain fingerprints:

* *alignment* has plain fingerprints of other people and nothing else: it lays the two
  clouds of points over each other by their covariance and skewness, then by mutual
  nearest neighbours (iterative Procrustes); *own alignment* has the plain fingerprints of
  the very same windows, but knows not which belongs to which;
* *n pairs* knows n fingerprints of other people together with their protected images, and
  fits the best linear way back;
* *key* can make as many pairs as it likes: the same with every training window.

Two databases under two keys are linked in three ways: by comparing as they are; by laying
one cloud over the other first, where both hold the same windows; and the same where they
hold the same people at other times.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.protection import KeyedProjection
from plethprint_distill.privacy.reidentification import (
    Enrolment,
    ReIdentification,
    Scorer,
    fit_scorer,
    reidentify,
)
from plethprint_distill.statistics import Interval, mean_over_people

__all__ = ["Attack", "Breach", "ProtectionTrade", "align", "protection_trade", "way_back"]

FloatArray = npt.NDArray[np.float64]
Int8Array = npt.NDArray[np.int8]

_MODEL = "measured@1+00000000"


@dataclass(frozen=True)
class Attack:
    """What an attacker got back of a breached set of protected fingerprints."""

    cosine: Interval
    """Centred cosine of what was got back with the true fingerprints; 0 is nothing."""
    rank1: Interval
    """One-minute probes got back, found in a gallery of plain fingerprints."""


@dataclass(frozen=True)
class ProtectionTrade:
    """One form of protection: task accuracy, unlinkability, and attacks."""

    form: str
    size: int
    heart_rate_mae_bpm: Interval
    """Ridge probe on protected fingerprints under the same key."""
    rank1_within_key: Interval
    equal_error_rate_within_key: Interval
    rank1_across_keys: Interval
    equal_error_rate_across_keys: Interval
    rank1_across_keys_same_windows: Interval
    """After `align` of one database to the other, which holds the very same windows."""
    rank1_across_keys_other_windows: Interval
    """The same where one holds the windows enrolled, the other those that probe."""
    alignment: Attack
    own_alignment: Attack
    """With the plain fingerprints of the same windows, in an order of their own."""
    pairs: dict[str, Attack]
    """By number of known pairs."""
    key: Attack


def way_back(
    protected: npt.NDArray[Any], plain: npt.NDArray[Any]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Best linear map from known pairs: (centre of protected, matrix, centre of plain).

    Ridge regression; its strength is the one that best tells pairs left out.
    """
    from sklearn.linear_model import RidgeCV

    x, y = np.asarray(protected, np.float64), np.asarray(plain, np.float64)
    centre, spread = x.mean(axis=0), x.std() + 1e-12
    # The intercept must be the regression's own: rows centred beforehand add up to zero,
    # so that a pair left out would be told by the others, and the least ridge seem best.
    model = RidgeCV(np.logspace(-4, 4, 9)).fit((x - centre) / spread, y)
    return centre, np.asarray(model.coef_).T / spread, np.asarray(model.intercept_)


def align(
    protected: npt.NDArray[Any],
    plain: npt.NDArray[Any],
    *,
    rounds: int = 15,
    most: int = 2000,
    seed: int = 0,
) -> FloatArray:
    """Lay a protected cloud (N, M) over a plain one (K, F), knowing no pair: (N, F)."""
    rng = np.random.default_rng(seed)
    x = np.asarray(protected, np.float64)
    y = np.asarray(plain, np.float64)
    level = y.mean(axis=0)
    spread = float((y - level).std())
    x = (x - x.mean(axis=0)) / x.std()
    y = (y - level) / spread
    width = min(x.shape[1], y.shape[1])
    (_, u), (_, v) = (np.linalg.eigh(np.cov(z, rowvar=False)) for z in (x, y))
    u, v = u[:, ::-1][:, :width], v[:, ::-1][:, :width]
    # An eigenvector has no sign of its own; the cloud's skewness along it has.
    signs = np.sign(((x @ u) ** 3).mean(axis=0) * ((y @ v) ** 3).mean(axis=0))
    matrix = u @ np.diag(np.where(signs == 0, 1.0, signs)) @ v.T
    some_x = x[rng.permutation(len(x))[:most]]
    some_y = y[rng.permutation(len(y))[:most]]
    for _ in range(rounds):
        moved = some_x @ matrix
        far = -2 * moved @ some_y.T + (some_y**2).sum(axis=1)
        far += (moved**2).sum(axis=1)[:, None]
        nearest, back = far.argmin(axis=1), far.argmin(axis=0)
        mutual = np.flatnonzero(back[nearest] == np.arange(len(some_x)))
        if mutual.size < 2:
            break
        left, _, right = np.linalg.svd(
            some_x[mutual].T @ some_y[nearest[mutual]], full_matrices=False
        )
        matrix = left @ right
    found: FloatArray = x @ matrix * spread + level
    return found


@dataclass(frozen=True)
class Breach:
    """Plain int8 fingerprints of the people attacked, and of others."""

    victims: Int8Array
    person: npt.NDArray[np.str_]
    enrolment: Enrolment
    others: Int8Array
    other_person: npt.NDArray[np.str_]
    heart_rate_bpm: FloatArray
    """(N,) of the victims' windows, NaN where unknown."""
    held_out: npt.NDArray[np.bool_]
    """(N,) victims on whom the heart-rate probe is judged; the rest train it."""


def protection_trade(
    breach: Breach,
    forms: tuple[tuple[str, int], ...],
    *,
    pairs: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 1024),
    keys: int = 3,
    seed: int = 0,
) -> list[ProtectionTrade]:
    """All figures of every form, the first row being no protection at all."""
    plain_scorer = fit_scorer(breach.others, breach.other_person)
    within = _reidentified(breach, breach.victims, plain_scorer)
    nothing = Attack(*(Interval(1.0, 1.0, 1.0, within.gallery), within.rank1))
    rows = [
        ProtectionTrade(
            "none",
            breach.victims.shape[1],
            _heart_rate(breach, breach.victims),
            within.rank1,
            within.verification.equal_error_rate,
            within.rank1,
            within.verification.equal_error_rate,
            within.rank1,
            within.rank1,
            nothing,
            nothing,
            {},
            nothing,
        )
    ]
    rows += [_trade(breach, form, size, pairs, keys, seed) for form, size in forms]
    return rows


def _trade(
    breach: Breach, form: str, size: int, pairs: tuple[int, ...], keys: int, seed: int
) -> ProtectionTrade:
    rng = np.random.default_rng(seed)
    dim = breach.victims.shape[1]
    found: dict[str, list[Attack]] = {}
    within, across, same, apart, rates = [], [], [], [], []
    projections = [
        KeyedProjection(rng.bytes(32), _MODEL, dim, form=form, size=size)
        for _ in range(keys + 1)
    ]
    for ours, theirs in pairwise(projections):
        victims, others = ours.apply(breach.victims), ours.apply(breach.others)
        within.append(
            _reidentified(breach, victims, fit_scorer(others, breach.other_person))
        )
        rates.append(_heart_rate(breach, victims))
        strange = theirs.apply(breach.victims)
        across.append(_linked(breach, victims, strange))
        same.append(_linked(breach, align(victims, strange), strange))
        enrol, probe = breach.enrolment.enrol, breach.enrolment.probe
        moved = np.zeros(strange.shape)
        moved[enrol] = align(victims[enrol], strange[probe])
        apart.append(_linked(breach, moved, strange, level=strange[probe].mean(axis=0)))
        attempts: dict[str, FloatArray] = {
            "alignment": align(victims, breach.others),
            "own": align(victims, breach.victims),
        }
        for count in (*pairs, len(breach.others)):
            some = rng.permutation(len(breach.others))[:count]
            centre, matrix, level = way_back(others[some], breach.others[some])
            attempts[str(count)] = (victims - centre) @ matrix + level
        for name, back in attempts.items():
            found.setdefault(name, []).append(_judged(breach, back))
    attacks = {name: _mean_attack(some) for name, some in found.items()}
    return ProtectionTrade(
        form,
        size,
        _mean(rates),
        _mean([w.rank1 for w in within]),
        _mean([w.verification.equal_error_rate for w in within]),
        _mean([a.rank1 for a in across]),
        _mean([a.verification.equal_error_rate for a in across]),
        _mean([a.rank1 for a in same]),
        _mean([a.rank1 for a in apart]),
        attacks["alignment"],
        attacks["own"],
        {str(n): attacks[str(n)] for n in pairs},
        attacks[str(len(breach.others))],
    )


def _linked(
    breach: Breach,
    ours: npt.NDArray[Any],
    theirs: npt.NDArray[Any],
    level: FloatArray | None = None,
) -> ReIdentification:
    """People enrolled in one database found by probes of another, each centred.

    `level` is what to centre both on, where one was laid over the other.
    """
    rows = [np.asarray(side, np.float64) for side in (ours, theirs)]
    mine, other = (x - (x.mean(axis=0) if level is None else level) for x in rows)
    return _reidentified(
        breach, mine, lambda x: _unit(np.asarray(x, np.float64)), probes=other
    )


def _judged(breach: Breach, back: FloatArray) -> Attack:
    centre = breach.others.astype(np.float64).mean(axis=0)
    ours, truth = _unit(back - centre), _unit(breach.victims - centre)
    scorer = fit_scorer(breach.others, breach.other_person)
    found = _reidentified(breach, breach.victims, scorer, probes=back)
    return Attack(mean_over_people((ours * truth).sum(axis=1), breach.person), found.rank1)


def _reidentified(
    breach: Breach,
    vectors: npt.NDArray[Any],
    scorer: Scorer,
    probes: npt.NDArray[Any] | None = None,
) -> ReIdentification:
    return reidentify(
        vectors,
        breach.enrolment,
        scorer,
        corpus="",
        features="",
        probe_vectors=probes,
    )


def _heart_rate(breach: Breach, vectors: Int8Array) -> Interval:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    unit = _unit(vectors.astype(np.float64))
    train = ~breach.held_out & np.isfinite(breach.heart_rate_bpm)
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    model.fit(unit[train], breach.heart_rate_bpm[train])
    error = np.abs(model.predict(unit) - breach.heart_rate_bpm)
    return mean_over_people(error[breach.held_out], breach.person[breach.held_out])


def _mean(intervals: list[Interval]) -> Interval:
    """Mean over keys of a figure and of both ends of its interval over people."""
    return Interval(
        float(np.mean([i.mean for i in intervals])),
        float(np.mean([i.low for i in intervals])),
        float(np.mean([i.high for i in intervals])),
        intervals[0].people,
    )


def _mean_attack(attacks: list[Attack]) -> Attack:
    return Attack(_mean([a.cosine for a in attacks]), _mean([a.rank1 for a in attacks]))


def _unit(rows: FloatArray) -> FloatArray:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    unit: FloatArray = rows / lengths
    return unit

"""Where a fingerprint's tasks break: other devices, other people, other corpora.

Everything is asked of a frozen embedder, int8 windows (N, 640) to features (N, F), with
small probes (standardise, ridge) that are fitted on training people alone. Figures are
means over people with a bootstrap interval over people. A corpus that trained the
embedder is tested on people held out (`plethprint_distill.splits`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plethprint.quality import heart_rate_bpm
from plethprint_distill.device_changes import CURVES, DeviceChange
from plethprint_distill.invariance import Embedder, Float32Array
from plethprint_distill.metrics import auroc
from plethprint_distill.splits import test_mask
from plethprint_distill.statistics import Interval, mean_over_people
from plethprint_distill.stretches import StretchSet, windows_after_warm_up

__all__ = [
    "Curve",
    "LabelledWindows",
    "Left",
    "Subgroup",
    "across_people",
    "damaged",
    "degradation",
    "heart_rate_probe",
    "leave_one_corpus_out",
    "leave_one_corpus_out_damage",
    "quantile_groups",
    "subgroups",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BREAKS_AT = 2.0
"""An error so many times that of the unchanged signal is called broken."""

_AT_MOST = 3000  # windows a corpus: more would only weigh the large ones' people


@dataclass(frozen=True)
class LabelledWindows:
    """Windows of one corpus with one number to be found."""

    windows: npt.NDArray[np.int8]
    target: FloatArray
    """(N,); windows without one are left out."""
    person: npt.NDArray[np.str_]
    """(N,) "corpus/person"."""

    def known(self, mask: BoolArray) -> LabelledWindows:
        """The windows of `mask` that move and have a target, thinned to a few thousand."""
        moved = self.windows.any(axis=1)
        index = np.flatnonzero(mask & moved & np.isfinite(self.target))
        if len(index) > _AT_MOST:
            index = np.sort(np.random.default_rng(0).permutation(index)[:_AT_MOST])
        return LabelledWindows(self.windows[index], self.target[index], self.person[index])


@dataclass(frozen=True)
class Left:
    """One corpus left out: the probe saw only the others."""

    task: str
    tested_on: str
    trained_on: tuple[str, ...]
    error: Interval
    """Mean absolute error in the task's unit, or AUROC for damage."""
    within: Interval | None
    """The same with a probe of the corpus's own training people, where it has any."""
    control: Interval | None
    """Heart rate: beat counting; blood pressure: the mean of the training people."""


@dataclass(frozen=True)
class Curve:
    """One family of device changes at test time, and where the task breaks."""

    family: str
    levels: tuple[str, ...]
    error: tuple[Interval, ...]
    control: tuple[Interval, ...]
    """Beat counting on the same windows."""
    breaks_at: str | None
    """First level at which the error is `BREAKS_AT` times that of the first level."""
    control_breaks_at: str | None


@dataclass(frozen=True)
class Subgroup:
    """Error of one part of the people or windows."""

    grouping: str
    group: str
    error: Interval
    windows: int


def _fit(
    features: Float32Array, target: FloatArray, weight: FloatArray | None = None
) -> Callable[[Float32Array], FloatArray]:
    """Standardise and ridge, its strength by leave-one-out; gives the prediction."""
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(features, sample_weight=weight)
    ridge = RidgeCV(np.logspace(-1, 5, 13))
    ridge.fit(scale.transform(features), target, sample_weight=weight)
    return lambda other: np.asarray(ridge.predict(scale.transform(other)), np.float64)


def _counted(windows: npt.NDArray[np.int8], otherwise: float) -> FloatArray:
    """Heart rate by beat counting; where it finds none, `otherwise`."""
    rate = np.asarray(heart_rate_bpm(windows), np.float64)
    return np.where(np.isfinite(rate), rate, otherwise)


def leave_one_corpus_out(
    embed: Embedder, corpora: Mapping[str, LabelledWindows], *, task: str
) -> list[Left]:
    """Fit on all corpora but one, test on that one.

    Corpora weigh the same in the fit. People held out never train; a corpus without any
    training people (all of it is held out) trains too when it is not the one tested, for
    no embedder was trained on it and the probe is tested elsewhere.

    Parameters
    ----------
    embed
        Int8 windows to features.
    corpora
        Name to windows; two at least.
    task
        Name for the rows; ``heart rate`` gets beat counting as control, others the
        training people's mean.
    """
    train, test = {}, {}
    for name, given in corpora.items():
        held_out = test_mask(given.person)
        everybody = np.ones(len(held_out), np.bool_)
        foreign = held_out.all() or not held_out.any()
        train[name] = given.known(everybody if foreign else ~held_out)
        test[name] = given.known(everybody if foreign else held_out)
    seen = {name: embed(part.windows) for name, part in train.items()}
    rows = []
    for name, part in test.items():
        others = tuple(other for other in corpora if other != name)
        features = np.concatenate([seen[other] for other in others])
        target = np.concatenate([train[other].target for other in others])
        weight = np.concatenate(
            [np.full(len(train[other].target), 1000 / len(seen[other])) for other in others]
        )
        found = embed(part.windows)

        def error(guess: FloatArray, part: LabelledWindows = part) -> Interval:
            return mean_over_people(np.abs(guess - part.target), part.person)

        middle = float(np.average(target, weights=weight))
        control = (
            _counted(part.windows, middle)
            if task == "heart rate"
            else np.full(len(part.target), middle)
        )
        own = train[name].person
        within = None
        if not np.isin(part.person, own).any():
            within = error(_fit(seen[name], train[name].target)(found))
        guess = error(_fit(features, target, weight)(found))
        rows.append(Left(task, name, others, guess, within, error(control)))
    return rows


def leave_one_corpus_out_damage(
    embed: Embedder, corpora: Mapping[str, StretchSet]
) -> list[Left]:
    """Clean against damaged windows: AUROC within each person, the probe of the others.

    Each stretch is taken once as it is and once damaged (`damaged`).
    """
    given = {}
    for name, stretches in corpora.items():
        clean, spoilt = stretches.windows(), damaged(stretches)
        given[name] = LabelledWindows(
            np.concatenate([clean, spoilt]),
            np.repeat([1.0, 0.0], len(clean)),
            np.tile(stretches.person, 2),
        )
    features = {name: embed(part.windows) for name, part in given.items()}
    rows = []
    for name, part in given.items():
        others = tuple(other for other in corpora if other != name)
        target = np.concatenate([given[other].target for other in others])
        weight = np.concatenate(
            [np.full(len(features[other]), 1000 / len(features[other])) for other in others]
        )
        fit = _fit(np.concatenate([features[other] for other in others]), target, weight)
        score = fit(features[name])
        people, unharmed = np.unique(part.person), part.target > 0.5
        areas = [
            auroc(unharmed[own], score[own])[0]
            for own in (part.person == p for p in people)
        ]
        found = mean_over_people(areas, people)
        rows.append(Left("clean v damaged (AUROC)", name, others, found, None, None))
    return rows


def damaged(stretches: StretchSet, *, seed: int = 0) -> npt.NDArray[np.int8]:
    """Windows of the stretches after one of five damages each, drawn by chance.

    White noise of 1.5 to 4 sd of the window; slow bursts of 2 to 6 sd over 2 to 5 s;
    contact lost for 4 to 9 s; a random walk of 3 to 10 sd; clipped to its middle third.
    """
    rng = np.random.default_rng(seed)
    rate_hz, rows = stretches.rate_hz, stretches.rows.copy()
    rows = np.where(np.isfinite(rows), rows, np.nanmean(rows, axis=1, keepdims=True))
    first, length = round(5.0 * rate_hz), round(10.0 * rate_hz)
    for row in rows:
        window = row[first : first + length]
        spread = window.std()
        kind = int(rng.integers(5))
        if kind == 0:
            window += rng.uniform(1.5, 4.0) * spread * rng.normal(size=length)
        elif kind == 1:
            span = int(rng.uniform(2.0, 5.0) * rate_hz)
            at = int(rng.integers(length - span))
            slow = np.convolve(
                rng.normal(size=span), np.ones(max(1, round(rate_hz / 6))), "same"
            )
            window[at : at + span] += rng.uniform(2.0, 6.0) * spread * slow / slow.std()
        elif kind == 2:
            span = int(rng.uniform(4.0, 9.0) * rate_hz)
            at = int(rng.integers(length - span))
            window[at : at + span] = window.mean()
        elif kind == 3:
            walk = np.cumsum(rng.normal(size=length))
            window += rng.uniform(3.0, 10.0) * spread * (walk - walk.mean()) / walk.std()
        else:
            np.clip(window, *np.quantile(window, [1 / 3, 2 / 3]), out=window)
    return windows_after_warm_up(rows, rate_hz)


def heart_rate_probe(
    embed: Embedder, stretches: StretchSet
) -> Callable[[npt.NDArray[np.int8]], FloatArray]:
    """A heart-rate probe of the training people's unchanged windows: windows to bpm."""
    part = LabelledWindows(
        stretches.windows(), stretches.heart_rate_bpm, stretches.person
    ).known(~test_mask(stretches.person))
    fit = _fit(embed(part.windows), part.target)
    return lambda windows: fit(embed(windows))


def degradation(
    embed: Embedder,
    stretches: StretchSet,
    curves: Mapping[str, tuple[DeviceChange, ...]] = CURVES,
    *,
    progress: bool = True,
) -> list[Curve]:
    """Heart-rate error under device changes at test time only.

    The probe is fitted on the corpus's training people, unchanged, and tested on its
    people held out, changed; beside it beat counting on the same windows.

    Parameters
    ----------
    stretches
        Of a corpus with training people and people held out, heart rate known.
    """
    probe = heart_rate_probe(embed, stretches)
    known = np.isfinite(stretches.heart_rate_bpm)
    middle = float(np.mean(stretches.heart_rate_bpm[known & ~test_mask(stretches.person)]))
    tested = stretches.take(known & test_mask(stretches.person))
    truth, person = tested.heart_rate_bpm, tested.person
    found = []
    for family, changes in tqdm(curves.items(), desc="degradation", disable=not progress):
        errors, controls = [], []
        for change in changes:
            windows = windows_after_warm_up(*change.apply(tested.rows, tested.rate_hz))
            errors.append(mean_over_people(np.abs(probe(windows) - truth), person))
            counted = _counted(windows, middle)
            controls.append(mean_over_people(np.abs(counted - truth), person))
        levels = tuple(f"{change.level:g} {change.unit}".strip() for change in changes)
        found.append(
            Curve(
                family,
                levels,
                tuple(errors),
                tuple(controls),
                _breaks(levels, errors),
                _breaks(levels, controls),
            )
        )
    return found


def across_people(
    features: Float32Array, target: FloatArray, person: npt.NDArray[np.str_]
) -> FloatArray:
    """Out-of-fold predictions (N,), five folds by person; NaN where no target is known."""
    from sklearn.model_selection import GroupKFold

    known = np.flatnonzero(np.isfinite(target))
    guess = np.full(len(target), np.nan)
    folds = GroupKFold(5).split(known, groups=person[known])
    for train, test in folds:
        fit = _fit(features[known[train]], target[known[train]])
        guess[known[test]] = fit(features[known[test]])
    return guess


def _breaks(levels: tuple[str, ...], errors: list[Interval]) -> str | None:
    limit = BREAKS_AT * errors[0].mean
    broken = (level for level, e in zip(levels, errors, strict=True) if e.mean >= limit)
    return next(broken, None)


def subgroups(
    error: npt.ArrayLike,
    person: npt.NDArray[np.str_],
    groupings: Mapping[str, npt.NDArray[np.str_]],
) -> list[Subgroup]:
    """Errors by group; windows whose group is "" are left out.

    Parameters
    ----------
    error
        (N,) of each window.
    groupings
        Name to the group of each window, (N,).
    """
    errors = np.asarray(error, np.float64)
    rows = []
    for grouping, group in groupings.items():
        for name in np.unique(group[group != ""]).tolist():
            mask = group == name
            figure = mean_over_people(errors[mask], person[mask])
            rows.append(Subgroup(grouping, name, figure, int(mask.sum())))
    return rows


def quantile_groups(values: npt.ArrayLike, count: int) -> npt.NDArray[np.str_]:
    """Name the quantile group of each value, such as ``2/10 (0.31..0.45)``; NaN gets ""."""
    numbers = np.asarray(values, np.float64)
    known = np.isfinite(numbers)
    edges = np.quantile(numbers[known], np.linspace(0, 1, count + 1))
    place = np.clip(np.searchsorted(edges, numbers, "right") - 1, 0, count - 1)
    names = np.array(
        [
            f"{i + 1:0{len(str(count))}d}/{count} ({edges[i]:.3g}..{edges[i + 1]:.3g})"
            for i in range(count)
        ]
    )
    return np.where(known, names[place], "")

"""Do fingerprints tell age and sex? Linear probes, split by person.

PPG-BP holds 2.1 s a segment: whole beats are looped to a window. Each person is one point,
the mean of their vectors. Probes are standardised ridge regressions (of 0 and 1 for sex)
whose strength is chosen inside the training folds; what a fold predicts is told as the
distance from its training people's mean, and sexes are compared within folds, because
pooled predictions of small sets otherwise fall below chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint.signal import ECG, PPG, window_rows
from plethprint_distill.corpora import CORPORA
from plethprint_distill.physiology import TARGETS
from plethprint_distill.privacy.bootstrap import people_statistic
from plethprint_distill.statistics import Interval, mean_over_people
from plethprint_distill.windows import WindowSet

__all__ = [
    "Attributes",
    "Person",
    "attributes",
    "bidmc_people",
    "looped_to_window",
    "ppg_bp_windows",
]

FloatArray = npt.NDArray[np.float64]

_LOOP_RATE_HZ = 125.0
_CROSSFADE_S = 0.3


@dataclass(frozen=True)
class Person:
    """What is known of a person; NaN or empty where it is not."""

    age: float
    sex: str
    """"F", "M" or empty."""


@dataclass(frozen=True)
class Attributes:
    """How well linear probes tell age and sex of people they never saw."""

    corpus: str
    features: str
    age_r: Interval
    age_mae_years: Interval
    age_mae_of_the_mean_years: Interval
    """The error of always saying the training people's mean."""
    sex_auroc: Interval


def bidmc_people(data: Path) -> dict[str, Person]:
    """Age and sex of BIDMC's people by "bidmc/mimic_id"; ages above 90 count as 90."""
    import csv

    try:
        with (data / "bidmc" / "labels.csv").open(newline="") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise RecordingError(f"{data} holds no labels of BIDMC: {error}") from error
    return {f"bidmc/{row['mimic_id']}": _person(row["age"], row["sex"]) for row in rows}


def _person(age: str, sex: str) -> Person:
    try:
        years = float(age.rstrip("+"))
    except ValueError:
        years = float("nan")
    return Person(years, sex[:1].upper() if sex[:1].upper() in ("F", "M") else "")


def looped_to_window(
    segment: npt.NDArray[np.floating], sample_rate_hz: float, length_s: float
) -> FloatArray:
    """Whole beats of a short segment, repeated without a seam to `length_s`.

    Among all stretches of at least 0.4 s the one is taken after which the signal goes on
    most nearly as it began; of those nearly as good, the longest.
    """
    signal = np.asarray(segment, np.float64)
    fade = round(_CROSSFADE_S * sample_rate_hz)
    lags = np.arange(round(0.4 * sample_rate_hz), signal.size - fade)
    if not lags.size or signal.std() == 0:
        return np.resize(signal, round(length_s * sample_rate_hz))
    misfit, starts = np.empty(lags.size), np.empty(lags.size, int)
    for i, lag in enumerate(lags.tolist()):
        squared = np.cumsum(np.append(0.0, (signal[lag:] - signal[:-lag]) ** 2))
        over = squared[fade:] - squared[:-fade]
        starts[i] = int(np.argmin(over))
        misfit[i] = over[starts[i]]
    # A stretch of no beat at all fits nearly as well when it is short and flat: fit must be
    # judged against how much the signal moves in the faded part.
    good = misfit <= misfit.min() + 0.02 * fade * signal.var()
    best = int(np.flatnonzero(good)[-1])
    first, lag = int(starts[best]), int(lags[best])
    loop = signal[first : first + lag].copy()
    ramp = np.linspace(0, 1, min(fade, lag))
    tail = signal[first + lag : first + lag + ramp.size]
    loop[: ramp.size] = ramp * loop[: ramp.size] + (1 - ramp) * tail
    return np.resize(loop, round(length_s * sample_rate_hz))


def ppg_bp_windows(data: Path) -> tuple[WindowSet, dict[str, Person]]:
    """PPG-BP as windows, up to three a person, and its people.

    Raises
    ------
    RecordingError
        If the corpus is not there.
    """
    rows, person, record = [], [], []
    people: dict[str, Person] = {}
    try:
        for one in CORPORA["ppg_bp"].read(data / "ppg_bp"):
            if one.ppg is None:
                continue
            step = round(one.ppg_rate_hz / _LOOP_RATE_HZ)
            coarse = one.ppg[: one.ppg.size // step * step].reshape(-1, step).mean(axis=1)
            rows.append(looped_to_window(coarse, _LOOP_RATE_HZ, 2 * PPG.window_s))
            name = f"ppg_bp/{one.person}"
            person.append(name)
            record.append(one.record)
            people[name] = _person(str(one.labels["age"]), str(one.labels["sex"]))
    except OSError as error:
        raise RecordingError(f"{data} holds no PPG-BP: {error}") from error
    ppg, _ = window_rows(np.stack(rows), _LOOP_RATE_HZ, warm_up_s=PPG.window_s)
    n = len(ppg)
    windows = WindowSet(
        ppg=ppg,
        ecg=np.zeros((n, ECG.window_samples), np.int8),
        has_ppg=np.ones(n, np.bool_),
        has_ecg=np.zeros(n, np.bool_),
        targets=np.full((n, len(TARGETS)), np.nan, np.float32),
        rhythm=np.full(n, -1, np.int8),
        person=np.array(person),
        record=np.array(record),
        start_s=np.zeros(n, np.float32),
    )
    return windows, people


def attributes(
    vectors: npt.NDArray[np.floating],
    person: npt.NDArray[np.str_],
    people: dict[str, Person],
    *,
    corpus: str,
    features: str,
    folds: int = 10,
    repeats: int = 5,
    seed: int = 0,
) -> Attributes:
    """Cross-validated probes for age and sex on each person's mean vector."""
    names = np.array([n for n in np.unique(person) if str(n) in people])
    means = np.stack(
        [np.asarray(vectors[person == n], np.float64).mean(axis=0) for n in names]
    )
    age = np.array([people[str(n)].age for n in names])
    sex = np.array([people[str(n)].sex for n in names])
    aged = np.isfinite(age)
    known = sex != ""
    guesses, levels, _ = _out_of_fold(means[aged], age[aged], folds, repeats, seed)
    guess = (guesses - levels).mean(axis=0)
    away = age[aged] - levels.mean(axis=0)  # from the training people's mean
    return Attributes(
        corpus,
        features,
        people_statistic(
            lambda w: _weighted_r(guess, away, w), int(aged.sum()), draws=1000
        ),
        mean_over_people(np.abs(away - guess), names[aged]),
        mean_over_people(np.abs(away), names[aged]),
        _auroc_within_folds(means[known], sex[known] == "F", folds, 2 * repeats, seed),
    )


def _out_of_fold(
    rows: FloatArray, labels: FloatArray, folds: int, repeats: int, seed: int
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]:
    """Predictions, their training people's mean and their fold, (repeats, N) each."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    guess, level = (np.zeros((repeats, len(rows))) for _ in range(2))
    fold = np.zeros((repeats, len(rows)), np.intp)
    for repeat in range(repeats):
        splits = KFold(min(folds, len(rows)), shuffle=True, random_state=seed + repeat)
        for number, (train, test) in enumerate(splits.split(rows)):
            model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
            guess[repeat, test] = model.fit(rows[train], labels[train]).predict(rows[test])
            level[repeat, test] = labels[train].mean()
            fold[repeat, test] = number
    return guess, level, fold


def _auroc_within_folds(
    rows: FloatArray, positive: npt.NDArray[np.bool_], folds: int, repeats: int, seed: int
) -> Interval:
    """AUROC over pairs that one model scored: between folds, scores have no common zero."""
    if positive.all() or not positive.any():
        return Interval(float("nan"), float("nan"), float("nan"), len(rows))
    guess, _, fold = _out_of_fold(rows, positive.astype(float), folds, repeats, seed)
    wins, pairs = (np.zeros((int(positive.sum()), int((~positive).sum()))) for _ in "ab")
    for score, number in zip(guess, fold, strict=True):
        ours, theirs = score[positive][:, None], score[~positive]
        together = number[positive][:, None] == number[~positive]
        wins += together * ((ours > theirs) + 0.5 * (ours == theirs))
        pairs += together

    def auroc(weights: FloatArray) -> float:
        a, b = weights[positive], weights[~positive]
        count = a @ pairs @ b
        return float(a @ wins @ b / count) if count else float("nan")

    return people_statistic(auroc, len(rows), draws=1000)


def _weighted_r(a: FloatArray, b: FloatArray, weights: FloatArray) -> float:
    a = a - np.average(a, weights=weights)
    b = b - np.average(b, weights=weights)
    scale = np.sqrt((weights * a * a).sum() * (weights * b * b).sum())
    return float((weights * a * b).sum() / scale) if scale > 0 else float("nan")

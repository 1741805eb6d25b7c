"""Weights of the SDK's polarity evidence, and how often it is right on people held out.

Clinical monitors, the E4 and the finger sensors of the corpora show the pulse upright
(seen by eye and by agreement of all their windows); the green of Welltory's phone cameras
comes upside down. Turned over, evidence is exactly the opposite, so that accuracy is the
same for upright and inverted signals; what differs is how a stream starts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.polarity import STRONG, PolarityTracker, sign_shares, upright_evidence
from plethprint.quality import assess
from plethprint.signal import PPG, window_rows, windows_of
from plethprint_distill.corpora import CORPORA
from plethprint_distill.splits import is_test_person
from plethprint_distill.statistics import Interval, mean_over_people
from plethprint_distill.stretches import looped, owner

__all__ = ["PolarityFigures", "fit_weights", "polarity_figures"]

FloatArray = npt.NDArray[np.float64]

_HOP_S = 5.0
_LOOPED_S = 14.0


@dataclass(frozen=True)
class PolarityFigures:
    """How often the polarity of one corpus is found."""

    corpus: str
    window: Interval
    """Share of single windows (10 s) judged rightly; a flat window is half right."""
    good_window: Interval
    """The same of windows whose quality is 0.5 or more."""
    after_30_s: Interval
    """Share of stretches of three windows in a row judged rightly."""
    after_60_s: Interval
    strong_and_wrong: float
    """Share of windows whose evidence is strong and wrong."""
    strong_and_right: float
    turned_wrongly: float | None
    """``polarity="auto"`` on recordings that come upright: share of windows turned over;
    None where a recording is no longer than a window."""
    left_inverted: float | None
    """The same on inverted ones: share of windows not turned over."""
    delay_s: float | None
    """Median over inverted recordings of the signal it took to turn over, seconds."""
    windows: int


def fit_weights(sets: Mapping[str, npt.NDArray[np.int8]]) -> FloatArray:
    """Fit `plethprint.polarity.WEIGHTS`: logistic regression, no intercept.

    Parameters
    ----------
    sets
        Name to windows (N, 640) that all stand upright; sets weigh the same.

    Returns
    -------
    ndarray of float64, shape (3,)
        For the shares `convex`, `rising` and `above`, each times the window's quality.
    """
    from sklearn.linear_model import LogisticRegression

    shares = [sign_shares(w) * assess(w)[:, None].astype(np.float64) for w in sets.values()]
    rows = np.concatenate(shares)
    weight = np.concatenate([np.full(len(part), 1000 / len(part)) for part in shares])
    model = LogisticRegression(C=10.0, fit_intercept=False).fit(
        np.concatenate([rows, -rows]),
        np.repeat([1, 0], len(rows)),
        sample_weight=np.tile(weight, 2),
    )
    weights: FloatArray = model.coef_[0]
    return weights


def polarity_figures(corpus: str, folder: Path) -> PolarityFigures:
    """Measure one corpus, its people held out.

    Parameters
    ----------
    corpus
        Name in `plethprint_distill.corpora.CORPORA`.
    folder
        The corpus's folder.
    """
    # A tracker says aloud what it turns over, which here is every recording.
    logging.getLogger("plethprint.polarity").setLevel(logging.ERROR)
    right: dict[int, list[tuple[float, str]]] = {1: [], 3: [], 6: []}
    good: list[tuple[float, str]] = []
    strong: list[float] = []
    turned: list[float] = []
    left: list[float] = []
    delays: list[float] = []
    for person, evidence, quality in _evidence(corpus, folder):
        upright = evidence
        apart = upright[:: round(PPG.window_s / _HOP_S)]
        strong += apart.tolist()
        good += [(_right(e), person) for e in upright[quality >= 0.5]]
        for count, found in right.items():
            whole = apart[: len(apart) // count * count].reshape(-1, count)
            found += [(_right(e), person) for e in whole.sum(axis=1)]
        if len(upright) > 1 and corpus not in ("ppg_bp", "ppg_arrhythmia_valid"):
            turned += (_turns(upright) < 0).tolist()
            turns = _turns(-upright)
            left += (turns > 0).tolist()
            first = np.flatnonzero(turns < 0)
            delays.append(PPG.window_s + _HOP_S * first[0] if len(first) else np.inf)
    logging.getLogger("plethprint.polarity").setLevel(logging.NOTSET)
    figures = np.array(strong)
    return PolarityFigures(
        corpus,
        _mean(right[1]),
        _mean(good),
        _mean(right[3]),
        _mean(right[6]),
        float((figures <= -STRONG).mean()),
        float((figures >= STRONG).mean()),
        float(np.mean(turned)) if turned else None,
        float(np.mean(left)) if left else None,
        float(np.median(delays)) if delays else None,
        len(strong),
    )


def _right(evidence: float) -> float:
    return 0.5 + 0.5 * float(np.sign(evidence))


def _mean(values: list[tuple[float, str]]) -> Interval:
    return mean_over_people([v for v, _ in values], np.array([p for _, p in values], str))


def _turns(evidence: FloatArray) -> npt.NDArray[np.int64]:
    tracker = PolarityTracker("auto", hop_s=_HOP_S)
    return np.array([tracker.take(value)[0] for value in evidence.tolist()])


def _evidence(corpus: str, folder: Path) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """Person, evidence and quality of the windows of each recording, hop `_HOP_S`.

    Segments no longer than a window are strung together, each twice: their windows do not
    overlap, and every second one is taken as a window apart.
    """
    pending: dict[str, list[FloatArray]] = {}
    rate_hz = 0.0
    for recording in CORPORA[corpus].read(folder):
        person = f"{corpus}/{recording.person}"
        if recording.ppg is None or not is_test_person(person):
            continue
        signal = np.asarray(recording.ppg, np.float64)
        rate_hz = recording.ppg_rate_hz
        if corpus == "ppg_bp":
            step = round(rate_hz / 125.0)
            signal, rate_hz = looped(signal[::step], rate_hz / step, _LOOPED_S), 125.0
        if signal.size < 1.5 * PPG.window_s * rate_hz:
            pending.setdefault(person, []).append(signal)
            continue
        windows = windows_of(signal, rate_hz, hop_s=_HOP_S)
        if windows:
            missing = np.array([w.missing for w in windows])
            steps = np.stack([w.samples for w in windows])
            quality = assess(steps, missing).astype(np.float64)
            yield owner(recording), upright_evidence(steps, quality), quality
    for person, rows in pending.items():
        warm_up_s = _LOOPED_S - PPG.window_s if corpus == "ppg_bp" else 0.0
        cut, missing = window_rows(np.stack(rows), rate_hz, warm_up_s=warm_up_s)
        quality = assess(cut, missing).astype(np.float64)
        evidence = upright_evidence(cut, quality)
        yield person, np.repeat(evidence, 2), np.repeat(quality, 2)

"""The host's signal quality: a calibrated 0..1, and a word for what is wrong.

The quality of a window is the probability that it is a clean pulse rather than one damaged
in one of five ways, if half of all windows are damaged. It is a multinomial logistic
regression on eleven measures of the int8 window (`MEASURES`) and their products in pairs,
fitted on people of finger and wrist corpora, clean and damaged (``signal_quality.json``,
made and measured by ``python -m plethprint_distill quality``; ``docs/quality.md``). The
most probable damage is the `Reason` of a window below `LOW_QUALITY`.

==============  ====================================================================
measure         what it is
==============  ====================================================================
period          best normalised autocorrelation at lags of 0.27..2.2 s
weakest         rms of the weakest whole second / rms of the window
burst           rms of the window / rms of the strongest second
rough           energy of the slope / energy, log
drift           energy of the one-second means / energy, log
jerk            energy of the second / of the first difference, log
template        mean correlation of beats with their mean beat, as many as expected
purity          share of spectral power at the heart rate and twice and thrice it
slow            share of spectral power below 0.6 of the heart rate, log
kurtosis        fourth moment / squared second moment
plateau         share of samples in the outer 15 % of the way to either extreme
==============  ====================================================================

`plethprint.quality.assess` stays what a microcontroller computes (whole numbers, no
template and no spectrum); the first six measures here are its own.

What a window cannot show, other evidence may: `lowered` takes missing samples,
acceleration, perfusion and contact into account where they are known. How much these lower
the quality is set by hand: no open corpus labels them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.errors import SignalError, WindowShapeError
from plethprint.fingerprint import LOW_QUALITY
from plethprint.quality import _LONGEST_LAG, _SHORTEST_LAG, _WORST_MISSING, _autocorrelation
from plethprint.signal import PPG

__all__ = [
    "MEASURES",
    "REASONS",
    "WEIGHTS_FILE",
    "QualityWeights",
    "Reason",
    "judge",
    "lowered",
    "measures",
    "perfusion_index",
    "quality_of_measures",
    "read_weights",
    "regressors",
]

FloatArray = npt.NDArray[np.float64]

Reason = Literal[
    "", "noise", "motion", "contact", "clipping", "baseline", "gaps", "perfusion", "flat"
]
"""What lowers a quality most; empty for a window that is not low."""

REASONS: tuple[Reason, ...] = get_args(Reason)

MEASURES = (
    "period",
    "weakest",
    "burst",
    "rough",
    "drift",
    "jerk",
    "template",
    "purity",
    "slow",
    "kurtosis",
    "plateau",
)
"""Names of the columns of `measures`."""

WEIGHTS_FILE = Path(__file__).with_name("signal_quality.json")
"""The weights that ship."""
_CLASSES: tuple[Reason, ...] = (
    "",
    "noise",
    "motion",
    "contact",
    "clipping",
    "baseline",
)
_REACH = 2.5  # standard deviations
_HARMONIC_HALF_WIDTH_HZ = 0.2
# Set by hand: no corpus here has both these and a label.
_STILL_G = 0.05
_MOVING_G = 0.5
_LOWEST_PERFUSION = 0.001


@dataclass(frozen=True)
class QualityWeights:
    """Multinomial logistic regression of M measures: clean first, then each damage."""

    centre: FloatArray
    """(M,)."""
    spread: FloatArray
    """(M,)."""
    weights: FloatArray
    """(C, M + M (M + 1) / 2) of `regressors`."""
    bias: FloatArray
    """(C,)."""
    calibration: FloatArray
    """(2,) slope and offset of the logistic curve over the log odds of clean."""


def judge(
    windows: npt.NDArray[np.int8], missing: npt.ArrayLike = 0.0
) -> tuple[npt.NDArray[np.float32], list[Reason]]:
    """Rate windows from 0 to 1 and say what is wrong with those that are low.

    Parameters
    ----------
    windows : ndarray of int8, shape (N, T)
        As `plethprint.signal` makes them; either way up.
    missing : array_like of float, shape (N,) or scalar, optional
        Share of each window that was missing and filled in, 0..1.

    Returns
    -------
    qualities : ndarray of float32, shape (N,)
        0 for a flat window.
    reasons : list of str
        One of `REASONS` for each; empty where the quality is `LOW_QUALITY` or more.

    Raises
    ------
    WindowShapeError
        If the windows have another shape or type, or `missing` is no share of each.

    Examples
    --------
    >>> from plethprint.signal import windows_of
    >>> t = np.arange(0, 20, 1 / 64)
    >>> pulse = np.exp(np.sin(2 * np.pi * 1.2 * t))
    >>> noisy = pulse + np.random.default_rng(0).normal(0, 2, t.size)
    >>> rows = np.stack([windows_of(x, 64.0)[-1].samples for x in (pulse, noisy)])
    >>> qualities, reasons = judge(rows)
    >>> bool(qualities[0] > 0.8 > 0.2 > qualities[1]), reasons
    (True, ['', 'noise'])
    """
    rows = checked_windows(windows, PPG.window_samples)
    shares = np.asarray(missing, dtype=np.float64)
    if shares.shape not in ((), (len(rows),)):
        raise WindowShapeError(f"missing must be one share for each of {len(rows)} windows")
    shares = np.broadcast_to(shares, (len(rows),))
    if not ((shares >= 0.0).all() and (shares <= 1.0).all()):
        raise WindowShapeError("missing must be a share, 0 to 1")
    qualities, reasons = quality_of_measures(measures(rows))
    for place, row in enumerate(rows):
        quality, reason = float(qualities[place]), reasons[place]
        if not row.any():
            quality, reason = 0.0, "flat"
        told, reasons[place] = lowered(quality, reason, missing=float(shares[place]))
        qualities[place] = told
    return qualities.astype(np.float32), reasons


def quality_of_measures(rows: FloatArray) -> tuple[FloatArray, list[Reason]]:
    """Quality (N,) and most probable damage of measures (N, len(MEASURES)).

    The reason is told of every row here, also where the quality is high.
    """
    fitted = read_weights()
    x = regressors(rows, fitted.centre, fitted.spread)
    # Not a matrix product: a row's figures must not depend on what it came with.
    logits = (x[:, None, :] * fitted.weights).sum(axis=2) + fitted.bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    log_odds = np.log(odds[:, 0] + 1e-12) - np.log(odds[:, 1:].sum(axis=1) + 1e-12)
    slope, offset = fitted.calibration
    qualities: FloatArray = 1.0 / (1.0 + np.exp(-(slope * log_odds + offset)))
    return qualities, [_CLASSES[1 + place] for place in odds[:, 1:].argmax(axis=1).tolist()]


def lowered(
    quality: float,
    reason: str,
    *,
    missing: float = 0.0,
    motion_g: float | None = None,
    perfusion: float | None = None,
    off_skin: float = 0.0,
) -> tuple[float, Reason]:
    """Take into account what the window itself does not show.

    Parameters
    ----------
    quality : float
        Of the window, 0..1.
    reason : str
        Of the window, one of `REASONS`.
    missing : float, optional
        Share of samples that was filled in, 0..1; at half nothing is left.
    motion_g : float, optional
        Standard deviation of the magnitude of acceleration over the window, g: from 0.05
        to 0.5 the quality goes down to a half.
    perfusion : float, optional
        See `perfusion_index`; below 0.001 the quality falls in proportion.
    off_skin : float, optional
        Share of the window during which the sensor said it was off the skin, 0..1.

    Returns
    -------
    quality, reason
        The reason is that of the factor that lowers most; empty at `LOW_QUALITY` or more.

    Raises
    ------
    SignalError
        If a number is out of range or the reason is unknown.

    Examples
    --------
    >>> lowered(0.9, "", motion_g=0.6)
    (0.45, 'motion')
    >>> lowered(0.9, "", missing=0.1)
    (0.7200000000000001, '')
    """
    if reason not in REASONS:
        raise SignalError(f"a reason is one of {', '.join(REASONS[1:])}, not {reason!r}")
    for name, value in (("quality", quality), ("missing", missing), ("off_skin", off_skin)):
        if not 0.0 <= value <= 1.0:
            raise SignalError(f"{name} must lie in 0..1, not {value}")
    factors: list[tuple[float, Reason]] = [
        (quality, reason),
        (max(0.0, 1.0 - missing / _WORST_MISSING), "gaps"),
        (max(0.0, 1.0 - off_skin / _WORST_MISSING), "contact"),
    ]
    if motion_g is not None:
        if not (math.isfinite(motion_g) and motion_g >= 0.0):
            raise SignalError(f"motion_g must be 0 or more, not {motion_g}")
        way = (min(max(motion_g, _STILL_G), _MOVING_G) - _STILL_G) / (_MOVING_G - _STILL_G)
        factors.append((1.0 - 0.5 * way, "motion"))
    if perfusion is not None:
        if not perfusion >= 0.0:
            raise SignalError(f"perfusion must be 0 or more, not {perfusion}")
        factors.append((min(1.0, perfusion / _LOWEST_PERFUSION), "perfusion"))
    product = math.prod(factor for factor, _ in factors)
    if product >= LOW_QUALITY:
        return product, ""
    return product, min(factors, key=lambda factor: factor[0])[1]


def perfusion_index(counts: npt.ArrayLike) -> float:
    """Pulse over level of raw counts, (T,), as oximeters have it: peak to peak / mean.

    Only for counts whose zero is darkness: an offset that a sensor takes off, or a signal
    that was filtered, makes it mean nothing. Missing samples (NaN) are left out.

    Raises
    ------
    SignalError
        If there are no samples.

    Examples
    --------
    >>> round(perfusion_index(50_000 + 250 * np.sin(np.arange(640) / 8)), 4)
    0.01
    """
    values = np.asarray(counts, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        raise SignalError("perfusion needs samples")
    level = abs(float(values.mean()))
    # The outermost hundredths are not the pulse's.
    low, high = np.quantile(values, [0.01, 0.99])
    return float(high - low) / level if level else math.inf


def measures(windows: npt.NDArray[np.int8]) -> FloatArray:
    """The measures of windows (N, T), (N, len(MEASURES)); see the module.

    Raises
    ------
    WindowShapeError
        If the windows have another shape or type.
    """
    rows = checked_windows(windows, PPG.window_samples)
    return np.array([_row_measures(row) for row in rows.astype(np.float64)]).reshape(
        len(rows), len(MEASURES)
    )


def _row_measures(x: FloatArray) -> list[float]:
    energy = max(float((x * x).sum()), 1.0)
    second = round(PPG.rate_hz)
    seconds = x[: x.size // second * second].reshape(-1, second)
    power = (seconds * seconds).sum(axis=1)
    slope, bend = np.diff(x), np.diff(x, n=2)
    slope_energy = max(float((slope * slope).sum()), 1.0)
    correlation = _autocorrelation(x[None])[0, _SHORTEST_LAG : _LONGEST_LAG + 1]
    lag = _first_high_peak(correlation)
    purity, slow = _spectrum(x, PPG.rate_hz / lag)
    high, low = max(float(x.max()), 1.0), min(float(x.min()), -1.0)
    plateau = max(float((x > 0.85 * high).mean()), float((x < 0.85 * low).mean()))
    return [
        max(float(correlation.max()), 0.0),
        math.sqrt(float(power.min() / max(power.mean(), 1.0))),
        math.sqrt(float(power.mean() / max(power.max(), 1.0))),
        math.log(slope_energy / energy + 1e-4),
        math.log(float((seconds.sum(axis=1) ** 2).sum()) / second / energy + 1e-3),
        math.log(float((bend * bend).sum()) / slope_energy + 1e-3),
        _template_correlation(x, lag),
        purity,
        math.log(slow + 1e-3),
        min(float((x**4).sum()) * x.size / energy**2, 8.0),
        plateau,
    ]


def _first_high_peak(correlation: FloatArray) -> int:
    """Lag in samples: the first of the high peaks, for twice a period correlates too."""
    inner = correlation[1:-1]
    peaks = (inner >= correlation[:-2]) & (inner > correlation[2:])
    height = np.where(peaks, inner, 0.0)
    high = np.flatnonzero(peaks & (height >= 0.7 * max(float(height.max()), 1e-9)))
    return _SHORTEST_LAG + 1 + int(high[0]) if high.size else _LONGEST_LAG


def _spectrum(x: FloatArray, rate_hz: float) -> tuple[float, float]:
    """Shares of power at the first three harmonics, and below 0.6 of the rate."""
    spectrum = np.fft.rfft(x * _taper(x.size))
    power = spectrum.real**2 + spectrum.imag**2
    hz = np.arange(power.size) * (PPG.rate_hz / x.size)
    total = max(float(power.sum()), 1e-9)
    near = np.zeros(power.size, np.bool_)
    for harmonic in (1, 2, 3):
        near |= np.abs(hz - harmonic * rate_hz) <= _HARMONIC_HALF_WIDTH_HZ
    return float(power[near].sum()) / total, float(power[hz < 0.6 * rate_hz].sum()) / total


def _template_correlation(x: FloatArray, lag: int) -> float:
    """Mean correlation of beats with their mean beat; beats that are absent count 0."""
    half = lag // 2
    cuts = np.lib.stride_tricks.sliding_window_view(x, 2 * half + 1)
    # The strongest swing begins; whether it goes up or down is the polarity's matter.
    anchor = int(np.argmax(np.abs(x[half : x.size - half])))
    template = cuts[anchor]
    centred = cuts - cuts.mean(axis=1, keepdims=True)
    lengths = np.sqrt((centred * centred).sum(axis=1))
    found = 0.0
    for _ in range(2):
        shape = template - template.mean()
        norm = lengths * math.sqrt(max(float((shape * shape).sum()), 1e-9))
        match = (centred * shape).sum(axis=1) / np.maximum(norm, 1e-9)
        places = _spaced_peaks(match, max(1, round(0.6 * lag)))
        # A window holds this many beats, but for those cut off by its ends.
        expected = max(1, (x.size - 2 * half) // lag)
        best = np.sort(match[places])[::-1][:expected]
        found = float(np.maximum(best, 0.0).sum()) / expected
        template = cuts[places].mean(axis=0)
    return min(found, 1.0)


def _spaced_peaks(values: FloatArray, distance: int) -> npt.NDArray[np.intp]:
    """Places of the highest values, none nearer to another than `distance`."""
    inner = values[1:-1]
    peaks = 1 + np.flatnonzero((inner >= values[:-2]) & (inner > values[2:]))
    if not peaks.size:
        return np.array([int(np.argmax(values))])
    taken: list[int] = []
    for place in peaks[np.argsort(-values[peaks], kind="stable")].tolist():
        if all(abs(place - other) >= distance for other in taken):
            taken.append(place)
    return np.sort(np.array(taken))


@lru_cache(maxsize=1)
def _taper(n: int) -> FloatArray:
    return np.hanning(n)


def regressors(rows: FloatArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    """Measures (N, M) standardised, and every product of two, (N, M + M (M + 1) / 2)."""
    # Clipped: what is stranger than anything that was fitted on must not decide alone.
    x = np.clip((rows - centre) / spread, -_REACH, _REACH)
    first, second = np.triu_indices(x.shape[1])
    return np.concatenate([x, x[:, first] * x[:, second]], axis=1)


@lru_cache(maxsize=1)
def read_weights() -> QualityWeights:
    """The weights that ship.

    Raises
    ------
    SignalError
        If they were made for other measures than these.
    """
    told = json.loads(WEIGHTS_FILE.read_text(encoding="utf-8"))
    if told["measures"] != list(MEASURES) or told["classes"] != list(_CLASSES):
        raise SignalError(f"{WEIGHTS_FILE} was made for other measures; make it anew")
    return QualityWeights(
        **{f.name: np.array(told[f.name], np.float64) for f in fields(QualityWeights)}
    )

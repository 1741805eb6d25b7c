"""Hand-made features of rhythm and pulse morphology: what a careful engineer would measure.

Thirty figures of a window: rates and interval statistics from its pulses, the variation
of their height, the shape of the mean pulse and its derivatives, the spectrum and the
distribution of the samples.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.quality import heart_rate_bpm
from plethprint.signal import PPG
from plethprint_distill.baselines.pulses import Pulses, find_pulses

__all__ = ["FEATURES", "HandMade", "hand_made_features"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
Int8Array = npt.NDArray[np.int8]

_RHYTHM = (
    "rate_bpm",
    "pulse_rate_bpm",
    "median_rate_bpm",
    "log_interval_cv",
    "log_rmssd",
    "pnn50",
    "early_share",
    "interval_entropy",
    "log_rise_cv",
    "log_rise_rmssd",
)
_SHAPE = (
    "rise_time_s",
    "rise_share",
    "width_25_s",
    "width_50_s",
    "width_75_s",
    "area_ratio",
    "late_height",
    "slope_ratio",
    "b_over_a",
    "c_over_a",
    "d_over_a",
    "template_correlation",
)
_WHOLE = (
    "skewness",
    "kurtosis",
    "periodicity",
    "spectral_entropy",
    "second_harmonic",
    "third_harmonic",
    "share_below_0_8_hz",
    "share_above_4_hz",
)
FEATURES = (*_RHYTHM, *_SHAPE, *_WHOLE)
"""Names of the features, in the order of the columns."""

_RATES = 3
_PERIODICITY = FEATURES.index("periodicity")
_BEAT_POINTS = 128
_NEAR_SHARE = 0.2
_FREQUENCY_HZ = np.fft.rfftfreq(4 * PPG.window_samples, 1.0 / PPG.rate_hz)


class HandMade:
    """`FEATURES` of each window, made fit for a linear probe.

    `fit` keeps the median of each feature and its 1st and 99th percentile. What cannot be
    measured is given the median; what lies outside is brought to the percentile; and the
    three rates are held towards their median the less the window repeats itself, since a
    linear probe cannot learn by itself when not to trust them. On folds of training people
    the last took the error of a heart-rate probe from 5.0 to 4.3 bpm.
    """

    name = "hrv_morphology"
    family = "baseline"

    def __init__(self) -> None:
        self._limits: FloatArray | None = None

    def fit(self, ppg: Int8Array) -> None:
        """Learn what is typical from windows (N, 640)."""
        self._limits = _limits(hand_made_features(ppg))

    def embed(self, ppg: Int8Array) -> Float32Array:
        """Features (N, 30), finite; fits on the windows themselves when not yet fitted."""
        found = hand_made_features(ppg)
        if not len(found):
            return found.astype(np.float32)
        if self._limits is None:
            self._limits = _limits(found)
        low, typical, high = self._limits
        found = np.clip(np.where(np.isfinite(found), found, typical), low, high)
        trust = np.clip((found[:, [_PERIODICITY]] - 0.2) / 0.4, 0.0, 1.0)
        rates = slice(0, _RATES)
        found[:, rates] = typical[rates] + trust * (found[:, rates] - typical[rates])
        return found.astype(np.float32)


def _limits(features: FloatArray) -> FloatArray:
    """1st, 50th and 99th percentile (3, F); 0 for what no window shows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN alone
        limits: FloatArray = np.nan_to_num(
            np.nanquantile(features, [0.01, 0.5, 0.99], axis=0)
        )
    return limits


def hand_made_features(ppg: Int8Array) -> FloatArray:
    """`FEATURES` (N, 30) of int8 windows (N, 640); NaN where there is nothing to measure.

    Raises
    ------
    WindowShapeError
        If the windows have another shape or type.

    Examples
    --------
    >>> wave = np.sin(2 * np.pi * 1.25 * np.arange(640) / 64)
    >>> rows = hand_made_features((40 * wave)[None].astype(np.int8))
    >>> rows.shape, round(float(rows[0, FEATURES.index("rate_bpm")]))
    ((1, 30), 75)
    """
    steps = checked_windows(ppg, PPG.window_samples)
    if not len(steps):
        return np.empty((0, len(FEATURES)))
    repeats_bpm = heart_rate_bpm(steps).astype(np.float64)
    windows = steps * np.float64(PPG.input_scale)
    beats = np.full((len(steps), len(_RHYTHM) + len(_SHAPE)), np.nan)
    for row, (window, bpm) in enumerate(zip(windows, repeats_bpm, strict=True)):
        pulses = find_pulses(window, 60.0 / bpm)
        beats[row, : len(_RHYTHM)] = _rhythm(pulses, bpm)
        beats[row, len(_RHYTHM) :] = _shape(window, pulses)
    features = np.concatenate([beats, _whole(windows, beats[:, 0])], axis=1)
    flat = ~steps.any(axis=1)
    features[flat] = np.nan
    return features


def _rhythm(pulses: Pulses, repeats_bpm: float) -> FloatArray:
    found = np.full(len(_RHYTHM), np.nan)
    found[0] = repeats_bpm
    intervals = np.diff(pulses.time_s)
    if intervals.size < 2:
        return found
    mean, median = intervals.mean(), np.median(intervals)
    successive, heights = np.diff(intervals), pulses.rise
    # Two ways to one rate: intervals are finer, repetition does not mistake a dicrotic
    # wave for a pulse. Where they agree the intervals are right.
    agree = abs(60.0 / mean / repeats_bpm - 1.0) < _NEAR_SHARE
    if agree or not np.isfinite(repeats_bpm):
        found[0] = 60.0 / mean
    counts = np.histogram(intervals / median, bins=16, range=(0.4, 2.0))[0]
    share = counts[counts > 0] / max(counts.sum(), 1)
    found[1:] = (
        60.0 / mean,
        60.0 / median,
        np.log(intervals.std() / mean + 0.005),
        np.log(np.sqrt(np.mean(successive**2)) / mean + 0.005),
        np.mean(np.abs(successive) > 0.05),
        np.mean(intervals < 0.85 * median),
        -(share * np.log(share)).sum(),
        np.log(heights.std() / heights.mean() + 0.005),
        np.log(np.sqrt(np.mean(np.diff(heights) ** 2)) / heights.mean() + 0.005),
    )
    return found


def _shape(window: FloatArray, pulses: Pulses) -> FloatArray:
    """Measures of the mean pulse, foot to foot, laid from 0 to 1 in time and height."""
    found = np.full(len(_SHAPE), np.nan)
    starts, ends = pulses.foot[:-1], pulses.foot[1:]
    long = ends - starts >= 0.27 * PPG.rate_hz
    if long.sum() < 2:
        return found
    starts, ends = starts[long], ends[long]
    phase = np.linspace(0.0, 1.0, _BEAT_POINTS)
    places = starts[:, None] + (ends - starts)[:, None] * phase
    beats = np.interp(places, np.arange(window.size), window)
    # The line from foot to foot is breathing and wander, not the pulse.
    beats -= beats[:, :1] + (beats[:, -1:] - beats[:, :1]) * phase
    heights = beats.max(axis=1)
    if (heights <= 0.0).all():
        return found
    centred = beats - beats.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True) + 1e-9
    template = centred.mean(axis=0)
    template /= np.linalg.norm(template) + 1e-9
    likeness = centred @ template
    # Half of the beats, those most like the rest, make the mean pulse.
    pulse = beats[likeness >= np.median(likeness)].mean(axis=0)
    peak = int(pulse.argmax())
    if pulse[peak] <= 0.0 or not 0 < peak < _BEAT_POINTS - 1:
        return found
    pulse = pulse / pulse[peak]
    beat_s = float((ends - starts).mean()) / PPG.rate_hz
    step_s = beat_s / (_BEAT_POINTS - 1)
    slope = np.gradient(pulse, step_s)
    bend = np.gradient(slope, step_s)
    up = int(slope[: peak + 1].argmax())
    a = int(bend[: up + 1].argmax())
    b = a + int(bend[a : peak + 8].argmin())
    c = b + int(bend[b : b + round(0.15 / step_s)].argmax())
    d = c + int(bend[c : c + round(0.15 / step_s)].argmin())
    height = max(float(bend[a]), 1e-6)
    above = [(pulse >= level).sum() * step_s for level in (0.25, 0.5, 0.75)]
    late = min(peak + max(1, round(0.25 / step_s)), _BEAT_POINTS - 1)
    found[:] = (
        peak * step_s,
        peak / (_BEAT_POINTS - 1),
        *above,
        pulse[peak:].sum() / max(float(pulse[: peak + 1].sum()), 1e-6),
        pulse[late],
        -slope[peak:].min() / max(float(slope[up]), 1e-6),
        bend[b] / height,
        bend[c] / height,
        bend[d] / height,
        likeness.mean(),
    )
    return found


def _whole(windows: FloatArray, rate_bpm: FloatArray) -> FloatArray:
    """Distribution, regularity and spectrum of windows (N, T), all windows at once."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1) + 1e-9
    power = np.abs(np.fft.rfft(centred * np.hanning(windows.shape[1]), 2560, axis=1)) ** 2
    band = (PPG.band_hz[0] <= _FREQUENCY_HZ) & (PPG.band_hz[1] >= _FREQUENCY_HZ)
    share = power * band / ((power * band).sum(axis=1, keepdims=True) + 1e-12)
    long = np.fft.rfft(centred, 2 * windows.shape[1], axis=1)
    correlation = np.fft.irfft(np.abs(long) ** 2, axis=1)
    lags = slice(round(0.27 * PPG.rate_hz), round(2.2 * PPG.rate_hz))
    periodic = (correlation[:, lags] / (correlation[:, :1] + 1e-9)).max(axis=1)
    base_hz = rate_bpm[:, None] / 60.0
    first, second, third = (
        np.where(
            np.isfinite(rate_bpm),
            (share * (np.abs(_FREQUENCY_HZ - n * base_hz) < 0.25)).sum(axis=1),
            np.nan,
        )
        for n in (1, 2, 3)
    )
    return np.stack(
        [
            (centred**3).mean(axis=1) / spread**3,
            (centred**4).mean(axis=1) / spread**4,
            periodic,
            -(share * np.log(share + 1e-12)).sum(axis=1),
            np.log((second + 1e-3) / (first + 1e-3)),
            np.log((third + 1e-3) / (first + 1e-3)),
            (share * (_FREQUENCY_HZ < 0.8)).sum(axis=1),
            (share * (_FREQUENCY_HZ > 4.0)).sum(axis=1),
        ],
        axis=1,
    )

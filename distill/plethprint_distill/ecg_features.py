"""Hand-made features of an ECG window: intervals of its beats, shape of the mean beat.

Windows are normalised, so heights are in standard deviations of the window and only their
relations carry over from person to person. One lead is seen, the electrodes' polarity is
taken as it is.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.signal import ECG
from plethprint_distill.physiology import beats_of_ecg

__all__ = ["ECG_FEATURES", "EcgFeatures", "ecg_hrv_features"]

FloatArray = npt.NDArray[np.float64]
Int8Array = npt.NDArray[np.int8]

_RHYTHM = (
    "rate_bpm",
    "log_interval_cv",
    "log_rmssd",
    "pnn50",
    "early_share",
    "late_share",
    "interval_range",
)
_SHAPE = (
    "p_height",
    "p_to_r_s",
    "p_area",
    "q_depth",
    "r_height",
    "s_depth",
    "r_share_of_qrs",
    "qrs_width_s",
    "qrs_area",
    "qrs_slope",
    "st_level",
    "st_slope",
    "t_height",
    "t_to_r",
    "t_time_s",
    "t_area",
    "t_width_s",
    "template_correlation",
    "odd_beat_share",
    "residual_sd",
)
_WHOLE = ("skewness", "kurtosis", "share_above_20_hz", "share_below_1_hz")
ECG_FEATURES = (*_RHYTHM, *_SHAPE, *_WHOLE)
"""Names of the features, in the order of the columns."""

_BEFORE_S, _AFTER_S = 0.30, 0.55
_TIME_S = np.arange(-round(_BEFORE_S * ECG.rate_hz), round(_AFTER_S * ECG.rate_hz) + 1) / (
    ECG.rate_hz
)


class EcgFeatures:
    """`ECG_FEATURES` for a linear probe: finite, brought to the 1st..99th percentile."""

    name = "ecg_hrv_morphology"
    family = "baseline"

    def __init__(self) -> None:
        self._limits: FloatArray | None = None

    def fit(self, ecg: Int8Array) -> None:
        """Learn medians and percentiles from windows (N, 1280)."""
        self._limits = _limits(ecg_hrv_features(ecg))

    def embed(self, ecg: Int8Array) -> npt.NDArray[np.float32]:
        """Features (N, F), finite; fits on the windows themselves when not yet fitted."""
        found = ecg_hrv_features(ecg)
        if not len(found):
            return found.astype(np.float32)
        if self._limits is None:
            self._limits = _limits(found)
        low, typical, high = self._limits
        known = np.where(np.isfinite(found), found, typical)
        return np.clip(known, low, high).astype(np.float32)


def _limits(features: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN alone
        quantiles = np.nanquantile(features, [0.01, 0.5, 0.99], axis=0)
    limits: FloatArray = np.nan_to_num(quantiles)
    return limits


def ecg_hrv_features(ecg: Int8Array) -> FloatArray:
    """`ECG_FEATURES` (N, F) of int8 windows (N, 1280); NaN where there is no beat to see.

    Beats are found by sleepecg and moved to the highest deflection near them.

    Raises
    ------
    WindowShapeError
        If the windows have another shape or type.

    Examples
    --------
    >>> ecg_hrv_features(np.zeros((2, 1280), np.int8)).shape
    (2, 31)
    """
    steps = checked_windows(ecg, ECG.window_samples)
    found = np.full((len(steps), len(ECG_FEATURES)), np.nan)
    for row, window in enumerate(steps * np.float64(ECG.input_scale)):
        if np.ptp(window) == 0.0:
            continue
        beats = _beats(window)
        found[row] = (
            *_rhythm(beats / ECG.rate_hz),
            *_shape(window, beats),
            *_whole(window),
        )
    return found


def _beats(window: FloatArray) -> npt.NDArray[np.intp]:
    near = round(0.06 * ECG.rate_hz)
    centred = np.abs(window - np.median(window))
    beats = []
    for at in np.rint(beats_of_ecg(window, ECG.rate_hz) * ECG.rate_hz).astype(int).tolist():
        first = max(0, at - near)
        beats.append(first + int(centred[first : at + near + 1].argmax()))
    return np.unique(np.array(beats, np.intp))


def _rhythm(beats_s: FloatArray) -> FloatArray:
    intervals = np.diff(beats_s)
    if intervals.size < 2:
        return np.full(len(_RHYTHM), np.nan)
    mean, median = intervals.mean(), np.median(intervals)
    successive = np.diff(intervals)
    return np.array(
        [
            60.0 / mean,
            np.log(intervals.std() / mean + 0.005),
            np.log(np.sqrt(np.mean(successive**2)) / mean + 0.005),
            np.mean(np.abs(successive) > 0.05),
            np.mean(intervals < 0.85 * median),
            np.mean(intervals > 1.15 * median),
            np.ptp(intervals) / mean,
        ]
    )


def _shape(window: FloatArray, beats: npt.NDArray[np.intp]) -> FloatArray:
    """Measures of the median beat, from 0.30 s before the R peak to 0.55 s after it."""
    before, after = round(_BEFORE_S * ECG.rate_hz), round(_AFTER_S * ECG.rate_hz)
    whole = beats[(beats >= before) & (beats + after < window.size)]
    if whole.size < 2:
        return np.full(len(_SHAPE), np.nan)
    cuts = window[whole[:, None] + np.arange(-before, after + 1)]
    cuts = cuts - np.median(cuts[:, _between(-0.11, -0.06)], axis=1, keepdims=True)
    beat = np.median(cuts, axis=0)
    likeness = np.array([_correlation(cut, beat) for cut in cuts])
    slope = np.gradient(beat, 1.0 / ECG.rate_hz)
    p, qrs, st, t = (
        _between(*span)
        for span in ((-0.26, -0.07), (-0.07, 0.09), (0.09, 0.16), (0.16, 0.5))
    )
    r_height = beat[_between(-0.03, 0.03)].max()
    q_depth, s_depth = beat[_between(-0.07, 0.0)].min(), beat[_between(0.0, 0.1)].min()
    p_at, t_at = int(np.abs(beat[p]).argmax()), int(np.abs(beat[t]).argmax())
    t_height = float(beat[t][t_at])
    steep = np.flatnonzero(np.abs(slope) > 0.15 * np.abs(slope[qrs]).max())
    steep = steep[(_TIME_S[steep] > -0.13) & (_TIME_S[steep] < 0.16)]
    span = max(float(r_height - min(q_depth, s_depth)), 1e-6)
    return np.array(
        [
            beat[p][p_at],
            -_TIME_S[p][p_at],
            beat[p].mean(),
            q_depth,
            r_height,
            s_depth,
            r_height / span,
            np.ptp(_TIME_S[steep]) if steep.size else np.nan,
            beat[qrs].mean(),
            np.abs(slope[qrs]).max() / span,
            beat[st].mean() / span,
            np.polyfit(_TIME_S[st], beat[st], 1)[0] / span,
            t_height,
            t_height / span,
            _TIME_S[t][t_at],
            beat[t].mean() / span,
            (beat[t] / t_height > 0.5).sum() / ECG.rate_hz if t_height else np.nan,
            likeness.mean(),
            np.mean(likeness < 0.8),
            (cuts - beat).std(),
        ]
    )


def _whole(window: FloatArray) -> FloatArray:
    centred = window - window.mean()
    spread = centred.std()
    power = np.abs(np.fft.rfft(centred * np.hanning(window.size))) ** 2
    frequency_hz = np.fft.rfftfreq(window.size, 1.0 / ECG.rate_hz)
    share = power / power.sum()
    return np.array(
        [
            (centred**3).mean() / spread**3,
            (centred**4).mean() / spread**4,
            share[frequency_hz > 20.0].sum(),
            share[frequency_hz < 1.0].sum(),
        ]
    )


def _between(first_s: float, last_s: float) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (first_s <= _TIME_S) & (last_s >= _TIME_S)
    return inside


def _correlation(a: FloatArray, b: FloatArray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))

"""Hand-made features of windows: what a realism test compares, nothing trains on them.

Every feature is of a normalised int8 window, as a network sees it, so that what the
preprocessing takes away (gain, offset) cannot tell real from virtual.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.signal import find_peaks

from plethprint.signal import ECG, PPG, SignalSpec

__all__ = ["FEATURES", "features_of"]

FloatArray = npt.NDArray[np.float64]

SHAPE_POINTS = 16
_BANDS_HZ = {
    "ppg": np.geomspace(0.5, 8.0, 11),
    "ecg": np.geomspace(0.5, 40.0, 13),
}
_LAGS_S = (0.28, 1.7)
_BEFORE_S = {"ppg": 0.30, "ecg": 0.25}
"""A mean beat is cut from this long before its steepest rise (or its R peak) ..."""
_BEAT_S = {"ppg": 0.80, "ecg": 0.75}
"""... and lasts this long: about the shortest beat that is not a tachycardia's."""


def _names(spec: SignalSpec) -> tuple[str, ...]:
    bands = _BANDS_HZ[spec.name]
    return (
        *(f"band {low:.2f}-{high:.2f} Hz" for low, high in pairwise(bands)),
        "skewness",
        "kurtosis",
        "slope skewness",
        "slope kurtosis",
        "mobility",
        "complexity",
        "periodicity",
        "period",
        "half-period correlation",
        "envelope spread",
        "start against end",
        "stillness",
        "clipped share",
        "beats",
        "interval cv",
        "interval rmssd",
        "shortest interval",
        "longest interval",
        "amplitude cv",
        "beat likeness",
        *(f"shape {point:02d}" for point in range(SHAPE_POINTS)),
    )


FEATURES = {spec.name: _names(spec) for spec in (PPG, ECG)}
"""Names of the features of each signal, in the order of `features_of`."""


def features_of(windows: npt.NDArray[np.int8], spec: SignalSpec = PPG) -> FloatArray:
    """Features (N, len(FEATURES[spec.name])) of int8 windows (N, spec.window_samples).

    Spectrum in log bands, moments of signal and slope, autocorrelation, steadiness of
    the envelope, interval statistics, amplitude variability and the mean beat in 16
    points. All are finite: what cannot be measured (intervals without beats) has the
    value of "nothing to see".

    Examples
    --------
    >>> features_of(np.zeros((2, 640), np.int8)).shape
    (2, 46)
    """
    signal = windows.astype(np.float64) * spec.input_scale
    slope = np.diff(signal, axis=1) * spec.rate_hz
    columns = [
        _bands(signal, spec),
        np.stack(
            [
                *_moments(signal),
                *_moments(slope),
                *_hjorth(signal, slope),
            ],
            axis=1,
        ),
        _autocorrelation(signal, spec),
        _steadiness(signal, slope, windows),
        np.array(
            [_beats(row, rise, spec) for row, rise in zip(signal, slope, strict=True)]
        ).reshape(len(windows), 7 + SHAPE_POINTS),
    ]
    return np.concatenate(columns, axis=1)


def _bands(signal: FloatArray, spec: SignalSpec) -> FloatArray:
    power = np.abs(np.fft.rfft(signal * np.hanning(signal.shape[1]), axis=1)) ** 2
    hz = np.fft.rfftfreq(signal.shape[1], 1 / spec.rate_hz)
    total = power.sum(axis=1) + 1e-9
    edges = _BANDS_HZ[spec.name]
    shares = [
        power[:, (hz >= low) & (hz < high)].sum(axis=1) / total
        for low, high in pairwise(edges)
    ]
    return np.log10(np.stack(shares, axis=1) + 1e-4)


def _moments(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1) + 1e-9
    third = (centred**3).mean(axis=1) / spread**3
    fourth = (centred**4).mean(axis=1) / spread**4
    return third, np.log(fourth + 1e-3)


def _hjorth(signal: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
    spread, steep = signal.std(axis=1) + 1e-9, slope.std(axis=1) + 1e-9
    bend = np.diff(slope, axis=1).std(axis=1) + 1e-9
    return np.log(steep / spread), np.log(bend / steep)


def _autocorrelation(signal: FloatArray, spec: SignalSpec) -> FloatArray:
    length = signal.shape[1]
    power = np.abs(np.fft.rfft(signal, 2 * length, axis=1)) ** 2
    likeness = np.fft.irfft(power, axis=1)[:, :length]
    likeness = likeness / (likeness[:, :1] + 1e-9) / (1 - np.arange(length) / length)
    low, high = (round(lag * spec.rate_hz) for lag in _LAGS_S)
    best = low + np.argmax(likeness[:, low:high], axis=1)
    rows = np.arange(len(signal))
    half = likeness[rows, best // 2]
    return np.stack([likeness[rows, best], np.log(best / spec.rate_hz), half], axis=1)


def _steadiness(
    signal: FloatArray, slope: FloatArray, windows: npt.NDArray[np.int8]
) -> FloatArray:
    pieces = signal.reshape(len(signal), 5, -1)
    loud = np.log(pieces.std(axis=2) + 0.02)
    return np.stack(
        [
            loud.std(axis=1),
            loud[:, 0] - loud[:, 1:].mean(axis=1),
            (slope == 0).mean(axis=1),
            np.log10((np.abs(windows.astype(np.int16)) == 127).mean(axis=1) + 1e-3),
        ],
        axis=1,
    )


def _beats(signal: FloatArray, slope: FloatArray, spec: SignalSpec) -> FloatArray:
    """Beats, their intervals and heights, and the mean beat, of one window."""
    name, rate = spec.name, spec.rate_hz
    # A pulse is where it rises most steeply, a QRS complex where the slopes are large.
    around = np.ones(10) / 10
    drive = slope if name == "ppg" else np.convolve(np.abs(slope), around, "same")
    found, facts = find_peaks(
        drive, distance=round(0.27 * rate), height=0.35 * np.percentile(drive, 98) + 1e-9
    )
    features = np.zeros(7 + SHAPE_POINTS)
    features[0] = np.log(found.size + 1.0)
    if found.size < 4:
        return features
    interval = np.diff(found) / rate
    middle = np.median(interval)
    features[1] = np.log(interval.std() / interval.mean() + 0.005)
    features[2] = np.log(np.sqrt(np.mean(np.diff(interval) ** 2)) / middle + 0.005)
    features[3], features[4] = (
        np.log(interval.min() / middle),
        np.log(interval.max() / middle),
    )
    heights = facts["peak_heights"]
    features[5] = np.log(heights.std() / heights.mean() + 0.005)
    before, length = round(_BEFORE_S[name] * rate), round(_BEAT_S[name] * rate)
    starts = found - before
    starts = starts[(starts >= 0) & (starts + length <= signal.size)]
    if starts.size < 3:
        return features
    cuts = signal[starts[:, None] + np.arange(length)]
    cuts = cuts - cuts.mean(axis=1, keepdims=True)
    mean = cuts.mean(axis=0)
    features[6] = np.sqrt((mean**2).mean() / ((cuts**2).mean() + 1e-9))
    at = np.linspace(0, length - 1, SHAPE_POINTS)
    shape = np.interp(at, np.arange(length), mean)
    features[7:] = (shape - shape.mean()) / (shape.std() + 1e-9)
    return features

"""What a host measures of an int8 window to rate it.

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

The first six are those of `plethprint.quality`, which a microcontroller computes too.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.quality import _LONGEST_LAG, _SHORTEST_LAG, _autocorrelation
from plethprint.signal import PPG

__all__ = ["MEASURES", "measures"]

FloatArray = npt.NDArray[np.float64]

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

_HARMONIC_HALF_WIDTH_HZ = 0.2


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

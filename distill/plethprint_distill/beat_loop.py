"""Looping a recording of two or three beats into one long enough for a window.

PPG-BP holds segments of 2.1 s. They are cut from foot to foot, so that whole beats repeat;
the line from first foot to last is taken off, so that the ends meet, and what follows the
last foot fades into what follows the first. Rhythm and its variation are the loop's own:
a looped window tells of the pulse's shape and rate, and of nothing that takes longer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.errors import SignalError

__all__ = ["loop_whole_beats", "pulse_feet"]

FloatArray = npt.NDArray[np.float64]

_SHORTEST_BEAT_S = 0.33  # 180 bpm
_FADE_S = 0.08


def pulse_feet(samples: npt.ArrayLike, sample_rate_hz: float) -> npt.NDArray[np.intp]:
    """Places of the feet of pulses, where the steep rise of each begins.

    Parameters
    ----------
    samples
        Shape (T,), finite, rising when the vessel fills.

    Returns
    -------
    ndarray of intp, shape (n,)
        Indices, rising; empty where no pulse is found.

    Examples
    --------
    >>> t = np.arange(0, 3, 1 / 200)
    >>> feet = pulse_feet(np.maximum(np.sin(2 * np.pi * t), 0.0) ** 2, 200.0)
    >>> np.diff(feet).tolist()
    [200]
    """
    from scipy.signal import find_peaks

    signal = np.asarray(samples, dtype=np.float64)
    if signal.size < 3 or not np.isfinite(signal).all() or np.ptp(signal) == 0.0:
        return np.empty(0, np.intp)
    # Noise has steeper slopes than pulses: two moving means of 60 ms take it off.
    width = max(1, round(0.06 * sample_rate_hz)) | 1
    for _ in range(2):
        padded = np.pad(signal, width // 2, mode="edge")
        signal = np.convolve(padded, np.ones(width) / width, mode="valid")
    slope = np.gradient(signal)
    apart = max(1, round(_SHORTEST_BEAT_S * sample_rate_hz))
    tall = float(np.quantile(slope, 0.99))
    if not -slope.min() > 0.05 * tall:  # what never falls has no pulses
        return np.empty(0, np.intp)
    rises, _ = find_peaks(slope, height=0.5 * tall, distance=apart)
    reach = round(0.3 * sample_rate_hz)
    before = []
    for rise in rises.tolist():
        first = max(0, rise - reach)
        foot = first + int(np.argmin(signal[first : rise + 1]))
        if foot > 0:  # at 0 the true foot lies before the segment begins
            before.append(rise - foot)
    if not before:
        return np.empty(0, np.intp)
    # The valley is flat and its lowest point a matter of noise; the rise is sharp. So all
    # feet stand at one distance before their rises.
    feet = rises - round(float(np.median(before)))
    return np.asarray(feet[feet >= 0], dtype=np.intp)


def loop_whole_beats(
    samples: npt.ArrayLike, sample_rate_hz: float, duration_s: float
) -> FloatArray:
    """Repeat the whole beats of a short segment without a seam.

    Parameters
    ----------
    samples
        Shape (T,), finite, at least one whole beat from foot to foot.
    sample_rate_hz
        Of the samples, Hz.
    duration_s
        Length wanted, seconds.

    Raises
    ------
    SignalError
        If no whole beat, of 27 to 180 a minute, lies in the segment.

    Examples
    --------
    >>> t = np.arange(0, 2.1, 1 / 250)
    >>> pulse = np.exp(-(((1.25 * t + 0.5) % 1 - 0.5) / 0.15) ** 2) + 0.1 * t
    >>> loop_whole_beats(pulse, 250.0, 12.0).shape
    (3000,)
    """
    signal = np.asarray(samples, dtype=np.float64)
    feet = pulse_feet(signal, sample_rate_hz)
    beats_s = np.diff(feet) / sample_rate_hz
    if not beats_s.size or beats_s.min() < _SHORTEST_BEAT_S or beats_s.max() > 2.2:
        raise SignalError(f"no whole beat in a segment of {signal.size} samples")
    first, last = int(feet[0]), int(feet[-1])
    length = last - first
    line = (signal[last] - signal[first]) / length
    level = signal[first:] - line * np.arange(signal.size - first)
    loop = level[:length].copy()
    # What came after the last foot fades out while what comes after the first fades in.
    fade = min(round(_FADE_S * sample_rate_hz), signal.size - last, length)
    if fade:
        rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
        loop[:fade] = rise * loop[:fade] + (1 - rise) * level[length : length + fade]
    count = round(duration_s * sample_rate_hz)
    return np.resize(loop, count)

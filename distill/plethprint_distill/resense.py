"""Real recordings as another sensor would have taken them, and as motion would spoil them.

A model that has seen one hospital's monitors knows that hospital's monitors. So every
real recording is used once more, minute by minute, each minute through a sensor of its
own and, in a third of them, damaged::

    optics    another colour of light or depth of tissue: part of the pulse low-passed at
              1.5 to 8 Hz or mixed with its slope; a bend of the scale (exponent .6 to 1.6)
    droop     a first-order high-pass at 0.05 to 0.5 Hz, as in AC-coupled front ends
    rate      one of 25, 30, 50, 64, 100, 200 Hz, or as it was
    rails     clipped at the outer 0.5 to 8 % of the values; 7 to 12 bits

Damage comes as events of 0.5 to 10 s: white noise, stepping motion, jerks, steps of the
level, lost contact. How much of it is in a window is known exactly, since the undamaged
window is: with r the correlation of the two, the disturbance has 1 / r^2 - 1 times the
pulse's energy. That number is a read-out target (`log_disturbance`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from plethprint.resample import resample_rows
from plethprint_distill.corpora import CorpusRecording
from plethprint_distill.physiology import log_with_floor, target_column
from plethprint_distill.windows import (
    Signals,
    WindowSet,
    aligned_signals,
    concatenate,
    cut_windows,
)

__all__ = ["damage", "resense", "resensed_windows"]

FloatArray = npt.NDArray[np.float64]

_RATES_HZ = (25.0, 30.0, 50.0, 64.0, 100.0, 200.0)
_DAMAGED_SHARE = 0.35
_LARGEST_RATIO = 100.0


def resensed_windows(
    recording: CorpusRecording,
    *,
    minute_s: float = 60.0,
    hop_s: float = 5.0,
    seed: int = 0,
    context_s: float = 0.0,
) -> WindowSet | None:
    """Windows of a recording with PPG through random sensors; None when none is left.

    Parameters
    ----------
    recording
        PPG, with or without an ECG of the same rate.
    minute_s
        Length of the stretches that have a sensor of their own.
    hop_s
        Seconds between the starts of windows.
    seed
        Same seed and record, same windows.
    context_s
        Seconds kept before and behind each window.
    """
    signals = aligned_signals(recording)
    if signals.ppg is None:
        return None
    rng = np.random.default_rng([seed, 91, *recording.record.encode()])
    size = round(minute_s * signals.ppg_rate_hz)
    parts = []
    for first in range(0, max(1, signals.ppg.size - size // 2), size):
        cut = slice(first, first + size)
        heart = None if signals.ecg is None else signals.ecg[cut]
        pulse = _bridged(signals.ppg[cut])
        if pulse is None:
            continue
        worn, rate_hz = resense(pulse, signals.ppg_rate_hz, rng)
        minute = Signals(worn, rate_hz, heart, signals.ecg_rate_hz)
        spoil = rng.random() < _DAMAGED_SHARE
        part = (
            _damaged_windows(recording, minute, hop_s, rng, context_s)
            if spoil
            else cut_windows(recording, minute, hop_s=hop_s, seed=seed, context_s=context_s)
        )
        if part is not None:
            offset = np.float32(first / signals.ppg_rate_hz)
            parts.append(replace(part, start_s=part.start_s + offset))
    return concatenate(parts) if parts else None


def resense(
    pulse: FloatArray, rate_hz: float, rng: np.random.Generator
) -> tuple[FloatArray, float]:
    """One stretch (T,) through a random sensor; gives it and the sensor's rate, Hz.

    Examples
    --------
    >>> pulse = np.sin(np.arange(0, 60, 0.01) * 7)
    >>> worn, rate_hz = resense(pulse, 100.0, np.random.default_rng(3))
    >>> worn.size == round(60 * rate_hz)
    True
    """
    y = (pulse - pulse.mean()) / (pulse.std() + 1e-12)
    if rng.random() < 0.5:
        smooth = _low_pass(y, float(np.exp(rng.uniform(np.log(1.5), np.log(8.0)))), rate_hz)
        if rng.random() < 0.7:
            share = rng.uniform(0.2, 1.0)
            y = (1 - share) * y + share * smooth
        else:
            slope = np.gradient(smooth)
            y = y + rng.uniform(0.1, 0.6) * slope / (slope.std() + 1e-12)
    if rng.random() < 0.4:
        y = y - _low_pass(y, float(np.exp(rng.uniform(np.log(0.05), np.log(0.5)))), rate_hz)
    if rng.random() < 0.5:
        low, high = np.percentile(y, [0.5, 99.5])
        level = np.clip((y - low) / (high - low + 1e-12), 0.0, 1.2)
        y = level ** float(np.exp(rng.uniform(np.log(0.6), np.log(1.6))))
    out_hz = float(rng.choice(_RATES_HZ)) if rng.random() < 0.7 else rate_hz
    if out_hz != rate_hz:
        count = round(y.size * out_hz / rate_hz)
        y = resample_rows(y[None], rate_hz, out_hz, count)[0]
    if rng.random() < 0.15:
        share = rng.uniform(0.5, 8.0)
        y = np.clip(y, *np.percentile(y, [share, 100.0 - share]))
    if rng.random() < 0.5:
        steps = 2.0 ** rng.integers(7, 13) / (np.ptp(y) + 1e-12)
        y = np.rint(y * steps) / steps
    return y, out_hz


def damage(pulse: FloatArray, rate_hz: float, rng: np.random.Generator) -> FloatArray:
    """Spoil a stretch (T,) by random events; gives the spoiled stretch."""
    y: FloatArray = pulse.copy()
    time_s = np.arange(y.size) / rate_hz
    size = float(np.percentile(np.abs(y - np.median(y)), 90)) + 1e-12
    for _ in range(int(rng.integers(1, 9))):
        start = rng.uniform(0.0, max(time_s[-1], 1.0))
        length = float(np.exp(rng.uniform(np.log(0.5), np.log(10.0))))
        on = np.flatnonzero((time_s >= start) & (time_s < start + length))
        if on.size < 4:
            continue
        strength = size * float(np.exp(rng.uniform(np.log(0.15), np.log(6.0))))
        kind = rng.integers(0, 5)
        if kind == 0:
            y[on] += strength * rng.standard_normal(on.size)
        elif kind == 1:  # stepping, with the arm's second harmonic
            phase = 2 * np.pi * rng.uniform(0.6, 3.5) * time_s[on] + rng.uniform(0, 6.3)
            y[on] += strength * (np.sin(phase) + rng.uniform(0, 0.8) * np.sin(2 * phase))
        elif kind == 2:  # jerks: noise of the band that pulses live in
            jerk = _low_pass(rng.standard_normal(on.size), rng.uniform(0.8, 4.0), rate_hz)
            y[on] += strength * jerk / (jerk.std() + 1e-12) * np.hanning(on.size)
        elif kind == 3:
            y[on[0] :] += strength * rng.choice([-1.0, 1.0])
        else:
            level = float(np.median(y)) + rng.choice([-1.0, 1.0]) * strength
            y[on] = level + 0.03 * size * rng.standard_normal(on.size)
    return y


def _damaged_windows(
    recording: CorpusRecording,
    minute: Signals,
    hop_s: float,
    rng: np.random.Generator,
    context_s: float,
) -> WindowSet | None:
    assert minute.ppg is not None
    spoiled = replace(minute, ppg=damage(minute.ppg, minute.ppg_rate_hz, rng))
    clean, dirty = (
        cut_windows(recording, x, hop_s=hop_s, cold_share=0.0, context_s=context_s)
        for x in (minute, spoiled)
    )
    if clean is None or dirty is None:
        return None
    _, of_clean, of_dirty = np.intersect1d(
        clean.start_s, dirty.start_s, return_indices=True
    )
    before, after = clean.take(of_clean), dirty.take(of_dirty)
    a, b = before.ppg.astype(np.float64), after.ppg.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    match = np.clip((a * b).sum(axis=1) / np.maximum(norms, 1e-9), 0.0, 1.0) ** 2
    ratio = np.minimum(1.0 / np.maximum(match, 1e-6) - 1.0, _LARGEST_RATIO)
    targets = np.array(before.targets)  # beats and pulse shape are what they were
    targets[:, target_column("log_disturbance")] = log_with_floor(ratio)
    return replace(after, targets=targets)


def _low_pass(y: FloatArray, corner_hz: float, rate_hz: float) -> FloatArray:
    """First-order low-pass, forward only, from its steady state."""
    from scipy.signal import lfilter

    pole = float(np.exp(-2 * np.pi * corner_hz / rate_hz))
    start = np.array([pole * y[0]])
    return np.asarray(lfilter([1 - pole], [1, -pole], y, zi=start)[0], dtype=np.float64)


def _bridged(pulse: FloatArray) -> FloatArray | None:
    """Missing samples drawn over; None where over 2 % is missing, or all is flat."""
    known = np.isfinite(pulse)
    if known.mean() < 0.98 or np.ptp(pulse[known]) == 0.0:
        return None
    index = np.arange(pulse.size)
    return np.asarray(np.interp(index, index[known], pulse[known]), dtype=np.float64)

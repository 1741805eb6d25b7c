"""Augmented views: what must not change a fingerprint, for each modality.

These are applied to windows as training draws them. What another sensor or real damage
makes of a recording is done once, on the raw signal, by `plethprint_distill.resense`.

========  ===========================================================================
PPG       white noise, slow wander, breathing of the amplitude, a burst of motion,
          lost samples bridged by a straight line
ECG       white noise, slow wander, muscle noise; `other_lead` turns an unpaired ECG
          upside down or mixes it with its slope
========  ===========================================================================
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.signal import ECG, PPG, SignalSpec

__all__ = ["disturb", "disturb_ecg", "other_lead"]

Float32Array = npt.NDArray[np.float32]


def disturb(
    ppg: Float32Array, rng: np.random.Generator, strength: float = 1.0
) -> Float32Array:
    """Disturb PPG windows (N, T) in standard deviations as a worn sensor does.

    White noise (half of the windows, up to 0.3 sd), a slow wander inside the band
    (a third, up to 0.5 sd), breathing of the amplitude (a third, up to 30 %), a burst of
    motion (a sixth, up to 2 sd), 0.1 to 0.8 s of lost samples bridged by a straight line
    (a sixth), then normalised and clipped again as preprocessing does. `strength`
    multiplies all of these levels, and below 1 the share of windows that lost samples.
    """
    n, samples = ppg.shape
    time_s = np.arange(samples, dtype=np.float32) / np.float32(PPG.rate_hz)

    def some(share: float, low: float, high: float) -> Float32Array:
        level = strength * rng.uniform(low, high, (n, 1)) * (rng.random((n, 1)) < share)
        return level.astype(np.float32)

    def wave(low_hz: float, high_hz: float) -> Float32Array:
        rate = rng.uniform(low_hz, high_hz, (n, 1)).astype(np.float32)
        phase = rng.uniform(0.0, 2 * np.pi, (n, 1)).astype(np.float32)
        swing: Float32Array = np.sin(2 * np.pi * rate * time_s + phase).astype(np.float32)
        return swing

    out = ppg * (1.0 + some(0.33, 0.0, 0.3) * wave(0.1, 0.5))
    out += some(0.33, 0.0, 0.5) * wave(0.2, 0.8)
    out += some(0.5, 0.0, 0.3) * rng.standard_normal(ppg.shape, dtype=np.float32)
    centre = rng.uniform(0.0, PPG.window_s, (n, 1)).astype(np.float32)
    burst = np.exp(-(((time_s - centre) / rng.uniform(0.2, 1.0, (n, 1))) ** 2))
    out += some(0.16, 0.2, 2.0) * burst.astype(np.float32) * wave(0.8, 5.0)
    for row in np.flatnonzero(rng.random(n) < 0.16 * min(1.0, strength)):
        _bridge(out[row], rng)
    return _normalised(out, PPG)


def disturb_ecg(ecg: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Disturb ECG windows (N, T) in standard deviations as skin and electrodes do.

    White noise (half, up to 0.15 sd), muscle noise in a burst (a sixth, up to 0.4 sd), a
    slow wander (a third, up to 0.4 sd), then normalised and clipped again.
    """
    n, samples = ecg.shape
    time_s = np.arange(samples, dtype=np.float32) / np.float32(ECG.rate_hz)

    def some(share: float, high: float) -> Float32Array:
        level = rng.uniform(0.0, high, (n, 1)) * (rng.random((n, 1)) < share)
        return level.astype(np.float32)

    centre = rng.uniform(0.0, ECG.window_s, (n, 1)).astype(np.float32)
    near = np.exp(-(((time_s - centre) / np.float32(1.5)) ** 2))
    noise = rng.standard_normal(ecg.shape, dtype=np.float32)
    out = ecg + noise * (some(0.5, 0.15) + some(0.16, 0.4) * near)
    rate_hz = rng.uniform(0.15, 0.7, (n, 1)).astype(np.float32)
    phase = rng.uniform(0.0, 2 * np.pi, (n, 1)).astype(np.float32)
    out += some(0.33, 0.4) * np.sin(2 * np.pi * rate_hz * time_s + phase)
    return _normalised(out, ECG)


def other_lead(ecg: Float32Array, rng: np.random.Generator) -> Float32Array:
    """ECG windows (N, T) as another lead might show them.

    A quarter is mixed with its slope (up to 0.6), a quarter turned upside down. Only for
    ECG without a PPG: what a pair's PPG paints is the lead that was recorded with it.
    """
    n = len(ecg)
    share = rng.uniform(-0.6, 0.6, (n, 1)) * (rng.random((n, 1)) < 0.25)
    slope = np.gradient(ecg, axis=1)
    slope /= slope.std(axis=1, keepdims=True) + 1e-6
    sign = np.where(rng.random((n, 1)) < 0.25, -1.0, 1.0)
    return _normalised((sign * (ecg + share * slope)).astype(np.float32), ECG)


def _bridge(row: Float32Array, rng: np.random.Generator) -> None:
    """Replace a stretch of a window (T,) by the line that bridges lost samples."""
    length = int(rng.integers(round(0.1 * PPG.rate_hz), round(0.8 * PPG.rate_hz) + 1))
    first = int(rng.integers(0, len(row) - length - 1))
    row[first : first + length + 2] = np.linspace(
        row[first], row[first + length + 1], length + 2, dtype=np.float32
    )


def _normalised(rows: Float32Array, spec: SignalSpec) -> Float32Array:
    """Mean 0, sd 1 and clipped, as preprocessing leaves them."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    rows /= rows.std(axis=1, keepdims=True) + 1e-6
    clipped: Float32Array = np.clip(rows, -spec.clip_sd, spec.clip_sd).astype(np.float32)
    return clipped

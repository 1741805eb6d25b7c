"""What sensors do between light and file: filters of their own, coarse steps, repeats.

A virtual wearer's light is that of a perfect converter. Real files come from monitors
that block DC, from wristbands that smooth, from converters of few bits and from links
that lose a packet and repeat the last value. Drawn here anew for every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HardwareFilter", "draw_filters", "hold_samples", "jump_electrodes", "quantise"]

FloatArray = npt.NDArray[np.float64]

_OFF_HZ = 0.0


@dataclass(frozen=True)
class HardwareFilter:
    """A causal filter a row: two DC blocks of first order and a low-pass of second."""

    high_pass_hz: FloatArray
    """(N, 2); 0 where there is none."""
    low_pass_hz: FloatArray
    """(N,); infinite where there is none."""
    resonance: FloatArray
    """(N,), quality of the low-pass: 0.5 is damped, above 0.7 it overshoots."""

    def run(self, rows: npt.NDArray[np.floating[Any]], rate_hz: float) -> FloatArray:
        """Filtered rows (N, T), each as if it had always been at its first sample."""
        signal = np.ascontiguousarray((rows - rows[:, :1]).T, dtype=np.float64)
        for stage in range(2):
            corner = self.high_pass_hz[:, stage]
            on = np.flatnonzero(corner > 0)
            keep = np.exp(-2 * np.pi * corner[on] / rate_hz)
            block = signal[:, on]
            slow = np.zeros(on.size)
            for index in range(len(block)):
                # What the low-passed signal has reached is taken off.
                value = block[index]
                block[index] = value - slow
                slow = keep * slow + (1 - keep) * value
            signal[:, on] = block
        on = np.flatnonzero(np.isfinite(self.low_pass_hz))
        b0, a1, a2 = _low_pass(self.low_pass_hz[on], self.resonance[on], rate_hz)
        block = signal[:, on]
        first, second = np.zeros(on.size), np.zeros(on.size)
        for index in range(len(block)):
            value = b0 * block[index]
            out = value + first
            first = 2 * value - a1 * out + second
            second = value - a2 * out
            block[index] = out
        signal[:, on] = block
        return np.asarray(signal.T)


def _low_pass(
    corner_hz: FloatArray, quality: FloatArray, rate_hz: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """b0 (= b1 / 2 = b2), a1, a2 of the bilinear low-pass of second order."""
    warped = np.tan(np.pi * np.minimum(corner_hz, 0.45 * rate_hz) / rate_hz)
    scale = 1.0 / (1.0 + warped / quality + warped**2)
    return (
        warped**2 * scale,
        2 * (warped**2 - 1) * scale,
        (1 - warped / quality + warped**2) * scale,
    )


def draw_filters(count: int, rng: np.random.Generator, *, ecg: bool) -> HardwareFilter:
    """Filters of `count` sensors; about a third of them have none at all."""
    blocks = (0.05, 0.9) if ecg else (0.03, 1.1)
    passes = (11.0, 45.0) if ecg else (2.0, 16.0)
    plain = rng.random(count) < 0.3
    stages = np.exp(rng.uniform(np.log(blocks[0]), np.log(blocks[1]), (count, 2)))
    stages[rng.random((count, 2)) < (0.45, 0.75)] = _OFF_HZ
    stages[plain] = _OFF_HZ
    corner = np.exp(rng.uniform(np.log(passes[0]), np.log(passes[1]), count))
    corner[plain | (rng.random(count) < 0.35)] = np.inf
    return HardwareFilter(stages, corner, rng.uniform(0.5, 0.95, count))


def quantise(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Rows rounded to 24 to 4000 steps over their middle 90 %; most of them finely."""
    low, high = np.percentile(rows[:, ::8], (5, 95), axis=1)
    steps = np.exp(rng.uniform(np.log(24), np.log(4000), len(rows)))
    size = np.maximum(high - low, 1e-12) / steps
    return np.asarray(np.rint(rows / size[:, None]) * size[:, None])


def jump_electrodes(
    rows: npt.NDArray[np.float32], rng: np.random.Generator, rate_hz: float
) -> FloatArray:
    """ECG rows in millivolts, a twelfth of them with electrodes that slip.

    The potential jumps by up to 4 mV, once to three times, and creeps back over seconds.
    """
    moved = rows.astype(np.float64)
    length = rows.shape[1]
    time_s = np.arange(length) / rate_hz
    for row in np.flatnonzero(rng.random(len(rows)) < 1 / 12):
        for _ in range(int(rng.integers(1, 4))):
            start = int(rng.integers(0, length))
            size = rng.choice((-1.0, 1.0)) * np.exp(rng.uniform(np.log(0.2), np.log(4.0)))
            creep_s = rng.uniform(0.15, 4.0)
            moved[row, start:] += size * np.exp(-time_s[: length - start] / creep_s)
    return moved


def hold_samples(rows: FloatArray, rng: np.random.Generator, rate_hz: float) -> None:
    """In place: 4 % of the rows repeat a value for up to 0.4 s, once to six times."""
    length = rows.shape[1]
    for row in np.flatnonzero(rng.random(len(rows)) < 0.04):
        for _ in range(int(rng.integers(1, 7))):
            start = int(rng.integers(1, length))
            stop = start + max(1, int(rng.uniform(0.02, 0.4) * rate_hz))
            rows[row, start:stop] = rows[row, start - 1]

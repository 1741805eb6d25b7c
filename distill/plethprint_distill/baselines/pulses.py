"""Pulses of a PPG window: where they rise, from which foot, to which peak.

A pulse is dated by its steepest rise, the mark that noise and reflected waves move least.
A rise counts as a pulse when it is high against the higher rises of its window and does
not follow a higher one within about half the period at which the window repeats, so that
dicrotic waves and ripples are left out but early beats, which are lower, are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import find_peaks

from plethprint.signal import PPG

__all__ = ["Pulses", "find_pulses"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_RATE_HZ = PPG.rate_hz
_SHORTEST_S = 0.27  # 222 bpm
_LEAST_RISE = 0.28
_REFRACTORY = 0.58


@dataclass(frozen=True)
class Pulses:
    """K pulses of one window, in the order of time."""

    time_s: FloatArray
    """(K,) steepest rise, between samples, from the start of the window."""
    foot: IntArray
    """(K,) sample of the minimum before the rise."""
    peak: IntArray
    """(K,) sample of the maximum after it."""
    rise: FloatArray
    """(K,) height from foot to peak, in standard deviations of the window."""

    def __len__(self) -> int:
        return len(self.time_s)


def find_pulses(window: FloatArray, period_s: float = float("nan")) -> Pulses:
    """Find the pulses of one window.

    Parameters
    ----------
    window
        (T,) at `PPG.rate_hz`, rising with the blood volume.
    period_s
        Period at which the window repeats, where known; NaN otherwise.

    Examples
    --------
    >>> time_s = np.arange(640) / 64
    >>> pulses = find_pulses(np.sin(2 * np.pi * 1.25 * time_s), 0.8)
    >>> len(pulses), round(float(np.diff(pulses.time_s).mean()), 2)
    (12, 0.8)
    """
    slope = np.gradient(window)
    marks: IntArray = find_peaks(slope, height=0.0)[0].astype(np.intp)
    marks = marks[slope[marks] > 0.0]
    if not marks.size:
        return Pulses(np.empty(0), *(np.empty(0, np.intp),) * 2, np.empty(0))
    # A rise lasts as long as the slope stays positive: where it is cut by its turns.
    turns = np.concatenate([[0], np.flatnonzero(slope <= 0.0), [window.size - 1]])
    place = np.searchsorted(turns, marks)
    foot, peak = turns[place - 1], turns[place]
    rise = window[peak] - window[foot]
    # A window's edge cuts pulses: one that is cut shows less of its rise, not none.
    strong = np.flatnonzero(rise >= _LEAST_RISE * np.quantile(rise, 0.9))
    gap_s = max(_SHORTEST_S, _REFRACTORY * period_s if np.isfinite(period_s) else 0.0)
    strength = rise[strong] * np.maximum(slope[marks[strong]], 1e-9)
    kept = strong[_apart(marks[strong], strength, gap_s * _RATE_HZ)]
    time_s = (marks[kept] + _offset(slope, marks[kept])) / _RATE_HZ
    return Pulses(time_s, foot[kept], peak[kept], rise[kept])


def _apart(marks: IntArray, strength: FloatArray, gap: float) -> IntArray:
    """Positions of marks of which none is nearer than `gap` to a stronger one."""
    open_, kept = np.ones(marks.size, np.bool_), []
    for at in np.argsort(-strength, kind="stable").tolist():
        if open_[at]:
            kept.append(at)
            open_ &= np.abs(marks - marks[at]) >= gap
    return np.array(sorted(kept), np.intp)


def _offset(curve: FloatArray, at: IntArray) -> FloatArray:
    """How far beside each sample the parabola through its neighbours has its top."""
    inside = np.clip(at, 1, curve.size - 2)
    left, middle, right = (curve[inside + step] for step in (-1, 0, 1))
    bend = left - 2.0 * middle + right
    top = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0.0)
    shifted: FloatArray = np.where(inside == at, np.clip(top, -0.5, 0.5), 0.0)
    return shifted

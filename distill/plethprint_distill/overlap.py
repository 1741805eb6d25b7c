"""The same recording in two corpora: found by the signal itself.

BIDMC and UCI cuff-less both come from MIMIC-II, and neither says so beat by beat. A
stretch of one recording that also lies in the other correlates with it near 1 in every
channel. One channel alone is not enough: regular pulses of two people were seen to
correlate at 0.99 in PPG, where their ECGs did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Overlap", "best_match", "find_overlaps"]

SAME_RECORDING = 0.95
"""Correlation of a ten-second stretch from which two recordings count as one."""


@dataclass(frozen=True)
class Overlap:
    """A stretch of one recording that was found in another."""

    record: int
    """Position in the list searched in."""
    stretch: int
    """Position in the list of stretches."""
    correlation: float


def best_match(
    stretch: npt.NDArray[np.floating], signal: npt.NDArray[np.floating]
) -> float:
    """Largest normalised correlation of a stretch (K,) with any part of a signal (T,).

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=3000)
    >>> round(best_match(2.0 * noise[700:1700] + 5.0, noise), 6)
    1.0
    """
    from scipy.signal import fftconvolve

    piece = np.nan_to_num(np.asarray(stretch, dtype=np.float64))
    whole = np.nan_to_num(np.asarray(signal, dtype=np.float64))
    if piece.size > whole.size:
        return 0.0
    piece = piece - piece.mean()
    norm = np.linalg.norm(piece)
    sums = np.cumsum(np.concatenate([[0.0], whole - whole.mean()]))
    squares = np.cumsum(np.concatenate([[0.0], (whole - whole.mean()) ** 2]))
    total = sums[piece.size :] - sums[: -piece.size]
    energy = squares[piece.size :] - squares[: -piece.size] - total**2 / piece.size
    product = fftconvolve(whole - whole.mean(), piece[::-1], mode="valid")
    scale = norm * np.sqrt(np.maximum(energy, 1e-9 * max(energy.max(), 1e-30)))
    return float(np.max(product / np.maximum(scale, 1e-30)))


def find_overlaps(
    stretches: Sequence[npt.NDArray[np.floating]],
    signals: Sequence[npt.NDArray[np.floating]],
    *,
    threshold: float = SAME_RECORDING,
) -> list[Overlap]:
    """Every stretch (of one sample rate) that lies in one of the signals."""
    found = []
    for record, signal in enumerate(signals):
        for index, stretch in enumerate(stretches):
            correlation = best_match(stretch, signal)
            if correlation >= threshold:
                found.append(Overlap(record, index, correlation))
    return found

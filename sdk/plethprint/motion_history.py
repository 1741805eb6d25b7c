"""How much a wearable moved lately, by its accelerometer, in host time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MotionHistory"]

_MOST_SAMPLES = 1 << 16  # 21 min at 52 Hz, 2.5 min at 416 Hz
_MOST_PARTS = 1 << 12
_LEAST_COVERED = 0.5  # of a window, from which on its acceleration is told
_LEAST_G = 0.5  # a mean below it is no accelerometer's: that feels gravity


@dataclass(frozen=True)
class _Part:
    """Lengths of consecutive acceleration vectors."""

    start_s: float
    period_s: float
    lengths: npt.NDArray[np.float32]

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.lengths) * self.period_s


class MotionHistory:
    """The length of the acceleration vector over the last minutes.

    Dynamic acceleration is what the length does about its mean, which is gravity: turning
    an arm slowly, or lying on the other side, is no motion. Memory is bounded, whatever a
    wearable sends.

    Parameters
    ----------
    keep_s : float
        How much of the past is kept, seconds.

    Examples
    --------
    >>> history = MotionHistory(keep_s=60.0)
    >>> at_s = np.arange(520) / 52
    >>> shaken = np.stack([0 * at_s, 0 * at_s, 1000 + 300 * np.sin(12 * at_s)], axis=1)
    >>> history.add(1e9, 1 / 52, shaken, counts_per_g=1000.0)
    >>> round(history.rms_g(1e9, 10.0), 2)
    0.21
    >>> history.rms_g(1e9 + 60, 10.0) is None
    True
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._parts: deque[_Part] = deque(maxlen=_MOST_PARTS)
        self._samples = 0
        self._counts_per_g: float | None = None

    @property
    def until_s(self) -> float | None:
        """Host time, s, up to which acceleration is known; None when there is none."""
        return self._parts[-1].end_s if self._parts else None

    def clear(self) -> None:
        """Forget everything: the host's clock was set."""
        self._parts.clear()
        self._samples = 0

    def add(
        self,
        start_s: float,
        period_s: float,
        counts: npt.NDArray[np.generic],
        counts_per_g: float | None,
    ) -> None:
        """Take consecutive samples, in order.

        Parameters
        ----------
        start_s : float
            Host time of the first sample, s.
        period_s : float
            Host time from one to the next, s.
        counts : ndarray, shape (n, 3)
            x, y, z.
        counts_per_g : float or None
            None takes the median length of all that is kept for one g.
        """
        if not len(counts):
            return
        vectors = np.asarray(counts, dtype=np.float64)
        lengths = np.sqrt((vectors * vectors).sum(axis=1)).astype(np.float32)
        if len(self._parts) == _MOST_PARTS:
            self._forget_oldest()
        self._counts_per_g = counts_per_g
        self._parts.append(_Part(start_s, period_s, lengths))
        self._samples += len(lengths)
        newest_s = self._parts[-1].end_s
        while len(self._parts) > 1 and (
            self._samples > _MOST_SAMPLES or self._parts[0].end_s < newest_s - self._keep_s
        ):
            self._forget_oldest()

    def rms_g(self, start_s: float, duration_s: float) -> float | None:
        """Root mean square of the dynamic acceleration over a window, g.

        Parameters
        ----------
        start_s, duration_s : float
            Host time at which the window starts, and its length, s.

        Returns
        -------
        float or None
            0 or more; None where less than half of the window is covered, or where what
            the sensor tells is no acceleration, for it does not feel gravity.
        """
        parts = []
        covered_s = 0.0
        for part in reversed(self._parts):
            if part.start_s >= start_s + duration_s:
                continue
            if part.end_s <= start_s:
                break
            first = max(0, math.ceil((start_s - part.start_s) / part.period_s))
            stop = math.ceil((start_s + duration_s - part.start_s) / part.period_s)
            within = part.lengths[first : max(stop, first)]
            parts.append(within)
            covered_s += len(within) * part.period_s
        if covered_s < _LEAST_COVERED * duration_s or not any(len(part) for part in parts):
            return None
        lengths = np.concatenate(parts).astype(np.float64)
        one_g = self._counts_per_g or self._felt_g()
        if not lengths.mean() >= _LEAST_G * one_g > 0.0:
            return None
        return float(lengths.std() / one_g)

    def _felt_g(self) -> float:
        """Counts of one g, by gravity: whoever wears it is at rest more often than not."""
        return float(np.median(np.concatenate([part.lengths for part in self._parts])))

    def _forget_oldest(self) -> None:
        self._samples -= len(self._parts.popleft().lengths)

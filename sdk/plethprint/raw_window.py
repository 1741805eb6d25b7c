"""The raw counts of the newest window, for what preprocessing takes away: their level."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from plethprint.quality_evidence import perfusion_index

__all__ = ["RawWindow"]

_KEPT_S = 30.0  # a window, and what the filter and a slow front end may be behind


class RawWindow:
    """Counts of one channel above its darkness, by sample index.

    Parameters
    ----------
    sample_rate_hz : float
        Of the stream.
    dark_counts : float
        What the channel counts without any light.

    Examples
    --------
    >>> raw = RawWindow(50.0, dark_counts=-100.0)
    >>> raw.add(0, 9_900.0 + 50.0 * np.sin(np.arange(500) / 8))
    >>> round(raw.perfusion(0.0, 500.0), 3)
    0.01
    """

    def __init__(self, sample_rate_hz: float, dark_counts: float) -> None:
        self._most = round(_KEPT_S * sample_rate_hz)
        self._dark = dark_counts
        self._parts: deque[tuple[int, npt.NDArray[np.float64]]] = deque()

    def add(self, index: int, counts: npt.NDArray[np.float64]) -> None:
        """Take consecutive counts; `index` is that of the first."""
        self._parts.append((index, counts - self._dark))
        newest = index + len(counts)
        while self._parts[0][0] + len(self._parts[0][1]) < newest - self._most:
            self._parts.popleft()

    def perfusion(self, first: float, stop: float) -> float | None:
        """Pulse over level from one index to before another; what lies before is forgotten.

        None without samples, and where the level is not above darkness: then what was
        said of the darkness is not so.
        """
        while self._parts and self._parts[0][0] + len(self._parts[0][1]) <= first:
            self._parts.popleft()
        parts = [
            counts[max(0, math.ceil(first - at)) : max(0, math.ceil(stop - at))]
            for at, counts in self._parts
        ]
        counts = np.concatenate(parts) if parts else np.empty(0)
        if not counts.size or not counts.mean() > 0.0:
            return None
        return perfusion_index(counts)

    def clear(self) -> None:
        """Forget all: another stream begins."""
        self._parts.clear()

"""Missing samples of a stream, filled so that a causal filter can run on.

Short runs are bridged by a straight line, which needs the sample after the run: an open
run is held back until that comes. A run that grows past the limit is let go at the last
value. Which samples were missing travels along.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["GapBridge"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BRIDGE_S = 2.0
"""Missing runs up to this long are bridged by a straight line, longer ones are held."""


class GapBridge:
    """Fills NaN in a stream; the result does not depend on how the stream was cut.

    Examples
    --------
    >>> GapBridge(100.0).push(np.array([1.0, np.nan, 3.0]))[0]
    array([1., 2., 3.])
    """

    def __init__(self, sample_rate_hz: float) -> None:
        self._limit = int(BRIDGE_S * sample_rate_hz)
        self._last = np.nan  # the last finite sample seen
        self._held = 0  # samples of an open run that wait for its end
        self._let_go = 0  # samples of an open run that were given out already

    def push(self, samples: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Filled samples and which were missing; an open short run is held back."""
        values = np.concatenate([np.full(self._held, np.nan), samples])
        missing = np.isnan(values)
        if not missing.any() and values.size:  # as nearly always
            self._let_go, self._last = 0, float(values[-1])
            return values, missing
        edges = np.flatnonzero(np.diff(missing, prepend=False, append=False))
        runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
        let_go, self._held, self._let_go = self._let_go, 0, 0
        if not values.size:
            self._let_go = let_go
        for first, stop in runs:
            before = self._last if first == 0 else float(values[first - 1])
            length = stop - first + (let_go if first == 0 else 0)
            if stop < values.size:
                values[first:stop] = self._fill(before, float(values[stop]), length)[
                    -(stop - first) :
                ]
            elif length > self._limit and not np.isnan(before):
                values[first:stop], self._let_go = before, length
            else:
                self._held = stop - first
        given = values.size - self._held
        if given:
            self._last = float(values[given - 1])
        return values[:given], missing[:given]

    def _fill(self, before: float, after: float, length: int) -> FloatArray:
        if np.isnan(before):  # nothing was there yet: begin at the first sample
            return np.full(length, after)
        if length > self._limit:
            return np.full(length, before)
        return before + (after - before) * np.arange(1, length + 1) / (length + 1)

    def flush(self) -> tuple[FloatArray, BoolArray]:
        """The run still open at the end of the signal, held at the last value."""
        level = 0.0 if np.isnan(self._last) else self._last
        count, self._held = self._held, 0
        return np.full(count, level), np.ones(count, dtype=np.bool_)

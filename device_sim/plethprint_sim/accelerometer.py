"""The accelerometer of a virtual wearable: gravity, and what its wearer does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint_sim.sensor import PpgSource

__all__ = ["Accelerometer"]

_STEPS_HZ = 1.7
_SWING_G = 0.9  # along gravity, at each step
_HEEL_G = 0.3
_SIDEWAYS_G = 0.4
_SWELL_S = 0.15  # a burst of motion swells and sinks within it, as in the PPG
_TREMOR_G = 0.004
_TREMOR_HZ = (3.1, 7.9, 11.3)  # no two seconds are alike
_TILT_S = 90.0  # an arm turns slowly all the time; that is no motion


class Accelerometer:
    """Acceleration by sample index, consistent with the wearer's motion; a `PpgSource`.

    At rest it feels one g, whichever way the arm lies, and a tremor of some thousandths.
    While the source says that its wearer moves, the steps of a walk are added. The wearer
    of a source that does not tell, such as a recording, is taken to be at rest.

    Parameters
    ----------
    source : PpgSource
        Whose wearer; its ``motion`` is asked.
    sample_rate_hz : float
        Of the accelerometer.
    counts_per_g : float
        Its unit.

    Examples
    --------
    ::

        accelerometer = Accelerometer(source, 52.0, counts_per_g=1000.0)
        accelerometer.counts(0, 52)  # int32, shape (52, 3)
    """

    def __init__(
        self, source: PpgSource, sample_rate_hz: float, *, counts_per_g: float
    ) -> None:
        self.sample_rate_hz = sample_rate_hz
        """Samples a second."""
        self._source: Any = source
        self._counts_per_g = counts_per_g

    @property
    def length(self) -> int | None:
        """Number of samples, or None when there is no end."""
        length = self._source.length
        if length is None:
            return None
        return int(length * self.sample_rate_hz / self._source.sample_rate_hz)

    def counts(self, start_index: int, count: int) -> npt.NDArray[np.int32]:
        """x, y, z; int32 (count, 3)."""
        at_s = (start_index + np.arange(count)) / self.sample_rate_hz
        step = 2 * np.pi * _STEPS_HZ * at_s
        along = _SWING_G * np.sin(step) + _HEEL_G * np.sin(3 * step + 0.5)
        moving = self._moving(start_index, count)
        tremor = [
            _TREMOR_G * np.sin(2 * np.pi * hz * at_s + phase)
            for phase, hz in enumerate(_TREMOR_HZ)
        ]
        # Gravity leans now to one side, now to the other.
        lean = 0.6 * np.sin(2 * np.pi * at_s / _TILT_S)
        down = 1.0 + moving * along + tremor[0]
        axes = np.stack(
            [
                np.sin(lean) * down,
                moving * _SIDEWAYS_G * np.sin(0.5 * step) + tremor[1],
                np.cos(lean) * down + tremor[2],
            ],
            axis=1,
        )
        return np.rint(axes * self._counts_per_g).astype(np.int32)

    def _moving(self, start_index: int, count: int) -> npt.NDArray[np.float64]:
        """How strongly the wearer moves at each sample, 0..1."""
        ask = getattr(self._source, "motion", None)
        if ask is None or count == 0:
            return np.zeros(count)
        rate_hz = float(self._source.sample_rate_hz)
        reach = max(1, round(_SWELL_S * rate_hz))
        at = (start_index + np.arange(count)) / self.sample_rate_hz * rate_hz
        first = max(0, int(at[0]) - reach)
        length = self._source.length
        stop = int(at[-1]) + reach + 1
        stop = stop if length is None else min(stop, length)
        told = np.asarray(ask(first, max(0, stop - first)), np.float64)
        if not told.size:
            return np.zeros(count)
        total = np.concatenate([[0.0], np.cumsum(told)])
        place = np.clip(at.astype(np.int64) - first, 0, len(told) - 1)
        low = np.maximum(place - reach, 0)
        high = np.minimum(place + reach + 1, len(told))
        return np.asarray((total[high] - total[low]) / (high - low))

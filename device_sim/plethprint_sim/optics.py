"""Several optical channels from a source that has one: LEDs, photodiodes, converter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint_sim.sensor import PpgSource
from plethprint_sim.source import FULL_SCALE_COUNTS

__all__ = ["Optics"]


class Optics:
    """Channels of a wearable's own converter; a `PpgSource` itself.

    Each channel sees the source with a gain of its own. A gain of 0 is a channel without a
    LED: ambient light alone, a slow small wave.

    Parameters
    ----------
    source : PpgSource
        24-bit counts, one channel.
    gains : sequence of float
        One for each channel.
    bits : int
        Bits of the converter, sign included.
    polarity : {1, -1}
        -1 for raw reflectance: the more blood, the fewer counts.
    keep_every : int
        Samples of the source from one of the wearable to the next.

    Examples
    --------
    ::

        optics = Optics(WearerStream(Wearer(), seed=1, sample_rate_hz=55.0),
                        gains=(1.0, 0.8, 0.9, 0.0), bits=22, polarity=-1)
        optics.counts(0, 10)  # int32, shape (10, 4)
    """

    def __init__(
        self,
        source: PpgSource,
        *,
        gains: Sequence[float],
        bits: int,
        polarity: int,
        keep_every: int = 1,
    ) -> None:
        if polarity not in (1, -1) or keep_every < 1:
            raise ValueError(f"bad polarity {polarity} or keep_every {keep_every}")
        self.sample_rate_hz = source.sample_rate_hz / keep_every
        """Samples a second."""
        self._source: Any = source
        self._gains = np.asarray(gains, np.float64)
        self._full_scale = (1 << (bits - 1)) - 1
        self._polarity = polarity
        self._step = keep_every

    @property
    def length(self) -> int | None:
        """Number of samples, or None when there is no end."""
        length = self._source.length
        return None if length is None else -(-length // self._step)

    def counts(self, start_index: int, count: int) -> npt.NDArray[np.int32]:
        """ADC counts, int32 (count, channels)."""
        raw = np.asarray(self._of(self._source.counts, start_index, count), np.float64)
        light = raw / FULL_SCALE_COUNTS
        if self._polarity < 0:
            light = 1.0 - light
        at_s = (start_index + np.arange(len(light))) / self.sample_rate_hz
        ambient = 0.02 + 0.005 * np.sin(2 * np.pi * at_s / 60.0)
        lit = self._gains > 0
        seen = np.where(lit, light[:, np.newaxis] * self._gains, ambient[:, np.newaxis])
        return np.asarray(np.rint(seen * self._full_scale), np.int32)

    def contact(self, start_index: int, count: int) -> npt.NDArray[np.bool_]:
        """Whether the sensor touches the skin, for each sample."""
        return self._state("contact", start_index, count, otherwise=True)

    def motion(self, start_index: int, count: int) -> npt.NDArray[np.bool_]:
        """Whether the wearer moves, for each sample."""
        return self._state("motion", start_index, count, otherwise=False)

    def _state(
        self, name: str, start_index: int, count: int, *, otherwise: bool
    ) -> npt.NDArray[np.bool_]:
        method = getattr(self._source, name, None)
        if method is None:
            return np.full(count, otherwise)
        return np.asarray(self._of(method, start_index, count))

    def _of(self, method: Any, start_index: int, count: int) -> Any:
        if count == 0:
            return method(start_index * self._step, 0)
        span = (count - 1) * self._step + 1
        return method(start_index * self._step, span)[:: self._step]

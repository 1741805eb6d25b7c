"""The optical sensor of a virtual wearable: samples from a source, at their real time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from plethprint.ble.open_profile import FrameStatus
from plethprint_sim.device_clock import DeviceClock

__all__ = ["PpgSource", "SampleBlock", "Sensor"]


class PpgSource(Protocol):
    """Where a virtual wearable gets its PPG: samples by absolute index.

    The same index always gives the same sample. A source may also have ``contact`` and
    ``motion``, each (start_index, count) -> bool (count,); they become status bits.
    """

    @property
    def sample_rate_hz(self) -> float:
        """Samples a second."""

    @property
    def length(self) -> int | None:
        """Number of samples, or None when there is no end."""

    def counts(self, start_index: int, count: int) -> npt.NDArray[np.int32]:
        """ADC counts, int32, shape (count,) or (count, channels)."""


@dataclass(frozen=True)
class SampleBlock:
    """Consecutive samples of all channels."""

    first_index: int
    """Index of the first sample on the sample clock (not wrapped)."""
    counts: npt.NDArray[np.int32]
    """Shape (n, channels), clipped to the converter's range."""
    status: FrameStatus
    """Sensor state over these samples."""


class Sensor:
    """Gives a block whenever its last sample has been taken.

    Parameters
    ----------
    source : PpgSource
        What the sensor sees.
    clock : DeviceClock
        When it sees it.
    bits : int
        Bits of the converter, sign included; what exceeds them saturates.
    """

    def __init__(self, source: PpgSource, clock: DeviceClock, *, bits: int = 24) -> None:
        self._source = source
        self._clock = clock
        self._limit = (1 << (bits - 1)) - 1

    async def sample(
        self, first: int, block_samples: int, on_block: Callable[[SampleBlock], None]
    ) -> None:
        """Sample from index `first` until cancelled, or until the source ends."""
        loop = asyncio.get_running_loop()
        length = self._source.length
        while length is None or first < length:
            stop = first + block_samples
            if length is not None:
                stop = min(stop, length)
            await asyncio.sleep(self._clock.host_time_s(stop - 1) - loop.time())
            on_block(self._block(first, stop - first))
            first = stop

    def _block(self, first: int, count: int) -> SampleBlock:
        raw = np.asarray(self._source.counts(first, count))
        raw = raw.reshape(raw.shape[0], -1)
        if raw.shape[0] != count:
            raise ValueError(
                f"the source gave {raw.shape[0]} samples at index {first}, expected {count}"
            )
        counts = np.clip(raw, -self._limit - 1, self._limit).astype(np.int32)
        at_the_end = (counts == self._limit) | (counts == -self._limit - 1)
        status = FrameStatus(0)
        if self._all("contact", first, count, default=True):
            status |= FrameStatus.CONTACT
        if at_the_end.any():
            status |= FrameStatus.SATURATED
        if self._any("motion", first, count):
            status |= FrameStatus.MOTION
        return SampleBlock(first, counts, status)

    def _ask(self, what: str, first: int, count: int) -> Any:
        method = getattr(self._source, what, None)
        return None if method is None else np.asarray(method(first, count))

    def _all(self, what: str, first: int, count: int, *, default: bool) -> bool:
        answer = self._ask(what, first, count)
        return default if answer is None else bool(answer.all())

    def _any(self, what: str, first: int, count: int) -> bool:
        answer = self._ask(what, first, count)
        return answer is not None and bool(answer.any())

"""The front end of a virtual wearable, on and off: clock, sensor and what becomes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.sensor import PpgSource, SampleBlock, Sensor

__all__ = ["Sampling"]

_LOGGER = logging.getLogger(__name__)


class Sampling:
    """Runs the sensor while somebody wants samples; every firmware has one.

    Parameters
    ----------
    source : PpgSource
        What the sensor sees.
    clock : DeviceClock
        The device's crystal.
    bits : int
        Bits of the converter.
    block_s : float
        Time that a block of samples covers.
    on_block : callable
        Takes each block when its last sample has been taken.
    on_end : callable
        Told when the source ends, or fails.
    """

    def __init__(
        self,
        source: PpgSource,
        clock: DeviceClock,
        *,
        bits: int,
        block_s: float,
        on_block: Callable[[SampleBlock], None],
        on_end: Callable[[], None],
    ) -> None:
        self.clock = clock
        """When which sample is taken."""
        self.rate_hz = source.sample_rate_hz
        """Samples a second."""
        self.block_samples = max(1, round(block_s * self.rate_hz))
        """Samples of a block."""
        self.exhausted = asyncio.Event()
        """Set once the source has ended or failed."""
        self.failure: BaseException | None = None
        """What the source raised."""
        self._sensor = Sensor(source, clock, bits=bits)
        self._bits = bits
        self._block_s = block_s
        self._on_block = on_block
        self._on_end = on_end
        self._task: asyncio.Task[None] | None = None

    def retune(self, source: PpgSource) -> None:
        """Sample another source, at its rate, from the next `switch_on` on."""
        self.switch_off()
        self.rate_hz = source.sample_rate_hz
        self.block_samples = max(1, round(self._block_s * self.rate_hz))
        self.clock.retune(self.rate_hz)
        self._sensor = Sensor(source, self.clock, bits=self._bits)

    def switch_on(self, now_s: float) -> int:
        """Make sure that the sensor samples; return the index of the next sample."""
        self.clock.start_sampling(now_s, self.rate_hz)
        first = self.clock.next_index(now_s)
        if self._task is None:
            self._task = asyncio.ensure_future(
                self._sensor.sample(first, self.block_samples, self._on_block)
            )
            self._task.add_done_callback(self._ended)
        return first

    def switch_off(self) -> None:
        """Take no more samples; the clock runs on."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _ended(self, task: asyncio.Future[None]) -> None:
        if task.cancelled():
            return
        self.failure = task.exception()
        if self.failure is not None:
            _LOGGER.error("the virtual sensor failed: %r", self.failure)
        self._task = None
        self._on_end()
        self.exhausted.set()

"""A virtual accelerometer that is a stream of its own, beside the light."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from plethprint_sim.accelerometer import Accelerometer
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.sampling import Sampling
from plethprint_sim.sensor import PpgSource, SampleBlock
from plethprint_sim.transmit_buffer import TransmitBuffer

__all__ = ["MotionSensor"]


class MotionSensor:
    """Samples acceleration, and keeps what is packed of it until the link takes it.

    Parameters
    ----------
    optics : PpgSource
        Whose wearer moves.
    clock : DeviceClock
        The device's crystal; samples are counted apart from those of the light.
    rate_hz : float
        Samples a second.
    counts_per_g : float
        Its unit.
    block_s : float
        Time that a block covers.
    buffer_s : float
        Depth of the transmit buffer.
    pack : callable
        Takes each block and calls `put`.
    """

    def __init__(
        self,
        optics: PpgSource,
        clock: DeviceClock,
        *,
        rate_hz: float,
        counts_per_g: float,
        block_s: float,
        buffer_s: float,
        pack: Callable[[SampleBlock], None],
    ) -> None:
        self.sampling = Sampling(
            Accelerometer(optics, rate_hz, counts_per_g=counts_per_g),
            clock.with_samples_of_its_own(),
            bits=16,
            block_s=block_s,
            on_block=pack,
            on_end=lambda: None,
        )
        """Clock and sensor."""
        self.first_index = 0
        """First sample that was asked for; a block under way then began before it."""
        self._buffer = TransmitBuffer[bytes](round(buffer_s * rate_hz))

    def switch_on(self) -> None:
        """Sample from now on."""
        now_s = asyncio.get_running_loop().time()
        self.first_index = self.sampling.switch_on(now_s)

    def switch_off(self) -> None:
        """Sample no more, and forget what waits; the clock runs on."""
        self._buffer.clear()
        self.sampling.switch_off()

    def put(self, packet: bytes, *, samples: int) -> None:
        """Queue a notification."""
        self._buffer.put(packet, samples=samples, size_bytes=len(packet))

    def next_packet(self, longest_bytes: int) -> bytes | None:
        """Take the next notification, None when there is none."""
        leaving = self._buffer.take(longest_bytes)
        return None if leaving is None else leaving.frame

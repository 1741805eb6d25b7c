"""What virtual wearables without an encoder have in common: firmware, link and device.

It is the other side of the radio from `plethprint.ble.plain_driver`. A protocol adds how a
block of samples becomes notifications and how requests are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from bumble.device import Connection
from bumble.gatt import Service

from plethprint_sim.advertisement import advertisement
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.heart_rate import HeartRate
from plethprint_sim.link_pump import LinkPump
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.sampling import Sampling
from plethprint_sim.sensor import PpgSource, SampleBlock

__all__ = ["PlainFirmware", "PlainLink", "PlainPeripheral"]


class PlainFirmware:
    """Samples while a host wants them, from power-on to power-off.

    A protocol's firmware makes notifications of each block in `_on_block`, keeps them
    until the link takes them, and calls `on_output` when there are some.

    Parameters
    ----------
    source : PpgSource
        What the sensor sees.
    clock : DeviceClock
        The device's crystal.
    bits : int
        Bits of the converter, sign included: one more where counts are unsigned.
    block_s : float
        Time that a block of samples covers.
    """

    def __init__(
        self, source: PpgSource, clock: DeviceClock, *, bits: int, block_s: float
    ) -> None:
        self.on_output: Callable[[], None] = lambda: None
        """Told when there may be something to notify."""
        self.sampling = Sampling(
            source,
            clock,
            bits=bits,
            block_s=block_s,
            on_block=self._on_block,
            on_end=self._halt,
        )
        """Its front end."""
        self._clock = clock
        self._is_streaming = False
        self._from = 0

    @property
    def is_streaming(self) -> bool:
        """Whether the PPG stream runs."""
        return self._is_streaming

    def switch_off(self) -> None:
        """Stop everything, and forget what waits; the clocks run on."""
        self._halt()
        self.sampling.switch_off()

    def on_link_lost(self) -> None:
        """Nobody listens any more: it stops, as a wearable without a number does."""
        self.switch_off()

    def _begin(self) -> None:
        """Stream from the next sample on; its index is `_from`."""
        self._from = self.sampling.switch_on(asyncio.get_running_loop().time())
        self._is_streaming = True

    def _halt(self) -> None:
        self._is_streaming = False

    def _on_block(self, block: SampleBlock) -> None:
        """Take a block; one under way at `_begin` holds samples from before it."""
        raise NotImplementedError


S = TypeVar("S", bound=Service)
F = TypeVar("F", bound=PlainFirmware)


class PlainLink(LinkPump, Generic[S, F]):
    """One host of a virtual wearable.

    Parameters
    ----------
    connection : bumble.device.Connection
        The link.
    service : Service
        The protocol's attributes.
    firmware : PlainFirmware
        Who answers.
    heart_rate : HeartRate
        What the Heart Rate service beside tells.
    """

    def __init__(
        self, connection: Connection, service: S, firmware: F, heart_rate: HeartRate
    ) -> None:
        self._service = service
        self._firmware = firmware
        super().__init__(connection, heart_rate)
        firmware.on_output = self.wake

    def close(self) -> None:
        """Let go of a link that is gone, and tell the firmware."""
        super().close()
        self._firmware.on_output = lambda: None
        self._firmware.on_link_lost()

    def on_write(self, value: bytes) -> None:
        """Take what the host wrote."""
        raise NotImplementedError


class PlainPeripheral(Peripheral, Generic[S, F]):
    """A wearable whose firmware is a `PlainFirmware`.

    A protocol's wearable has the three methods that `Peripheral` asks for. Its service
    hands writes to `_on_write`; its link is a `PlainLink`, made of `_attributes` and
    `device_firmware`.

    Parameters
    ----------
    source : PpgSource
        What its sensor sees.
    name : str
        Advertised name.
    services : sequence of str
        UUIDs that it advertises.
    **options
        Further arguments of `Peripheral`.
    """

    def __init__(
        self, source: PpgSource, *, name: str, services: Sequence[str], **options: Any
    ) -> None:
        advert = advertisement(name, services)
        super().__init__(source, name=name, advertisement=advert, **options)

    @property
    def device_firmware(self) -> F:
        """The running firmware.

        Raises
        ------
        RuntimeError
            The wearable is not switched on.
        """
        return cast("F", self._booted())

    @property
    def _attributes(self) -> S:
        return cast("S", self._own_service)

    def _on_write(self, connection: Connection, value: bytes) -> None:
        link = cast("PlainLink[S, F]", self._pump_of(connection))
        link.on_write(value)

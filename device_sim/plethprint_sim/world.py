"""A whole virtual Bluetooth world in one process: wearables, the air, and a host."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from bumble import hci
from bumble.device import Device
from bumble.transport.common import AsyncPipeSink

from plethprint.session import Backoff, Wearable, connect
from plethprint_sim.air_controller import AirController
from plethprint_sim.backend import BumbleBackend
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.radio import SUPERVISION_TIMEOUT, AirLink, AirStatistics
from plethprint_sim.virtual_time import VirtualTimeLoop

__all__ = ["VirtualWorld"]

_HOST_ADDRESS = "C0:11:00:00:00:01"
_HEARD_S = 0.01
_WALL_S = 1.7e9  # of virtual time's beginning


class VirtualWorld:
    """Wearables that advertise on a virtual radio, and a backend for bleak that hears them.

    Parameters
    ----------
    *wearables : Peripheral
        Such as `VirtualWearable`, or another of `plethprint_sim.personalities`.
        Switched on when the world begins, off when it ends.
    seed : int
        Same seed, same fate for every packet. On virtual time
        (`plethprint_sim.virtual_time`) the same program then sees the same bytes.
    operation_timeout_s : float
        Longest time that a GATT call of the backend may take.
    **radio
        Parameters of `AirLink`, such as ``packet_error=0.1``.

    Attributes
    ----------
    air : AirLink
        The radio; its faults may be changed at any time.
    backend : BumbleBackend
        For ``plethprint.connect(backend=...)``, ``BleakScanner(backend=...)`` and
        ``BleakClient(..., backend=...)``.

    Examples
    --------
    ::

        async with VirtualWorld(VirtualWearable(source), seed=1) as world:
            found = await BleakScanner.discover(backend=world.backend.scanner)
            world.link_loss()
    """

    air: AirLink
    backend: BumbleBackend

    def __init__(
        self,
        *wearables: Peripheral,
        seed: int = 0,
        operation_timeout_s: float = 30.0,
        **radio: Any,
    ) -> None:
        self.wearables = wearables
        self._operation_timeout_s = operation_timeout_s
        self._radio = {"seed": seed, **radio}
        self._backoff = Backoff(seed=seed)
        self._host: Device | None = None
        self._controllers: dict[str, AirController] = {}  # by address

    async def __aenter__(self) -> VirtualWorld:
        self.air = AirLink(**self._radio)
        try:
            for wearable in self.wearables:
                await self._switch_on(wearable)
            controller = AirController("host", self.air)
            self._host = Device.with_hci(
                "host", hci.Address(_HOST_ADDRESS), controller, AsyncPipeSink(controller)
            )
            await self._host.power_on()
        except BaseException:
            await self._end()
            raise
        self.backend = BumbleBackend(
            self._host, operation_timeout_s=self._operation_timeout_s
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    @property
    def statistics(self) -> AirStatistics:
        """What happened on the air so far."""
        return self.air.statistics

    def connect(self, **options: Any) -> AbstractAsyncContextManager[Wearable]:
        """Connect as `plethprint.connect` does, to what advertises in this world.

        On virtual time the wall clock goes with it, from 2023-11-14T22:13:20Z on: the
        computer's own would stand still meanwhile, and fingerprints have times of nothing.
        The waits before a lost link is sought again follow the world's seed.

        Parameters
        ----------
        **options
            Those of `plethprint.connect`.

        Examples
        --------
        ::

            async with VirtualWorld(wearable) as world, world.connect() as connected:
                async for fingerprint in connected.fingerprints():
                    ...
        """
        loop = asyncio.get_running_loop()
        given: dict[str, Any] = {"backend": self.backend, "backoff": self._backoff}
        if isinstance(loop, VirtualTimeLoop):
            given["wall_clock"] = lambda: _WALL_S + loop.time()
        return connect(**{**given, **options})

    def link_loss(self, reason: int = SUPERVISION_TIMEOUT) -> int:
        """Drop every connection as if the devices had walked apart; how many there were."""
        return self.air.lose_link(reason)

    async def stall(self, duration_s: float) -> None:
        """Let nothing through for a while (a body between the antennas)."""
        await self.air.stall(duration_s)

    async def switch_off(self, wearable: Peripheral) -> None:
        """Take a wearable's battery out: its link dies, and it says nothing any more."""
        self.air.lose_link(address=wearable.address)
        await asyncio.sleep(_HEARD_S)
        await wearable.stop()
        controller = self._controllers.pop(wearable.address, None)
        if controller is not None:
            controller.le_legacy_advertiser.stop()  # it would go on without its host
            self.air.lose_link(address=wearable.address)
            self.air.remove_controller(controller)

    async def reboot(self, wearable: Peripheral, *, off_s: float = 2.0) -> None:
        """Take the battery out and put it in again: clocks and counters start afresh.

        What it was paired with it remembers, as a wearable does.
        """
        keys = wearable.keystore
        await self.switch_off(wearable)
        await asyncio.sleep(off_s)
        await self._switch_on(wearable)
        wearable.keystore = keys

    async def _switch_on(self, wearable: Peripheral) -> None:
        controller = AirController(wearable.name, self.air)
        self._controllers[wearable.address] = controller
        await wearable.start(controller, AsyncPipeSink(controller))

    async def _end(self) -> None:
        self.link_loss()
        await asyncio.sleep(_HEARD_S)  # both hosts hear of it before they go
        if self._host is not None:
            await self._host.power_off()
        failures: list[Exception] = []
        for wearable in self.wearables:
            try:
                await wearable.stop()
            except Exception as failure:  # the others are to be switched off all the same
                failures.append(failure)
        if failures:
            raise failures[0]

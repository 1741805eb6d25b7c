"""One host connected to a virtual wearable: its subscriptions and what goes to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bumble.att import ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic

from plethprint_sim.heart_rate import HeartRate

__all__ = ["LinkPump", "Output"]

_LOGGER = logging.getLogger(__name__)

_CCCD_IMPROPERLY_CONFIGURED = 0xFD
_PROCEDURE_IN_PROGRESS = 0xFE
_RESPONSES_WAITING = 4
# Packets handed to the controller at a time. The rest waits in the device's own buffer,
# where an overflow is counted; the controller's would grow in silence.
_PACKETS_IN_FLIGHT = 4
_HEART_RATE_EVERY_S = 1.0

Output = tuple[Characteristic[bytes], bytes]
"""What is to be notified, and where."""


class LinkPump:
    """Notifies what `next_output` gives as long as the controller has room for it.

    Parameters
    ----------
    connection : bumble.device.Connection
        The link.
    heart_rate : HeartRate
        What the Heart Rate service beside tells.
    """

    def __init__(self, connection: Connection, heart_rate: HeartRate) -> None:
        self.connection = connection
        self._server = connection.device.gatt_server
        self._heart_rate = heart_rate
        self._responses: asyncio.Queue[tuple[Characteristic[bytes], bytes]] = asyncio.Queue(
            _RESPONSES_WAITING
        )
        self._work = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], None] = {}  # ordered, unlike a set
        # Room in the controller, or a new subscription, may release what waits.
        connection.device.on("characteristic_subscription", self.wake)
        if (queue := connection.data_packet_queue) is not None:
            queue.on("flow", self.wake)
        self._spawn(self._indicate())
        self._spawn(self._notify())
        self._spawn(self._tell_heart_rate())

    def next_output(self) -> Output | None:
        """Take what is to be notified next, None when there is nothing."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of a link that is gone."""
        self.connection.device.remove_listener("characteristic_subscription", self.wake)
        for task in list(self._tasks):
            task.cancel()

    def takes(
        self, characteristic: Characteristic[bytes], *, indications: bool = False
    ) -> bool:
        """Whether the host has subscribed to it."""
        cccd = self._server.read_cccd(self.connection, characteristic)
        return bool(cccd[0] & (2 if indications else 1))

    def demand(
        self, characteristic: Characteristic[bytes], *, indications: bool = False
    ) -> None:
        """Refuse a write, by an ATT error, whose answer nobody would hear."""
        if not self.takes(characteristic, indications=indications):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        if self._responses.full():
            raise ATT_Error(_PROCEDURE_IN_PROGRESS)

    def respond(self, characteristic: Characteristic[bytes], response: bytes) -> None:
        """Indicate a response, after those that wait."""
        self._responses.put_nowait((characteristic, response))

    def wake(self, *_: Any) -> None:
        """Say that there may be something to notify."""
        self._work.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _indicate(self) -> None:
        while True:
            characteristic, response = await self._responses.get()
            try:
                await self._server.indicate_subscriber(
                    self.connection, characteristic, response
                )
            except (TimeoutError, asyncio.TimeoutError):
                _LOGGER.warning("the host did not confirm a response")

    async def _notify(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._has_room() and (output := self.next_output()) is not None:
                await self._server.notify_subscriber(self.connection, *output)

    async def _tell_heart_rate(self) -> None:
        measurement = self._heart_rate.service.measurement
        while True:
            await asyncio.sleep(_HEART_RATE_EVERY_S)
            if self.takes(measurement):
                value = self._heart_rate.now().to_bytes()
                await self._server.notify_subscriber(self.connection, measurement, value)

    def _has_room(self) -> bool:
        queue = self.connection.data_packet_queue
        return queue is not None and queue.pending < _PACKETS_IN_FLIGHT

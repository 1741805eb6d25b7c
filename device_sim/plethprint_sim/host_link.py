"""One host connected to a virtual wearable: its subscriptions and what goes to it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any

from bumble.att import ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic

from plethprint.ble import open_profile as profile
from plethprint_sim.firmware import Firmware, Subscriptions
from plethprint_sim.profile_service import OpenProfileService

__all__ = ["HostLink"]

_LOGGER = logging.getLogger(__name__)

_CCCD_IMPROPERLY_CONFIGURED = 0xFD
_PROCEDURE_IN_PROGRESS = 0xFE
_RESPONSES_WAITING = 4
# Packets handed to the controller at a time. The rest waits in the device's own buffer,
# where an overflow is counted; the controller's would grow in silence.
_PACKETS_IN_FLIGHT = 4


class HostLink:
    """Carries requests to the firmware, and its output to the host, until closed.

    Parameters
    ----------
    connection : bumble.device.Connection
        The link.
    service : OpenProfileService
        Its attributes.
    firmware : Firmware
        Who answers.
    """

    def __init__(
        self, connection: Connection, service: OpenProfileService, firmware: Firmware
    ) -> None:
        self.connection = connection
        self._service = service
        self._firmware = firmware
        self._server = connection.device.gatt_server
        self._responses: asyncio.Queue[bytes] = asyncio.Queue(_RESPONSES_WAITING)
        self._results: deque[bytes] = deque()
        self._work = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], None] = {}  # ordered, unlike a set
        # Room in the controller, or a new subscription, may release what waits.
        connection.device.on("characteristic_subscription", self._on_change)
        if (queue := connection.data_packet_queue) is not None:
            queue.on("flow", self._on_change)
        firmware.on_output = self._on_change
        firmware.on_link_up()
        self._spawn(self._indicate())
        self._spawn(self._notify())

    def close(self) -> None:
        """Let go of a link that is gone."""
        self.connection.device.remove_listener(
            "characteristic_subscription", self._on_change
        )
        for task in list(self._tasks):
            task.cancel()
        self._firmware.on_output = lambda: None
        self._firmware.on_link_lost()

    def on_control(self, value: bytes) -> None:
        """Take a write to the control point."""
        if not self._takes(self._service.control, indications=True):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        if self._responses.full():
            raise ATT_Error(_PROCEDURE_IN_PROGRESS)
        link = Subscriptions(
            mtu=self.connection.att_mtu,
            ppg=self._takes(self._service.ppg),
            fingerprint=self._takes(self._service.fingerprint),
        )
        response = self._firmware.answer(value, link)
        _LOGGER.debug("%s -> %s", value.hex(), response)
        self._responses.put_nowait(response.to_bytes())
        self._work.set()  # a START releases what waits

    def on_self_test(self, value: bytes) -> None:
        """Take a write to the self-test characteristic."""
        if not self._takes(self._service.self_test):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        self._spawn(self._run_self_test(value))

    async def _run_self_test(self, value: bytes) -> None:
        result = await self._firmware.self_test(value)
        if result is not None:
            self._results.extend(result.to_messages(self.connection.att_mtu))
            self._work.set()

    async def _indicate(self) -> None:
        while True:
            response = await self._responses.get()
            try:
                await self._server.indicate_subscriber(
                    self.connection, self._service.control, response
                )
            except (TimeoutError, asyncio.TimeoutError):
                _LOGGER.warning("the host did not confirm a response")

    async def _notify(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._has_room() and (output := self._next()) is not None:
                await self._server.notify_subscriber(self.connection, *output)

    def _has_room(self) -> bool:
        queue = self.connection.data_packet_queue
        return queue is not None and queue.pending < _PACKETS_IN_FLIGHT

    def _next(self) -> tuple[Characteristic[bytes], bytes] | None:
        service, firmware = self._service, self._firmware
        longest = profile.longest_value(self.connection.att_mtu)
        if self._results:
            return service.self_test, self._results.popleft()
        if self._takes(service.fingerprint) and (value := firmware.next_fingerprint()):
            return service.fingerprint, value
        if self._takes(service.ppg) and (value := firmware.next_ppg(longest)):
            return service.ppg, value
        return None

    def _takes(
        self, characteristic: Characteristic[bytes], *, indications: bool = False
    ) -> bool:
        cccd = self._server.read_cccd(self.connection, characteristic)
        return bool(cccd[0] & (2 if indications else 1))

    def _on_change(self, *_: Any) -> None:
        self._work.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

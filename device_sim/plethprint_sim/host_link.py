"""One host connected to a wearable with the open profile."""

from __future__ import annotations

import logging
from collections import Counter, deque

from bumble.device import Connection

from plethprint.ble import open_profile as profile
from plethprint_sim.firmware import Firmware, Subscriptions
from plethprint_sim.heart_rate import HeartRate
from plethprint_sim.link_pump import LinkPump, Output
from plethprint_sim.profile_service import OpenProfileService

__all__ = ["HostLink"]

_LOGGER = logging.getLogger(__name__)


class HostLink(LinkPump):
    """Carries requests to the firmware, and its output to the host, until closed.

    Parameters
    ----------
    connection : bumble.device.Connection
        The link.
    service : OpenProfileService
        Its attributes.
    firmware : Firmware
        Who answers.
    heart_rate : HeartRate
        What the Heart Rate service beside tells.
    sent_bytes : Counter
        By UUID, bytes of what was notified; counted on.
    """

    def __init__(
        self,
        connection: Connection,
        service: OpenProfileService,
        firmware: Firmware,
        heart_rate: HeartRate,
        sent_bytes: Counter[str],
    ) -> None:
        self._sent_bytes = sent_bytes
        self._service = service
        self._firmware = firmware
        self._results: deque[bytes] = deque()
        super().__init__(connection, heart_rate)
        firmware.on_output = self.wake
        firmware.on_link_up()

    def close(self) -> None:
        """Let go of a link that is gone."""
        super().close()
        self._firmware.on_output = lambda: None
        self._firmware.on_link_lost()

    def on_control(self, value: bytes) -> None:
        """Take a write to the control point."""
        self.demand(self._service.control, indications=True)
        link = Subscriptions(
            mtu=self.connection.att_mtu,
            ppg=self.takes(self._service.ppg),
            fingerprint=self.takes(self._service.fingerprint),
        )
        response = self._firmware.answer(value, link)
        _LOGGER.debug("%s -> %s", value.hex(), response)
        self.respond(self._service.control, response.to_bytes())
        self.wake()  # a START releases what waits

    def on_self_test(self, value: bytes) -> None:
        """Take a write to the self-test characteristic."""
        self.demand(self._service.self_test)
        self._spawn(self._run_self_test(value))

    def next_output(self) -> Output | None:
        """Self-test results first, then fingerprints, then samples."""
        output = self._next()
        if output is not None:
            characteristic, value = output
            self._sent_bytes[str(characteristic.uuid).lower()] += len(value)
        return output

    def _next(self) -> Output | None:
        service, firmware = self._service, self._firmware
        longest = profile.longest_value(self.connection.att_mtu)
        if self._results:
            return service.self_test, self._results.popleft()
        if self.takes(service.fingerprint) and (value := firmware.next_fingerprint()):
            return service.fingerprint, value
        if self.takes(service.ppg) and (value := firmware.next_ppg(longest)):
            return service.ppg, value
        return None

    async def _run_self_test(self, value: bytes) -> None:
        result = await self._firmware.self_test(value)
        if result is not None:
            self._results.extend(result.to_messages(self.connection.att_mtu))
            self.wake()

"""Fingerprints that a wearable computes itself, over one link after another."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from plethprint.ble.personality import Driver
from plethprint.bounded_queue import BoundedQueue
from plethprint.errors import FingerprintDecodeError
from plethprint.fingerprint import Fingerprint

__all__ = ["DeviceFingerprints"]

_LOGGER = logging.getLogger(__name__)

_KEPT = 256  # for a slow consumer; at the shortest hop they are 25 s


class DeviceFingerprints:
    """Starts, decodes, counts and hands on what a wearable fingerprints on its own.

    A wearable has one such stream, so all consumers share its hop.
    """

    def __init__(self) -> None:
        self.hop_s: float | None = None
        """Hop of the running stream; None when none is wanted."""
        self.received = 0
        """Fingerprints decoded so far."""
        self.decode_errors = 0
        """Notifications that were none."""
        self._running: Driver | None = None  # the driver of the link they come over
        self._dropped = 0
        self._queues: list[BoundedQueue[Fingerprint]] = []

    @property
    def dropped(self) -> int:
        """Fingerprints dropped because a consumer was too slow."""
        return self._dropped + sum(queue.dropped for queue in self._queues)

    @property
    def has_consumers(self) -> bool:
        """Whether anybody takes them."""
        return bool(self._queues)

    @contextmanager
    def consumer(self, hop_s: float) -> Iterator[BoundedQueue[Fingerprint]]:
        """Have every fingerprint put into a queue.

        Raises
        ------
        ValueError
            Others take them at another hop.
        """
        if self._queues and hop_s != self.hop_s:
            raise ValueError(
                f"the wearable makes fingerprints every {self.hop_s:g} s for somebody "
                f"else already; it cannot make them every {hop_s:g} s as well"
            )
        queue = BoundedQueue[Fingerprint]("fingerprints")
        queue.limit(_KEPT)
        self._queues.append(queue)
        self.hop_s = hop_s
        try:
            yield queue
        finally:
            self._queues.remove(queue)
            self._dropped += queue.dropped

    async def start(self, driver: Driver) -> None:
        """Have them made, on a first link or the next one."""
        if self.hop_s is not None and self._running is not driver:
            await driver.start_fingerprints(self._on_payload, hop_s=self.hop_s)
            self._running = driver

    async def stop(self, driver: Driver) -> None:
        """Have no more made."""
        self.hop_s = self._running = None
        await driver.stop_fingerprints()

    def end(self, error: Exception | None = None) -> None:
        """Tell every consumer that no more will come."""
        for queue in self._queues:
            queue.end(error)

    def _on_payload(self, payload: bytes) -> None:
        try:
            fingerprint = Fingerprint.from_bytes(payload)
        except FingerprintDecodeError as error:
            if not self.decode_errors:
                _LOGGER.warning("dropped a notification that is no fingerprint: %s", error)
            self.decode_errors += 1
            return
        self.received += 1
        for queue in self._queues:
            queue.put(fingerprint)

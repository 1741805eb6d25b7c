"""What a wearable says on one characteristic, until somebody takes it."""

from __future__ import annotations

import asyncio
from typing import Any

from plethprint.ble.gatt import GattLink
from plethprint.errors import LinkLostError, LinkTimeoutError

__all__ = ["Answers"]

_ANSWERS_KEPT = 256  # more than any answer has parts; what exceeds them is noise


class Answers:
    """A bounded queue of answers that ends with the link.

    Parameters
    ----------
    link : GattLink
        The link they come over.
    """

    def __init__(self, link: GattLink) -> None:
        self._link = link
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_ANSWERS_KEPT)

    def put(self, answer: bytes) -> None:
        """Take what the wearable said; dropped when too much waits."""
        if not self._queue.full():
            self._queue.put_nowait(answer)

    def clear(self) -> None:
        """Forget what waits."""
        while not self._queue.empty():
            self._queue.get_nowait()

    async def get(self, to: str, deadline_s: float) -> bytes:
        """Take the next one; the event loop's clock must not pass `deadline_s`.

        Parameters
        ----------
        to : str
            What it answers, for messages.
        deadline_s : float
            Event-loop time.

        Raises
        ------
        LinkLostError, LinkTimeoutError
            None came.
        """
        left_s = max(0.0, deadline_s - asyncio.get_running_loop().time())
        waiting = asyncio.ensure_future(self._queue.get())
        try:
            either: set[asyncio.Future[Any]] = {waiting, self._link.lost}
            await asyncio.wait(either, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
        finally:
            waiting.cancel()
        if self._link.is_lost:
            raise LinkLostError(f"the link dropped before the wearable answered {to}")
        raise LinkTimeoutError(f"the wearable did not answer {to} within {left_s:.3g} s")

"""Asks a wearable now and then what time it is, where its protocol lets one ask."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from plethprint.clock import TimeExchange
from plethprint.errors import PlethprintError

__all__ = ["TellsTime", "TimeExchanges"]

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 4.0
_GROWTH = 1.1


@runtime_checkable
class TellsTime(Protocol):
    """A driver whose wearable says what time it is on its own clock."""

    async def exchange_time(self) -> TimeExchange:
        """Ask once; nothing on the wearable changes.

        Raises
        ------
        LinkError, ProtocolError
            No answer, or nonsense.
        """


def _waits_s(rng: random.Random) -> Iterator[float]:
    """Waits between questions: dense at first, at random moments of connection events."""
    wait_s = _FIRST_WAIT_S
    while True:
        yield wait_s * rng.uniform(0.5, 1.5)
        wait_s = min(wait_s * _GROWTH, _LONGEST_WAIT_S)


class TimeExchanges:
    """Runs the questions on one link after another, in a task of its own.

    Parameters
    ----------
    on_exchange : callable
        Takes each exchange.
    seed : int, optional
        Of the moments of asking; None takes the system's randomness.
    """

    def __init__(
        self, on_exchange: Callable[[TimeExchange], None], *, seed: int | None = None
    ) -> None:
        self._on_exchange = on_exchange
        self._rng = random.Random(seed)
        self._task: asyncio.Task[None] | None = None
        self.count = 0
        """Questions answered so far."""

    def begin(self, driver: object) -> None:
        """Ask on this link from now on, if its driver can; no more on the one before."""
        if self._task is not None:
            self._task.cancel()
        self._task = None
        if isinstance(driver, TellsTime):
            self._task = asyncio.create_task(
                self._ask(driver), name="plethprint time exchanges"
            )

    async def end(self) -> None:
        """Ask no more; nothing is left under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _ask(self, driver: TellsTime) -> None:
        for wait_s in _waits_s(self._rng):
            await asyncio.sleep(wait_s)
            # A question without an answer is no news: the watchdog sees to the link.
            with contextlib.suppress(PlethprintError):
                exchange = await driver.exchange_time()
                self.count += 1
                self._on_exchange(exchange)

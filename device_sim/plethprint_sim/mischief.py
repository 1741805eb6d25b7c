"""What happens to notifications between a firmware and an application, now and then.

The air itself neither loses nor reorders (see `radio`). Queues do: of a controller, of an
operating system, of a firmware with a bug.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from bumble.device import Connection

from plethprint_sim.link_pump import LinkPump, Output
from plethprint_sim.peripheral import Peripheral

__all__ = ["Mischief"]

_MOST_HELD = 8


class Mischief:
    """Repeats, swaps and swallows what a virtual wearable notifies.

    Parameters
    ----------
    repeat, swap, lose : float
        Share of the notifications that come once more (at once or a few later), that
        change places with the next, and that never come; each 0..1.
    seed : int
        Same seed, same mischief.
    """

    def __init__(
        self,
        *,
        repeat: float = 0.0,
        swap: float = 0.0,
        lose: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._repeat, self._swap, self._lose = repeat, swap, lose
        self._dice = random.Random(f"mischief {seed}")
        self.repeated = 0
        """Notifications that came once more so far."""
        self.swapped = 0
        """Notifications that came after the next one so far."""
        self.lost = 0
        """Notifications swallowed so far."""

    def befall(self, wearable: Peripheral) -> None:
        """Have it happen on every link of a wearable from now on."""
        make = wearable._link

        def link(connection: Connection) -> LinkPump:
            pump = make(connection)
            _Tampered(self, pump)
            return pump

        wearable._link = link  # type: ignore[method-assign]


class _Tampered:
    """One link: what is to come out of turn."""

    def __init__(self, mischief: Mischief, pump: LinkPump) -> None:
        self._mischief = mischief
        self._next: Any = pump.next_output
        self._ready: deque[Output] = deque()
        self._held: Output | None = None  # waits for the one that it lets pass
        pump.next_output = self._tampered  # type: ignore[method-assign]

    def _tampered(self) -> Output | None:
        if self._ready:
            return self._ready.popleft()
        output: Output | None = self._next()
        if output is None:
            return None
        if self._held is not None:
            self._ready.append(self._held)
            self._held = None
            return output
        mischief, dice = self._mischief, self._mischief._dice
        if dice.random() < mischief._lose:
            mischief.lost += 1
            return self._tampered()
        if dice.random() < mischief._repeat and len(self._ready) < _MOST_HELD:
            mischief.repeated += 1
            self._ready.append(output)
        elif dice.random() < mischief._swap:
            mischief.swapped += 1
            self._held = output
            return self._tampered()
        return output

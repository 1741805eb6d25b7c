"""A bounded queue to one consumer: a slow one loses the oldest, visibly."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from plethprint.quiet_log import QuietLog

__all__ = ["BoundedQueue"]

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")

_MOST_ITEMS = 1 << 16  # however small they are


class BoundedQueue(Generic[_T]):
    """What stands between the radio and one consumer.

    It is unbounded until `limit` is called, which the owner does as soon as it knows how
    much is much.

    Parameters
    ----------
    what : str
        What is counted, for the log: ``"samples"``.
    size_of : callable, optional
        How much of that an item is; 1 when not given.
    """

    def __init__(self, what: str, size_of: Callable[[_T], int] = lambda _: 1) -> None:
        self._what = what
        self._size_of = size_of
        self._capacity: int | None = None
        self._items: deque[_T] = deque()
        self._held = 0
        self._changed = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self._overflowing = False
        self._log = QuietLog(_LOGGER)
        self.dropped = 0
        """Items dropped so far."""

    def limit(self, capacity: int) -> None:
        """Hold at most so much, and at most 65536 items; above it the oldest items go."""
        self._capacity = capacity

    def put(self, item: _T) -> None:
        """Add an item; never waits."""
        self._items.append(item)
        self._held += self._size_of(item)
        if self._capacity is None:
            self._changed.set()
            return
        while (self._held > self._capacity or len(self._items) > _MOST_ITEMS) and len(
            self._items
        ) > 1:
            self._held -= self._size_of(self._items.popleft())
            self.dropped += 1
            if not self._overflowing:  # once for each time it happens, not per item
                self._overflowing = True
                self._log.warning(
                    "a consumer is too slow for the stream: dropping the oldest of %d "
                    "%s; take them faster or ask for a longer queue",
                    self._capacity,
                    self._what,
                )
        self._changed.set()

    def end(self, error: Exception | None = None) -> None:
        """No more will come; `get` raises `error`, if any, once all is taken."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._changed.set()

    async def get(self) -> _T | None:
        """Take the oldest item, waiting for one; None at the end.

        Raises
        ------
        LinkError
            The stream ended for this reason.
        """
        while not self._items:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            self._changed.clear()
            await self._changed.wait()
        item = self._items.popleft()
        self._held -= self._size_of(item)
        if self._capacity is not None and 2 * self._held <= self._capacity:
            self._overflowing = False
        return item

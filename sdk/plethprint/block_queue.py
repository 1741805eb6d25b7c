"""A bounded queue of blocks: a slow consumer loses the oldest, visibly."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from plethprint.block import Block

__all__ = ["BlockQueue"]

_LOGGER = logging.getLogger(__name__)


class BlockQueue:
    """Blocks between the radio and one consumer.

    It is unbounded until `limit` is called, which the owner does as soon as the sample
    rate is known.
    """

    def __init__(self) -> None:
        self._capacity: int | None = None
        self._blocks: deque[Block] = deque()
        self._held = 0
        self._changed = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self._overflowing = False
        self.dropped = 0
        """Blocks dropped so far."""

    def limit(self, samples: int) -> None:
        """Hold at most so many samples; above it the oldest blocks go."""
        self._capacity = samples

    def put(self, block: Block) -> None:
        """Add a block; never waits."""
        self._blocks.append(block)
        self._held += len(block.samples)
        if self._capacity is None:
            self._changed.set()
            return
        while self._held > self._capacity and len(self._blocks) > 1:
            self._held -= len(self._blocks.popleft().samples)
            self.dropped += 1
            if not self._overflowing:  # once for each time it happens, not per block
                self._overflowing = True
                _LOGGER.warning(
                    "a consumer is too slow for the stream: dropping the oldest of %d "
                    "samples; take them faster or ask for a longer queue",
                    self._capacity,
                )
        self._changed.set()

    def end(self, error: Exception | None = None) -> None:
        """No more will come; `get` raises `error`, if any, once all is taken."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._changed.set()

    async def get(self) -> Block | None:
        """Take the oldest block, waiting for one; None at the end.

        Raises
        ------
        LinkError
            The stream ended for this reason.
        """
        while not self._blocks:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            self._changed.clear()
            await self._changed.wait()
        block = self._blocks.popleft()
        self._held -= len(block.samples)
        if self._capacity is not None and 2 * self._held <= self._capacity:
            self._overflowing = False
        return block

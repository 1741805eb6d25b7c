"""A session in a virtual world, what it gives, and whether that is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from plethprint.block import Block
from plethprint.session import Backoff, connect
from plethprint_sim.sensor import PpgSource
from plethprint_sim.world import VirtualWorld

WALL_S = 1.7e9
"""Unix time at which the virtual world begins."""
_MISSED_S = 40.0  # of the device's samples before the first that was received

T = TypeVar("T")


def session(world: VirtualWorld, **options: Any) -> Any:
    """`connect`, repeatable: chance and wall clock come from the virtual world."""
    loop = asyncio.get_running_loop()
    defaults = {"backoff": Backoff(seed=1), "wall_clock": lambda: WALL_S + loop.time()}
    return connect(backend=world.backend, **{**defaults, **options})


async def stopped_after(seconds: float, work: Any) -> None:
    """Do some work for so many seconds at most; what it raises is raised."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    if done:
        task.result()
    await asyncio.wait({task})


async def taken(stream: AsyncIterator[T], seconds: float) -> list[T]:
    """What an async iterator gives within so many seconds."""
    got: list[T] = []

    async def take() -> None:
        async for item in stream:
            got.append(item)

    await stopped_after(seconds, take())
    return got


async def first(n: int, stream: AsyncIterator[T]) -> list[T]:
    """The first n that an async iterator gives."""
    got: list[T] = []
    async for item in stream:
        got.append(item)
        if len(got) == n:
            break
    return got


def placed(blocks: Sequence[Block], optics: PpgSource) -> tuple[int, npt.NDArray[np.int32]]:
    """Index on the device of the stream's first sample, and what the converter gave.

    The second has the channels of the stream, and goes on until after its end.
    """
    opening = [blocks[0]]
    for block in blocks[1:5]:
        if block.gap is not None:
            break
        opening.append(block)
    head = np.concatenate([block.samples for block in opening])
    span = blocks[-1].index + len(blocks[-1].samples) - blocks[0].index
    missed = round(_MISSED_S * optics.sample_rate_hz)
    truth = optics.counts(0, span + missed)[:, : head.shape[1]]
    hits = [
        at
        for at in np.flatnonzero(truth[: 1 - len(head) or None, 0] == head[0, 0]).tolist()
        if np.array_equal(truth[at : at + len(head)], head)
    ]
    assert len(hits) == 1, hits
    return hits[0], truth


def assert_true_samples(blocks: Sequence[Block], optics: PpgSource) -> None:
    """Every sample of one epoch is what the converter gave, where it gave it."""
    offset, truth = placed(blocks, optics)
    for block in blocks:
        at = block.index - blocks[0].index + offset
        np.testing.assert_array_equal(block.samples, truth[at : at + len(block.samples)])

"""A program cancelled at any await leaves nothing behind: no task, no link, no scan."""

from __future__ import annotations

import asyncio
import collections.abc
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.session import Backoff, connect
from plethprint_sim import virtual_time
from plethprint_sim.soak import TablePulse
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

RATE_HZ = 125.0


class CancelledAt(collections.abc.Awaitable[None]):
    """Runs a program and cancels its task when it suspends for the n-th time."""

    def __init__(self, program: Awaitable[None], suspension: int) -> None:
        self._program = program
        self._left = suspension

    def __await__(self) -> Generator[Any, Any, None]:
        inner = self._program.__await__()
        task = asyncio.current_task()
        assert task is not None
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                waits_for = inner.send(value) if error is None else inner.throw(error)
            except StopIteration:
                return
            if self._left == 0:
                asyncio.get_running_loop().call_soon(task.cancel)
            self._left -= 1
            value = error = None
            try:
                value = yield waits_for
            except BaseException as thrown:  # what the awaited thing raises, too
                error = thrown


async def _program(world: VirtualWorld) -> None:
    """Everything that a session does: connect, pair, stream, self-test, lose the link."""
    async with connect(
        backend=world.backend, timeout_s=3.0, backoff=Backoff(seed=1)
    ) as wearable:
        frames = wearable.frames()
        await anext(frames)
        await anext(frames)
        world.link_loss()
        async for block in frames:
            if block.gap is not None:
                break
        await frames.aclose()


async def _settled(world: VirtualWorld, before: set[asyncio.Task[Any]]) -> None:
    """Assert that nothing of ours is left, after what stacks need for a goodbye."""
    await asyncio.sleep(2.0)
    (worn,) = world.wearables
    left = [
        task
        for task in asyncio.all_tasks() - before
        if "plethprint/" in task.get_coro().cr_code.co_filename  # type: ignore[union-attr]
    ]
    assert not left
    assert not worn.is_connected
    assert world.backend.client.central._scanners == 0  # type: ignore[attr-defined]
    assert world._host is not None
    assert not world._host.connections


def _played(scenario: Callable[[VirtualWorld], Awaitable[Any]]) -> Any:
    async def play() -> Any:
        worn = VirtualWearable(TablePulse(RATE_HZ), buffer_s=0.5)
        async with VirtualWorld(worn, seed=1) as world:
            return await scenario(world)

    return virtual_time.run(play())


def test_cancelling_at_every_await_leaves_no_task_and_no_link() -> None:
    async def scenario(world: VirtualWorld) -> int:
        for suspension in range(10_000):
            before = asyncio.all_tasks()
            task = asyncio.ensure_future(_wrapped(_program(world), suspension))
            await asyncio.wait({task})
            await _settled(world, before)
            if not task.cancelled():
                task.result()
                return suspension
        raise AssertionError("the program never came to its end")

    assert _played(scenario) > 20  # awaits of the program itself


async def _wrapped(program: Awaitable[None], suspension: int) -> None:
    await CancelledAt(program, suspension)


@pytest.mark.parametrize("first_s", [0.0, 1.0])
def test_cancelling_at_any_moment_leaves_no_task_and_no_link(first_s: float) -> None:
    """The tasks behind, too: discovery, pairing, reconnection are cut anywhere."""

    async def scenario(world: VirtualWorld) -> None:
        for step in range(28):
            before = asyncio.all_tasks()
            task = asyncio.ensure_future(_program(world))
            await asyncio.sleep(first_s + 0.037 * step)
            task.cancel()
            await asyncio.wait({task})
            await _settled(world, before)

    _played(scenario)


def test_cancelling_twice_does_not_leave_the_link_open() -> None:
    async def scenario(world: VirtualWorld) -> None:
        for moment_s in (0.3, 0.6, 0.9, 1.2):
            before = asyncio.all_tasks()
            task = asyncio.ensure_future(_program(world))
            await asyncio.sleep(moment_s)
            task.cancel()
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task})
            await _settled(world, before)

    _played(scenario)

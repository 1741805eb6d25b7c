"""The event loop whose clock jumps."""

from __future__ import annotations

import asyncio
import time

import pytest

from plethprint_sim import virtual_time


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_an_hour_passes_without_waiting() -> None:
    async def hour() -> float:
        await asyncio.sleep(3600)
        return now_s()

    began = time.monotonic()
    assert virtual_time.run(hour()) == 3600.0
    assert time.monotonic() - began < 5.0


def test_timers_fire_in_order_and_on_time() -> None:
    async def scenario() -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def wait(name: str, delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            seen.append((name, now_s()))

        await asyncio.gather(wait("late", 2.0), wait("early", 0.5), wait("between", 1.0))
        return seen

    assert virtual_time.run(scenario()) == [("early", 0.5), ("between", 1.0), ("late", 2.0)]


def test_a_timeout_is_a_timer_like_any_other() -> None:
    async def scenario() -> float:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 120.0)
        return now_s()

    assert virtual_time.run(scenario()) == pytest.approx(120.0)


def test_waiting_for_what_never_comes_is_reported_and_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(virtual_time, "_DEADLOCK_S", 0.05)

    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual_time.DeadlockError, match="never come"):
        virtual_time.run(scenario())


def test_tasks_left_over_are_cancelled_and_may_clean_up() -> None:
    cleaned: list[float] = []

    async def background() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            cleaned.append(now_s())

    async def scenario() -> None:
        task = asyncio.create_task(background())
        await asyncio.sleep(1.0)
        assert not task.done()

    virtual_time.run(scenario())
    assert cleaned == [1.0]


def test_the_error_of_the_program_is_the_error_of_run() -> None:
    async def scenario() -> None:
        await asyncio.sleep(1.0)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        virtual_time.run(scenario())


def test_work_for_a_thread_is_done_at_once_so_that_runs_repeat() -> None:
    async def scenario() -> tuple[int, float]:
        result = await asyncio.to_thread(lambda: 6 * 7)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return result, now_s()

    assert virtual_time.run(scenario()) == (42, 0.0)

"""A device that means harm: it cannot make the host allocate, block or log without end."""

from __future__ import annotations

import asyncio
import logging
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.ble import scan as scanning
from plethprint.ble.frame import PpgFrame
from plethprint.ble.open_profile import SERVICE_UUID
from plethprint.block import Block
from plethprint.bounded_queue import BoundedQueue
from plethprint.errors import WearableNotFoundError
from plethprint.frame_intake import LONGEST_NOTIFICATION_BYTES, FrameIntake
from plethprint.session import Backoff, connect
from plethprint.timeline import Timeline
from plethprint_sim.world import VirtualWorld

Play = Callable[..., Any]
RATE_HZ = 125.0


def frame(index: int, sequence: int = 0, samples: int = 16) -> PpgFrame:
    counts = np.full((samples, 1), index % 1000, np.int32)
    return PpgFrame(
        sequence & 0xFFFF, index & 0xFFFFFFFF, 8000 * index & 0xFFFFFFFF, counts
    )


class FloodingScanner:
    """A scan that hears ever new devices, as somebody with one radio can invent them."""

    def __init__(self, heard: Callable[..., None], count: int) -> None:
        self._heard = heard
        self._count = count

    async def start(self) -> None:
        for number in range(self._count):
            device = SimpleNamespace(address=f"{number:012X}", name=None)
            told = SimpleNamespace(
                service_uuids=[SERVICE_UUID],
                local_name="x\x1b[31m" * 100,
                rssi=-90 + number % 40,
            )
            self._heard(device, told)

    async def stop(self) -> None:
        pass


def flooded(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(
        scanning, "_scanner", lambda heard, *_: FloodingScanner(heard, count)
    )


def test_a_scan_with_endless_responses_lists_so_many_and_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flooded(monkeypatch, 5_000)
    found = asyncio.run(scanning.scan(0.01))
    assert len(found) == 256
    assert min(wearable.rssi_dbm for wearable in found) >= -54
    assert all(
        len(wearable.name) <= 64 and wearable.name.isprintable() for wearable in found
    )


def test_a_search_among_endless_responses_ends_and_counts_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flooded(monkeypatch, 5_000)
    with pytest.raises(WearableNotFoundError, match="1024 or more other devices"):
        asyncio.run(scanning.find(timeout_s=0.01, name="mine"))


def test_a_giant_notification_is_refused_before_it_is_read() -> None:
    class Reader:
        def decode(self, _: bytes) -> Any:
            raise AssertionError("it was read")

    intake = FrameIntake()
    giant = bytes(LONGEST_NOTIFICATION_BYTES + 1)
    assert intake.decode(giant, Reader().decode, 1) is None
    assert intake.decode_errors == 1


def test_garbage_without_end_is_counted_and_logged_a_little(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Garbled:
        def __init__(self) -> None:
            self.words = np.random.default_rng(0)

        def decode(self, payload: bytes) -> Any:
            word = "".join(map(chr, self.words.integers(97, 123, 12)))
            raise ValueError(f"{word} in {payload.hex()}" * 100)

    intake, driver = FrameIntake(), Garbled()
    with caplog.at_level(logging.WARNING, logger="plethprint"):
        for _ in range(2_000):
            assert intake.decode(b"\x00" * 100, driver.decode, 1) is None
    assert intake.decode_errors == 2_000
    assert len(caplog.records) <= 32
    assert max(len(record.getMessage()) for record in caplog.records) < 300


def test_a_device_that_resets_with_every_frame_is_logged_a_little_and_costs_no_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    timeline = Timeline(RATE_HZ)
    rng = np.random.default_rng(0)

    def reset(count: int) -> None:
        for number in range(count):
            start = int(rng.integers(1 << 32))
            for step in range(2):  # a second frame behind it makes it believable
                timeline.push(frame(start + 16 * step, number + step), 0.1 * number)

    with caplog.at_level(logging.WARNING, logger="plethprint"):
        reset(500)
        tracemalloc.start()
        reset(500)
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert timeline.counts.device_resets > 500
    assert len(caplog.records) <= 25
    assert grown < 200_000


def test_a_queue_is_bounded_by_items_too_however_small_they_are() -> None:
    queue = BoundedQueue[Block]("samples", lambda block: len(block.samples))
    queue.limit(1 << 20)
    tiny = Block(0, 0, np.zeros((1, 1), np.int32), 0.0, 0.008, None, frame(0))
    for _ in range((1 << 16) + 1000):
        queue.put(tiny)
    assert len(queue._items) == 1 << 16
    assert queue.dropped == 1000


def test_a_claimed_rate_beyond_reason_does_not_size_the_queue(play: Play) -> None:
    limits: list[int] = []

    real = BoundedQueue.limit

    def limit(queue: Any, capacity: int) -> None:
        limits.append(capacity)
        real(queue, capacity)

    async def scenario(world: VirtualWorld) -> None:
        async with connect(
            backend=world.backend, queue_s=1e9, backoff=Backoff(seed=1)
        ) as wearable:
            await anext(wearable.frames())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BoundedQueue, "limit", limit)
        play(scenario)
    assert limits == [1 << 20]


def test_a_flood_of_notifications_neither_stops_nor_bends_the_stream(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        (worn,) = world.wearables
        async with connect(backend=world.backend, backoff=Backoff(seed=1)) as wearable:
            blocks = 0

            async def take() -> None:
                nonlocal blocks
                async for _ in wearable.frames():
                    blocks += 1

            taking = asyncio.ensure_future(take())
            await asyncio.sleep(1.0)
            rng = np.random.default_rng(0)
            for _ in range(300):
                for _ in range(4):
                    await worn.notify_raw(rng.bytes(60))
                await asyncio.sleep(0.015)
            await asyncio.sleep(3.0)
            taking.cancel()
            await asyncio.wait({taking})
            return wearable.statistics()

    with caplog.at_level(logging.WARNING, logger="plethprint"):
        stats = play(scenario)
    assert stats.decode_errors == 1_200
    assert stats.missing_samples == stats.reconnects == 0
    assert stats.samples > 7 * RATE_HZ
    assert len(caplog.records) <= 32

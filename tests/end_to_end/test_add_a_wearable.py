"""The walk through ``docs/add-a-wearable.md``, walked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.ble import connection, personality, scan
from plethprint.block import Block, GapCause
from plethprint.errors import FrameError
from plethprint.package import ModelPackage
from plethprint.session import Backoff, Wearable, connect
from plethprint_sim import Wearer, WearerStream
from plethprint_sim.world import VirtualWorld

Play = Callable[..., Any]

DOCUMENT = Path(__file__).parents[2] / "docs" / "add-a-wearable.md"


@pytest.fixture
def pulsar(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's code defines, listed among the personalities as it says."""
    parts = re.findall(r"```python (\w+)\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert [name for name, _ in parts] == ["codec", "driver", "wearable"]
    made: dict[str, Any] = {"__name__": "pulsar"}
    for name, code in parts:
        exec(compile(code, f"{DOCUMENT.name}, {name}", "exec", dont_inherit=True), made)
    known = (*personality.personalities(), made["PULSAR"])
    for module in (personality, connection, scan):
        monkeypatch.setattr(module, "personalities", lambda: known)
    return made


def test_the_codec_of_the_page_refuses_what_is_no_frame(pulsar: dict[str, Any]) -> None:
    frame = pulsar["PulsarFrame"](7, 1000, np.array([[1], [2]]))
    again = pulsar["PulsarFrame"].from_bytes(frame.to_bytes())
    assert (again.sequence, again.time_ms, again.counts.tolist()) == (7, 1000, [[1], [2]])
    for bad in (b"", bytes(6), bytes(7), bytes(9)):
        with pytest.raises(FrameError):
            pulsar["PulsarFrame"].from_bytes(bad)


def test_the_wearable_of_the_page_streams_reconnects_and_is_fingerprinted(
    play: Play, pulsar: dict[str, Any], package: ModelPackage
) -> None:
    source = WearerStream(Wearer(), seed=7, sample_rate_hz=50.0)
    device = pulsar["VirtualPulsar"](source)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block], list[Any]]:
        (found,) = await scan.scan(1.0, backend=world.backend)
        assert found.personality == "pulsar"
        blocks: list[Block] = []
        prints: list[Any] = []

        async def gather(stream: Any, into: list[Any]) -> None:
            async for item in stream:
                into.append(item)

        clock = {"wall_clock": lambda: 1.7e9 + asyncio.get_running_loop().time()}
        async with connect(
            backend=world.backend, package=package, backoff=Backoff(seed=1), **clock
        ) as wearable:
            tasks = [
                asyncio.ensure_future(gather(wearable.frames(), blocks)),
                asyncio.ensure_future(gather(wearable.fingerprints(), prints)),
            ]
            await asyncio.sleep(20.0)
            world.link_loss()
            await asyncio.sleep(20.0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            return wearable, blocks, prints

    wearable, blocks, prints = play(scenario, wearable=device, packet_error=0.1)
    truth = device.optics.counts(0, 2500)
    for block in blocks:
        expected = truth[block.index : block.index + len(block.samples)]
        np.testing.assert_array_equal(block.samples, expected)
    (gap,) = [block.gap for block in blocks if block.gap is not None]
    assert gap.cause is GapCause.LINK
    stats = wearable.stats
    last = blocks[-1]
    assert stats.samples + stats.missing_samples == last.index + len(last.samples)
    assert stats.missing_samples == stats.link_gap_samples == gap.samples
    assert len(prints) == 4  # two on each side of the gap
    assert all(fp.heart_rate_bpm for fp in prints)

"""Wearables that fingerprint on their own, through the whole virtual Bluetooth stack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from live_session import WALL_S, first, session

from plethprint.ble import open_profile as profile
from plethprint.errors import LinkLostError, ProtocolError
from plethprint.fingerprint import Fingerprint
from plethprint.fingerprinter import Fingerprinter
from plethprint.package import ModelPackage
from plethprint.session import Wearable
from plethprint_sim import WearerStream
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

RATE_HZ = 125.0
Play = Callable[..., Any]


def test_the_wearables_own_fingerprints_are_those_of_the_recording(
    play: Play,
    make_fingerprinting: Callable[..., VirtualWearable],
    package: ModelPackage,
    source: WearerStream,
) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        (worn,) = world.wearables
        async with session(world) as wearable:
            prints = await first(4, wearable.device_fingerprints(hop_s=2.0))
            await asyncio.sleep(0.5)
            assert not worn.device_firmware.is_fingerprinting
            assert not worn.device_firmware.is_streaming
            return prints, wearable.stats, worn.device_firmware.clock.host_time_s(0)

    prints, stats, began_s = play(scenario, wearable=make_fingerprinting())
    recorded = Fingerprinter(package).embed(
        source.counts(0, round(17 * RATE_HZ)), RATE_HZ, hop_s=2.0
    )
    assert len(prints) == 4
    for ours, theirs in zip(prints, recorded, strict=False):
        np.testing.assert_array_equal(ours.vector, theirs.vector)
        assert (ours.model, ours.quality) == (package.model_id, theirs.quality)
        assert ours.start == pytest.approx(WALL_S + began_s + theirs.start, abs=0.1)
    assert (stats.device_fingerprints, stats.decode_errors, stats.frames) == (4, 0, 0)


def test_they_go_on_over_a_lost_link_and_damaged_ones_are_counted(
    play: Play, make_fingerprinting: Callable[..., VirtualWearable]
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Fingerprint]]:
        (worn,) = world.wearables
        async with session(world) as wearable:
            taking = asyncio.ensure_future(
                first(12, wearable.device_fingerprints(hop_s=1.0))
            )
            await asyncio.sleep(12.0)
            for garbage in (b"", b"PLFP", bytes(132)):
                await worn.notify_raw(garbage, profile.FINGERPRINT_UUID)
            await asyncio.sleep(1.0)
            world.link_loss()
            return wearable, await asyncio.wait_for(taking, 30.0)

    wearable, prints = play(scenario, wearable=make_fingerprinting())
    # What the wearable made while the link was away was kept.
    steps = [later.start - earlier.start for earlier, later in pairwise(prints)]
    assert steps == pytest.approx([1.0] * 11)
    assert wearable.stats.reconnects == 1
    assert wearable.stats.decode_errors == 3


def test_consumers_share_one_hop_and_raw_frames_come_beside(
    play: Play, make_fingerprinting: Callable[..., VirtualWearable]
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, ...]:
        async with session(world) as wearable:
            one = asyncio.ensure_future(first(2, wearable.device_fingerprints()))
            await asyncio.sleep(3.0)
            other = asyncio.ensure_future(first(3, wearable.device_fingerprints()))
            with pytest.raises(ValueError, match="every 5 s for somebody else"):
                await anext(wearable.device_fingerprints(hop_s=2.0))
            block = await anext(wearable.frames())
            return await one, await other, block, wearable.stats

    one, other, block, stats = play(scenario, wearable=make_fingerprinting())
    assert one == other[:2]
    assert len(other) == 3
    assert block.index > 0
    assert stats.device_fingerprints == 3


def test_a_wearable_that_makes_none_says_so(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world) as wearable:
            with pytest.raises(ProtocolError, match="no fingerprints of its own"):
                await anext(wearable.device_fingerprints())

    play(scenario)


def test_a_lost_link_or_the_end_of_the_session_ends_the_iteration(
    play: Play, make_fingerprinting: Callable[..., VirtualWearable]
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world) as wearable:
            taking = asyncio.ensure_future(first(9, wearable.device_fingerprints()))
            await asyncio.sleep(12.0)
        assert len(await asyncio.wait_for(taking, 1.0)) == 1
        async with session(world, reconnect=False) as wearable:
            taking = asyncio.ensure_future(first(9, wearable.device_fingerprints()))
            await asyncio.sleep(2.0)
            world.link_loss()
            with pytest.raises(LinkLostError):
                await asyncio.wait_for(taking, 10.0)

    play(scenario, wearable=make_fingerprinting())

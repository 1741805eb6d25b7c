"""A Muse through a real Bluetooth stack on a virtual radio, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from live_session import assert_true_samples, session, taken

from plethprint.ble.info import ChannelKind
from plethprint.block import Block, GapCause
from plethprint.errors import ControlError, ProtocolError
from plethprint.package import ModelPackage
from plethprint.session import Wearable, scan
from plethprint_sim import Wearer, WearerStream
from plethprint_sim.personalities.muse import VirtualMuse
from plethprint_sim.world import VirtualWorld

Play = Callable[..., Any]

SOURCE = WearerStream(Wearer(), seed=7, sample_rate_hz=64.0)


def test_a_muse_is_recognised_and_its_samples_are_in_the_right_place(
    play: Play, package: ModelPackage
) -> None:
    device = VirtualMuse(SOURCE)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block], list[Any]]:
        (found,) = await scan(1.0, backend=world.backend)
        assert found.personality == "muse"
        async with session(world, package=package) as wearable:
            prints = asyncio.ensure_future(taken(wearable.fingerprints(), 26.0))
            blocks = await taken(wearable.frames(), 26.0)
            return wearable, blocks, await prints

    wearable, blocks, prints = play(scenario, wearable=device, packet_error=0.1)
    kinds = [channel.kind for channel in wearable._stream.format.channels]
    assert kinds == [ChannelKind.AMBIENT, ChannelKind.INFRARED, ChannelKind.RED]
    assert_true_samples(blocks, device.optics)
    assert wearable.stats.missing_samples == wearable.stats.decode_errors == 0
    assert len(prints) == 4
    assert all(fp.missing == 0.0 and fp.heart_rate_bpm for fp in prints)
    assert wearable.stats.samples == pytest.approx(26 * 64, abs=40)


def test_a_later_muse_gets_the_other_preset_and_is_kept_alive(play: Play) -> None:
    device = VirtualMuse(SOURCE, presets=("p61",))

    async def scenario(world: VirtualWorld) -> int:
        async with session(world, personality="muse", channels=[1]) as wearable:
            blocks = await taken(wearable.frames(), 25.0)
            assert blocks[0].samples.shape[1] == 1
            assert not device.device_firmware.is_streaming
            return device.device_firmware.keep_alives

    assert play(scenario, wearable=device) == 2


def test_a_muse_without_a_preset_for_ppg_is_refused(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world) as wearable:
            await taken(wearable.frames(), 3.0)

    with pytest.raises(ControlError, match="refused 'p61'"):
        play(scenario, wearable=VirtualMuse(SOURCE, presets=("p21",)))


def test_an_overflow_in_the_headband_is_counted_by_its_counter(play: Play) -> None:
    device = VirtualMuse(SOURCE, buffer_s=0.5)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            taking = asyncio.ensure_future(taken(wearable.frames(), 25.0))
            await asyncio.sleep(10.0)
            await world.stall(3.0)
            return wearable, await taking

    wearable, blocks = play(scenario, wearable=device)
    assert_true_samples(blocks, device.optics)
    stats = wearable.stats
    assert 40 < stats.lost_samples == stats.missing_samples < 3 * 64
    last = blocks[-1]
    held = last.index + len(last.samples) - blocks[0].index
    assert stats.samples + stats.missing_samples == held


def test_what_a_lost_link_cost_is_not_to_be_known_and_not_made_up(play: Play) -> None:
    device = VirtualMuse(SOURCE)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            taking = asyncio.ensure_future(taken(wearable.frames(), 30.0))
            await asyncio.sleep(12.0)
            world.link_loss()
            return wearable, await taking

    wearable, blocks = play(scenario, wearable=device)
    gaps = [block.gap for block in blocks if block.gap is not None]
    assert [gap.cause for gap in gaps] == [GapCause.RESET]
    assert {block.epoch for block in blocks} == {0, 1}
    stats = wearable.stats
    assert stats.reconnects == stats.device_resets == 1
    assert stats.missing_samples == 0  # none that could be counted
    assert_true_samples([block for block in blocks if block.epoch == 0], device.optics)
    assert_true_samples([block for block in blocks if block.epoch == 1], device.optics)


def test_a_muse_has_no_fourth_channel(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world, channels=[3]) as wearable:
            await taken(wearable.frames(), 3.0)

    with pytest.raises(ProtocolError, match=r"channels 0\.\.2"):
        play(scenario, wearable=VirtualMuse(SOURCE))

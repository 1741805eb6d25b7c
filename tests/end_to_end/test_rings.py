"""Rings through a real Bluetooth stack on a virtual radio, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from live_session import assert_true_samples, session, taken

from plethprint.ble.info import ChannelKind
from plethprint.block import Block, GapCause
from plethprint.errors import LinkTimeoutError, ProtocolError, SampleRateError
from plethprint.package import ModelPackage
from plethprint.session import Wearable, scan
from plethprint_sim import Wearer, WearerStream
from plethprint_sim.personalities.colmi import VirtualColmi
from plethprint_sim.personalities.openring import VirtualOpenRing
from plethprint_sim.world import VirtualWorld

Play = Callable[..., Any]

SOURCE = WearerStream(Wearer(), seed=7, sample_rate_hz=25.0)


def test_an_openring_is_recognised_and_its_samples_are_in_the_right_place(
    play: Play, package: ModelPackage
) -> None:
    device = VirtualOpenRing(SOURCE, clock_error_ppm=100.0)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block], list[Any]]:
        (found,) = await scan(1.0, backend=world.backend)
        assert found.personality == "openring"
        async with session(world, package=package) as wearable:
            kinds = [channel.kind for channel in wearable.info.channels]
            assert kinds == [ChannelKind.GREEN, ChannelKind.RED, ChannelKind.INFRARED]
            prints = asyncio.ensure_future(taken(wearable.fingerprints(), 31.0))
            blocks = await taken(wearable.frames(), 31.0)
            return wearable, blocks, await prints

    wearable, blocks, prints = play(scenario, wearable=device, packet_error=0.1)
    assert_true_samples(blocks, device.optics)
    stats = wearable.stats
    assert stats.missing_samples == stats.decode_errors == stats.stray_frames == 0
    assert stats.samples == pytest.approx(31 * 25, abs=15)
    assert len(prints) == 5
    assert all(fp.missing == 0.0 and fp.heart_rate_bpm for fp in prints)


def test_a_lost_link_of_an_openring_is_a_gap_as_long_as_its_clock_says(play: Play) -> None:
    device = VirtualOpenRing(SOURCE)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            taking = asyncio.ensure_future(taken(wearable.frames(), 40.0))
            await asyncio.sleep(15.0)
            world.link_loss()
            world.air.adv_loss = 1.0
            await asyncio.sleep(6.0)
            world.air.adv_loss = 0.0
            return wearable, await taking

    wearable, blocks = play(scenario, wearable=device)
    (gap,) = [block.gap for block in blocks if block.gap is not None]
    assert gap.cause is GapCause.LINK
    assert gap.samples == wearable.stats.link_gap_samples > 6 * 25
    assert_true_samples(blocks, device.optics)


def test_an_openring_on_a_small_mtu_sends_small_frames_or_says_why_not(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> list[Block]:
        async with session(world) as wearable:
            return await taken(wearable.frames(), 5.0)

    device = VirtualOpenRing(SOURCE, max_mtu=80)
    blocks = play(scenario, wearable=device)
    assert {len(block.samples) for block in blocks} == {2, 1}
    assert_true_samples(blocks, device.optics)
    with pytest.raises(ProtocolError, match="at least 44 bytes"):
        play(scenario, wearable=VirtualOpenRing(SOURCE, max_mtu=40))


def test_of_a_colmi_what_cannot_be_known_is_reported_as_unknown(play: Play) -> None:
    device = VirtualColmi(SOURCE)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        (found,) = await scan(1.0, backend=world.backend)
        assert (found.personality, found.name) == ("colmi", "R02_0A1B")
        async with session(world) as wearable:
            assert wearable.info.rates_hz == ()
            blocks = await taken(wearable.frames(), 30.0)
            return wearable, blocks

    wearable, blocks = play(scenario, wearable=device)
    assert wearable.sample_rate_hz == pytest.approx(25 / 6, rel=0.02)
    assert_true_samples(blocks, device.optics)
    stats = wearable.stats
    assert stats.samples == len(blocks) == pytest.approx(30 * 25 / 6, abs=6)
    assert stats.missing_samples is stats.lost_samples is stats.lost_frames is None
    assert stats.to_dict()["missing_samples"] is None


def test_fingerprints_of_a_colmi_are_refused(play: Play, package: ModelPackage) -> None:
    device = VirtualColmi(SOURCE)

    async def scenario(world: VirtualWorld) -> None:
        async with session(world, package=package) as wearable:
            with pytest.raises(SampleRateError, match="needs at least 20"):
                await taken(wearable.fingerprints(), 30.0)
            assert not device.device_firmware.is_streaming

    play(scenario, wearable=device)


def test_a_colmi_that_reads_too_rarely_is_an_error_and_no_guess(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world, sample_rate_hz=None) as wearable:
            await taken(wearable.frames(), 30.0)

    with pytest.raises(LinkTimeoutError, match="too few to know their rate"):
        play(scenario, wearable=VirtualColmi(SOURCE, keep_every=60))


def test_a_colmi_cannot_be_told_its_rate(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world, sample_rate_hz=25.0) as wearable:
            await taken(wearable.frames(), 5.0)

    with pytest.raises(ProtocolError, match="cannot be told its rate"):
        play(scenario, wearable=VirtualColmi(SOURCE))


def test_a_colmi_streams_on_after_a_lost_link(play: Play) -> None:
    device = VirtualColmi(SOURCE)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            taking = asyncio.ensure_future(taken(wearable.frames(), 30.0))
            await asyncio.sleep(12.0)
            world.link_loss()
            return wearable, await taking

    wearable, blocks = play(scenario, wearable=device)
    assert [block.gap.cause for block in blocks if block.gap] == [GapCause.RESET]
    assert {block.epoch for block in blocks} == {0, 1}
    assert wearable.stats.reconnects == 1
    assert wearable.stats.missing_samples is None

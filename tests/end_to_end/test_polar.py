"""Polar wearables through a real Bluetooth stack on a virtual radio, on virtual time."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from live_session import assert_true_samples, session, taken

from plethprint.ble import polar_profile as pmd
from plethprint.ble.info import ChannelKind
from plethprint.ble.polar_driver import PolarDriver
from plethprint.block import Block, GapCause
from plethprint.errors import ControlError, ProtocolError
from plethprint.live_fingerprints import LiveFingerprint
from plethprint.package import ModelPackage
from plethprint.session import Wearable, scan
from plethprint_sim import Wearer, WearerStream
from plethprint_sim.advertisement import advertisement
from plethprint_sim.personalities.polar import VirtualPolar
from plethprint_sim.world import VirtualWorld

Play = Callable[..., Any]


@functools.cache
def worn(rate_hz: float) -> WearerStream:
    return WearerStream(Wearer(), seed=7, sample_rate_hz=float(rate_hz))


def test_a_verity_sense_is_recognised_and_its_samples_are_in_the_right_place(
    play: Play, package: ModelPackage
) -> None:
    device = VirtualPolar(worn(55))

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block], list[Any]]:
        (found,) = await scan(1.0, backend=world.backend)
        assert (found.personality, found.name) == ("polar", "Polar Sense 0A1B2C3D")
        async with session(world, package=package) as wearable:
            kinds = [channel.kind for channel in wearable.info.channels]
            assert kinds == [ChannelKind.GREEN] * 3 + [ChannelKind.AMBIENT]
            assert wearable.info.rates_hz == (55.0,)
            prints = asyncio.ensure_future(taken(wearable.fingerprints(), 31.0))
            blocks = await taken(wearable.frames(), 31.0)
            return wearable, blocks, await prints

    wearable, blocks, prints = play(scenario, wearable=device)
    assert_true_samples(blocks, device.optics(55))
    stats = wearable.stats
    assert stats.samples == sum(len(block.samples) for block in blocks)
    assert stats.samples == pytest.approx(31 * 55, abs=45)
    assert stats.missing_samples == stats.decode_errors == stats.stray_frames == 0
    assert len(prints) == 5
    assert all(fp.missing == 0.0 and fp.heart_rate_bpm for fp in prints)


def test_a_verity_sense_gives_the_fingerprints_of_its_green_light_the_right_way_up(
    play: Play, package: ModelPackage
) -> None:
    def prints_of(polarity: int) -> list[LiveFingerprint]:
        async def scenario(world: VirtualWorld) -> list[LiveFingerprint]:
            async with session(world, package=package) as wearable:
                return await taken(wearable.fingerprints(), 26.0)

        return play(scenario, wearable=VirtualPolar(worn(55), polarity=polarity))

    upright, reflected = prints_of(1), prints_of(-1)
    assert len(upright) == len(reflected) == 4
    for one, other in zip(upright, reflected, strict=True):
        assert one.heart_rate_bpm == pytest.approx(other.heart_rate_bpm, abs=2.0)
        difference = one.vector.astype(int) - other.vector.astype(int)
        assert np.abs(difference).max() <= 8


@pytest.mark.parametrize(
    ("model", "rate_hz", "columns"), [("oh1", 135, 4), ("360", 100, 2)]
)
def test_the_other_models_stream_too(
    play: Play, model: str, rate_hz: int, columns: int
) -> None:
    device = VirtualPolar(worn(rate_hz), model=model)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world, personality="polar") as wearable:
            return wearable, await taken(wearable.frames(), 8.0)

    wearable, blocks = play(scenario, wearable=device)
    assert wearable.sample_rate_hz == rate_hz
    assert blocks[0].samples.shape[1] == columns
    assert_true_samples(blocks, device.optics(rate_hz))
    assert wearable.stats.missing_samples == 0


def test_a_rate_of_sdk_mode_switches_it_on_and_off(play: Play) -> None:
    device = VirtualPolar(worn)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world, sample_rate_hz=135.0) as wearable:
            blocks = await taken(wearable.frames(), 6.0)
            assert not device.device_firmware._is_sdk_mode
            return wearable, blocks

    wearable, blocks = play(scenario, wearable=device)
    assert wearable.sample_rate_hz == 135.0
    assert_true_samples(blocks, device.optics(135))

    async def too_fast(world: VirtualWorld) -> None:
        async with session(world, sample_rate_hz=500.0) as wearable:
            await taken(wearable.frames(), 3.0)

    with pytest.raises(ProtocolError, match="does not sample at 500 Hz; it offers 28, 44"):
        play(too_fast, wearable=VirtualPolar(worn))


def test_a_rate_off_the_nominal_one_and_packet_errors_lose_nothing(play: Play) -> None:
    device = VirtualPolar(worn(55), clock_error_ppm=200.0)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            return wearable, await taken(wearable.frames(), 120.0)

    wearable, blocks = play(scenario, wearable=device, packet_error=0.3)
    assert_true_samples(blocks, device.optics(55))
    stats = wearable.stats
    assert stats.missing_samples == 0
    assert stats.clock_drift_ppm == pytest.approx(-200.0, abs=25.0)


def test_frames_that_the_device_had_no_room_for_are_counted_by_its_clock(
    play: Play,
) -> None:
    device = VirtualPolar(worn(55), buffer_s=0.5)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            taking = asyncio.ensure_future(taken(wearable.frames(), 40.0))
            await asyncio.sleep(15.0)
            await world.stall(3.0)
            return wearable, await taking

    wearable, blocks = play(scenario, wearable=device)
    assert_true_samples(blocks, device.optics(55))
    stats = wearable.stats
    assert 40 < stats.lost_samples == stats.missing_samples < 3 * 55
    assert sum(block.gap.samples for block in blocks if block.gap) == stats.missing_samples
    last = blocks[-1]
    assert stats.samples + stats.missing_samples == last.index + len(last.samples)


def test_a_lost_link_is_a_gap_as_long_as_the_device_says(play: Play) -> None:
    device = VirtualPolar(worn(55))

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            taking = asyncio.ensure_future(taken(wearable.frames(), 40.0))
            await asyncio.sleep(12.0)
            world.link_loss()
            world.air.adv_loss = 1.0
            await asyncio.sleep(5.0)
            world.air.adv_loss = 0.0
            return wearable, await taking

    wearable, blocks = play(scenario, wearable=device)
    stats = wearable.stats
    assert stats.reconnects == stats.link_gaps == 1
    (gap,) = [block.gap for block in blocks if block.gap is not None]
    assert gap.cause is GapCause.LINK
    assert gap.samples == stats.link_gap_samples > 5 * 55
    assert_true_samples(blocks, device.optics(55))  # across the gap too


def test_a_stream_left_behind_is_started_anew(play: Play) -> None:
    device = VirtualPolar(worn(55))

    async def scenario(world: VirtualWorld) -> list[Block]:
        async with session(world) as wearable:
            driver = wearable._stream.connection.driver
            assert isinstance(driver, PolarDriver)
            start = pmd.PmdRequest(
                pmd.PmdOpcode.START, pmd.PmdMeasurement.PPG, driver._chosen(55)
            )
            await driver.request(start)  # another app, say, that crashed
            with pytest.raises(ControlError, match="ERROR_ALREADY_IN_STATE") as refused:
                await driver.request(start)
            assert refused.value.status == pmd.PmdStatus.ERROR_ALREADY_IN_STATE
            return await taken(wearable.frames(), 5.0)

    assert_true_samples(play(scenario, wearable=device), device.optics(55))


def test_an_mtu_too_small_for_a_sample_is_refused_by_name(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world) as wearable:
            await taken(wearable.frames(), 3.0)

    with pytest.raises(ControlError, match="ERROR_INVALID_MTU"):
        play(scenario, wearable=VirtualPolar(worn(55), max_mtu=23))


def test_gains_and_modes_between_the_frames_are_no_errors(play: Play) -> None:
    device = VirtualPolar(worn(55))

    async def scenario(world: VirtualWorld) -> Wearable:
        async with session(world) as wearable:
            taking = asyncio.ensure_future(taken(wearable.frames(), 6.0))
            await asyncio.sleep(3.0)
            metadata = bytes.fromhex("0100943577000000000effffffffff")
            await device.notify_raw(metadata, pmd.PMD_DATA_UUID)
            await device.notify_raw(b"\x01\x02", pmd.PMD_DATA_UUID)
            await taking
            return wearable

    assert play(scenario, wearable=device).stats.decode_errors == 1


def test_the_services_of_the_sig_stand_beside_it(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world) as wearable:
            assert await wearable.battery_percent() == 64
            driver = wearable._stream.connection.driver
            assert isinstance(driver, PolarDriver)
            assert driver.device.manufacturer == "Polar Electro Oy"
            assert wearable.info.firmware == "2.2.0"
            frames = asyncio.ensure_future(taken(wearable.frames(), 20.0))
            told = await taken(wearable.heart_rates(), 20.0)
            await frames
            assert len(told) >= 18
            truth = worn(55).beat_times_s(0.0, 20.0)
            assert told[-1].bpm == pytest.approx(60 / np.diff(truth).mean(), rel=0.1)

    device = VirtualPolar(worn(55), battery_percent=64, firmware_version="2.2.0")
    play(scenario, wearable=device)


def test_one_that_advertises_nothing_known_is_recognised_by_its_services(
    play: Play,
) -> None:
    device = VirtualPolar(worn(55), name="Somebody")
    device._advertisement, _ = advertisement("Somebody", ())

    async def scenario(world: VirtualWorld) -> None:
        assert await scan(1.0, backend=world.backend) == []
        for asked in ({"name": "Somebody"}, {"address": device.address}):
            async with session(world, **asked) as wearable:
                assert isinstance(wearable._stream.connection.driver, PolarDriver)
        async with session(world, name="Somebody", personality="polar") as wearable:
            assert await taken(wearable.frames(), 3.0)

    play(scenario, wearable=device)

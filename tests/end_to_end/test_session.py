"""Sessions through a real Bluetooth stack on a virtual radio, on virtual time."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from bumble.keys import MemoryKeyStore
from live_session import session, stopped_after, taken

import plethprint
from plethprint.ble import open_profile as profile
from plethprint.ble.open_driver import OpenDriver
from plethprint.ble.personality import Personality
from plethprint.block import Block, GapCause
from plethprint.errors import (
    BondLostError,
    ControlError,
    LinkLostError,
    LinkTimeoutError,
    PairingError,
    ProtocolError,
    UnencryptedLinkError,
    WearableNotFoundError,
    WrongPersonalityError,
)
from plethprint.fingerprinter import Fingerprinter
from plethprint.live_fingerprints import LiveFingerprint
from plethprint.motion_stream import MotionStream
from plethprint.package import ModelPackage
from plethprint.session import Wearable, scan
from plethprint.signal import PPG
from plethprint_sim import WearerStream
from plethprint_sim.central import just_works
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

RATE_HZ = 125.0
Play = Callable[..., Any]


async def blocks_for(wearable: Wearable, seconds: float) -> list[Block]:
    """All blocks that arrive within so many seconds."""
    return await taken(wearable.frames(), seconds)


async def prints_for(
    wearable: Wearable, seconds: float, hop_s: float = 5.0
) -> list[LiveFingerprint]:
    """All fingerprints that arrive within so many seconds."""
    return await taken(wearable.fingerprints(hop_s), seconds)


def assert_true_samples(blocks: list[Block], source: WearerStream) -> None:
    """Every sample is where the wearer had it: index for index."""
    for block in blocks:
        expected = source.counts(block.index, len(block.samples))
        np.testing.assert_array_equal(block.samples[:, 0], expected)


def test_a_clean_stream_is_complete_exact_and_repeatable(
    play: Play, source: WearerStream, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, ...]:
        async with session(world, package=package) as wearable:
            assert wearable.paired
            assert wearable.calibration is not None
            assert wearable.info.channels[0].kind is profile.ChannelKind.GREEN
            prints = asyncio.ensure_future(prints_for(wearable, 31.0))
            blocks = await blocks_for(wearable, 31.0)
            return wearable, blocks, await prints

    wearable, blocks, prints = play(scenario)
    stats = wearable.stats
    assert_true_samples(blocks, source)
    assert stats.samples == sum(len(block.samples) for block in blocks)
    assert stats.samples == pytest.approx(31.0 * RATE_HZ, abs=40)
    assert stats.frames == len(blocks)
    told = stats.to_dict()
    assert 15 <= told["time_exchanges"] <= 45
    assert told["motion"] == "none"
    clean = {"frames", "samples", "time_exchanges", "stream_sha256", "motion"}
    clock = {"clock_drift_ppm", "clock_drift_uncertainty_ppm", "clock_uncertainty_s"}
    assert not any(value for name, value in told.items() if name not in clean | clock)
    assert len(prints) == 5
    assert [fp.missing for fp in prints] == [0.0] * 5
    payload = b"".join(block.frame.to_bytes() for block in blocks)
    assert stats.stream_sha256 == hashlib.sha256(payload).hexdigest()

    again, _, prints_again = play(scenario)
    assert again.stats == stats
    assert prints_again == prints


def test_live_fingerprints_are_those_of_the_recording(
    play: Play, source: WearerStream, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> list[LiveFingerprint]:
        async with session(world, package=package) as wearable:
            return await prints_for(wearable, 26.0)

    live = play(scenario)
    first = round(live[0].first_index)
    recorded = Fingerprinter(package).embed(
        source.counts(first, round(25 * RATE_HZ)), RATE_HZ
    )
    assert len(live) == len(recorded) == 4
    for ours, theirs in zip(live, recorded, strict=True):
        np.testing.assert_array_equal(ours.vector, theirs.vector)
        assert ours.quality == theirs.quality
        assert ours.first_index == first + theirs.start * RATE_HZ


def test_start_is_the_host_time_of_the_first_sample_despite_a_drifting_clock(
    play: Play, make_wearable: Callable[..., VirtualWearable], package: ModelPackage
) -> None:
    worn = make_wearable(clock_error_ppm=50.0)

    async def scenario(world: VirtualWorld) -> list[tuple[float, float]]:
        async with session(world, package=package) as wearable:
            prints = await prints_for(wearable, 150.0)
            clock = worn.device_firmware.clock
            # Sample i is taken at this moment of the loop, and so of the wall clock.
            return [(fp.start, 1.7e9 + clock.host_time_s(fp.first_index)) for fp in prints]

    pairs = play(scenario, wearable=worn, packet_error=0.05)
    assert len(pairs) == 28
    errors = [start - truth for start, truth in pairs]
    assert max(abs(error) for error in errors) < 0.008
    assert max(abs(error) for error in errors[6:]) < 0.003


def test_a_lost_link_comes_back_and_no_window_spans_the_gap(
    play: Play, source: WearerStream, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, ...]:
        async with session(world, package=package) as wearable:
            prints = asyncio.ensure_future(prints_for(wearable, 60.0))
            frames = asyncio.ensure_future(blocks_for(wearable, 60.0))
            await asyncio.sleep(25.0)
            world.air.adv_loss = 1.0  # the wearable is out of reach for a while
            world.link_loss()
            await asyncio.sleep(6.0)
            world.air.adv_loss = 0.0
            return wearable.stats, wearable, await frames, await prints

    _, wearable, blocks, prints = play(scenario)
    stats = wearable.stats
    assert (stats.link_gaps, stats.reconnects) == (1, 1)
    (gap_at,) = [k for k, block in enumerate(blocks) if block.gap]
    gap = blocks[gap_at].gap
    assert gap is not None
    assert gap.cause is GapCause.LINK
    assert gap.samples == stats.link_gap_samples == stats.missing_samples
    assert 2.0 * RATE_HZ < gap.samples < 10.0 * RATE_HZ
    assert_true_samples(blocks, source)  # each in its place, behind the gap as well

    gap_from = blocks[gap_at - 1].index + len(blocks[gap_at - 1].samples)
    gap_to = blocks[gap_at].index
    spans = [(fp.first_index, fp.first_index + PPG.window_s * RATE_HZ) for fp in prints]
    assert all(end <= gap_from or start >= gap_to for start, end in spans)
    assert any(end <= gap_from for _, end in spans)
    assert sum(start >= gap_to for start, _ in spans) >= 3
    assert [fp.missing for fp in prints] == [0.0] * len(prints)
    behind = next(fp for fp in prints if fp.first_index >= gap_to)
    assert behind.first_index == gap_to
    starts = [fp.start for fp in prints]
    step = (behind.first_index - prints[0].first_index) / RATE_HZ
    assert behind.start - starts[0] == pytest.approx(step, abs=0.02)


def test_a_link_lost_while_acceleration_is_asked_for_leaves_a_link_gap(
    play: Play, source: WearerStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: Any) -> None:
        await asyncio.sleep(8.0)  # the wearable takes its time to answer

    monkeypatch.setattr(MotionStream, "start", slow)

    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 30.0))
            await asyncio.sleep(4.0)
            assert wearable.stats.samples > 0
            world.air.adv_loss = 1.0
            world.link_loss()
            await asyncio.sleep(6.0)
            world.air.adv_loss = 0.0
            return wearable, await frames

    wearable, blocks = play(scenario)
    stats = wearable.stats
    assert (stats.link_gaps, stats.reconnects) == (1, 1)
    assert stats.missing_samples == stats.link_gap_samples > 2.0 * RATE_HZ
    (gap,) = [block.gap for block in blocks if block.gap]
    assert gap.cause is GapCause.LINK
    assert_true_samples(blocks, source)


def test_a_short_link_gap_is_bridged_by_what_the_wearable_kept(
    play: Play, source: WearerStream
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 30.0))
            await asyncio.sleep(10.0)
            world.link_loss()
            return wearable, await frames

    wearable, blocks = play(scenario)
    assert (wearable.stats.link_gaps, wearable.stats.reconnects) == (1, 1)
    # The device buffers two seconds; only what was on the air is lost.
    assert wearable.stats.missing_samples < 1.0 * RATE_HZ
    assert wearable.stats.duplicates == 0
    assert_true_samples(blocks, source)


def test_many_link_losses_leave_every_sample_accounted_for(
    play: Play, source: WearerStream
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 200.0))
            for pause_s in (7.3, 20.1, 0.9, 31.0, 14.2, 25.0, 3.3):
                await asyncio.sleep(pause_s)
                world.link_loss()
            return wearable, await frames

    wearable, blocks = play(scenario, packet_error=0.1, adv_loss=0.3)
    stats = wearable.stats
    # The third loss, 0.9 s after the second, hits before the link is back: the same gap.
    assert stats.link_gaps == stats.reconnects == 6
    assert_true_samples(blocks, source)
    received = sum(len(b.samples) + (b.gap.samples if b.gap else 0) for b in blocks)
    assert received == blocks[-1].index + len(blocks[-1].samples) - blocks[0].index
    assert stats.device_resets == 0


def test_a_stall_delays_and_loses_nothing(
    play: Play, source: WearerStream, make_wearable: Callable[..., VirtualWearable]
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 30.0))
            await asyncio.sleep(15.0)
            await world.stall(3.0)
            return wearable, await frames

    wearable, blocks = play(scenario, wearable=make_wearable(buffer_s=5.0))
    stats = wearable.stats
    assert (stats.missing_samples, stats.reconnects, stats.link_gaps) == (0, 0, 0)
    assert stats.stalls == 1
    assert_true_samples(blocks, source)
    # Bunched arrival does not move the samples in time.
    starts = np.array([block.start_s for block in blocks])
    lengths = np.array([len(block.samples) for block in blocks[:-1]]) / RATE_HZ
    np.testing.assert_allclose(np.diff(starts), lengths, atol=0.02)


def test_packet_errors_delay_and_lose_nothing(play: Play, source: WearerStream) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block], int]:
        async with session(world) as wearable:
            blocks = await blocks_for(wearable, 30.0)
            return wearable, blocks, world.statistics.retransmissions

    wearable, blocks, retransmissions = play(
        scenario, packet_error=0.1, connection_interval_s=0.03
    )
    assert retransmissions > 10
    assert wearable.stats.missing_samples == 0
    assert wearable.stats.samples == pytest.approx(30.0 * RATE_HZ, abs=60)
    assert_true_samples(blocks, source)


def test_two_seconds_of_device_overflow_are_counted_as_such(
    play: Play, source: WearerStream, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, ...]:
        async with session(world, package=package) as wearable:
            prints = asyncio.ensure_future(prints_for(wearable, 45.0))
            frames = asyncio.ensure_future(blocks_for(wearable, 45.0))
            await asyncio.sleep(20.0)
            await world.stall(4.0)  # the buffer holds two
            return wearable, await frames, await prints

    wearable, blocks, prints = play(scenario)
    stats = wearable.stats
    assert stats.overflow_samples == stats.missing_samples
    assert stats.overflow_samples == pytest.approx(2.0 * RATE_HZ, abs=0.6 * RATE_HZ)
    assert (stats.link_gaps, stats.lost_frames, stats.reconnects) == (0, 0, 0)
    assert [block.gap.cause for block in blocks if block.gap] == [GapCause.OVERFLOW]
    assert_true_samples(blocks, source)
    (gap_at,) = [k for k, block in enumerate(blocks) if block.gap]
    gap_to = blocks[gap_at].index
    window = PPG.window_s * RATE_HZ
    assert not any(fp.first_index < gap_to < fp.first_index + window for fp in prints)


def test_a_gap_of_a_tenth_of_a_second_is_interpolated_and_flagged(
    play: Play, package: ModelPackage, make_wearable: Callable[..., VirtualWearable]
) -> None:
    worn = make_wearable(frame_s=0.04)
    dropped = 0

    async def scenario(world: VirtualWorld) -> tuple[Any, ...]:
        buffer = worn.device_firmware._buffer
        take = buffer.take

        def lossy(longest_bytes: int) -> Any:
            nonlocal dropped
            leaving = take(longest_bytes)
            if leaving is not None and dropped < 10 and leaving.frame.sequence >= 400:
                dropped += leaving.frame.samples  # as if a host's queue had lost it
                return take(longest_bytes)
            return leaving

        buffer.take = lossy  # type: ignore[method-assign]
        async with session(world, package=package) as wearable:
            return wearable, await prints_for(wearable, 40.0, hop_s=2.0)

    wearable, prints = play(scenario, wearable=worn)
    stats = wearable.statistics()
    assert stats.missing_samples == stats.interpolated_samples == stats.lost_samples == 10
    flagged = [fp for fp in prints if fp.gap_fraction > 0]
    assert len(flagged) >= 4  # hop 2 s: four or five windows see any moment
    share = 10 / (PPG.window_s * RATE_HZ)
    assert max(fp.gap_fraction for fp in flagged) == pytest.approx(share, abs=1e-6)
    assert max(fp.missing for fp in flagged) == pytest.approx(share, abs=0.002)
    starts = [fp.first_index for fp in prints]
    assert np.diff(starts) == pytest.approx(2.0 * RATE_HZ)  # the windows go on


def test_a_gap_of_half_a_second_breaks_the_window(
    play: Play, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, ...]:
        async with session(world, package=package) as wearable:
            prints = asyncio.ensure_future(prints_for(wearable, 40.0, hop_s=2.0))
            await asyncio.sleep(15.0)
            await world.stall(2.75)  # the buffer holds two, the controller some more
            return wearable, await prints

    wearable, prints = play(scenario)
    stats = wearable.statistics()
    assert 0.1 * RATE_HZ < stats.missing_samples < RATE_HZ
    assert stats.interpolated_samples == 0
    assert all(fp.missing == fp.gap_fraction == 0 for fp in prints)
    assert sum(step > 2.0 * RATE_HZ for step in np.diff([fp.first_index for fp in prints]))


def test_frames_that_come_with_the_answer_to_start_are_not_lost(
    play: Play, source: WearerStream, make_wearable: Callable[..., VirtualWearable]
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        async with session(world) as wearable:
            return wearable, await blocks_for(wearable, 4.0)

    worn = make_wearable(frame_s=0.008)  # a frame for every sample
    wearable, blocks = play(scenario, wearable=worn, connection_interval_s=0.03)
    assert blocks[0].index == 0
    assert wearable.stats.missing_samples == 0
    assert_true_samples(blocks, source)


def test_a_stop_that_got_no_answer_does_not_spoil_the_next_start(
    play: Play, source: WearerStream
) -> None:
    async def scenario(world: VirtualWorld) -> Wearable:
        async with session(world, timeout_s=1.0) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 5.0))
            await asyncio.sleep(4.8)
            await world.stall(4.0)  # STOP, at 5 s, is not answered in time
            await frames
            samples = wearable.stats.samples
            await asyncio.sleep(5.0)
            assert wearable.stats.samples == samples  # nobody wants what still comes
            blocks = await blocks_for(wearable, 5.0)
            assert len(blocks) > 30
            assert_true_samples(blocks, source)
            return wearable

    assert play(scenario).stats.missing_samples == 0


def test_a_wearable_that_connects_but_never_streams_again_is_given_up(
    play: Play, make_wearable: Callable[..., VirtualWearable], source: WearerStream
) -> None:
    class Ending:
        """The wearer's first 15 seconds."""

        sample_rate_hz, length = source.sample_rate_hz, 1875
        counts = staticmethod(source.counts)

    async def scenario(world: VirtualWorld) -> None:
        async with session(world, give_up_after_s=40.0) as wearable:
            with pytest.raises(LinkLostError, match="has sent nothing for"):
                await blocks_for(wearable, 200.0)
            assert wearable.stats.samples == 1875

    play(scenario, wearable=make_wearable(source=Ending()))


def test_garbage_notifications_are_counted_and_warned_of_once_per_kind(
    play: Play, caplog: pytest.LogCaptureFixture, source: WearerStream
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        (worn,) = world.wearables
        async with session(world) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 12.0))
            await asyncio.sleep(3.0)
            rng = np.random.default_rng(0)
            for size in [0, 1, 5, 17, 40, 100, 200] * 3:
                await worn.notify_raw(rng.bytes(size))
                await asyncio.sleep(0.1)
            return wearable, await frames

    with caplog.at_level(logging.WARNING, logger="plethprint"):
        wearable, blocks = play(scenario)
    stats = wearable.stats
    assert stats.decode_errors == 21
    assert stats.missing_samples == 0
    assert stats.samples == pytest.approx(12.0 * RATE_HZ, abs=40)
    assert_true_samples(blocks, source)
    warned = [r for r in caplog.records if "no frame" in r.getMessage()]
    assert 1 <= len(warned) <= 5


def test_a_wearable_that_falls_silent_is_connected_anew(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> Wearable:
        (worn,) = world.wearables
        async with session(world, silent_after_s=5.0) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 40.0))
            await asyncio.sleep(10.0)
            worn.device_firmware.switch_off()  # the link stays up: a firmware bug
            await frames
            return wearable

    stats = play(scenario).stats
    assert (stats.stalls, stats.reconnects, stats.link_gaps) == (1, 1, 1)
    assert 4.0 * RATE_HZ < stats.link_gap_samples < 9.0 * RATE_HZ
    assert stats.samples + stats.missing_samples == pytest.approx(40 * RATE_HZ, abs=60)


def test_a_wearable_that_drops_every_link_is_not_hammered(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> int:
        async with session(world) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 120.0))
            heard = 0
            while not frames.done():
                await asyncio.sleep(0.1)
                if wearable.stats.frames > heard:  # it streams: away again
                    world.link_loss()
                    heard = wearable.stats.frames
            return wearable.stats.reconnects

    assert 5 <= play(scenario) <= 16  # at once each time it would be above a hundred


def test_without_reconnection_a_lost_link_ends_the_iteration(
    play: Play, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world, package=package, reconnect=False) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 30.0))
            await asyncio.sleep(5.0)
            world.link_loss()
            with pytest.raises(LinkLostError, match="pleth-01 dropped"):
                await frames
            with pytest.raises(LinkLostError):
                await wearable.self_test(1)

    play(scenario)


def test_a_wearable_that_stays_away_is_given_up(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> float:
        loop = asyncio.get_running_loop()
        async with session(world, give_up_after_s=60.0, timeout_s=5.0) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 500.0))
            await asyncio.sleep(5.0)
            world.air.adv_loss = 1.0
            world.link_loss()
            lost_s = loop.time()
            with pytest.raises(LinkLostError, match="did not come back within 60 s"):
                await frames
            return loop.time() - lost_s

    assert 40.0 < play(scenario) < 65.0


def test_nobody_there_is_told_within_the_timeout(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        loop = asyncio.get_running_loop()
        for wrong in ({"name": "someone else"}, {"address": "D2:00:00:00:00:99"}):
            began_s = loop.time()
            with pytest.raises(WearableNotFoundError, match="within 3 s"):
                async with session(world, timeout_s=3.0, **wrong):
                    pass
            assert loop.time() - began_s < 3.5

    play(scenario)


def test_the_wearable_is_found_by_name_or_address_and_scanned(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        (worn,) = world.wearables
        (found,) = await scan(2.0, backend=world.backend)
        assert (found.name, found.personality) == ("pleth-01", "open")
        assert found.to_dict()["address"] == worn.address
        async with session(world, name="PLETH-01") as wearable:
            assert wearable.address == worn.address
        async with session(world, address=worn.address.lower()) as wearable:
            assert wearable.name == "pleth-01"

    play(scenario)


def test_a_slow_consumer_loses_the_oldest_and_is_told(
    play: Play, caplog: pytest.LogCaptureFixture, source: WearerStream
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[Block]]:
        blocks: list[Block] = []
        async with session(world, queue_s=5.0) as wearable:

            async def take() -> None:
                async for block in wearable.frames():
                    blocks.append(block)
                    await asyncio.sleep(30.0 if len(blocks) == 10 else 0.0)

            await stopped_after(60.0, take())
            return wearable, blocks

    with caplog.at_level(logging.WARNING, logger="plethprint"):
        wearable, blocks = play(scenario)
    stats = wearable.stats
    assert stats.missing_samples == 0  # they did arrive
    assert stats.dropped_frames == pytest.approx(25.0 / 0.125, abs=12)
    jumps = [b.index - a.index - len(a.samples) for a, b in pairwise(blocks)]
    assert [jump > 0 for jump in jumps].count(True) == 1
    assert_true_samples(blocks, source)
    assert sum("too slow" in r.getMessage() for r in caplog.records) == 1


def test_fingerprints_of_a_slow_consumer_do_not_span_what_was_dropped(
    play: Play, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> list[LiveFingerprint]:
        prints: list[LiveFingerprint] = []
        async with session(world, package=package, queue_s=12.0) as wearable:

            async def take() -> None:
                async for fingerprint in wearable.fingerprints():
                    prints.append(fingerprint)
                    await asyncio.sleep(40.0 if len(prints) == 2 else 0.0)

            await stopped_after(90.0, take())
        return prints

    prints = play(scenario)
    steps = np.diff([fp.first_index for fp in prints]) / RATE_HZ
    assert steps[0] == pytest.approx(5.0)
    assert steps[1] > 20.0
    assert all(fp.missing == 0.0 for fp in prints)


def test_the_stream_runs_only_while_somebody_listens(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        (worn,) = world.wearables
        async with session(world) as wearable:
            assert wearable.sample_rate_hz is None
            await blocks_for(wearable, 3.0)
            assert wearable.sample_rate_hz == RATE_HZ
            assert not worn.device_firmware.is_streaming
            before = wearable.stats
            await asyncio.sleep(20.0)
            assert wearable.stats == before
            blocks = await blocks_for(wearable, 3.0)
            assert {block.epoch for block in blocks} == {1}
            assert blocks[0].gap is None
            assert wearable.stats.missing_samples == 0
            assert wearable.stats.samples > before.samples

    play(scenario)


def test_a_start_that_nobody_waited_for_is_taken_back(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        (worn,) = world.wearables
        async with session(world) as wearable:
            for moment_s in (0.01, 0.03, 0.045, 0.06, 0.08):
                first = asyncio.ensure_future(anext(wearable.frames()))
                await asyncio.sleep(moment_s)
                first.cancel()
                await asyncio.wait({first})
                await asyncio.sleep(0.5)
                assert not worn.device_firmware.is_streaming, moment_s
            assert len(await blocks_for(wearable, 3.0)) > 10

    play(scenario)


def test_cancelling_the_program_leaves_no_task_and_frees_the_wearable(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        (worn,) = world.wearables
        for moment_s in (0.05, 0.3, 0.5, 0.7, 1.0, 4.0):

            async def program() -> None:
                async with session(world) as wearable:
                    async for _ in wearable.frames():
                        pass

            task = asyncio.ensure_future(program())
            await asyncio.sleep(moment_s)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(2.0)
            assert not worn.is_connected

    play(scenario)


def test_leaving_the_session_ends_other_consumers(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> int:
        async with session(world) as wearable:
            frames = asyncio.ensure_future(blocks_for(wearable, 1000.0))
            await asyncio.sleep(3.0)
        return len(await asyncio.wait_for(frames, 1.0))

    assert play(scenario) > 10


def test_a_link_lost_while_a_call_is_under_way_is_told_as_such(
    play: Play, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world, package=package, reconnect=False) as wearable:
            test = asyncio.ensure_future(wearable.self_test())
            await asyncio.sleep(0.1)
            world.link_loss()
            with pytest.raises(LinkLostError):
                await test

    play(scenario)


def test_a_call_that_is_not_answered_times_out(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> float:
        loop = asyncio.get_running_loop()
        async with session(world, timeout_s=2.0) as wearable:
            stall = asyncio.ensure_future(world.stall(5.0))
            await asyncio.sleep(0.1)
            began_s = loop.time()
            with pytest.raises(LinkTimeoutError):
                await anext(wearable.frames())
            took_s = loop.time() - began_s
            await stall
            return took_s

    assert play(scenario) < 4.0


def test_the_self_test_compares_the_wearables_own_encoder_with_the_package(
    play: Play, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with session(world, package=package) as wearable:
            streaming = asyncio.ensure_future(blocks_for(wearable, 20.0))
            report = await wearable.self_test(5)
            blocks = await streaming
            assert wearable.stats.missing_samples == 0
            assert len(blocks) > 100
            return report

    report = play(scenario)
    assert (report.windows, report.model) == (5, package.model_id)
    assert report.max_lsb <= 2
    assert report.exact <= 5


def test_the_self_test_notices_a_wearable_that_computes_something_else(
    play: Play, make_wearable: Callable[..., VirtualWearable], package: ModelPackage
) -> None:
    class Broken:
        dim = package.manifest.dim

        def run(self, windows: Any) -> Any:
            return np.full((len(windows), self.dim), 100, np.int8)

    async def scenario(world: VirtualWorld) -> Any:
        async with session(world, package=package) as wearable:
            return await wearable.self_test(2)

    report = play(scenario, wearable=make_wearable(encoder=Broken()))
    assert report.max_lsb > 50
    assert report.exact == 0


def test_another_model_or_none_on_the_wearable_is_told(
    play: Play, make_wearable: Callable[..., VirtualWearable], package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world, package=package) as wearable:
            await wearable.self_test(1)

    with pytest.raises(plethprint.errors.FingerprintMismatchError, match="runs 'toy@9"):
        play(scenario, wearable=make_wearable(model="toy@9+00000000"))
    with pytest.raises(ProtocolError, match="has no encoder"):
        play(scenario, wearable=make_wearable(encoder=None, model=""))


@pytest.mark.parametrize("pair", [True, False, None])
def test_pairing_is_done_at_once_or_never_or_when_needed(
    play: Play, pair: bool | None
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[bool, Any]:
        (worn,) = world.wearables
        async with session(world, pair=pair, allow_unencrypted=True) as wearable:
            assert worn.is_encrypted == wearable.paired
            if pair is False:
                assert wearable.calibration is None
                await wearable.pair()
            return wearable.paired, wearable.calibration

    paired, calibration = play(scenario)
    assert paired
    assert calibration is not None
    assert len(calibration.channels) == 1


def test_an_open_link_is_refused_unless_it_was_allowed(
    play: Play, make_wearable: Callable[..., VirtualWearable]
) -> None:
    async def refused(world: VirtualWorld) -> None:
        (worn,) = world.wearables
        for pair in (True, None):
            with pytest.raises(PairingError):
                async with session(world, pair=pair):
                    pass
            await asyncio.sleep(0.1)  # the goodbye is on its way
            assert not worn.is_connected
        with pytest.raises(UnencryptedLinkError, match="allow_unencrypted=True"):
            async with session(world, pair=False):
                pass

    async def lenient(world: VirtualWorld) -> None:
        async with session(world, allow_unencrypted=True) as wearable:
            assert not wearable.paired
            assert wearable.calibration is None
            assert len(await blocks_for(wearable, 2.0)) > 10

    play(refused, wearable=make_wearable(refuse_pairing=True))
    play(lenient, wearable=make_wearable(refuse_pairing=True))


def test_legacy_pairing_is_a_downgrade_and_refused(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def legacy(connection: Any) -> Any:
        config = just_works(connection)
        config.sc = False
        return config

    monkeypatch.setattr("plethprint_sim.peripheral.just_works", legacy)

    async def refused(world: VirtualWorld) -> None:
        with pytest.raises(UnencryptedLinkError, match="LE Secure Connections"):
            async with session(world):
                pass

    async def allowed(world: VirtualWorld) -> None:
        async with session(world, pair=True, allow_unencrypted=True) as wearable:
            assert wearable.paired

    play(refused)
    play(allowed)


def test_a_link_that_came_back_is_encrypted_before_it_streams(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        (worn,) = world.wearables
        async with session(world) as wearable:
            await blocks_for(wearable, 2.0)
            world.link_loss()
            await asyncio.sleep(0.1)
            assert not worn.is_encrypted
            async for _ in wearable.frames():
                assert worn.is_encrypted
                break
            assert wearable.stats.reconnects == 1

    play(scenario)


def test_a_bond_that_the_wearable_lost_is_told_with_the_way_out(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> None:
        (worn,) = world.wearables
        async with session(world):
            pass
        await asyncio.sleep(0.5)
        worn.keystore = MemoryKeyStore()
        with pytest.raises(BondLostError, match="pair again"):
            async with session(world):
                pass
        async with session(world, allow_unencrypted=True) as wearable:
            assert not wearable.paired

    play(scenario)


def test_a_bond_that_the_wearable_lost_meanwhile_ends_the_session_soon(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> float:
        (worn,) = world.wearables
        async with session(world) as wearable:
            await blocks_for(wearable, 2.0)
            worn.keystore = MemoryKeyStore()
            world.link_loss()
            began_s = asyncio.get_running_loop().time()
            with pytest.raises(BondLostError, match="pair again"):
                await blocks_for(wearable, 100.0)
            return asyncio.get_running_loop().time() - began_s

    assert play(scenario) < 20.0


def test_another_wearable_than_asked_for_is_told(play: Play) -> None:
    class Other(Personality):
        def is_offered_by(self, service_uuids: Any) -> bool:
            return False

    async def scenario(world: VirtualWorld) -> None:
        with pytest.raises(WrongPersonalityError, match="does not speak the open protocol"):
            async with session(world, personality="open", name="pleth-01"):
                pass
        await asyncio.sleep(0.1)
        assert not world.wearables[0].is_connected

    other = Other("open", profile.SERVICE_UUID, OpenDriver)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plethprint.ble.connection.personality_named", lambda _: other)
        play(scenario)


def test_a_scan_lists_only_what_fits_its_filters(play: Play) -> None:
    async def scenario(world: VirtualWorld) -> list[int]:
        (worn,) = world.wearables
        filters: list[dict[str, Any]] = [
            {},
            {"name": "PLETH-*"},
            {"address": worn.address.lower()},
            {"personality": "open"},
            {"min_rssi_dbm": -127},
            {"name": "ring-*"},
            {"address": "D2:00:00:00:00:99"},
            {"min_rssi_dbm": 127},
        ]
        return [len(await scan(1.0, backend=world.backend, **f)) for f in filters]

    assert play(scenario) == [1, 1, 1, 1, 1, 0, 0, 0]


def test_a_damaged_calibration_is_told_and_the_stream_goes_on(
    play: Play,
    make_wearable: Callable[..., VirtualWearable],
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Damaged(profile.Calibration):
        def to_bytes(self) -> bytes:
            return super().to_bytes()[:-1] + b"?"

    async def scenario(world: VirtualWorld) -> None:
        async with session(world) as wearable:
            assert wearable.paired
            assert wearable.calibration is None
            assert len(await blocks_for(wearable, 2.0)) > 10

    damaged = Damaged((profile.ChannelCalibration(30.5, -120, 8000),))
    play(scenario, wearable=make_wearable(calibration=damaged))
    assert "checksum or length is wrong" in caplog.text


def test_what_the_wearable_cannot_do_is_refused_in_one_sentence(
    play: Play, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world, sample_rate_hz=1000.0) as wearable:
            with pytest.raises(ProtocolError, match=r"it offers 125 Hz"):
                await anext(wearable.frames())
        async with session(world, channels=[3]) as wearable:
            with pytest.raises(ProtocolError, match=r"channels 0\.\.0"):
                await anext(wearable.frames())
        async with session(world, package=package) as wearable:
            with pytest.raises(ProtocolError, match=r"channels 0\.\.0"):
                await anext(wearable.fingerprints(channel=2))

    play(scenario)


def test_a_refused_control_request_carries_its_status(
    play: Play, make_fingerprinting: Callable[..., VirtualWearable]
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world) as wearable:
            with pytest.raises(ControlError, match="BAD_PARAMETER") as caught:
                await anext(wearable.device_fingerprints(hop_s=0.05))
            assert caught.value.opcode == profile.Opcode.START_FINGERPRINTS
            assert caught.value.status == profile.ControlStatus.BAD_PARAMETER

    play(scenario, wearable=make_fingerprinting())


def test_minutes_with_losses_are_accounted_for_to_the_sample(
    play: Play, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Wearable, list[LiveFingerprint]]:
        async with session(world, package=package) as wearable:
            prints = asyncio.ensure_future(prints_for(wearable, 300.0, hop_s=10.0))
            for _ in range(3):
                await asyncio.sleep(80.0)
                world.link_loss()
            return wearable, await prints

    wearable, prints = play(scenario, packet_error=0.05)
    stats = wearable.stats
    assert stats.reconnects == stats.link_gaps == 3
    assert stats.samples + stats.missing_samples == pytest.approx(300 * RATE_HZ, abs=60)
    assert len(prints) >= 25
    starts = [fp.start for fp in prints]
    assert all(later - earlier > 9.9 for earlier, later in pairwise(starts))

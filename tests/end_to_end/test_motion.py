"""Acceleration and perfusion beside PPG, through a real Bluetooth stack on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.ble.calibration import Calibration, ChannelCalibration
from plethprint.block import Block
from plethprint.fingerprint import LOW_QUALITY
from plethprint.live_fingerprints import LiveFingerprint
from plethprint.package import ModelPackage
from plethprint.session import Backoff, Wearable, connect
from plethprint.stream_statistics import StreamStatistics
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.personalities import PERSONALITIES, virtual_wearable
from plethprint_sim.soak import TablePulse
from plethprint_sim.world import VirtualWorld

Play = Callable[..., Any]

RESTS_S = 14.0
"""Until then the wearer is at rest; so is the first window of 10 s."""
SENDING = ("polar", "muse", "openring")


class Walker(TablePulse):
    """Sets out after a while. The pulse in the light stays as clean as it was."""

    def motion(self, start_index: int, count: int) -> npt.NDArray[np.bool_]:
        """Whether the wearer moves, for each sample."""
        at_s = np.arange(start_index, start_index + count) / self.sample_rate_hz
        return at_s > RESTS_S


def walker(personality: str, **options: Any) -> Peripheral:
    source = Walker(PERSONALITIES[personality].sample_rate_hz)
    return virtual_wearable(personality, source, **options)


Seen = tuple[list[LiveFingerprint], list[Block], StreamStatistics]


def seen(
    play: Play,
    package: ModelPackage,
    worn: Peripheral,
    *,
    seconds: float = 32.0,
    happen: Callable[[VirtualWorld], Any] | None = None,
    **options: Any,
) -> Seen:
    """What a session of so many seconds gives."""
    prints: list[LiveFingerprint] = []
    blocks: list[Block] = []

    async def scenario(world: VirtualWorld) -> StreamStatistics:
        loop = asyncio.get_running_loop()
        told = {"wall_clock": lambda: 1.7e9 + loop.time(), "backoff": Backoff(seed=1)}
        async with connect(
            backend=world.backend, package=package, **told, **options
        ) as wearable:
            takers = [
                asyncio.ensure_future(take(wearable.fingerprints(), prints)),
                asyncio.ensure_future(take(wearable.frames(), blocks)),
            ]
            if happen is not None:
                await asyncio.sleep(seconds / 2)
                await happen(world)
            await asyncio.wait(takers, timeout=seconds)
            for taker in takers:
                taker.cancel()
            await asyncio.gather(*takers, return_exceptions=True)
            return wearable.statistics()

    statistics = play(scenario, wearable=worn)
    return prints, blocks, statistics


async def take(stream: Any, into: list[Any]) -> None:
    async for item in stream:
        into.append(item)


@pytest.mark.parametrize("personality", SENDING)
def test_a_wearer_who_sets_out_is_told_from_one_at_rest(
    play: Play, package: ModelPackage, personality: str
) -> None:
    prints, blocks, statistics = seen(play, package, walker(personality))
    _, _, off = seen(play, package, walker(personality), motion=False, seconds=1.0)
    assert statistics.motion == "streaming"
    assert off.motion == "off"
    assert off.motion_samples == 0
    began_s = blocks[0].start_s
    at_rest = [fp for fp in prints if fp.start + fp.duration_s < began_s + RESTS_S - 0.5]
    moving = [fp for fp in prints if fp.start > began_s + RESTS_S + 0.5]
    assert at_rest
    assert len(moving) >= 2
    for fp in at_rest:
        assert fp.motion_g is not None
        assert fp.motion_g < 0.02
        assert not fp.flagged
    for fp in moving:
        assert fp.motion_g == pytest.approx(0.67, abs=0.07)  # of the steps themselves
        assert fp.quality < LOW_QUALITY
        assert fp.flagged
        assert fp.quality_reason == "motion"
    between = [fp.motion_g for fp in prints if fp not in at_rest and fp not in moving]
    assert all(0.02 < g < 0.7 for g in between if g is not None)


@pytest.mark.parametrize("personality", SENDING)
def test_acceleration_changes_neither_the_samples_nor_a_resting_quality(
    play: Play, package: ModelPackage, personality: str
) -> None:
    def resting(motion: bool) -> Seen:
        source = TablePulse(PERSONALITIES[personality].sample_rate_hz)
        worn = virtual_wearable(personality, source)
        return seen(play, package, worn, seconds=22.0, motion=motion)

    with_it, without = resting(True), resting(False)
    ours, theirs = (np.concatenate([b.samples for b in s[1]]) for s in (with_it, without))
    shorter = min(len(ours), len(theirs))
    assert abs(len(ours) - len(theirs)) <= len(without[1][0].samples)
    np.testing.assert_array_equal(ours[:shorter], theirs[:shorter])
    assert with_it[2].missing_samples == with_it[2].decode_errors == 0
    assert with_it[2].motion_samples > 20 * 20
    assert without[2].motion_samples == 0
    for ours_fp, theirs_fp in zip(with_it[0], without[0], strict=False):
        np.testing.assert_array_equal(ours_fp.vector, theirs_fp.vector)
        assert ours_fp.quality == theirs_fp.quality
        assert theirs_fp.motion_g is None


def test_the_wearables_own_word_for_motion_counts_where_there_is_no_accelerometer(
    play: Play, package: ModelPackage
) -> None:
    prints, blocks, statistics = seen(play, package, walker("open"))
    assert statistics.motion == "none"
    began_s = blocks[0].start_s
    assert prints[0].motion_fraction == 0.0
    assert not prints[0].flagged
    moving = [fp for fp in prints if fp.start > began_s + RESTS_S + 0.5]
    assert moving
    for fp in moving:
        assert fp.motion_g is None
        assert fp.motion_fraction == 1.0
        assert (fp.flagged, fp.quality_reason) == (True, "motion")


def test_a_wearable_without_acceleration_streams_all_the_same(
    play: Play, package: ModelPackage
) -> None:
    prints, _, statistics = seen(play, package, walker("polar", motion=False))
    assert statistics.motion == "none"
    assert len(prints) >= 4
    assert all(fp.motion_g is None and not fp.flagged for fp in prints)


def test_a_wearable_that_refuses_acceleration_streams_all_the_same(
    play: Play, package: ModelPackage
) -> None:
    worn = walker("polar")
    refusing = type(worn)._boot

    def boot(clock: Any) -> Any:
        firmware = refusing(worn, clock)
        firmware._switch_motion = lambda on: None
        firmware._is_moving_on = True  # to START: busy; to STOP: done, and busy again
        return firmware

    worn._boot = boot  # type: ignore[method-assign]
    prints, _, statistics = seen(play, package, worn)
    assert statistics.motion == "refused"
    assert statistics.missing_samples == statistics.decode_errors == 0
    assert len(prints) >= 4
    assert all(fp.motion_g is None and not fp.flagged for fp in prints)


def test_acceleration_is_asked_for_again_on_the_next_link(
    play: Play, package: ModelPackage
) -> None:
    async def drop(world: VirtualWorld) -> None:
        world.link_loss()

    prints, _, statistics = seen(play, package, walker("polar"), seconds=30.0, happen=drop)
    assert statistics.reconnects == 1
    assert statistics.motion == "streaming"
    assert prints[-1].motion_g is not None
    assert prints[-1].motion_g > 0.5


def test_garbled_acceleration_is_counted_and_costs_no_ppg(
    play: Play, package: ModelPackage
) -> None:
    from plethprint.ble import polar_profile as pmd

    async def garble(world: VirtualWorld) -> None:
        for junk in (b"", bytes(9), bytes(200), b"\xff" * 200):
            await worn.notify_raw(b"\x02" + junk, pmd.PMD_DATA_UUID)

    worn = walker("polar")
    prints, _, statistics = seen(play, package, worn, seconds=24.0, happen=garble)
    assert statistics.motion_decode_errors == 4
    assert statistics.decode_errors == statistics.missing_samples == 0
    assert prints[-1].motion_g is not None


@pytest.mark.parametrize("personality", ["muse", "openring"])
def test_perfusion_is_told_where_zero_is_darkness(
    play: Play, package: ModelPackage, personality: str
) -> None:
    prints, blocks, _ = seen(play, package, walker(personality), seconds=12.0)
    column = {"muse": 1, "openring": 0}[personality]
    counts = np.concatenate([block.samples for block in blocks])[:, column]
    span = np.ptp(np.quantile(counts, [0.01, 0.99])) / counts.mean()
    assert prints[0].perfusion == pytest.approx(span, rel=0.1)


def test_the_calibration_tells_what_is_darkness(play: Play, package: ModelPackage) -> None:
    offset = 2_000_000
    calibration = Calibration((ChannelCalibration(30.5, offset, 8000),))
    worn = walker("open", calibration=calibration)
    prints, blocks, _ = seen(play, package, worn, seconds=13.0)
    counts = np.concatenate([block.samples for block in blocks])[:, 0]
    span = np.ptp(np.quantile(counts, [0.01, 0.99])) / (counts.mean() - offset)
    assert prints[0].perfusion == pytest.approx(span, rel=0.1)
    unpaired, _, _ = seen(
        play,
        package,
        walker("open", calibration=calibration),
        seconds=13.0,
        pair=False,
        allow_unencrypted=True,
    )
    assert unpaired[0].perfusion is None


def test_perfusion_of_signed_counts_is_not_guessed(
    play: Play, package: ModelPackage
) -> None:
    prints, _, _ = seen(play, package, walker("polar"), seconds=14.0)
    assert prints[0].perfusion is None


def test_a_pulse_too_small_for_its_level_is_flagged(
    play: Play, package: ModelPackage
) -> None:
    class Faint(TablePulse):
        def counts(self, start_index: int, count: int) -> npt.NDArray[np.int32]:
            counts = super().counts(start_index, count).astype(np.float64)
            level = self._table.mean()
            return np.rint(level + (counts - level) / 500).astype(np.int32)

    worn = virtual_wearable("openring", Faint(25.0))
    prints, _, _ = seen(play, package, worn, seconds=12.0)
    assert prints[0].perfusion is not None
    assert prints[0].perfusion < 0.0005
    assert (prints[0].flagged, prints[0].quality_reason) == (True, "perfusion")


def test_a_colmi_ring_tells_motion_beside_its_few_readings(
    play: Play, package: ModelPackage
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, ...]:
        async with connect(backend=world.backend, package=package) as wearable:
            blocks: list[Block] = []
            taking = asyncio.ensure_future(take(wearable.frames(), blocks))
            await asyncio.sleep(40.0)
            told = motions(wearable, blocks)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            return told

    rest_g, walk_g = play(scenario, wearable=walker("colmi"))
    assert rest_g < 0.05
    assert walk_g > 0.3


def motions(wearable: Wearable, blocks: list[Block]) -> tuple[float | None, ...]:
    first_s, last_s = blocks[0].start_s, blocks[-1].start_s
    return wearable.motion_g(first_s, 10.0), wearable.motion_g(last_s - 10.0, 10.0)

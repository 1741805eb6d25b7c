"""Sample times against the truth that only a virtual world knows, on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from live_session import WALL_S, session

from plethprint.session import Wearable
from plethprint.stream_clock import align
from plethprint.stream_statistics import StreamStatistics
from plethprint_sim import virtual_time
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

RATE_HZ = 125.0


class Ramp:
    """A sensor whose samples cost nothing: what they show does not matter here."""

    sample_rate_hz, length = RATE_HZ, None

    def counts(self, first: int, count: int) -> Any:
        return np.arange(first, first + count, dtype=np.int32) % 1000


def worn(ppm: float, name: str = "pleth-01") -> VirtualWearable:
    return VirtualWearable(Ramp(), name=name, clock_error_ppm=ppm, buffer_s=5.0)


def watched(
    wearable: VirtualWearable, seconds: float, **radio: Any
) -> tuple[np.ndarray, StreamStatistics]:
    """(moment, error of a sample's time) per frame, seconds, with a stall at 30 s."""

    async def scenario() -> Any:
        errors: list[tuple[float, float]] = []
        async with VirtualWorld(wearable, seed=3, **radio) as world, session(world) as live:
            began_s = asyncio.get_running_loop().time()

            async def take() -> None:
                async for block in live.frames():
                    clock = wearable.device_firmware.clock
                    truth_s = WALL_S + clock.host_time_s(block.index)
                    now_s = asyncio.get_running_loop().time() - began_s
                    errors.append((now_s, block.start_s - truth_s))

            taking = asyncio.ensure_future(take())
            await asyncio.sleep(30.0)
            await world.stall(3.0)
            await asyncio.sleep(seconds - 33.0)
            taking.cancel()
            await asyncio.wait({taking})
            return np.array(errors), live.statistics()

    return virtual_time.run(scenario())


@pytest.mark.parametrize(
    ("interval_s", "ppm"), [(0.015, 50.0), (0.03, 50.0), (0.05, 50.0), (0.05, -50.0)]
)
def test_after_a_minute_sample_times_are_within_ten_milliseconds(
    interval_s: float, ppm: float
) -> None:
    errors, stats = watched(
        worn(ppm), 100.0, connection_interval_s=interval_s, packet_error=0.1
    )
    settled = np.abs(errors[errors[:, 0] > 60.0, 1])
    assert len(settled) > 300
    assert np.percentile(settled, 95) < 0.010
    assert stats.clock_uncertainty_s is not None
    assert stats.clock_uncertainty_s < 0.020
    assert abs(errors[-1, 1]) < 3 * stats.clock_uncertainty_s
    assert stats.missing_samples == 0


def test_a_drift_of_200_ppm_is_found_within_5_ppm_in_ten_minutes() -> None:
    ppm = 200.0
    _, stats = watched(worn(ppm), 600.0, connection_interval_s=0.05, packet_error=0.1)
    true_ppm = 1e6 * (1 / (1 + ppm * 1e-6) - 1)  # a fast device: host seconds are longer
    assert stats.clock_drift_ppm == pytest.approx(true_ppm, abs=5.0)
    assert stats.clock_drift_uncertainty_ppm is not None
    assert abs(stats.clock_drift_ppm - true_ppm) < 3 * stats.clock_drift_uncertainty_ppm


def test_two_wearables_are_aligned_on_the_hosts_clock() -> None:
    left, right = worn(50.0, "left"), worn(-50.0, "right")

    async def scenario() -> list[float]:
        async with (
            VirtualWorld(
                left, right, seed=1, packet_error=0.1, connection_interval_s=0.03
            ) as world,
            session(world, name="left") as one,
            session(world, name="right") as two,
        ):

            async def take(wearable: Wearable) -> None:
                async for _ in wearable.frames():
                    pass

            taking = [asyncio.ensure_future(take(wearable)) for wearable in (one, two)]
            errors = []
            await asyncio.sleep(60.0)
            for _ in range(6):
                await asyncio.sleep(10.0)
                both = align(one.stream_clock(), two.stream_clock())
                index = one.stream_clock().anchor_index
                truth_s = left.device_firmware.clock.host_time_s(index)
                matching = both.second_index(index)
                found_s = right.device_firmware.clock.host_time_s(round(matching))
                found_s += (matching - round(matching)) / RATE_HZ
                errors.append(found_s - truth_s)
                assert both.samples_per_sample == pytest.approx(1 - 1e-4, abs=2e-6)
                assert abs(errors[-1]) < 3 * both.uncertainty_s
            for task in taking:
                task.cancel()
            await asyncio.wait(taking)
            return errors

    errors = virtual_time.run(scenario())
    assert max(abs(error) for error in errors) < 0.010

"""Sample times of wearables that are not ours, against the moments they were taken.

The bounds are those of ``docs/personalities.md``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from live_session import placed, session, taken

from plethprint.block import Block
from plethprint_sim import Wearer, WearerStream
from plethprint_sim.personalities import PERSONALITIES, virtual_wearable
from plethprint_sim.world import VirtualWorld

SECONDS = 60.0
SETTLED_S = 20.0


@pytest.mark.parametrize(
    ("personality", "within_s"),
    [("polar", 0.005), ("muse", 0.010), ("openring", 0.010), ("colmi", 1.2)],
)
def test_samples_are_timed_as_well_as_the_wearable_lets(
    play: Callable[..., Any], personality: str, within_s: float
) -> None:
    rate_hz = PERSONALITIES[personality].sample_rate_hz
    source = WearerStream(Wearer(), seed=7, sample_rate_hz=rate_hz)
    device: Any = virtual_wearable(personality, source, clock_error_ppm=50.0)

    async def scenario(world: VirtualWorld) -> np.ndarray:
        clock = asyncio.get_running_loop().time
        async with session(world, wall_clock=clock) as wearable:
            blocks: list[Block] = await taken(wearable.frames(), SECONDS)
        sampling = device.device_firmware.sampling
        optics = device.optics() if callable(device.optics) else device.optics
        first, _ = placed(blocks, optics)
        settled = [b for b in blocks if b.index > SETTLED_S * sampling.rate_hz]
        return np.array(
            [
                block.start_s
                - sampling.clock.host_time_s(block.index - blocks[0].index + first)
                for block in settled
            ]
        )

    errors_s = play(
        scenario, wearable=device, seed=2, packet_error=0.1, connection_interval_s=0.03
    )
    assert len(errors_s) > 50
    assert np.abs(errors_s).max() < within_s

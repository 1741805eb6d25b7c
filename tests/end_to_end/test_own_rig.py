"""The rig on docs/sessions.md runs as printed, and its times are those of its own world."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.io import Recording
from plethprint_sim import virtual_time
from plethprint_sim.personalities import PERSONALITIES, virtual_wearable
from plethprint_sim.replay import ReplayStream
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sessions.md"


@pytest.fixture
def recording():
    t = np.arange(0, 60, 1 / 50)
    pulse = np.sin(2 * np.pi * 1.2 * t) + 0.3 * np.sin(2 * np.pi * 2.4 * t + 0.8)
    return Recording(pulse.astype(np.float32), 50.0, "sine")


def test_the_rig_on_the_page_runs_and_loses_its_link_once(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (rig,) = [block for block in blocks if "VirtualWorld" in block]
    told = []
    for _ in range(2):
        exec(compile(rig, PAGE.name, "exec"), {"__name__": "rig"})
        told.append(capsys.readouterr().out.splitlines())
    assert told[0] == told[1]
    *lines, statistics = told[0]
    starts = [float(line.split()[0]) for line in lines]
    assert len(starts) > 7
    assert starts == sorted(starts)
    assert 1.7e9 < starts[0] < starts[-1] < 1.7e9 + 90
    assert "link_gaps=1" in statistics


def test_times_in_a_virtual_world_go_on_over_a_lost_link(recording):
    async def scenario():
        starts = []
        wearable = VirtualWearable(ReplayStream(recording))
        async with VirtualWorld(wearable, seed=1) as world, world.connect() as connected:
            asyncio.get_running_loop().call_later(18.0, world.link_loss)
            async for fp in connected.fingerprints(hop_s=5):
                starts.append(fp.start)
                if len(starts) == 5:
                    return starts

    starts = virtual_time.run(scenario())
    assert (np.diff(starts) >= 4.9).all()


@pytest.mark.parametrize("personality", ["polar", "muse", "openring"])
def test_a_recording_of_any_rate_is_worn_by_any_wearable(recording, personality):
    async def scenario():
        rate_hz = PERSONALITIES[personality].rate_for(recording.sample_rate_hz)
        source = ReplayStream(recording, rate_hz)
        async with (
            VirtualWorld(virtual_wearable(personality, source), seed=1) as world,
            world.connect() as connected,
        ):
            async for fp in connected.fingerprints():
                return fp

    assert virtual_time.run(scenario()).heart_rate_bpm == pytest.approx(72, abs=2)

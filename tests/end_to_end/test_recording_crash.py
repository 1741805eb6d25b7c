"""A recording under way survives the kill of its process, and a disk that fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.cli.stream import follow
from plethprint.errors import RecordingWriteError, UnfinishedRecordingError
from plethprint.io import read_recording
from plethprint.recording import Recorder, finish_recording, journal_path, read_summary
from plethprint.recording.journal import JournalWriter
from plethprint_sim import virtual_time
from plethprint_sim.world import VirtualWorld

STREAMER = textwrap.dedent(
    """
    import asyncio, sys
    from plethprint import connect
    from plethprint.recording import record
    from plethprint_sim import Wearer, WearerStream
    from plethprint_sim.wearable import VirtualWearable
    from plethprint_sim.world import VirtualWorld

    async def main():
        worn = VirtualWearable(WearerStream(Wearer(), seed=4, sample_rate_hz=125.0))
        async with VirtualWorld(worn, seed=1) as world:
            async with connect(backend=world.backend) as wearable:
                async with record(wearable, sys.argv[1]):
                    async for block in wearable.frames():
                        print(block.epoch, block.index + len(block.samples), flush=True)

    asyncio.run(main())
    """
)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_of_a_killed_recording_at_most_the_last_second_is_lost(tmp_path):
    path = tmp_path / "walk.npz"
    child = subprocess.Popen(
        [sys.executable, "-c", STREAMER, str(path)], stdout=subprocess.PIPE, text=True
    )
    seen = 0
    try:
        assert child.stdout is not None
        for line in child.stdout:
            seen = int(line.split()[1])
            if seen > 3 * 125:
                break
    finally:
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate(timeout=30)
    lines = [line.split() for line in rest.splitlines() if line.count(" ") == 1]
    seen = max([seen, *(int(words[1]) for words in lines)])
    assert child.returncode == -signal.SIGKILL
    assert not path.exists()
    with pytest.raises(UnfinishedRecordingError):
        Recorder(path)
    assert read_summary(path).ended is None
    finish_recording(path)
    with np.load(path) as archive:
        last = archive["blocks"][-1]
        first = archive["blocks"][0]
    assert last["index"] + last["samples"] > seen - 125
    assert read_recording(path).ppg.size == last["index"] + last["samples"] - first["index"]


@pytest.fixture
def world_of(make_wearable):
    def run(scenario):
        async def main():
            async with VirtualWorld(make_wearable(name="ring"), seed=1) as world:
                return await scenario(world)

        return virtual_time.run(main())

    return run


def test_a_disk_that_fills_up_ends_the_recording_and_not_the_stream(
    world_of, package, tmp_path, monkeypatch, capsys
):
    recorder = Recorder(tmp_path / "walk.npz")
    append, written = JournalWriter.append, []

    def filling(self, record):
        if len(written) > 40:
            raise RecordingWriteError("cannot write: No space left on device")
        written.append(record)
        append(self, record)

    monkeypatch.setattr(JournalWriter, "append", filling)

    async def scenario(world):
        await follow(
            recorder=recorder,
            as_json=True,
            seconds=26.5,
            backend=world.backend,
            package=package,
        )

    with pytest.raises(RecordingWriteError, match="s were kept"):
        world_of(scenario)
    assert len(capsys.readouterr().out.splitlines()) == 4  # all the fingerprints
    assert 3 < read_recording(recorder.path).duration_s < 8
    assert not journal_path(recorder.path).exists()


def test_a_clean_end_leaves_the_statistics_and_no_journal(world_of, package, tmp_path):
    recorder = Recorder(tmp_path / "walk.npz")

    async def scenario(world):
        await follow(recorder=recorder, seconds=12, backend=world.backend, package=package)

    world_of(scenario)
    assert recorder.summary is not None
    assert recorder.summary.ended == "ended"
    assert [file.name for file in tmp_path.iterdir()] == ["walk.npz"]
    with np.load(recorder.path) as archive:
        statistics = json.loads(str(archive["statistics"]))
        assert statistics["missing_samples"] == 0
        assert statistics["frames"] > 0
        assert int(archive["blocks"]["samples"].sum()) == archive["ppg"].size

"""What a virtual wearable streams lands in the log, once each; pairing from the CLI."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.cli.pair import pair_with
from plethprint.cli.sinks import LogSink
from plethprint.cli.stream import follow
from plethprint.io import read_recording
from plethprint.recording import Recorder
from plethprint.store import FingerprintStore
from plethprint_sim import virtual_time
from plethprint_sim.world import VirtualWorld

KEY = bytes(range(32))


@pytest.fixture
def play(make_wearable, package):
    """Run a coroutine of a virtual world on virtual time."""

    def run(scenario):
        async def main():
            async with VirtualWorld(make_wearable(name="ring"), seed=1) as world:
                return await scenario(world)

        return virtual_time.run(main())

    return run


def test_a_stream_is_kept_in_the_log_and_in_edf(play, package, tmp_path, capsys):
    pytest.importorskip("edfio", reason="needs the `io` extra")
    store = FingerprintStore(tmp_path / "log.db", key=KEY)
    recorder = Recorder(tmp_path / "kept.edf")

    async def scenario(world):
        await follow(
            recorder=recorder,
            sinks=[LogSink(store, "ada", keep_s=1e9)],
            as_json=True,
            seconds=26.5,
            backend=world.backend,
            package=package,
        )

    play(scenario)
    out, err = capsys.readouterr()
    live = [json.loads(line) for line in out.splitlines()]
    assert "appended 4 fingerprints" in err
    with FingerprintStore(tmp_path / "log.db", key=KEY, create=False) as log:
        rows = list(log.query(wearer="ada"))
    assert [row.fingerprint.vector.tolist() for row in rows] == [w["vector"] for w in live]
    assert [row.fingerprint.start for row in rows] == [w["start"] for w in live]
    assert len(rows) == 4
    times = [row.device_time_s for row in rows]
    assert [b - a for a, b in pairwise(times)] == [5.0] * 3
    assert all(row.wearable and row.gap_fraction == 0.0 for row in rows)
    assert read_recording(recorder.path).duration_s > 20


def test_pair_says_with_what(play):
    async def scenario(world):
        return await pair_with(backend=world.backend, name="ring")

    told = play(scenario)
    assert told["paired"] is True
    assert told["name"] == "ring"

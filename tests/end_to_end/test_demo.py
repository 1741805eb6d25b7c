"""The whole path with the shipped package: wearer, wearable, Bluetooth, fingerprints."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.cli.app import run
from plethprint.cli.demo import Rhythm
from plethprint.cli.stream import follow
from plethprint.errors import RecordingError
from plethprint.io import read_recording
from plethprint.recording import Recorder
from plethprint_sim import virtual_time
from plethprint_sim.rhythm import RHYTHMS
from plethprint_sim.stream import WearerStream
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.wearer import Wearer
from plethprint_sim.world import VirtualWorld

CALM = Wearer(heart_rate_bpm=72.0, motion_rate=0.0)


@pytest.fixture
def demo(capsys):
    """Run `plethprint demo --virtual-time --json` and give the object it prints."""

    def _demo(*arguments):
        assert run(["demo", "--virtual-time", "--json", *map(str, arguments)]) == 0
        return json.loads(capsys.readouterr().out)

    return _demo


@pytest.fixture
def recording(tmp_path):
    """Write a minute of a virtual wearer as .npz; with_ecg=False leaves the ECG out."""

    def write(with_ecg=True, seconds=60):
        ppg, ecg = WearerStream(CALM, seed=3).read(0, seconds * 125)
        arrays = {"ppg": ppg, "fs_ppg": 125.0, "subject": "someone"}
        if with_ecg:
            arrays |= {"ecg": ecg, "fs_ecg": 125.0}
        file = tmp_path / "someone.npz"
        np.savez(file, **arrays)
        return file

    return write


def test_forty_seconds_give_seven_fingerprints_and_lose_nothing(demo):
    told = demo("--seconds", 40)
    assert told["fingerprints"] == len(told["windows"]) == 7
    assert told["samples"] >= 40 * 125
    assert told["frames"] > 250
    assert told["missing_samples"] == 0
    assert told["duplicates"] == 0
    assert told["link_gaps"] == told["reconnects"] == 0
    assert told["paired"] is True
    assert told["teacher_sees"] == "both"
    assert [window["start_s"] for window in told["windows"]] == [5.0 * k for k in range(7)]
    assert len(told["stream_sha256"]) == 64
    parity = told["parity"]
    assert set(parity) == {"golden_max_lsb", "cosine", "centred_cosine", "overlap_at_10"}
    assert parity["golden_max_lsb"] <= 2
    assert -1 <= parity["centred_cosine"] <= 1
    assert parity["overlap_at_10"] == pytest.approx(
        np.mean([window["overlap_at_10"] for window in told["windows"]])
    )


def test_the_device_agrees_with_the_teacher_far_above_chance(demo):
    told = demo("--seconds", 60)
    assert told["parity"]["centred_cosine"] > 0.5
    assert told["parity"]["overlap_at_10"] > 0.2


def test_the_same_seed_streams_the_same_bytes_in_another_process(demo):
    told = demo("--seconds", 12)
    command = [sys.executable, "-m", "plethprint", "demo", "--virtual-time", "--json"]
    done = subprocess.run(
        [*command, "--seconds", "12"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
    )
    again = json.loads(done.stdout)
    assert again["stream_sha256"] == told["stream_sha256"]
    assert again["windows"][0]["vector"] == told["windows"][0]["vector"]
    other = demo("--seconds", 12, "--seed", 2)
    assert other["stream_sha256"] != told["stream_sha256"]


def test_out_of_range_is_counted_and_no_window_spans_it(demo):
    told = demo("--seconds", 50, "--link-loss-at", 17, "--link-loss-s", 6)
    assert told["link_gaps"] == 1
    assert told["reconnects"] == 1
    assert told["missing_samples"] > 125
    assert told["samples"] + told["missing_samples"] >= 50 * 125
    starts = [window["start_s"] for window in told["windows"]]
    assert all(start + 10 < 17.5 or start > 20 for start in starts)
    assert any(start > 20 for start in starts)
    assert all(window["missing"] == 0 for window in told["windows"])


def test_a_paired_recording_is_worn_and_the_teacher_sees_its_ecg(demo, recording):
    told = demo("--replay", recording())
    assert told["source"] == "someone"
    assert told["teacher_sees"] == "both"
    assert told["fingerprints"] == 7
    assert told["missing_samples"] == 0
    rates = [window["heart_rate_bpm"] for window in told["windows"]]
    assert np.allclose(rates, 72, atol=6)


def test_a_recording_without_ecg_is_compared_with_the_teacher_of_ppg_alone(demo, recording):
    told = demo("--replay", recording(with_ecg=False), "--seconds", 20)
    assert told["teacher_sees"] == "ppg"
    assert told["fingerprints"] == 3


def test_a_recording_shorter_than_asked_ends_the_demo(demo, recording):
    told = demo("--replay", recording(seconds=21), "--seconds", 60)
    assert told["fingerprints"] == 3


def test_a_recording_too_short_to_replay_is_refused(recording, capsys):
    assert run(["demo", "--virtual-time", "--replay", str(recording(seconds=8))]) == 1
    assert "8.0 s" in capsys.readouterr().err


def test_a_demo_without_a_single_window_says_so_and_fails(capsys):
    trouble = ["--seconds", "12", "--link-loss-at", "5", "--link-loss-s", "8"]
    assert run(["demo", "--virtual-time", *trouble]) == 1
    assert "no window of 10 s" in capsys.readouterr().out


def test_without_a_terminal_each_window_is_one_plain_line(capsys):
    assert run(["demo", "--virtual-time", "--seconds", "20", "--rhythm", "af"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split(" s ")[0] for line in lines[:3]] == ["0–10", "5–15", "10–20"]
    assert "3 fingerprints" in out
    assert "paired" in err
    assert "self-test" in err


def test_the_picture_of_the_readme_is_a_drawing_of_a_real_run(tmp_path):
    file = tmp_path / "demo.svg"
    assert run(["demo", "--virtual-time", "--seconds", "12", "--svg", str(file)]) == 0
    assert file.read_text().startswith("<svg")
    assert "fingerprint" in file.read_text()
    assert "http" not in file.read_text().replace("http://www.w3.org/2000/svg", "").replace(
        "https://www.textualize.io", ""
    )


def test_the_command_line_knows_the_rhythms_of_the_simulator():
    assert [rhythm.value for rhythm in Rhythm] == list(RHYTHMS)


def test_sim_without_a_transport_shows_what_the_wearable_says(capsys):
    assert run(["sim", "--json", "--name", "ring"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "ring"
    assert told["paired"] is True
    assert told["rates_hz"] == [125.0]


def test_sim_wears_a_recording_that_does_not_say_its_rate(tmp_path, capsys):
    table = tmp_path / "walk.csv"
    beat = np.sin(2 * np.pi * 1.2 * np.arange(1200) / 50)
    np.savetxt(table, np.stack([beat, 0 * beat], 1), delimiter=",", header="left,right")
    table.write_text(table.read_text().replace("# ", ""))
    wear = ["sim", "--json", "--replay", str(table)]
    assert run([*wear, "--sample-rate-hz", "50", "--column", "left"]) == 0
    assert json.loads(capsys.readouterr().out)["rates_hz"] == [50.0]


def test_a_transport_that_is_none_is_one_sentence(capsys):
    assert run(["sim", "--transport", "pigeon:1"]) == 1
    assert "pigeon:1" in capsys.readouterr().err


def test_stream_prints_fingerprints_and_keeps_the_samples(tmp_path, capsys):
    recorder = Recorder(tmp_path / "kept.npz")

    async def main():
        wearable = VirtualWearable(WearerStream(CALM, seed=4), name="ring")
        async with VirtualWorld(wearable, seed=1) as world:
            await follow(
                recorder=recorder, as_json=True, seconds=21.5, backend=world.backend
            )

    virtual_time.run(main())
    out, err = capsys.readouterr()
    live = [json.loads(line) for line in out.splitlines()]
    assert len(live) == 3
    assert "connected to ring" in err
    kept = read_recording(recorder.path)
    assert kept.sample_rate_hz == 125.0
    assert kept.missing == 0
    assert run(["embed", str(recorder.path), "--json"]) == 0
    embedded = json.loads(capsys.readouterr().out)["windows"]
    assert [w["vector"] for w in embedded[:3]] == [w["vector"] for w in live]


def test_a_recording_survives_a_lost_link_with_its_gap(tmp_path, capsys):
    recorder = Recorder(tmp_path / "kept.npz")

    async def main():
        wearable = VirtualWearable(WearerStream(CALM, seed=4), name="ring")
        async with VirtualWorld(wearable, seed=1) as world:
            following = asyncio.create_task(
                follow(recorder=recorder, seconds=40, backend=world.backend)
            )
            await asyncio.sleep(15)
            world.link_loss()
            world.air.adv_loss = 1.0
            await asyncio.sleep(8)
            world.air.adv_loss = 0.0
            await following

    virtual_time.run(main())
    assert "link gaps 1" in capsys.readouterr().err
    kept = read_recording(recorder.path)
    gap_s = float(np.isnan(kept.ppg).sum()) / 125
    assert 4 < gap_s < 12
    assert kept.duration_s == pytest.approx(40, abs=3)


@pytest.mark.parametrize("name", ["kept.csv", "nowhere/kept.npz"])
def test_a_recording_that_cannot_be_kept_is_refused_before_connecting(name, tmp_path):
    with pytest.raises(RecordingError):
        Recorder(tmp_path / name)


def test_a_demo_leaves_the_log_level_of_the_library_as_it_was(demo):
    before = logging.getLogger("plethprint").level
    demo("--seconds", 12)
    assert logging.getLogger("plethprint").level == before


@pytest.mark.parametrize("personality", ["polar", "muse", "openring"])
def test_wearables_of_other_protocols_give_fingerprints_near_the_teachers(
    demo, personality
):
    report = demo("--personality", personality, "--seconds", 22)
    assert report["personality"] == personality
    assert report["fingerprints"] == 3
    assert report["missing_samples"] == 0
    assert report["device_runtime"] == ""
    assert report["parity"]["centred_cosine"] > 0.8


def test_a_demo_with_a_ring_that_is_too_slow_says_so(capsys):
    arguments = ["demo", "--virtual-time", "--json", "--personality", "colmi"]
    assert run(arguments) == 1
    assert json.loads(capsys.readouterr().out)["type"] == "SampleRateError"


def test_a_wearable_that_there_is_none_of_is_wrong_usage(capsys):
    for verb in ("demo", "sim"):
        assert run([verb, "--personality", "morse"]) == 2
    assert "'morse' is not known" in capsys.readouterr().err


@pytest.mark.parametrize("personality", ["polar", "muse", "openring", "colmi"])
def test_sim_looks_at_a_wearable_of_another_protocol(capsys, personality):
    assert run(["sim", "--personality", personality, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["personality"] == personality
    assert facts["channels"]

"""The command line: what goes where, and what a person is told when something is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plethprint.cli.app import run
from plethprint.cli.output import plain, print_json, sparkline
from plethprint.cost import Band
from plethprint.cost.words import band
from plethprint.signature import TRUSTED_KEYS_ENV

VERBS = (
    "demo",
    "scan",
    "pair",
    "stream",
    "recover",
    "export",
    "prune",
    "embed",
    "parity",
    "evaluate",
    "info",
    "report",
    "sim",
    "bench",
    "train",
    "quantize",
    "firmware",
)


@pytest.fixture
def tiny(package_folder, trusted, tmp_path, monkeypatch):
    """Arguments that choose the tiny package, whose maker is trusted for this test."""
    keys = tmp_path / "trusted.json"
    keys.write_text(json.dumps(trusted))
    monkeypatch.setenv(TRUSTED_KEYS_ENV, str(keys))
    return ["--package", str(package_folder)]


@pytest.fixture
def pulse_csv(tmp_path, make_pulses):
    """Write 30 s of pulse at 64 Hz as CSV, after a change to the values."""

    def write(change=lambda values: values, name="pulse.csv", seconds=30.0):
        values = change(make_pulses(1, seconds=seconds)[0])
        file = tmp_path / name
        lines = ["ppg", *(f"{v:.5f}" for v in values)]
        file.write_text("\n".join(lines) + "\n")
        return str(file)

    return write


def _fails(capsys, *arguments):
    """The one sentence that a failing command says."""
    assert run([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("plethprint: ")
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb, capsys):
    assert run([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example:" in out
    assert "--json" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nope"],
        ["embed"],
        ["nosuchverb"],
        ["demo", "--seed", "x"],
        ["stream", "--personality", "morse"],
        ["stream", "--golden-max-lsb", "2"],
        ["demo", "--seconds", "nan"],
    ],
)
def test_wrong_usage_exits_2_and_says_so_on_stderr(arguments, capsys):
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err


def test_the_version_is_told(capsys):
    import plethprint

    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == plethprint.__version__


def test_help_needs_no_runtime_and_no_bluetooth():
    code = (
        "import sys; from plethprint.cli.app import run; run(['--help']);"
        "print([m for m in ('torch','onnx','onnxruntime','bleak','bumble','scipy') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_embed_prints_a_line_per_window(tiny, pulse_csv, capsys):
    assert run(["embed", pulse_csv(), "--sample-rate-hz", "64", *tiny]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [float(line.split()[0]) for line in lines] == [0.0, 5.0, 10.0, 15.0, 20.0]
    assert all("quality" in line for line in lines)


def test_embed_writes_and_lists_the_same_fingerprints(tiny, pulse_csv, tmp_path, capsys):
    out = tmp_path / "fingerprints"  # numpy would add .npz by itself
    arguments = [
        "embed",
        pulse_csv(),
        "--sample-rate-hz",
        "64",
        "--out",
        str(out),
        "--json",
    ]
    assert run([*arguments, *tiny]) == 0
    told = json.loads(capsys.readouterr().out)
    with np.load(out) as written:
        assert written["vectors"].dtype == np.int8
        assert written["vectors"].tolist() == [w["vector"] for w in told["windows"]]
        assert written["start_s"].tolist() == [w["start_s"] for w in told["windows"]]
        assert np.allclose(written["quality"], [w["quality"] for w in told["windows"]])
        assert str(written["model"]) == told["model"]


def test_embed_reads_a_table_from_stdin(tiny, pulse_csv, capsys, monkeypatch):
    content = Path(pulse_csv()).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(["embed", "-", "--sample-rate-hz", "64", "--json", *tiny]) == 0
    assert len(json.loads(capsys.readouterr().out)["windows"]) == 5


def test_missing_samples_are_flagged_and_not_fatal(tiny, pulse_csv, capsys):
    def with_gap(values):
        values[640:1280] = np.nan
        return values

    assert (
        run(["embed", pulse_csv(with_gap), "--sample-rate-hz", "64", "--json", *tiny]) == 0
    )
    windows = json.loads(capsys.readouterr().out)["windows"]
    inside = windows[2]
    assert inside["missing"] > 0.9
    assert inside["low_quality"]
    assert not windows[0]["low_quality"]


def test_a_constant_gives_windows_of_low_quality(tiny, pulse_csv, capsys):
    file = pulse_csv(lambda values: np.full_like(values, 512.0))
    assert run(["embed", file, "--sample-rate-hz", "64", "--json", *tiny]) == 0
    windows = json.loads(capsys.readouterr().out)["windows"]
    assert windows
    assert all(w["low_quality"] and w["heart_rate_bpm"] is None for w in windows)


def test_what_is_wrong_on_stdin_is_not_told_of_a_file_nobody_made(
    tiny, pulse_csv, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ppg\n1\n2\n")))
    told = _fails(capsys, "embed", "-", *tiny)
    assert "standard input does not say its sample rate" in told
    assert "tmp" not in told


def test_three_seconds_are_too_short_to_embed(tiny, pulse_csv, capsys):
    file = pulse_csv(seconds=3.0)
    told = _fails(capsys, "embed", file, "--sample-rate-hz", 64, *tiny)
    assert "3.0 s" in told
    assert "10 s" in told


def test_a_rate_of_7_hz_is_refused_with_the_range(tiny, pulse_csv, capsys):
    told = _fails(capsys, "embed", pulse_csv(), "--sample-rate-hz", 7, *tiny)
    assert "7 Hz" in told
    assert "20" in told
    assert "500" in told


def test_a_wrong_column_is_named_with_those_there_are(tiny, pulse_csv, capsys):
    told = _fails(
        capsys, "embed", pulse_csv(), "--sample-rate-hz", 64, "--column", "green", *tiny
    )
    assert "green" in told
    assert "ppg" in told


def test_a_missing_rate_is_asked_for(tiny, pulse_csv, capsys):
    assert "sample_rate_hz" in _fails(capsys, "embed", pulse_csv(), *tiny)


def test_a_file_that_is_not_there_is_named(tiny, tmp_path, capsys):
    assert "gone.csv" in _fails(capsys, "embed", tmp_path / "gone.csv", *tiny)


def test_a_folder_that_cannot_be_written_is_named(tiny, pulse_csv, tmp_path, capsys):
    out = tmp_path / "nowhere" / "fp.npz"
    told = _fails(capsys, "embed", pulse_csv(), "--sample-rate-hz", 64, "--out", out, *tiny)
    assert "nowhere" in told


def test_with_json_an_error_is_one_object_on_stdout(tiny, tmp_path, capsys):
    assert run(["embed", str(tmp_path / "gone.csv"), "--json", *tiny]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["type"] == "RecordingError"
    assert "gone.csv" in told["error"]
    assert err == ""


def test_info_tells_size_cost_data_and_parity(tiny, capsys):
    assert run(["info", "--json", *tiny]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == "tiny"
    assert told["dim"] == 64
    assert told["rate_hz"] == 64.0
    assert told["parameters"] > 0
    assert told["mmac"] == pytest.approx(0.0106, rel=0.01)
    folder = Path(tiny[1])
    assert told["bytes"] == {
        "onnx": (folder / "encoder.onnx").stat().st_size,
        "tflite": (folder / "encoder.tflite").stat().st_size,
    }
    assert told["ops"] == ["CONV_2D", "MEAN", "FULLY_CONNECTED"]
    assert told["training_data"][0]["licence"] == "CC0"
    assert "parity" in told
    assert run(["info", *tiny]) == 0
    assert "tiny" in capsys.readouterr().out


def test_parity_tells_three_levels_and_their_thresholds(tiny, capsys):
    assert run(["parity", "--json", *tiny]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    onnx = told["runtimes"]["onnx"]
    assert set(onnx) == {"golden", "quantisation", "teacher"}
    assert onnx["golden"]["at_most"] == {"max_lsb": 2.0}
    assert (
        onnx["quantisation"]["centred_cosine"]
        >= onnx["quantisation"]["at_least"]["centred_cosine"]
    )


def test_parity_exits_1_when_a_figure_falls_short(tiny, rewrite, capsys):
    bars = {
        "golden_max_lsb": {"onnx": 2, "litert": 1, "tflm": 0},
        "quantisation": {"centred_cosine": 0.95},
        "teacher": {"centred_cosine": 0.999},
    }
    rewrite(Path(tiny[1]), thresholds=bars)
    assert run(["parity", *tiny]) == 1
    out, err = capsys.readouterr()
    assert "FAIL" in out
    assert "centred_cosine" in err
    assert "below 0.999" in err


@pytest.mark.parametrize("file", ["encoder.onnx", "encoder.tflite", "golden.npz"])
def test_parity_names_the_file_with_one_byte_changed(tiny, file, capsys):
    path = Path(tiny[1]) / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert file in _fails(capsys, "parity", *tiny)


def test_bench_times_every_installed_runtime(tiny, capsys):
    assert run(["bench", "--rounds", "3", "--json", *tiny]) == 0
    ms = json.loads(capsys.readouterr().out)["ms_per_window"]
    assert {"preprocessing", "encoder onnx", "whole path"} <= set(ms)
    assert all(value > 0 for value in ms.values())


@pytest.mark.parametrize(
    ("arguments", "module", "extra"),
    [
        (["demo"], "bumble", "sim"),
        (["sim"], "bumble", "sim"),
        (["train", "pretrain"], "torch", "train"),
        (["evaluate", "--corpus", "x"], "torch", "train"),
        (["quantize", "--out", "x"], "onnx", "quantize"),
    ],
)
def test_a_missing_extra_is_one_sentence_with_the_command(
    arguments, module, extra, monkeypatch, capsys
):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else find(name)
    )
    assert f"pip install 'plethprint[{extra}]'" in _fails(capsys, *arguments)


def test_a_reader_that_leaves_early_is_no_error(tiny, pulse_csv):
    command = [sys.executable, "-m", "plethprint", "embed", pulse_csv(), "--hop-s", "0.25"]
    done = subprocess.run(
        f"{' '.join([*command, '--sample-rate-hz', '64', *tiny])} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "quality" in done.stdout
    assert done.stderr == ""


def test_ctrl_c_exits_130(monkeypatch, capsys):
    import plethprint.ble.scan

    async def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(plethprint.ble.scan, "scan", interrupted)
    assert run(["scan"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_scan_lists_what_was_heard(monkeypatch, capsys):
    import plethprint.ble.scan

    asked = []

    async def heard(seconds, *, name, min_rssi_dbm, **_):
        asked.append((seconds, name, min_rssi_dbm))
        return [plethprint.ble.scan.FoundWearable("AA:BB", "ring", -50, "open", None)]

    monkeypatch.setattr(plethprint.ble.scan, "scan", heard)
    assert (
        run(["scan", "--seconds", "2", "--name", "ri*", "--min-rssi", "-60", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out) == {
        "wearables": [
            {"address": "AA:BB", "name": "ring", "rssi_dbm": -50, "personality": "open"}
        ]
    }
    assert run(["scan", "--seconds", "2"]) == 0
    assert "ring" in capsys.readouterr().out
    assert asked == [(2.0, "ri*", -60), (2.0, None, None)]


def test_numbers_that_json_has_not_become_null(capsys):
    print_json({"a": np.float32(1.5), "b": np.nan, "c": np.arange(2), "d": Path("x")})
    assert json.loads(capsys.readouterr().out) == {
        "a": 1.5,
        "b": None,
        "c": [0, 1],
        "d": "x",
    }
    assert plain((np.int8(3), {"k": float("inf")})) == [3, {"k": None}]


def test_a_sparkline_shows_shape_whatever_the_size():
    assert sparkline([3, 3, 3]) == "▁▁▁"
    assert sparkline([-5, 5]) == "▁█"
    assert len(sparkline(np.arange(64), 32)) == 32
    assert sparkline([]) == ""


@pytest.mark.parametrize("polarity", ["down", "auto"])
def test_embed_turns_an_inverted_recording_over_when_told_to(
    tiny, pulse_csv, capsys, polarity
):
    def windows(*arguments):
        assert run(["embed", *arguments, "--sample-rate-hz", "64", "--json", *tiny]) == 0
        return json.loads(capsys.readouterr().out)["windows"]

    # Sharp above and broad below, as a pulse is.
    sharp = lambda values: np.exp(3 * (values - values.min()) / np.ptp(values))
    up = windows(pulse_csv(sharp))
    down = pulse_csv(lambda values: -sharp(values), name="down.csv")
    assert windows(down, "--polarity", polarity)[1:] == up[1:]
    assert windows(down)[-1]["inverted"] > 0.5 > up[-1]["inverted"]


def test_report_tells_counted_figures_as_json(tiny, capsys):
    assert run(["report", "--json", *tiny]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["network"]["macs"] == sum(s["macs"] for s in told["network"]["steps"])
    assert told["firmware"] is None


def test_report_writes_a_page_whole_or_not_at_all(tiny, tmp_path, capsys):
    page = tmp_path / "cost.html"
    assert run(["report", "--html", str(page), *tiny]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "cost.html" in err
    assert page.read_text(encoding="utf-8").endswith("</html>\n")
    assert not list(tmp_path.glob("*.part"))
    _fails(capsys, "report", "--html", tmp_path / "none" / "cost.html", *tiny)
    assert "folder" in _fails(capsys, "report", "--html", tmp_path, *tiny)


def test_report_refuses_a_measurement_of_another_architecture(tmp_path, capsys):
    file = tmp_path / "measured.json"
    file.write_text('{"shape": "00000000", "cores": {"m4f": {}}}')
    page = tmp_path / "cost.html"
    told = _fails(capsys, "report", "--firmware", file, "--html", page)
    assert "00000000" in told
    assert not page.exists()


def test_the_docs_tell_what_the_report_of_the_shipped_package_tells(capsys):
    assert run(["report", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    docs = Path(__file__).resolve().parents[2] / "docs" / "cost.md"
    told = docs.read_text(encoding="utf-8")
    for name in ("parameters", "macs", "constant_bytes", "activation_bytes"):
        assert f"{made['network'][name]:,}" in told, name
    for projection in made["projections"]:
        for unit in ("ms", "uj"):
            if projection[unit] is not None:
                assert f"| {band(Band(**projection[unit]))} |" in told, projection
    for core in ("m3", "m4f", "m33", "m55"):
        counted = made["firmware"]["cores"][core]["instructions_per_window"]
        assert f"| {counted / 1e6:.2f} M |" in told, core
    for kept in made["storage_per_day"]:
        if "own input" not in kept["what"]:
            assert f"| {kept['bytes_per_day'] / 1e6:.2f} |" in told, kept


def test_report_of_the_shipped_package_tells_what_its_firmware_was_counted_at(capsys):
    assert run(["report", "--json", "--every-s", "5"]) == 0
    told = json.loads(capsys.readouterr().out)
    core = told["firmware"]["cores"]["m4f"]
    assert core["instructions_per_window"] == core["instructions_all_in"]
    assert {p["basis"] for p in told["projections"]} == {"MACs", "instructions"}

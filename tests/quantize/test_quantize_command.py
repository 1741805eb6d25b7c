import json
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch

from plethprint_quantize import pipeline
from plethprint_quantize.__main__ import main


@pytest.fixture
def folder(tmp_path, student, windows):
    folder = tmp_path / "student"
    folder.mkdir()
    state = {"model": student.state_dict(), "student": asdict(student.config)}
    torch.save(state, folder / "student.pt")
    np.save(folder / "calibration.npy", windows)
    return folder


def arguments(folder, *more):
    return ["--student", str(folder), "--out", str(folder.parent / "out"), *more]


def test_without_the_converter_one_sentence_names_the_extra(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    assert main(arguments(folder)) == 1
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("plethprint_quantize: Converting to TFLite needs")
    assert "plethprint[tflite]" in last


def test_an_unknown_method_is_told_in_one_sentence(folder, capsys):
    assert main(arguments(folder, "--method", "guess")) == 1
    assert "'guess' is not auto" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [("--windows", "0"), ("--windows", "x"), ("--seed", "-1")]
)
def test_a_number_out_of_range_is_wrong_usage(folder, capsys, wrong):
    with pytest.raises(SystemExit) as left:
        main(arguments(folder, *wrong))
    assert left.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_a_golden_file_that_is_none_is_told_in_one_sentence(folder, capsys):
    (folder / "golden.npz").write_bytes(b"PK\x03\x04 not really")
    assert main(arguments(folder)) == 1
    assert "golden.npz is not a numpy archive" in capsys.readouterr().err


def test_models_and_report_are_written_when_there_are_no_golden_windows(
    folder, monkeypatch, capsys, tiny_model
):
    pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")
    # what the converters make of this student is committed: they are tested in
    # test_conversion
    monkeypatch.setattr(pipeline, "convert_float", lambda deploy: b"")
    monkeypatch.setattr(pipeline, "quantize_int8", lambda model, ranges: tiny_model)
    assert main(arguments(folder, "--json")) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    out = folder.parent / "out"
    assert (out / "encoder.tflite").read_bytes() == tiny_model
    assert (out / "encoder.onnx").stat().st_size == told["bytes"]["encoder.onnx"]
    assert json.loads((out / "report.json").read_text())["macs"] == told["macs"] == 84_736
    assert set(told["calibration"]["tried"]) == {"min-max", "p99.99", "p99.9", "mse"}
    assert told["calibration"]["held_out_windows"] == 32


def test_learned_ranges_are_used_unless_calibrated_ones_are_asked_for(
    folder, monkeypatch, capsys, tiny_model
):
    pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")
    state = torch.load(folder / "student.pt", weights_only=True)
    ranges = [(0.0, 5.0)] * 8 + [(-9.0, 9.0)]
    torch.save({**state, "ranges": ranges}, folder / "student.pt")
    asked = []
    monkeypatch.setattr(pipeline, "convert_float", lambda deploy: b"")

    def note(model, ranges):
        asked.append(ranges)
        return tiny_model

    monkeypatch.setattr(pipeline, "quantize_int8", note)
    assert main(arguments(folder, "--json")) == 0
    told = json.loads(capsys.readouterr().out)["calibration"]
    assert (told["method"], told["windows"]) == ("learned", 0)
    assert [list(r.steps) for r in asked] == [ranges]
    assert main(arguments(folder, "--ranges", "calibrated", "--method", "mse")) == 0
    assert asked[-1].method == "mse"
    assert asked[-1].steps != tuple(ranges)
    capsys.readouterr()
    assert main(arguments(folder, "--equalize")) == 1
    assert "calibrate" in capsys.readouterr().err
    assert main(arguments(folder, "--ranges", "calibrated", "--equalize")) == 0


def test_learned_ranges_that_are_not_there_are_told_in_one_sentence(folder, capsys):
    assert main(arguments(folder, "--ranges", "learned")) == 1
    assert "--quantize-share" in capsys.readouterr().err


def test_name_and_version_given_stand_over_those_of_about(folder, monkeypatch):
    (folder / "about.json").write_text(json.dumps({"name": "told", "version": "1"}))
    seen = []
    monkeypatch.setattr(
        "plethprint_quantize.__main__._student",
        lambda arguments, beside, about: seen.append((about.name, about.version)) or {},
    )
    assert main(arguments(folder)) == 0
    assert main(arguments(folder, "--version", "3")) == 0
    assert main(arguments(folder, "--version", "3", "--name", "other")) == 0
    assert seen == [("told", "1"), ("told", "3"), ("other", "3")]

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from plethprint.errors import PackageIncompatibleError, RecordingError
from plethprint_distill.labelled_windows import ppg_windows
from plethprint_distill.windows import concatenate
from plethprint_quantize import comparison, recipe
from plethprint_quantize.__main__ import main
from plethprint_quantize.bias_correction import rounded_fingerprints
from plethprint_quantize.comparison import compare, markdown
from plethprint_quantize.held_out import held_out_windows
from plethprint_quantize.recipe import Recipe

RANGES = [(0.0, 6.0)] * 8 + [(-9.0, 9.0)]


@pytest.fixture(autouse=True)
def _pretended_int8(monkeypatch):
    """The converters are tested in test_conversion: here int8 is pretended in torch."""
    monkeypatch.setattr(recipe, "convert_float", lambda deploy: deploy)
    monkeypatch.setattr(recipe, "quantize_int8", lambda deploy, ranges: (deploy, ranges))
    run = lambda model, windows: rounded_fingerprints(*model, windows)
    monkeypatch.setattr(recipe, "run_tflite_micro", run)


@pytest.fixture
def folder(tmp_path, student, windows):
    folder = tmp_path / "student"
    folder.mkdir()
    state = {"model": student.state_dict(), "student": asdict(student.config)}
    torch.save({**state, "ranges": RANGES}, folder / "student.pt")
    np.save(folder / "calibration.npy", windows[:48])
    return folder


@pytest.fixture
def cache(tmp_path, windows):
    """Held-out windows as an earlier call left them: four people of BIDMC."""
    parts = [
        ppg_windows(part, f"bidmc/p{i}", f"r{i}", np.arange(12) * 10.0)
        for i, part in enumerate(np.split(windows[48:], 4))
    ]
    concatenate(parts).save(tmp_path / "cache/bidmc")
    return tmp_path / "cache"


def test_every_recipe_is_held_against_float_on_people_held_out(folder, cache, tmp_path):
    recipes = ("learned", "mse", "min-max+equalize+bias")
    found = compare(folder, tmp_path, recipes=recipes, cache=cache, pretend=True)
    assert found["runtime"] == "pretended"
    assert found["corpora"] == {"bidmc": {"windows": 48, "people": 4}}
    assert tuple(found["recipes"]) == recipes
    for row in found["recipes"].values():
        figures = row["bidmc"]
        for figure in figures.values():
            assert figure["low"] <= figure["mean"] <= figure["high"] <= 1.0
        assert figures["centred_cosine"]["mean"] > 0.9
        assert figures["centred_cosine_p5"]["mean"] < figures["centred_cosine"]["mean"]
    told = markdown(found)
    assert "| min-max+equalize+bias | 0.9" in told
    assert "48 windows of 4 people" in told


def test_pretended_and_converted_int8_take_the_same_way(folder, cache, tmp_path):
    recipes = ("min-max", "p99.9", "p99.9+bias", "mse+equalize")
    ways = [
        compare(folder, tmp_path, recipes=recipes, cache=cache, pretend=pretend)
        for pretend in (True, False)
    ]
    assert [way.pop("runtime") for way in ways] == ["pretended", "tflite-micro"]
    assert ways[0] == ways[1]


def test_the_goal_is_reached_only_by_what_is_at_it_on_every_corpus(
    folder, cache, tmp_path, monkeypatch
):
    found = compare(folder, tmp_path, recipes=["min-max", "p99.9"], cache=cache)
    cosines = {k: r["bidmc"]["centred_cosine"]["mean"] for k, r in found["recipes"].items()}
    better = max(cosines, key=cosines.get)
    goal = {"centred_cosine": cosines[better], "overlap_at_10": 0.0}
    monkeypatch.setattr(comparison, "GOAL", goal)
    again = compare(folder, tmp_path, recipes=["min-max", "p99.9"], cache=cache)
    assert again["reached"] == [better]


def test_the_command_prints_a_table_or_json(folder, cache, tmp_path, capsys):
    words = ["compare", "--student", str(folder), "--corpus", str(tmp_path)]
    words += ["--cache", str(cache), "--recipes", "mse"]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("bidmc: 48 windows of 4 people")
    assert main([*words, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["recipes"]) == {"mse"}


@pytest.mark.parametrize(
    ("text", "said"),
    [("guess", "guess"), ("mse+magic", "magic"), ("learned+equalize", "calibrate")],
)
def test_an_unknown_recipe_is_refused(text, said):
    with pytest.raises(PackageIncompatibleError, match=said):
        Recipe.parse(text)


def test_learned_ranges_are_asked_of_a_student_that_has_them(
    folder, cache, tmp_path, student
):
    state = {"model": student.state_dict(), "student": asdict(student.config)}
    torch.save(state, folder / "student.pt")
    with pytest.raises(PackageIncompatibleError, match="no learned ranges"):
        compare(folder, tmp_path, recipes=["learned"], cache=cache)


def test_a_folder_without_the_corpora_is_told(tmp_path):
    with pytest.raises(RecordingError, match="bidmc"):
        held_out_windows(tmp_path)

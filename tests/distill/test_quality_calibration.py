"""The quality's weights and figures: who fits, who is asked, and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the `train` extra")

from plethprint.errors import RecordingError
from plethprint.signal_quality import MEASURES, REASONS, read_weights
from plethprint_distill.damage import DAMAGE
from plethprint_distill.quality_calibration import REASON_OF, figures, fitted_weights
from plethprint_distill.quality_windows import MOVING, QualityWindows, quality_windows
from plethprint_distill.splits import is_test_person

DATA = Path(__file__).parents[3] / "shared" / "data"


def made_up(people, each=6, seed=0):
    """Windows whose measures tell their kind, more or less."""
    rng = np.random.default_rng(seed)
    kinds = ["clean", *DAMAGE, MOVING]
    where = dict(zip(kinds, 3 * np.eye(len(MEASURES))[: len(kinds)], strict=True))
    where[MOVING] = where["motion"]
    kind = np.array([k for _ in range(people) for k in kinds for _ in range(each)])
    person = np.array([f"toy/{p}" for p in range(people) for _ in range(each * len(kinds))])
    noise = rng.normal(size=(len(kind), len(MEASURES)))
    return QualityWindows(
        np.stack([where[k] for k in kind.tolist()]) + noise,
        rng.random(len(kind)),
        kind,
        rng.random(len(kind)) < 0.3,
        person,
    )


def test_weights_are_as_the_sdk_reads_them_and_tell_kinds_apart(tmp_path, monkeypatch):
    weights = fitted_weights(made_up(20))
    file = tmp_path / "weights.json"
    file.write_text(json.dumps(weights))
    monkeypatch.setattr("plethprint.quality_weights.WEIGHTS_FILE", file)
    read_weights.cache_clear()
    told = figures(made_up(20, seed=1))["toy"]
    read_weights.cache_clear()
    monkeypatch.undo()
    assert told["people"] == 20
    assert told["host"]["every damage"]["mean"] > 0.9
    assert told["host"][MOVING]["mean"] > 0.9
    assert 0.3 < told["on_device"]["every damage"]["mean"] < 0.7
    assert told["calibration"]["error"] < 0.1
    assert told["reason"]["noise"]["right"] > 0.7
    for bin_ in told["calibration"]["bins"]:
        assert bin_["low"] <= bin_["mean"] <= bin_["high"]
    assert json.dumps(told)


def test_every_kind_of_damage_has_a_reason_that_the_sdk_knows():
    assert set(REASON_OF) == {"clean", MOVING, *DAMAGE}
    assert set(REASON_OF.values()) <= set(REASONS)


def test_the_weights_that_ship_are_of_these_measures():
    weights = read_weights()
    many = len(MEASURES)
    assert weights.weights.shape == (6, many + many * (many + 1) // 2)


def test_windows_are_made_of_clean_ones_and_every_damage(tmp_path):
    with pytest.raises(RecordingError):
        quality_windows({})
    if not (DATA / "bidmc").is_dir():
        pytest.skip("needs ../shared/data/bidmc")
    few = tmp_path / "bidmc"
    few.mkdir()
    for name in ("bidmc01.npz", "bidmc05.npz", "labels.csv"):
        (few / name).symlink_to(DATA / "bidmc" / name)
    windows = quality_windows({"bidmc": few})
    assert set(windows.kind.tolist()) == {"clean", *DAMAGE}
    assert len(windows) == 2 * 12 * 6
    clean = windows.kind == "clean"
    assert windows.on_device[clean].mean() > windows.on_device[~clean].mean() + 0.3
    again = quality_windows({"bidmc": few})
    assert np.array_equal(windows.measures, again.measures)
    assert isinstance(is_test_person(windows.person[0]), bool)

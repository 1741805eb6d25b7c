"""The command that makes the heart-rate head: who fits, who is asked, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the `train` extra")

from plethprint.errors import RecordingError
from plethprint.fingerprinter import Fingerprinter
from plethprint.head import Head
from plethprint.package import ModelPackage
from plethprint_distill.__main__ import main
from plethprint_distill.evaluation_sets import SETS
from plethprint_distill.heart_rate_head import (
    RatedWindows,
    fingerprints_of,
    fit_heart_rate,
    measured,
    windows_with_rates,
)
from plethprint_distill.labelled_windows import Library
from plethprint_distill.physiology import TARGETS
from plethprint_distill.splits import is_test_person

DATA = Path(__file__).parents[3] / "shared" / "data"
RATE = TARGETS.index("log_heart_rate")


@pytest.fixture(scope="module")
def rated(virtual):
    """Virtual wearers with the rate they were made with."""
    rate = np.exp(np.asarray(virtual.targets[:, RATE], np.float64))
    rows = np.flatnonzero(np.isfinite(rate))
    return RatedWindows(virtual.ppg[rows], rate[rows], np.asarray(virtual.person)[rows])


def test_a_head_is_fitted_bound_to_its_model_and_beats_the_mean(rated, tmp_path):
    fingerprinter = Fingerprinter()
    head = fit_heart_rate(fingerprinter, [rated])
    assert head.model == ModelPackage.load().model_id
    figures = head.figures["held_out"]
    assert figures["mae"] < 0.7 * figures["mae_of_mean"]
    prints = fingerprints_of(fingerprinter, rated.ppg[:60], "some")
    some = RatedWindows(rated.ppg[:60], rated.rate_bpm[:60], rated.person[:60])
    told = measured(head, prints, some)
    assert told["windows"] == 60
    assert told["mae"]["mean"] < told["mae_of_training_mean"]["mean"]
    assert 0.7 < told["coverage"]["mean"] <= 1.0
    head.save(tmp_path / "heart_rate.json")
    assert Head.load(tmp_path / "heart_rate.json").predict(prints) == head.predict(prints)


def test_the_corpora_that_fit_must_be_there(tmp_path, capsys):
    (tmp_path / "welltory").mkdir()
    assert main(["heads", "--data", str(tmp_path), "--out", str(tmp_path / "h")]) == 1
    assert not (tmp_path / "h").exists()


def test_people_who_fit_are_not_asked():
    if not (DATA / "bidmc").is_dir():
        pytest.skip("needs ../shared/data/bidmc")
    with pytest.raises(RecordingError):
        windows_with_rates(Library({}, SETS), "bidmc", test=True)
    one = Library({"bidmc": DATA / "bidmc"}, {"bidmc": ("bidmc", _few)})
    fit = set(windows_with_rates(one, "bidmc", test=False).person)
    asked = set(windows_with_rates(one, "bidmc", test=True).person)
    assert fit
    assert asked
    assert not fit & asked
    assert all(is_test_person(p) for p in asked)


def _few(folder):
    """The windows of a few recordings: reading all of them takes too long here."""
    from plethprint_distill.corpora import CORPORA
    from plethprint_distill.labelled_windows import LabelledWindows, joined
    from plethprint_distill.windows import windows_of_recording

    made = []
    for recording in CORPORA["bidmc"].read(folder, [f"bidmc0{n}.npz" for n in range(1, 9)]):
        windows = windows_of_recording(recording, hop_s=60.0, cold_share=0.0)
        made.append(LabelledWindows(windows, {}))
    return joined(made)


def test_the_shipped_head_tells_what_it_gave_on_people_held_out():
    model = ModelPackage.load().model_id
    try:
        head = Head.shipped("heart_rate", model)
    except ValueError:
        pytest.skip("the shipped model has no head yet; see docs/heads.md")
    for corpus, told in head.figures["tested"].items():
        assert told["mae"]["mean"] < told["mae_of_training_mean"]["mean"], corpus
        assert told["mae"]["low"] <= told["mae"]["mean"] <= told["mae"]["high"]
    assert json.dumps(head.figures)

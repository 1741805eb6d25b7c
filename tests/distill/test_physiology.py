"""Read-out targets and R peaks, held against beats that are known."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint.signal import ECG
from plethprint_distill.physiology import (
    SHAPE_POINTS,
    TARGETS,
    beats_of_ecg,
    interval_targets,
    pulse_shape,
)
from plethprint_distill.statistics import mean_over_people
from plethprint_sim import Wearer, WearerStream


def test_targets_of_a_metronome_are_its_rate_and_no_variation() -> None:
    rate, spread, steps, early, late = interval_targets(np.arange(0.0, 10.0, 0.75))
    assert np.exp(rate) == pytest.approx(80.0)
    assert spread == pytest.approx(np.log(0.005))
    assert steps == pytest.approx(np.log(0.005))
    assert early == late == 0.0


def test_an_early_beat_shows_as_early_and_as_variation() -> None:
    regular = np.arange(0.0, 10.0, 0.8)
    early = regular.copy()
    early[5] -= 0.3
    assert interval_targets(early)[1] > interval_targets(regular)[1] + 1.0
    assert interval_targets(early)[3] == pytest.approx(1 / 12)
    assert interval_targets(early)[4] == pytest.approx(1 / 12)  # the pause behind it


@pytest.mark.parametrize("beats", [[], [1.0], [1.0, 2.0, 3.0], [0.0, 0.1, 0.2, 0.3, 0.4]])
def test_too_few_beats_or_impossible_ones_are_unknown(beats: list[float]) -> None:
    assert np.isnan(interval_targets(np.array(beats))).all()


def test_the_mean_pulse_does_not_depend_on_the_pulse_delay() -> None:
    time_s = np.arange(640) / 64.0
    beats = np.arange(0.3, 10.0, 0.8)
    shapes = []
    for delay_s in (0.2, 0.6):
        phase = ((time_s - 0.3 - delay_s) % 0.8) / 0.8
        window = np.rint(100 * np.exp(-(((phase - 0.3) / 0.1) ** 2)) - 30).astype(np.int8)
        shapes.append(pulse_shape(window, beats))
    assert shapes[0].shape == (SHAPE_POINTS,)
    np.testing.assert_allclose(shapes[0], shapes[1], atol=0.15)
    assert np.isnan(pulse_shape(np.zeros(640, np.int8), beats)).all()


def test_names_of_targets_are_distinct() -> None:
    assert len(set(TARGETS)) == len(TARGETS)


def test_r_peaks_of_a_virtual_wearer_are_found_where_they_are() -> None:
    pytest.importorskip("sleepecg", reason="needs the `train` extra")
    from plethprint_distill.reconstruction import peak_f1, r_peaks

    stream = WearerStream(Wearer(heart_rate_bpm=72.0), seed=3, sample_rate_hz=ECG.rate_hz)
    _, ecg = stream.read(0, int(60 * ECG.rate_hz))
    assert ecg is not None
    truth = np.asarray(stream.beat_times_s(0.0, 60.0))
    assert peak_f1(beats_of_ecg(ecg, ECG.rate_hz), truth, 0.05) > 0.95
    inside = truth[(truth >= 20.0) & (truth < 30.0)] - 20.0
    window = ecg[int(20 * ECG.rate_hz) : int(30 * ECG.rate_hz)]
    assert peak_f1(r_peaks(window), inside, 0.05) > 0.9
    assert r_peaks(np.zeros(1280)).size == 0


def test_intervals_are_over_people_not_over_windows() -> None:
    values = np.array([0.0] * 100 + [1.0])
    person = np.array(["a"] * 100 + ["b"])
    found = mean_over_people(values, person)
    assert found.mean == 0.5
    assert (found.low, found.high) == (0.0, 1.0)
    assert found.people == 2
    assert np.isnan(mean_over_people([np.nan], np.array(["a"])).mean)

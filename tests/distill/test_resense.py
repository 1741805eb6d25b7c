"""Other sensors keep the beats; damage is told as exactly as it was done."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint.quality import heart_rate_bpm
from plethprint_distill.corpora import CorpusRecording
from plethprint_distill.physiology import target_column
from plethprint_distill.resense import damage, resense, resensed_windows
from plethprint_distill.windows import windows_of_recording
from plethprint_sim import Wearer, WearerStream


@pytest.fixture(scope="module")
def recording() -> CorpusRecording:
    ppg, ecg = WearerStream(Wearer(heart_rate_bpm=72.0), seed=4).read(0, 125 * 180)
    return CorpusRecording("bidmc", "p", "r", ppg, 125.0, ecg, 125.0)


def test_a_minute_through_any_sensor_has_the_same_heart_rate(
    recording: CorpusRecording,
) -> None:
    assert recording.ppg is not None
    clean = windows_of_recording(recording, hop_s=10.0, cold_share=0.0)
    assert clean is not None
    truth = np.nanmedian(heart_rate_bpm(np.asarray(clean.ppg)))
    rng = np.random.default_rng(1)
    off = []
    for _ in range(20):
        worn, rate_hz = resense(recording.ppg.astype(np.float64), 125.0, rng)
        other = CorpusRecording("bidmc", "p", "r", worn.astype(np.float32), rate_hz)
        windows = windows_of_recording(other, hop_s=10.0)
        assert windows is not None
        off.append(abs(np.nanmedian(heart_rate_bpm(np.asarray(windows.ppg))) - truth))
    assert np.median(off) < 1.0
    assert np.mean(np.array(off) > 3.0) < 0.2


def test_damage_is_told_and_grows_with_what_is_lost(recording: CorpusRecording) -> None:
    column = target_column("log_disturbance")
    ratios = []
    for seed in range(12):
        windows = resensed_windows(recording, seed=seed)
        assert windows is not None
        ratios.append(np.asarray(windows.targets[:, column]))
    told = np.exp(np.concatenate(ratios)) - 0.01
    told = told[np.isfinite(told)]
    assert (told < 0.03).mean() > 0.3  # most minutes are whole
    assert (told > 1.0).any()  # in some windows the disturbance is the larger part
    assert told.max() <= 100.01


def test_resensed_windows_keep_their_ecg_their_beats_and_their_person(
    recording: CorpusRecording,
) -> None:
    windows = resensed_windows(recording, seed=3)
    assert windows is not None
    assert windows.has_ecg.all()
    assert set(windows.person.tolist()) == {"bidmc/p"}
    rate = np.exp(windows.targets[:, target_column("log_heart_rate")])
    assert np.nanmedian(np.abs(rate - 72.0)) < 8.0
    again = resensed_windows(recording, seed=3)
    assert again is not None
    np.testing.assert_array_equal(windows.ppg, again.ppg)


def test_a_recording_of_ecg_alone_has_no_other_sensor(recording: CorpusRecording) -> None:
    alone = CorpusRecording("cinc2017", "p", "r", ecg=recording.ecg, ecg_rate_hz=125.0)
    assert resensed_windows(alone) is None


def test_damage_leaves_a_stretch_of_numbers() -> None:
    spoiled = damage(np.zeros(1000), 100.0, np.random.default_rng(2))
    assert spoiled.shape == (1000,)
    assert np.isfinite(spoiled).all()

"""Crops: the moment stays, where the window begins does not matter."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint.signal import ECG, PPG
from plethprint_distill.crops import CONTEXT_S, crop, room_samples
from plethprint_distill.physiology import target_column
from plethprint_distill.virtual import virtual_windows
from plethprint_distill.windows import WindowSet


@pytest.fixture(scope="module")
def longer() -> WindowSet:
    return virtual_windows(64, seed=6, chunk=64, context_s=CONTEXT_S)


def test_windows_with_context_are_a_second_longer(longer: WindowSet) -> None:
    assert room_samples(longer.ppg, PPG) == 64
    assert room_samples(longer.ecg, ECG) == 128
    assert longer.centred().ppg.shape == (64, PPG.window_samples)


def test_a_crop_is_normalised_as_a_window_of_its_own(longer: WindowSet) -> None:
    rows = crop(longer.ppg, PPG, np.arange(64))
    assert rows.shape == (64, 640)
    np.testing.assert_allclose(rows.mean(axis=1), 0.0, atol=0.1)
    assert np.median(rows.std(axis=1)) == pytest.approx(1.0, abs=0.02)


def test_crops_of_both_signals_show_one_moment(longer: WindowSet) -> None:
    early, late = (crop(longer.ecg, ECG, np.full(64, x)) for x in (0, 128))
    alike = [np.corrcoef(a[128:], b[:-128])[0, 1] for a, b in zip(early, late, strict=True)]
    assert np.median(alike) > 0.99


def test_windows_without_context_are_taken_as_they_are() -> None:
    rows = np.random.default_rng(0).integers(-127, 128, (3, 640)).astype(np.int8)
    steps = crop(rows, PPG, np.zeros(3, int)) / np.float32(PPG.input_scale)
    np.testing.assert_allclose(steps, rows, atol=1e-3)


def test_the_labels_are_those_of_the_middle(longer: WindowSet) -> None:
    from plethprint.quality import assess, heart_rate_bpm

    middle = longer.centred()
    rate = heart_rate_bpm(np.asarray(middle.ppg))
    truth = np.exp(longer.targets[:, target_column("log_heart_rate")])
    fair = (assess(np.asarray(middle.ppg)) > 0.8) & np.isfinite(rate)
    assert fair.sum() > 5
    assert np.median(np.abs(rate[fair] - truth[fair])) < 2.0

"""The host's quality: high for a clean pulse, low with the right word for a damaged one."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.errors import SignalError, WindowShapeError
from plethprint.fingerprint import LOW_QUALITY
from plethprint.signal import PPG, windows_of
from plethprint.signal_quality import (
    MEASURES,
    REASONS,
    judge,
    lowered,
    measures,
    perfusion_index,
    read_weights,
)

RATE_HZ = 64.0
T = np.arange(round(20 * RATE_HZ)) / RATE_HZ
WINDOWS = hnp.arrays(
    np.int8,
    st.tuples(st.integers(1, 5), st.just(PPG.window_samples)),
    elements=st.integers(-128, 127),
)


def pulse(rate_bpm=72.0, seed=0):
    """20 s of PPG: a fast rise, a slow fall, a second wave, beats a little uneven."""
    rng = np.random.default_rng(seed)
    beats = np.arange(-1, 21, 60 / rate_bpm)
    beats = beats + rng.normal(0, 0.015, beats.size)
    since = T[:, None] - beats[None]
    first = np.exp(-((since - 0.15) ** 2) / (2 * 0.07**2))
    second = np.exp(-((since - 0.42) ** 2) / (2 * 0.10**2))
    return (first + 0.4 * second).sum(axis=1) + 0.01 * rng.normal(size=T.size)


def last_window(signal):
    return windows_of(signal, RATE_HZ)[-1].samples[None]


def moved(seed):
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * (rng.uniform(0.7, 2.5) * T + rng.random()))
    wave += np.sin(2 * np.pi * (rng.uniform(1.0, 4.0) * T + rng.random()))
    inside = np.clip(1 - np.abs((T - rng.uniform(13, 17)) / 1.2), 0, None)
    return 4 * wave * inside


DAMAGES = {
    "noise": lambda seed: (
        pulse(seed=seed) + np.random.default_rng(seed).normal(0, 0.7, T.size)
    ),
    "motion": lambda seed: pulse(seed=seed) + moved(seed),
    "contact": lambda seed: np.where(T < 15, pulse(seed=seed), 0.2),
    "baseline": lambda seed: (
        pulse(seed=seed) + np.cumsum(np.random.default_rng(seed).normal(0, 1, T.size)) * 0.2
    ),
}


@pytest.mark.parametrize("share", [0.005, 0.01, 0.02, 0.03])
def test_a_saturated_sensor_that_flickers_is_not_taken_for_a_pulse(share):
    flicker = np.random.default_rng(0).random(64 * 600) < share
    rows = np.stack([w.samples for w in windows_of(4095.0 - flicker, RATE_HZ, hop_s=10)])
    qualities, reasons = judge(rows)
    assert (qualities < LOW_QUALITY).all()
    assert all(reasons)


@pytest.mark.parametrize("rate_bpm", [45, 60, 72, 90, 120])
def test_a_clean_pulse_is_of_high_quality_and_needs_no_reason(rate_bpm):
    qualities, reasons = judge(last_window(pulse(rate_bpm)))
    assert qualities[0] > 0.7
    assert reasons == [""]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_pulse_is_low_and_mostly_for_the_right_reason(damage):
    rows = np.concatenate([last_window(DAMAGES[damage](seed)) for seed in range(8)])
    qualities, reasons = judge(rows)
    assert (qualities < LOW_QUALITY).mean() >= 0.75
    flagged = [r for r in reasons if r]
    assert flagged.count(damage) >= 0.6 * len(flagged)


def test_a_flat_window_is_flat():
    qualities, reasons = judge(np.zeros((2, PPG.window_samples), np.int8))
    assert qualities.tolist() == [0.0, 0.0]
    assert reasons == ["flat", "flat"]


def test_missing_samples_lower_the_quality_and_are_the_reason_then():
    row = last_window(pulse())
    clean = judge(row)[0][0]
    lower, reasons = judge(np.repeat(row, 3, axis=0), [0.1, 0.3, 0.6])
    assert clean > lower[0] > lower[1] > lower[2] == 0.0
    assert reasons[1:] == ["gaps", "gaps"]


@settings(max_examples=25, deadline=None)
@given(WINDOWS)
def test_any_window_gets_a_share_a_known_reason_and_whichever_way_up_the_same(windows):
    qualities, reasons = judge(windows)
    assert ((qualities >= 0) & (qualities <= 1)).all()
    for quality, reason in zip(qualities.tolist(), reasons, strict=True):
        assert reason in REASONS
        assert bool(reason) == (np.float32(quality) < LOW_QUALITY)
    told = measures(windows)
    assert told.shape == (len(windows), len(MEASURES))
    assert np.isfinite(told).all()


def test_a_pulse_upside_down_is_rated_like_the_pulse():
    rows = np.concatenate([last_window(pulse(60 + 9 * n, n)) for n in range(5)])
    assert np.allclose(measures(rows), measures(-rows))


@settings(max_examples=20, deadline=None)
@given(WINDOWS)
def test_no_row_depends_on_its_neighbours(windows):
    together, _ = judge(windows)
    alone = [judge(row[None])[0][0] for row in windows]
    assert together.tolist() == alone


def test_motion_perfusion_and_contact_lower_what_the_window_does_not_show():
    assert lowered(0.9, "") == (0.9, "")
    assert lowered(0.9, "", motion_g=0.02, perfusion=0.01, off_skin=0.0) == (0.9, "")
    for evidence, reason in (
        ({"motion_g": 0.6}, "motion"),
        ({"perfusion": 0.0002}, "perfusion"),
        ({"off_skin": 0.4}, "contact"),
        ({"missing": 0.4}, "gaps"),
    ):
        quality, told = lowered(0.9, "", **evidence)
        assert quality < LOW_QUALITY
        assert told == reason
    assert lowered(0.1, "noise", motion_g=0.6)[1] == "noise"


def test_of_the_accelerometer_and_the_wearables_word_the_graver_counts():
    assert lowered(0.9, "", motion_g=0.0, moving=1.0) == (0.45, "motion")
    assert lowered(0.9, "", motion_g=0.6, moving=0.2) == (0.45, "motion")
    assert lowered(0.9, "", moving=0.5) == (pytest.approx(0.675), "")


def test_a_window_that_was_good_enough_is_not_the_reason():
    assert lowered(0.6, "", motion_g=0.4)[1] == "motion"
    assert lowered(0.55, "", perfusion=0.0008)[1] == "perfusion"


@pytest.mark.parametrize(
    "arguments",
    [
        (1.1, ""),
        (0.5, "sadness"),
        (float("nan"), ""),
        (0.5, "", {"missing": 2}),
        (0.5, "", {"motion_g": -1}),
        (0.5, "", {"motion_g": float("nan")}),
        (0.5, "", {"perfusion": float("nan")}),
        (0.5, "", {"off_skin": -0.1}),
        (0.5, "", {"moving": 1.1}),
    ],
    ids=str,
)
def test_evidence_out_of_range_is_refused(arguments):
    quality, reason, *more = arguments
    with pytest.raises(SignalError):
        lowered(quality, reason, **(more[0] if more else {}))


def test_perfusion_is_the_pulse_over_the_level():
    counts = 100_000 + 500 * np.sin(np.arange(640) / 8)
    assert perfusion_index(counts) == pytest.approx(0.01, rel=0.02)
    counts[100:110] = np.nan
    assert perfusion_index(counts) == pytest.approx(0.01, rel=0.02)
    assert perfusion_index(np.zeros(5)) == np.inf
    with pytest.raises(SignalError):
        perfusion_index([np.nan])


@pytest.mark.parametrize(
    ("windows", "missing"),
    [
        (np.zeros((1, 5), np.int8), 0.0),
        (np.zeros((1, PPG.window_samples)), 0.0),
        (np.zeros((1, PPG.window_samples), np.int8), 1.5),
        (np.zeros((2, PPG.window_samples), np.int8), [0.1, 0.2, 0.3]),
        (np.zeros((1, PPG.window_samples), np.int8), float("nan")),
    ],
    ids=["short", "float", "share", "count", "nan"],
)
def test_windows_of_another_shape_and_shares_that_are_none_are_refused(windows, missing):
    with pytest.raises(WindowShapeError):
        judge(windows, missing)


def test_no_windows_have_no_quality():
    qualities, reasons = judge(np.empty((0, PPG.window_samples), np.int8))
    assert qualities.shape == (0,)
    assert reasons == []


def test_weights_of_other_measures_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "weights.json"
    file.write_text('{"measures": ["height"], "classes": []}')
    monkeypatch.setattr("plethprint.quality_weights.WEIGHTS_FILE", file)
    read_weights.cache_clear()
    with pytest.raises(SignalError, match="other measures"):
        read_weights()
    read_weights.cache_clear()


def test_a_window_is_rated_in_a_few_milliseconds_of_one_core():
    rows = np.repeat(last_window(pulse()), 20, axis=0)
    judge(rows)
    began = time.process_time()
    judge(rows)
    assert (time.process_time() - began) / len(rows) < 0.005

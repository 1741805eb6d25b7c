"""Clean windows score high, damaged ones low, and no row depends on its neighbours."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.errors import WindowShapeError
from plethprint.quality import LOW_QUALITY, assess, heart_rate_bpm
from plethprint.signal import PPG, windows_of

DATA = Path(__file__).parents[3] / "shared" / "data"
RATE_HZ = 64.0
T = np.arange(round(20 * RATE_HZ)) / RATE_HZ
WINDOWS = hnp.arrays(
    np.int8,
    st.tuples(st.integers(1, 9), st.just(PPG.window_samples)),
    elements=st.integers(-127, 127),
)


def pulse(rate_bpm=72.0, seed=0, jitter_s=0.0):
    """20 s of PPG as a sensor gives it: fast rise, slow fall, a second wave."""
    rng = np.random.default_rng(seed)
    beats = np.arange(-1, 21, 60 / rate_bpm)
    beats = beats + rng.uniform(-jitter_s, jitter_s, beats.size)
    since = T[:, None] - beats[None]
    first = np.exp(-((since - 0.15) ** 2) / (2 * 0.07**2))
    second = np.exp(-((since - 0.42) ** 2) / (2 * 0.10**2))
    return (first + 0.4 * second).sum(axis=1) + 0.01 * rng.normal(size=T.size)


def last_window(signal):
    return windows_of(signal, RATE_HZ)[-1].samples[None]


def burst(seed):
    rng = np.random.default_rng(seed)
    slow = np.convolve(rng.normal(size=T.size), np.ones(8), "same")
    return np.where((T > 13) & (T < 16), slow, 0.0)


DAMAGES = {
    "noise": lambda seed: np.random.default_rng(seed).normal(0, 1, T.size),
    "noise over the pulse": lambda seed: (
        pulse(seed=seed) + np.random.default_rng(seed).normal(0, 1, T.size)
    ),
    "motion": lambda seed: pulse(seed=seed) + burst(seed),
    "contact lost": lambda seed: np.where(T < 15, pulse(seed=seed), 0.2),
    "steps": lambda seed: pulse(seed=seed) + 3 * np.floor(T / 1.7 + seed),
}


@pytest.mark.parametrize("rate_bpm", [45, 60, 72, 90, 120])
def test_a_clean_pulse_is_of_high_quality(rate_bpm):
    assert assess(last_window(pulse(rate_bpm)))[0] > 0.8


def test_an_irregular_rhythm_is_not_a_bad_signal():
    assert assess(last_window(pulse(80, jitter_s=0.12)))[0] > LOW_QUALITY


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_pulse_is_of_low_quality(damage, seed):
    clean = assess(last_window(pulse(seed=seed)))[0]
    damaged = assess(last_window(DAMAGES[damage](seed)))[0]
    assert damaged < LOW_QUALITY < clean


def test_a_clipped_pulse_scores_lower_than_a_whole_one():
    clipped = np.clip(pulse(), 0.15, 0.35)
    assert assess(last_window(clipped))[0] < assess(last_window(pulse()))[0] - 0.2


def test_a_flat_window_has_no_quality_and_no_heart_rate():
    flat = np.zeros((2, PPG.window_samples), np.int8)
    assert assess(flat).tolist() == [0.0, 0.0]
    assert np.isnan(heart_rate_bpm(flat)).all()


def test_quality_falls_with_the_share_that_is_missing():
    window = np.repeat(last_window(pulse()), 5, axis=0)
    scores = assess(window, np.array([0.0, 0.1, 0.25, 0.5, 1.0]))
    assert (np.diff(scores[:4]) < 0).all()
    assert scores[2] == pytest.approx(scores[0] / 2)
    assert scores[3:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("rate_bpm", [235, 240, 260, 280, 300, 350])
def test_a_pulse_too_fast_to_be_counted_is_not_given_a_calm_rate(rate_bpm):
    phase = 2 * np.pi * rate_bpm / 60 * np.arange(64 * 30) / 64
    pulse = np.sin(phase) + 0.4 * np.sin(2 * phase + 0.8)
    windows = np.stack([window.samples for window in windows_of(pulse, 64.0)])
    rates = heart_rate_bpm(windows)
    assert (np.isnan(rates) | (np.abs(rates - rate_bpm) < 6)).all()


@pytest.mark.parametrize("rate_bpm", [40, 52, 60, 72.5, 88, 110, 150, 190])
def test_the_heart_rate_of_a_pulse_is_found_within_two_beats(rate_bpm):
    assert heart_rate_bpm(last_window(pulse(rate_bpm)))[0] == pytest.approx(rate_bpm, abs=2)


def test_an_inverted_pulse_has_the_same_heart_rate():
    assert heart_rate_bpm(last_window(-pulse(66)))[0] == pytest.approx(66, abs=2)


def test_noise_has_no_heart_rate():
    rng = np.random.default_rng(0)
    noise = [last_window(rng.normal(size=T.size)) for _ in range(50)]
    assert np.isnan(heart_rate_bpm(np.concatenate(noise))).mean() > 0.9


@settings(max_examples=40)
@given(WINDOWS)
def test_a_row_gets_the_same_figures_alone_and_among_others(windows):
    scores, rates = assess(windows), heart_rate_bpm(windows)
    assert ((scores >= 0) & (scores <= 1)).all()
    for row, window in enumerate(windows):
        assert assess(window[None])[0] == scores[row]
        assert np.array_equal(heart_rate_bpm(window[None])[:1], rates[row : row + 1], True)


def test_no_windows_give_no_figures():
    none = np.empty((0, PPG.window_samples), np.int8)
    assert assess(none).shape == heart_rate_bpm(none).shape == (0,)


@pytest.mark.parametrize("missing", [np.nan, -0.1, 1.5, [0.1, 0.2], [[0.0] * 3]])
def test_a_share_that_is_none_is_refused(missing):
    with pytest.raises(WindowShapeError, match="one share"):
        assess(np.ones((3, 640), np.int8), missing)


def test_windows_of_another_shape_are_refused():
    with pytest.raises(WindowShapeError):
        assess(np.zeros((1, 100), np.int8))
    with pytest.raises(WindowShapeError):
        heart_rate_bpm(np.zeros((1, PPG.window_samples)))


def real(name):
    with np.load(DATA / name) as archive:
        ppg = archive["ppg"] * archive["ppg_gain"] + archive["ppg_offset"]
        numerics = archive["num_hr"].astype(float) if "num_hr" in archive else None
        return windows_of(ppg, float(archive["fs_ppg"]), hop_s=10.0)[1:], numerics


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real recordings")
def test_a_finger_at_rest_is_trusted_and_a_wrist_in_motion_is_not():
    def share(names):
        samples = [w.samples for name in names for w in real(name)[0]]
        return (assess(np.stack(samples)) >= LOW_QUALITY).mean()

    assert share([f"bidmc/bidmc{n:02d}.npz" for n in (3, 5, 14, 30)]) > 0.9
    assert (
        share([f"wrist_exercise/{n}.npz" for n in ("s1_walk", "s2_walk", "s8_walk")]) < 0.2
    )


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real recordings")
def test_the_heart_rate_follows_the_monitor():
    errors = []
    for number in (3, 5, 14, 30):
        windows, monitor = real(f"bidmc/bidmc{number:02d}.npz")
        rates = heart_rate_bpm(np.stack([w.samples for w in windows]))
        for window, rate in zip(windows, rates, strict=True):
            at = int(window.start_s)
            errors.append(abs(rate - np.nanmedian(monitor[at : at + 11])))
    assert np.nanmean(errors) < 2.5

"""Virtual wearers in batches: what is simulated, and what the labels say of it."""

from __future__ import annotations

import hashlib
import time
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as ss

from plethprint.errors import PlethprintError, SampleRateError, SignalError
from plethprint_sim import RHYTHMS, Waveforms, simulate_batch
from plethprint_sim.rhythm import ATRIAL, NORMAL, VENTRICULAR

RATE_HZ = 125.0


def only(*rhythms: str) -> list[float]:
    return [float(name in rhythms) for name in RHYTHMS]


@cache
def crowd() -> Waveforms:
    return simulate_batch(384, seed=20)


def digest(windows: Waveforms) -> str:
    content = hashlib.sha256()
    for array in (windows.ppg, windows.ecg, windows.beat_times_s, windows.pulse_times_s):
        content.update(array.tobytes())
    for name in sorted(windows.labels):
        content.update(windows.labels[name].tobytes())
    return content.hexdigest()


def clean_rows(windows: Waveforms) -> np.ndarray:
    labels = windows.labels
    quiet = (labels["noise_sd"] < 0.03) & (labels["motion_share"] == 0)
    return np.nonzero(quiet & (windows.ppg.max(axis=1) < 1))[0]


def r_peaks(ecg: np.ndarray) -> np.ndarray:
    band = ss.butter(2, (8, 25), "bandpass", fs=RATE_HZ, output="sos")
    energy = ss.sosfiltfilt(band, ecg) ** 2
    energy = np.convolve(energy, np.ones(10) / 10, "same")
    peaks, _ = ss.find_peaks(energy, height=0.25 * np.percentile(energy, 98), distance=32)
    return peaks


def strongest_rate_bpm(ppg: np.ndarray, near_bpm: float) -> float:
    """Frequency of the spectral line within a third of `near_bpm`."""
    band = ss.butter(2, (0.5, 8), "bandpass", fs=RATE_HZ, output="sos")
    pulse = ss.sosfiltfilt(band, ppg.astype(float)) * np.hanning(len(ppg))
    power = np.abs(np.fft.rfft(pulse, 16384)) ** 2
    bpm = 60 * np.fft.rfftfreq(16384, 1 / RATE_HZ)
    near = np.abs(bpm - near_bpm) < near_bpm / 3
    return float(bpm[near][np.argmax(power[near])])


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert digest(simulate_batch(40, seed=3)) == digest(simulate_batch(40, seed=3))


def test_another_seed_gives_other_wearers() -> None:
    assert digest(simulate_batch(40, seed=3)) != digest(simulate_batch(40, seed=4))


def test_a_batch_beyond_one_cacheful_has_no_wearer_twice() -> None:
    windows = simulate_batch(600, seed=5)
    assert windows.ppg.shape == windows.ecg.shape == (600, 1250)
    assert len(np.unique(windows.labels["age_years"])) == 600


@pytest.mark.parametrize("rate_hz", [20.0, 33.3, 62.5, 256.0, 500.0])
def test_any_supported_sample_rate_gives_ten_seconds_of_finite_samples(
    rate_hz: float,
) -> None:
    windows = simulate_batch(12, seed=1, sample_rate_hz=rate_hz)
    assert windows.ppg.shape == windows.ecg.shape == (12, round(10 * rate_hz))
    assert windows.ppg.dtype == windows.ecg.dtype == np.float32
    assert np.isfinite(windows.ppg).all()
    assert np.isfinite(windows.ecg).all()
    assert (windows.ppg >= 0).all()
    assert (windows.ppg <= 1).all()


def test_every_label_is_there_once_for_each_window() -> None:
    expected = {
        "heart_rate_bpm", "rhythm", "rmssd_s", "sdnn_s", "interval_cv", "ectopic_fraction",
        "stiffness", "reflection", "pulse_width_s", "perfusion", "respiration_hz",
        "motion_share", "noise_sd", "age_years", "pulse_arrival_s", "disturbance",
        "pvc_fraction", "pac_fraction", "amplitude_cv", "rise_time_s", "reflection_delay_s",
    }  # fmt: skip
    assert set(crowd().labels) == expected
    assert {label.shape for label in crowd().labels.values()} == {(384,)}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**63), n=st.integers(1, 12))
def test_labels_stay_in_their_ranges_whatever_the_seed(seed: int, n: int) -> None:
    labels = simulate_batch(n, seed=seed).labels
    ranges = {
        "heart_rate_bpm": (30, 235),
        "rhythm": (0, len(RHYTHMS) - 1),
        "rmssd_s": (0, 2),
        "sdnn_s": (0, 1.5),
        "interval_cv": (0, 1.2),
        "ectopic_fraction": (0, 1),
        "stiffness": (0, 1),
        "reflection": (0, 2),
        "pulse_width_s": (0.05, 0.9),
        "perfusion": (0.05, 10),
        "respiration_hz": (0.1, 0.55),
        "motion_share": (0, 1),
        "noise_sd": (0, 6.0),
        "disturbance": (0, 1000),
        "pvc_fraction": (0, 1),
        "pac_fraction": (0, 1),
        "amplitude_cv": (0, 2),
        "rise_time_s": (0.03, 0.6),
        "reflection_delay_s": (0.05, 0.3),
        "age_years": (18, 92),
        "pulse_arrival_s": (0.08, 0.45),
    }
    for name, (lowest, highest) in ranges.items():
        assert np.isfinite(labels[name]).all(), name
        assert labels[name].min() >= lowest, name
        assert labels[name].max() <= highest, name


def test_interval_labels_agree_with_the_beat_times() -> None:
    windows = crowd()
    for row in range(60):
        beats_s = windows.beat_times_s[row][np.isfinite(windows.beat_times_s[row])]
        intervals_s = np.diff(beats_s.astype(float))
        labels = {name: float(value[row]) for name, value in windows.labels.items()}
        assert labels["heart_rate_bpm"] == pytest.approx(60 / intervals_s.mean(), rel=1e-4)
        assert labels["sdnn_s"] == pytest.approx(intervals_s.std(ddof=1), abs=1e-5)
        steps_s = np.diff(intervals_s)
        assert labels["rmssd_s"] == pytest.approx(np.sqrt(np.mean(steps_s**2)), abs=1e-5)


def test_beats_lie_in_the_window_in_order_and_apart() -> None:
    beats_s = crowd().beat_times_s
    known = np.isfinite(beats_s)
    assert (beats_s[known] >= 0).all()
    assert (beats_s[known] < 10).all()
    gaps_s = np.diff(beats_s, axis=1)
    assert np.nanmin(gaps_s) >= 0.249
    assert (np.isfinite(crowd().pulse_times_s) == known).all()
    assert ((crowd().beat_kinds >= 0) == known).all()


def test_r_peaks_in_the_ecg_lie_where_the_beat_times_say() -> None:
    windows = simulate_batch(80, seed=6, rhythm_shares=only("sinus", "brady", "af"))
    found = expected = 0
    for row in clean_rows(windows):
        beats_s = windows.beat_times_s[row][np.isfinite(windows.beat_times_s[row])]
        peaks_s = r_peaks(windows.ecg[row]) / RATE_HZ
        away_s = np.abs(beats_s[:, None] - peaks_s[None, :]).min(axis=1)
        found += int((away_s < 0.05).sum())
        expected += len(beats_s)
    assert expected > 200
    assert found > 0.93 * expected


def test_the_heart_rate_can_be_read_from_the_ecg() -> None:
    windows = simulate_batch(80, seed=7, rhythm_shares=only("sinus", "brady", "tachy"))
    rows = clean_rows(windows)
    measured = np.array(
        [60 * RATE_HZ / np.median(np.diff(r_peaks(windows.ecg[r]))) for r in rows]
    )
    error = np.abs(measured / windows.labels["heart_rate_bpm"][rows] - 1)
    assert len(rows) > 30
    assert np.mean(error < 0.06) > 0.85


def test_the_heart_rate_can_be_read_from_the_ppg() -> None:
    windows = simulate_batch(80, seed=8, rhythm_shares=only("sinus", "brady", "tachy"))
    rows, rate = clean_rows(windows), windows.labels["heart_rate_bpm"]
    error = [abs(strongest_rate_bpm(windows.ppg[r], rate[r]) / rate[r] - 1) for r in rows]
    assert len(rows) > 30
    assert np.mean(np.array(error) < 0.06) > 0.85


def test_fibrillating_hearts_beat_less_regularly_than_sinus_ones() -> None:
    af = simulate_batch(60, seed=9, rhythm_shares=only("af")).labels["interval_cv"]
    sinus = simulate_batch(60, seed=9, rhythm_shares=only("sinus")).labels["interval_cv"]
    assert np.median(af) > 4 * np.median(sinus)
    assert np.percentile(af, 20) > np.percentile(sinus, 80)


def test_fibrillation_has_no_p_wave() -> None:
    def p_wave_mv(rhythm: str) -> float:
        windows = simulate_batch(100, seed=10, rhythm_shares=only(rhythm))
        heights = []
        for row in clean_rows(windows):
            beats = np.rint(windows.beat_times_s[row] * RATE_HZ)
            beats = beats[np.isfinite(beats) & (beats > 40)].astype(int)
            before = np.mean([windows.ecg[row, b - 30 : b - 7] for b in beats], axis=0)
            heights.append(before.max() - before[[0, -1]].mean())
        return float(np.median(heights))

    assert p_wave_mv("sinus") > 1.5 * p_wave_mv("af")


def test_ventricular_beats_come_early_and_a_pause_follows() -> None:
    windows = simulate_batch(120, seed=11, rhythm_shares=only("pvc"))
    early, after = [], []
    for times, kinds in zip(windows.beat_times_s, windows.beat_kinds, strict=True):
        interval = np.diff(times) / np.nanmedian(np.diff(times))
        for beat in range(1, len(kinds) - 1):
            if tuple(kinds[beat - 1 : beat + 2]) == (NORMAL, VENTRICULAR, NORMAL):
                early.append(interval[beat - 1])
                after.append(interval[beat])
    assert len(early) > 60
    assert np.median(early) < 0.8
    assert np.median(after) > 1.15


def test_ventricular_beats_are_wide_and_their_pulse_is_weak() -> None:
    windows = simulate_batch(200, seed=12, rhythm_shares=only("pvc"))
    width_s: dict[int, list[float]] = {NORMAL: [], VENTRICULAR: []}
    height: dict[int, list[float]] = {NORMAL: [], VENTRICULAR: []}
    for row in clean_rows(windows):
        ppg = windows.ppg[row] / np.ptp(windows.ppg[row])
        for time_s, foot_s, kind in zip(
            windows.beat_times_s[row],
            windows.pulse_times_s[row],
            windows.beat_kinds[row],
            strict=True,
        ):
            r, foot = (
                round(RATE_HZ * np.nan_to_num(time_s)),
                np.nan_to_num(foot_s) * RATE_HZ,
            )
            if kind not in width_s or not 30 < r < 1200 or foot > 1210:
                continue
            qrs = windows.ecg[row, r - 14 : r + 15]
            far = np.abs(qrs - np.median(windows.ecg[row]))
            width_s[kind].append((far > far.max() / 2).sum() / RATE_HZ)
            height[kind].append(ppg[int(foot) : int(foot) + 35].max() - ppg[int(foot)])
    assert len(width_s[VENTRICULAR]) > 40
    assert np.median(width_s[VENTRICULAR]) > 1.6 * np.median(width_s[NORMAL])
    assert np.median(height[VENTRICULAR]) < 0.5 * np.median(height[NORMAL])


def test_atrial_early_beats_stay_narrow() -> None:
    windows = simulate_batch(100, seed=13, rhythm_shares=only("pac"))
    assert (windows.beat_kinds == ATRIAL).sum() > 60
    assert (windows.beat_kinds == VENTRICULAR).sum() == 0


def test_bigeminy_alternates() -> None:
    windows = simulate_batch(40, seed=14, rhythm_shares=only("bigeminy"))
    assert np.median(windows.labels["ectopic_fraction"]) == pytest.approx(0.5, abs=0.06)
    for kinds in windows.beat_kinds:
        shown = kinds[kinds >= 0]
        assert (shown[1:] != shown[:-1]).all()


def test_a_window_without_early_beats_is_not_labelled_as_having_some() -> None:
    windows = simulate_batch(300, seed=15, rhythm_shares=only("pvc", "pac", "svt", "vt"))
    named_ectopic = np.isin(
        windows.labels["rhythm"], [RHYTHMS.index(r) for r in ("pvc", "pac", "svt", "vt")]
    )
    assert (named_ectopic == (windows.labels["ectopic_fraction"] > 0)).all()
    assert 0.05 < np.mean(~named_ectopic) < 0.7


def test_sinus_brady_and_tachy_are_told_apart_by_the_rate_in_the_window() -> None:
    rhythm, rate = crowd().labels["rhythm"], crowd().labels["heart_rate_bpm"]
    assert (rate[rhythm == RHYTHMS.index("brady")] < 60).all()
    assert (rate[rhythm == RHYTHMS.index("tachy")] > 100).all()
    sinus = rate[rhythm == RHYTHMS.index("sinus")]
    assert ((sinus >= 60) & (sinus <= 100)).all()


def test_pulses_follow_their_r_peak_by_the_labelled_arrival_time() -> None:
    windows = crowd()
    arrival_s = np.nanmean(windows.pulse_times_s - windows.beat_times_s, axis=1)
    np.testing.assert_allclose(arrival_s, windows.labels["pulse_arrival_s"], atol=1e-4)


def test_stiff_arteries_are_older_faster_and_reflect_more() -> None:
    labels = simulate_batch(1500, seed=16).labels

    def together(a: str, b: str) -> float:
        return float(np.corrcoef(labels[a], labels[b])[0, 1])

    assert together("stiffness", "age_years") > 0.5
    assert together("stiffness", "pulse_arrival_s") < -0.4
    assert together("stiffness", "reflection") > 0.25


def test_a_one_second_window_has_no_interval_statistics_but_does_not_fail() -> None:
    windows = simulate_batch(30, seed=17, duration_s=1.0)
    assert windows.ppg.shape == (30, 125)
    assert np.isnan(windows.labels["rmssd_s"]).any()


@pytest.mark.parametrize("rate_hz", [19.9, 500.1, 0.0, -125.0, float("nan"), float("inf")])
def test_a_sample_rate_out_of_range_is_refused(rate_hz: float) -> None:
    with pytest.raises(SampleRateError, match="20 to 500 Hz"):
        simulate_batch(1, seed=1, sample_rate_hz=rate_hz)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"seed": -1},
        {"duration_s": 0.5},
        {"duration_s": 61.0},
        {"duration_s": float("nan")},
        {"rhythm_shares": [1.0]},
        {"rhythm_shares": [0.0] * 9},
        {"rhythm_shares": [-1.0] + [1.0] * 8},
    ],
)
def test_an_argument_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    arguments: dict[str, object] = {"n": 2, "seed": 1, **wrong}
    with pytest.raises(SignalError, match="expected") as refusal:
        simulate_batch(**arguments)  # type: ignore[arg-type]
    assert isinstance(refusal.value, PlethprintError | ValueError)


@pytest.mark.slow
def test_windows_are_made_fast_enough_to_feed_training() -> None:
    simulate_batch(256, seed=0)
    started = time.process_time()
    simulate_batch(1024, seed=1)
    # 4000 a second on an idle core of 2023; a tenth of it still feeds a training.
    assert 1024 / (time.process_time() - started) > 400

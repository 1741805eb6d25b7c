"""One wearer for hours: samples by index, whatever the chunks."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as ss

from plethprint.errors import SampleRateError, SignalError
from plethprint_sim import RHYTHMS, SITES, Wearer, WearerStream, random_wearer
from plethprint_sim.population import draw_people

WHOLE = WearerStream(random_wearer(3), seed=5).read(0, 6000)
COUNTS = WearerStream(random_wearer(3), seed=5).counts(0, 6000)


@settings(max_examples=25, deadline=None)
@given(chunks=st.lists(st.tuples(st.integers(0, 5999), st.integers(0, 2600)), max_size=6))
def test_a_sample_is_the_same_whatever_was_read_before(
    chunks: list[tuple[int, int]],
) -> None:
    stream = WearerStream(random_wearer(3), seed=5)
    for start, count in chunks:
        count = min(count, 6000 - start)
        ppg, ecg = stream.read(start, count)
        np.testing.assert_array_equal(ppg, WHOLE[0][start : start + count])
        np.testing.assert_array_equal(ecg, WHOLE[1][start : start + count])
        np.testing.assert_array_equal(
            stream.counts(start, count), COUNTS[start : start + count]
        )


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    def digest(seed: int) -> str:
        counts = WearerStream(Wearer(), seed=seed).counts(0, 4000)
        return hashlib.sha256(counts.tobytes()).hexdigest()

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_an_hour_ahead_can_be_read_at_once_and_is_not_a_repetition() -> None:
    stream = WearerStream(Wearer(), seed=2)
    later, _ = stream.read(3600 * 125, 1250)
    assert later.shape == (1250,)
    assert np.abs(np.corrcoef(later, stream.read(0, 1250)[0])[0, 1]) < 0.9


@pytest.mark.parametrize("rate_hz", [20.0, 33.3, 125.0, 500.0])
def test_there_is_no_seam_where_blocks_meet(rate_hz: float) -> None:
    smooth = Wearer(noise_sd=1e-5, ecg_noise_mv=1e-5, ecg_mains_mv=0, wander=0.5)
    stream = WearerStream(smooth, seed=3, sample_rate_hz=rate_hz)
    block = round(20 * rate_hz)
    for signal in stream.read(0, 10 * block):
        bend = np.abs(np.diff(signal.astype(float), 2))
        worst_of_five = np.lib.stride_tricks.sliding_window_view(bend, 5).max(axis=1)
        at_seams = worst_of_five[block - 3 :: block]
        # Some seams fall into a QRS; most do not.
        assert np.median(at_seams) <= np.percentile(worst_of_five, 90)


def test_beats_go_on_evenly_across_the_blocks() -> None:
    calm = Wearer(rsa_depth=0, lf_depth=0, drift_depth=0, interval_jitter=0.001)
    beats_s = WearerStream(calm, seed=4).beat_times_s(0, 120)
    assert len(beats_s) == pytest.approx(120 * 68 / 60, abs=2)
    np.testing.assert_allclose(np.diff(beats_s), 60 / 68, rtol=0.01)


def test_the_beats_lie_where_the_ecg_peaks() -> None:
    stream = WearerStream(Wearer(), seed=6)
    beats_s = stream.beat_times_s(5, 55)
    _, ecg = stream.read(0, 60 * 125)
    peaks, _ = ss.find_peaks(ecg, height=0.6, distance=40)
    assert len(beats_s) > 40
    away_s = np.abs(beats_s[:, None] - peaks[None, :] / 125).min(axis=1)
    assert away_s.max() < 0.02


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_each_rhythm_runs_for_minutes(rhythm: str) -> None:
    stream = WearerStream(random_wearer(8, rhythm=rhythm), seed=7)
    intervals_s = np.diff(stream.beat_times_s(0, 180))
    assert intervals_s.min() >= 0.249
    assert intervals_s.max() <= 2.61
    assert np.isfinite(stream.read(0, 180 * 125)[0]).all()


@pytest.mark.parametrize("rhythm", ["pvc", "pac", "bigeminy", "svt", "vt", "af"])
def test_a_wearer_of_a_disturbed_rhythm_shows_it_without_more_to_set(rhythm: str) -> None:
    def irregularity(wearer: Wearer) -> float:
        intervals_s = np.diff(WearerStream(wearer, seed=8).beat_times_s(0, 120))
        return float(np.std(intervals_s) / np.mean(intervals_s))

    assert irregularity(Wearer(rhythm=rhythm)) > 2 * irregularity(Wearer())


def test_counts_follow_the_light_and_saturate_at_full_scale() -> None:
    stream = WearerStream(Wearer(light_level=0.99, perfusion=5.0), seed=9)
    counts = stream.counts(0, 2500)
    assert counts.dtype == np.int32
    assert counts.max() == 2**23 - 1
    assert np.mean(counts == 2**23 - 1) > 0.05
    ppg, _ = stream.read(0, 2500)
    np.testing.assert_allclose(counts / (2**23 - 1), ppg, atol=1e-6)


def test_a_bare_photodiode_sees_the_pulse_upside_down() -> None:
    upright, _ = WearerStream(Wearer(), seed=10).read(0, 2500)
    bare, _ = WearerStream(Wearer(polarity=-1), seed=10).read(0, 2500)
    assert np.corrcoef(upright, bare)[0, 1] < -0.999


def test_lost_contact_is_reported_and_leaves_no_pulse() -> None:
    stream = WearerStream(Wearer(contact_loss_rate=0.05), seed=11)
    n = 300 * 125
    contact = stream.contact(0, n)
    ppg, _ = stream.read(0, n)
    assert contact.dtype == np.bool_
    assert 0.05 < np.mean(~contact) < 0.7
    assert np.median(ppg[contact]) > 3 * np.median(ppg[~contact])


def test_motion_is_reported_where_the_signal_is_disturbed() -> None:
    stream = WearerStream(Wearer(motion_rate=0.05, motion_size=8), seed=12)
    n = 300 * 125
    moving = stream.motion(0, n)
    ppg, _ = stream.read(0, n)
    assert 0.02 < moving.mean() < 0.8
    assert np.diff(ppg)[moving[1:]].std() > 3 * np.diff(ppg)[~moving[1:]].std()


def test_a_wearer_at_rest_has_contact_and_does_not_move() -> None:
    stream = WearerStream(Wearer(motion_rate=0), seed=13)
    assert stream.contact(0, 5000).all()
    assert not stream.motion(0, 5000).any()
    assert stream.length is None


def test_the_shape_of_a_wearer_depends_on_the_seed_alone() -> None:
    assert random_wearer(21) == random_wearer(21)
    assert random_wearer(21) != random_wearer(22)


def test_fixed_traits_hold_and_the_others_are_drawn() -> None:
    wearer = random_wearer(1, rhythm="af", age_years=70.0, site="wrist")
    assert (wearer.rhythm, wearer.age_years, wearer.site) == ("af", 70.0, "wrist")
    assert wearer.stiffness != Wearer().stiffness


def test_the_population_draws_exactly_the_traits_of_a_wearer() -> None:
    drawn = draw_people(2, np.random.default_rng(0))
    assert set(drawn) == {field.name for field in dataclasses.fields(Wearer)}
    assert set(Wearer().traits()) == set(drawn)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_every_random_wearer_is_a_possible_one(seed: int) -> None:
    wearer = random_wearer(seed)
    assert wearer.rhythm in RHYTHMS
    assert wearer.site in SITES
    assert 35 <= wearer.heart_rate_bpm <= 190


@pytest.mark.parametrize(
    "wrong",
    [
        {"rhythm": "flutter"},
        {"site": "toe"},
        {"sex": "x"},
        {"heart_rate_bpm": 5.0},
        {"heart_rate_bpm": float("nan")},
        {"perfusion": 0.0},
        {"rise_s": -0.1},
        {"motion_rate": -1.0},
        {"light_level": 1.2},
        {"polarity": 0.5},
        {"stiffness": float("inf")},
    ],
)
def test_an_impossible_wearer_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SignalError, match=next(iter(wrong)).split("_")[0]):
        Wearer(**wrong)


def test_an_unknown_trait_is_refused_by_name() -> None:
    with pytest.raises(SignalError, match="shoe_size"):
        random_wearer(1, shoe_size=43)


def test_bad_arguments_of_a_stream_are_refused() -> None:
    with pytest.raises(SampleRateError, match="7"):
        WearerStream(Wearer(), seed=1, sample_rate_hz=7)
    with pytest.raises(SignalError, match="seed"):
        WearerStream(Wearer(), seed=-1)
    with pytest.raises(SignalError, match="-5"):
        WearerStream(Wearer(), seed=1).read(-5, 10)
    with pytest.raises(SignalError, match="-1"):
        WearerStream(Wearer(), seed=1).counts(0, -1)

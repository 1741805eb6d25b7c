"""An upside-down pulse is noticed, told, and turned over when that is asked for."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.errors import FingerprintError, SignalError, WindowShapeError
from plethprint.fingerprint import Fingerprint
from plethprint.fingerprinter import Fingerprinter
from plethprint.polarity import (
    STRONG,
    PolarityTracker,
    checked_polarity,
    inverted_probability,
    upright_evidence,
)
from plethprint.quality import assess
from plethprint.signal import PPG, windows_of

DATA = Path(__file__).parents[3] / "shared" / "data"
WINDOWS = hnp.arrays(
    np.int8,
    st.tuples(st.integers(1, 5), st.just(PPG.window_samples)),
    elements=st.integers(-127, 127),
)


def pulse(seconds=40.0, rate_hz=64.0, rate_bpm=72.0):
    """PPG as a sensor gives it: fast rise, a second wave, a fall until the next beat."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    since = t[:, None] - np.arange(-3, seconds + 1, 60 / rate_bpm)[None]
    beat_s = 60 / rate_bpm
    rise = 0.5 + 0.5 * np.tanh((since - 0.12) / 0.05)
    fall = np.exp(-np.clip(since, 0.0, None) / (0.45 * beat_s))
    second = 0.12 * np.exp(-((since - 0.45 * beat_s) ** 2) / (2 * (0.1 * beat_s) ** 2))
    noise = 0.003 * np.random.default_rng(0).normal(size=t.size)
    return (rise * fall + second).sum(axis=1) + noise


@pytest.fixture(scope="module")
def fingerprinter(package):
    return Fingerprinter(package)


@pytest.mark.parametrize("rate_bpm", [45, 60, 80, 110, 150])
def test_an_upright_pulse_has_strong_evidence_and_a_turned_one_the_opposite(rate_bpm):
    window = windows_of(pulse(rate_bpm=rate_bpm), 64.0)[1].samples[None]
    evidence = upright_evidence(window, assess(window))[0]
    assert evidence > STRONG
    assert upright_evidence(-window, assess(-window))[0] == -evidence


@given(WINDOWS)
def test_turned_over_any_window_gives_exactly_the_opposite(windows):
    up, down = (upright_evidence(w, assess(w)) for w in (windows, -windows))
    assert np.array_equal(up, -down)


def test_noise_and_flat_windows_are_no_evidence():
    noise = np.random.default_rng(0).normal(size=64 * 200)
    windows = np.stack([w.samples for w in windows_of(noise, 64.0)])
    assert np.abs(upright_evidence(windows, assess(windows))).max() < 0.5
    flat = np.zeros((2, 640), np.int8)
    assert upright_evidence(flat, assess(flat)).tolist() == [0.0, 0.0]
    assert upright_evidence(flat[:0], np.empty(0)).shape == (0,)


@pytest.mark.parametrize("quality", [np.nan, -0.1, 2.0, [0.5, 0.5]])
def test_a_quality_that_is_none_is_refused(quality):
    with pytest.raises(WindowShapeError, match="quality"):
        upright_evidence(np.ones((3, 640), np.int8), quality)


@pytest.mark.parametrize("polarity", [0, 2, "up", None, -0.5, "1"])
def test_a_polarity_that_is_none_is_refused(fingerprinter, polarity):
    with pytest.raises(SignalError, match="polarity"):
        checked_polarity(polarity)
    with pytest.raises(SignalError, match="polarity"):
        fingerprinter.stream(64.0, polarity=polarity)
    with pytest.raises(SignalError, match="polarity"):
        fingerprinter.embed_windows(np.ones((1, 640)), 64.0, polarity=polarity)


def test_probability_falls_with_evidence_and_never_overflows():
    values = [inverted_probability(e) for e in (-1e9, -1.0, 0.0, 1.0, 1e9)]
    assert values == sorted(values, reverse=True)
    assert (values[0], values[2]) == (1.0, 0.5)


def test_a_decision_stays_until_the_opposite_is_as_strong():
    tracker = PolarityTracker("auto", hop_s=10.0)
    turns = [tracker.take(e)[0] for e in (-2.9, -0.2, 2.0, 2.0, 2.2, 0.0)]
    assert turns == [1, -1, -1, -1, 1, 1]


def test_overlapping_windows_count_by_what_is_new_in_them():
    tracker = PolarityTracker("auto", hop_s=5.0)
    assert [tracker.take(-1.5)[0] for _ in range(4)] == [1, 1, -1, -1]


def test_evidence_is_kept_small_enough_to_be_overturned():
    tracker = PolarityTracker("auto", hop_s=10.0)
    for _ in range(1000):
        tracker.take(10.0)
    assert [tracker.take(-8.0)[0] for _ in range(3)] == [1, -1, -1]


def test_a_fixed_polarity_is_never_changed_only_told_and_once(caplog):
    tracker = PolarityTracker(1, hop_s=10.0)
    with caplog.at_level(logging.WARNING, logger="plethprint"):
        verdicts = [tracker.take(-2.0, 10.0 * n) for n in range(6)]
    assert {turn for turn, _ in verdicts} == {1}
    assert verdicts[-1][1] > 0.99
    assert len(caplog.records) == 1
    assert "upside down" in caplog.text


def test_auto_gives_an_inverted_recording_the_fingerprints_of_the_upright_one(
    fingerprinter, caplog
):
    up = fingerprinter.embed(pulse(), 64.0)
    with caplog.at_level(logging.WARNING, logger="plethprint"):
        turned = fingerprinter.embed(-pulse(), 64.0, polarity="auto")
    assert turned == up
    assert [fp.inverted for fp in turned] == [fp.inverted for fp in up]
    assert len(caplog.records) == 1
    assert fingerprinter.embed(pulse(), 64.0, polarity="auto") == up
    assert fingerprinter.embed(-pulse(), 64.0) != up


def test_every_fingerprint_tells_its_suspicion(fingerprinter, caplog):
    with caplog.at_level(logging.WARNING, logger="plethprint"):
        up = fingerprinter.embed(pulse(), 64.0)
        assert not caplog.records
        down = fingerprinter.embed(-pulse(), 64.0)
        assert len(caplog.records) == 1
    corrected = fingerprinter.embed(-pulse(), 64.0, polarity=-1)
    assert max(fp.inverted for fp in up + corrected) < 0.1
    assert min(fp.inverted for fp in down) > 0.9
    assert corrected == up
    (window,) = windows_of(-pulse(10.0), 64.0)
    assert fingerprinter.encode(window).inverted > 0.9


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cuts=st.lists(st.floats(0, 1), max_size=9),
    hop_s=st.sampled_from([1.0, 5.0, 12.0]),
    turn_at=st.floats(0, 1),
    rate_hz=st.sampled_from([25.0, 64.0, 125.0]),
)
def test_auto_in_chunks_of_any_size_equals_the_whole_recording(
    fingerprinter, cuts, hop_s, turn_at, rate_hz
):
    signal = pulse(60.0, rate_hz)
    signal[int(turn_at * signal.size) :] *= -1
    whole = fingerprinter.embed(signal, rate_hz, hop_s=hop_s, polarity="auto")
    stream = fingerprinter.stream(rate_hz, hop_s=hop_s, polarity="auto")
    pieces = []
    for chunk in np.split(signal, sorted(int(cut * signal.size) for cut in cuts)):
        pieces += stream.push(chunk)
    pieces += stream.flush()
    assert [fp.to_bytes() for fp in pieces] == [fp.to_bytes() for fp in whole]
    assert [fp.inverted for fp in pieces] == [fp.inverted for fp in whole]


def test_what_is_known_of_the_sensor_survives_a_gap(fingerprinter):
    stream = fingerprinter.stream(64.0, polarity="auto")
    stream.push(-pulse())
    assert stream.turned_over
    stream.reset(start=100.0)
    quiet = np.random.default_rng(1).normal(size=64 * 12)
    (after, *_) = stream.push(quiet)
    assert stream.turned_over
    assert after == fingerprinter.embed(quiet, 64.0, start=100.0, polarity=-1)[0]


def test_rows_are_turned_over_one_by_one(fingerprinter, caplog):
    rows = pulse(60.0).reshape(6, 640)
    up = fingerprinter.embed_windows(rows, 64.0)
    mixed = rows * np.array([1, -1, -1, 1, -1, 1])[:, None]
    assert np.array_equal(fingerprinter.embed_windows(mixed, 64.0, polarity="auto"), up)
    assert np.array_equal(fingerprinter.embed_windows(-rows, 64.0, polarity=-1), up)
    with caplog.at_level(logging.WARNING, logger="plethprint"):
        fingerprinter.embed_windows(-rows, 64.0)
    assert "6 of the first 6 rows look upside down" in caplog.text


def test_the_suspicion_does_not_travel_and_must_be_a_probability(fingerprinter):
    fingerprint = fingerprinter.embed(-pulse(), 64.0)[0]
    back = Fingerprint.from_bytes(fingerprint.to_bytes())
    assert back == fingerprint
    assert back.inverted is None
    assert fingerprint.to_dict()["inverted"] == fingerprint.inverted
    with pytest.raises(FingerprintError, match="inverted"):
        Fingerprint(
            np.array([1], np.int8), 1.0, 0.0, 10.0, 0.5, "toy@1+00000000", inverted=1.5
        )


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real recordings")
@pytest.mark.parametrize(
    ("names", "row", "sign"),
    [
        ([f"bidmc/bidmc{n:02d}.npz" for n in (2, 7, 19, 33)], None, 1),
        ([f"welltory/record_{n:02d}.npz" for n in (4, 9, 16, 21)], 1, -1),
    ],
)
def test_monitors_come_upright_and_phone_cameras_upside_down(names, row, sign):
    for name in names:
        with np.load(DATA / name) as archive:
            ppg = archive["ppg"] if row is None else archive["ppg"][row]
            windows = windows_of(ppg.astype(float), float(archive["fs_ppg"]), hop_s=10.0)
        rows = np.stack([w.samples for w in windows[1:6]])
        assert (upright_evidence(rows, assess(rows)) * sign).sum() > STRONG

"""The teacher must see the very samples that the device fingerprinted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from plethprint.package import Golden
from plethprint.signal import ECG, PPG, windows_of
from plethprint_sim.live_parity import LiveParity
from plethprint_sim.stream import WearerStream
from plethprint_sim.wearer import Wearer

RATE_HZ = 125.0
DIM = 64


@dataclass
class Looking:
    """A teacher that projects what it is shown, and remembers it."""

    def __post_init__(self):
        rng = np.random.default_rng(0)
        self.of_ppg = rng.normal(size=(PPG.window_samples, DIM)).astype(np.float32)
        self.ppg = self.ecg = None

    def run(self, ppg, ecg=None):
        self.ppg, self.ecg = ppg, ecg
        vectors = ppg.astype(np.float32) @ self.of_ppg
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class WithoutEcg:
    """A source whose ECG was not recorded."""

    def __init__(self, stream):
        self._stream = stream
        self.sample_rate_hz, self.length = stream.sample_rate_hz, 30 * 125

    def read(self, start_index, count):
        return self._stream.read(start_index, min(count, self.length - start_index))[
            0
        ], None


@pytest.fixture
def stream():
    return WearerStream(Wearer(motion_rate=0.0), seed=5, sample_rate_hz=RATE_HZ)


@pytest.fixture
def golden():
    rng = np.random.default_rng(1)
    windows = rng.integers(-127, 128, (40, PPG.window_samples)).astype(np.int8)
    real = Looking().run(windows)
    vectors = np.rint(real * 400).clip(-127, 127).astype(np.int8)
    return Golden(windows, vectors, real, real, np.roll(real, 1, axis=0))


def _streamed(stream, spec, seconds=40):
    """Windows as the session makes them: one filter, from the first sample on."""
    ppg, ecg = stream.read(0, round(seconds * RATE_HZ))
    return windows_of(ppg if spec is PPG else ecg, RATE_HZ, spec=spec, hop_s=5.0)


def test_the_teacher_is_shown_the_window_that_the_session_made(stream, golden):
    teacher = Looking()
    parity = LiveParity(stream, golden, teacher)
    for k in (0, 1, 2, 5):
        parity.teacher_fingerprint(round(5 * k * RATE_HZ))
        for shown, spec in ((teacher.ppg[0], PPG), (teacher.ecg[0], ECG)):
            streamed = _streamed(stream, spec)[k].samples
            # Beyond the warm-up the filter still knows a trace of what came before.
            difference = np.abs(shown.astype(int) - streamed)
            assert difference.max() <= (0 if k <= 2 else 2)


def test_a_device_that_agrees_in_full_gets_the_best_of_all_measures(stream, golden):
    parity = LiveParity(stream, golden, Looking())
    first_index = round(5 * RATE_HZ)
    vector = np.rint(parity.teacher_fingerprint(first_index) * 400).astype(np.int8)
    told = parity.compare(vector, first_index)
    assert told["cosine"] > 0.99
    assert told["centred_cosine"] > 0.99
    assert told["overlap_at_10"] >= 0.9
    assert parity.overall() == pytest.approx(told)


def test_a_device_that_answers_something_else_is_told_apart(stream, golden):
    parity = LiveParity(stream, golden, Looking())
    noise = np.random.default_rng(9).integers(-127, 128, DIM).astype(np.int8)
    told = parity.compare(noise, 0)
    assert abs(told["centred_cosine"]) < 0.5
    assert told["overlap_at_10"] < 0.9


def test_the_monitors_own_delay_is_taken_off_the_ecg(stream, golden):
    straight, delayed = Looking(), Looking()
    LiveParity(stream, golden, straight).teacher_fingerprint(1250)
    LiveParity(stream, golden, delayed, ecg_lead_s=0.4).teacher_fingerprint(1250)
    assert np.array_equal(straight.ppg, delayed.ppg)
    lag = round(0.4 * ECG.rate_hz)
    moved, still = delayed.ecg[0, lag:].astype(float), straight.ecg[0, :-lag].astype(float)
    assert np.corrcoef(moved, still)[0, 1] > 0.98
    assert np.corrcoef(straight.ecg[0], delayed.ecg[0])[0, 1] < 0.9


def test_a_delay_before_the_first_sample_is_missing_and_not_an_error(stream, golden):
    teacher = Looking()
    LiveParity(stream, golden, teacher, ecg_lead_s=0.4).teacher_fingerprint(0)
    assert teacher.ecg.shape == (1, ECG.window_samples)
    assert teacher.ecg.any()


def test_without_ecg_the_teacher_sees_ppg_alone_and_its_own_bank(stream, golden):
    teacher = Looking()
    parity = LiveParity(WithoutEcg(stream), golden, teacher)
    assert parity.teacher_sees == "ppg"
    parity.compare(golden.vectors[3], 0)
    assert teacher.ecg is None


def test_nothing_compared_gives_no_figures(stream, golden):
    assert LiveParity(stream, golden, Looking()).overall() == {}

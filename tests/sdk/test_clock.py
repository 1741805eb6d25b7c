"""The clock map on numbers alone: connection events, questions, stalls, jitter, lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from plethprint.clock import DeviceClock
from plethprint.envelope import LowerEnvelope

FRAME_S = 0.125


@dataclass
class Air:
    """Connection events on the host's clock; a device with a crystal of its own."""

    interval_s: float
    ppm: float
    seed: int
    jitter_s: float = 0.0
    packet_error: float = 0.1

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.speed = 1 + self.ppm * 1e-6
        self.phase_s = self.rng.uniform(0, 1)

    def device_s(self, host_s: float) -> float:
        return (host_s - self.phase_s) * self.speed

    def host_s(self, device_s: float) -> float:
        return device_s / self.speed + self.phase_s

    def event(self, host_s: float) -> float:
        """Next connection event that gets through."""
        at_s = (math.floor(host_s / self.interval_s) + 1) * self.interval_s
        while self.rng.random() < self.packet_error:
            at_s += self.interval_s
        return 33.0 + self.interval_s if 30.0 <= at_s < 33.0 else at_s

    def heard(self, at_s: float) -> float:
        return at_s + (self.rng.exponential(self.jitter_s) if self.jitter_s else 0.0)

    def observed(self, seconds: float, *, asks: bool) -> tuple[DeviceClock, list[float]]:
        """A clock after so long, and the errors of frames' times from 60 s on."""
        events: list[tuple[float, float, float | None]] = []
        for k in range(1, int(seconds / FRAME_S)):
            device_s = k * FRAME_S
            events.append((self.heard(self.event(self.host_s(device_s))), device_s, None))
        asked_s, wait_s = 1.0, 0.2
        while asks and asked_s < seconds:
            taken_s = self.event(asked_s)
            answer_s = self.heard(self.event(taken_s + 1e-4))
            events.append((answer_s, self.device_s(taken_s), asked_s))
            asked_s += wait_s * self.rng.uniform(0.5, 1.5)
            wait_s = min(1.1 * wait_s, 4.0)
        clock, errors = DeviceClock(), []
        for arrival_s, device_s, sent_s in sorted(events, key=lambda event: event[0]):
            if sent_s is not None:
                clock.observe_exchange(sent_s, device_s, arrival_s)
                continue
            clock.observe(device_s, arrival_s)
            if arrival_s > 60.0:
                errors.append(clock.host_time(device_s) - self.host_s(device_s))
        return clock, errors

    @property
    def true_ppm(self) -> float:
        return 1e6 * (1 / self.speed - 1)


@pytest.mark.parametrize("jitter_s", [0.0, 0.002])
def test_questions_keep_sample_times_within_ten_milliseconds_whatever_the_phase(
    jitter_s: float,
) -> None:
    errors: list[float] = []
    for seed in range(6):
        air = Air(0.05, 50.0, seed, jitter_s)
        clock, of_this_one = air.observed(150.0, asks=True)
        errors += of_this_one
        assert abs(clock.drift_ppm - air.true_ppm) < 3 * clock.drift_uncertainty_ppm
        assert abs(of_this_one[-1]) < 3 * clock.uncertainty_s
    assert np.percentile(np.abs(errors), 95) < 0.010


def test_without_questions_the_latency_of_frames_in_step_stays_in_the_times() -> None:
    late = [
        np.mean(Air(0.05, 50.0, seed).observed(120.0, asks=False)[1]) for seed in range(4)
    ]
    assert max(late) > 0.010  # which is what the questions are for
    assert min(late) > -0.001  # never early


def test_from_arrivals_alone_200_ppm_are_found_in_ten_minutes() -> None:
    air = Air(0.03, 200.0, 1)
    clock, _ = air.observed(600.0, asks=False)
    assert clock.drift_ppm == pytest.approx(air.true_ppm, abs=5.0)


def test_the_uncertainty_of_the_drift_is_told_before_it_is_known_well() -> None:
    clock = DeviceClock()
    assert math.isinf(clock.drift_uncertainty_ppm)
    assert math.isinf(clock.uncertainty_s)
    young, _ = Air(0.03, 100.0, 2, 0.002).observed(40.0, asks=True)
    old, _ = Air(0.03, 100.0, 2, 0.002).observed(300.0, asks=True)
    assert old.drift_uncertainty_ppm < young.drift_uncertainty_ppm < 1000


def test_a_device_that_lies_about_its_time_is_not_believed() -> None:
    clock = DeviceClock()
    for second in range(60):
        clock.observe(float(second), 1000.02 + second)
        # It claims to have taken each question a minute before it was asked.
        clock.observe_exchange(1000.5 + second, second - 60.0, 1000.6 + second)
    assert clock.host_time(59.0) == pytest.approx(1059.02, abs=1e-6)


def test_an_answer_before_its_question_is_ignored() -> None:
    clock = DeviceClock()
    for second in range(30):
        clock.observe(float(second), 1000.0 + second)
        clock.observe_exchange(1001.0 + second, second + 0.5, 1000.0 + second)
    assert clock.host_time(29.0) == pytest.approx(1029.0, abs=1e-6)


def test_an_envelope_forgets_what_left_its_window() -> None:
    envelope = LowerEnvelope(window_s=10.0, bucket_s=1.0)
    for second in range(100):
        envelope.add(float(second), 0.1)
    assert len(envelope) == 11
    assert (envelope.first_s, envelope.span_s) == (89.0, 10.0)
    assert not envelope.add(50.0, 0.0)  # too old to matter
    assert envelope.lowest_s(0.0) == 0.1

"""The shape, size and timing of single pulses."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint_sim import Wearer, WearerStream
from plethprint_sim.pulse import pulse_wave, pulses_of, regular_pulse_s
from plethprint_sim.rhythm import NORMAL, VENTRICULAR, Beats

RATE_HZ = 500.0


def beat(
    interval_s: float, *, previous_interval_s: float | None = None, kind: int = NORMAL
) -> Beats:
    """One beat at time zero after the given interval."""
    before = interval_s if previous_interval_s is None else previous_interval_s
    return Beats(
        time_s=np.zeros((1, 1)),
        interval_s=np.full((1, 1), interval_s),
        previous_interval_s=np.full((1, 1), before),
        kind=np.full((1, 1), kind),
        wobble=np.zeros((1, 1, 2)),
        turn=np.ones((1, 1)),
    )


def still(**traits: float) -> Wearer:
    return Wearer(amplitude_breath=0, amplitude_mayer=0, arrival_wander_s=0, **traits)


def pulse_of(wearer: Wearer, beats: Beats) -> np.ndarray:
    drawn = np.zeros((1, 1000), dtype=np.float32)
    people = wearer.traits()
    pulse_wave(people, pulses_of(people, beats), drawn, start_s=0, sample_rate_hz=RATE_HZ)
    return drawn[0]


def tangent_foot_s(pulse: np.ndarray) -> float:
    slope = np.gradient(pulse, 1 / RATE_HZ)
    steepest = int(np.argmax(slope))
    return steepest / RATE_HZ - float(pulse[steepest] / slope[steepest])


@pytest.mark.parametrize("arrival_s", [0.16, 0.25, 0.34])
@pytest.mark.parametrize("rise_s", [0.12, 0.25])
def test_the_foot_of_a_regular_pulse_lies_one_arrival_time_after_the_r_peak(
    arrival_s: float, rise_s: float
) -> None:
    wearer = still(pulse_arrival_s=arrival_s, rise_s=rise_s, heart_rate_bpm=60)
    pulse = pulse_of(wearer, beat(1.0))
    assert tangent_foot_s(pulse) == pytest.approx(arrival_s, abs=0.006)


def test_the_width_label_is_the_width_of_the_drawn_pulse_at_half_height() -> None:
    for wearer in (still(heart_rate_bpm=60), still(heart_rate_bpm=110, rise_s=0.25)):
        pulse = pulse_of(wearer, beat(60 / wearer.heart_rate_bpm))
        width_s = (pulse > pulse.max() / 2).sum() / RATE_HZ
        assert regular_pulse_s(wearer.traits())[0][0] == pytest.approx(width_s, abs=0.01)


def test_a_reflection_that_returns_sooner_merges_with_the_systolic_wave() -> None:
    def peak_of_reflection_s(delay_s: float) -> float:
        with_it = still(reflection=0.6, reflection_delay_s=delay_s)
        without = still(reflection=0.0, reflection_delay_s=delay_s)
        wave = pulse_of(with_it, beat(0.85)) - pulse_of(without, beat(0.85))
        return float(np.argmax(wave) / RATE_HZ)

    assert peak_of_reflection_s(0.2) - peak_of_reflection_s(0.08) > 0.08


def test_a_slow_heart_sends_wider_pulses() -> None:
    slow, fast = still(heart_rate_bpm=45).traits(), still(heart_rate_bpm=150).traits()
    assert regular_pulse_s(slow)[0] > 1.2 * regular_pulse_s(fast)[0]


def test_an_early_beat_has_a_weaker_and_later_pulse() -> None:
    people = still(heart_rate_bpm=60).traits()
    regular = pulses_of(people, beat(1.0))
    early = pulses_of(people, beat(0.5, previous_interval_s=1.0))
    assert early.amplitude[0, 0] < 0.8 * regular.amplitude[0, 0]
    assert early.foot_s[0, 0] > regular.foot_s[0, 0] + 0.005


def test_a_ventricular_beat_ejects_less_than_an_atrial_one_equally_early() -> None:
    people = still(ectopic_ejection=0.5).traits()
    wide = pulses_of(people, beat(0.5, previous_interval_s=0.9, kind=VENTRICULAR))
    narrow = pulses_of(people, beat(0.5, previous_interval_s=0.9))
    assert wide.amplitude[0, 0] == pytest.approx(0.5 * narrow.amplitude[0, 0])


def test_a_pulse_has_died_away_before_it_is_cut_off() -> None:
    wide = still(rise_s=0.36, rise_spread=0.7, heart_rate_bpm=40)
    pulse = pulse_of(wide, beat(1.5))
    assert np.abs(np.diff(pulse)).max() == np.diff(pulse).max()
    end = int(np.nonzero(pulse)[0][-1])
    assert pulse[end] < 1e-3 * pulse.max()


def test_breath_swings_the_size_of_the_pulses() -> None:
    def spread(depth: float) -> float:
        wearer = Wearer(
            amplitude_breath=depth, amplitude_mayer=0, amplitude_wobble=0, rsa_depth=0,
            lf_depth=0, drift_depth=0, wander=0, wander_breath=0, motion_rate=0,
            noise_sd=1e-4,
        )  # fmt: skip
        ppg, _ = WearerStream(wearer, seed=1).read(0, 5000)
        heights = [ppg[k : k + 125].max() for k in range(0, 4875, 125)]
        return float(np.std(heights))

    assert spread(0.2) > 3 * spread(0.0)

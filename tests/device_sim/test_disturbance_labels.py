"""Labels of what disturbs a pulse and of the beats' kinds: exact, because simulated."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint.errors import SignalError
from plethprint_sim import RHYTHMS, Wearer, simulate_batch
from plethprint_sim.disturbance import draw_chance
from plethprint_sim.labels import MOST_DISTURBANCE, labels_of
from plethprint_sim.rhythm import (
    ATRIAL,
    SUPRAVENTRICULAR,
    VENTRICULAR,
    first_state,
    next_beats,
)
from plethprint_sim.synthesis import LEAD_S, TAIL_S, synthesise

_QUIET = {"noise_sd": 1e-6, "wander": 0.0, "wander_breath": 0.0, "motion_rate": 0.0}


def labels_of_wearer(seconds: float = 20.0, **traits: object) -> dict[str, float]:
    people = Wearer(**traits).traits()  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    samples = round(seconds * 125)
    beats, _ = next_beats(
        people, first_state(people, rng, start_s=-LEAD_S), rng, until_s=seconds + TAIL_S
    )
    chance = draw_chance(people, rng, start_s=0.0, samples=samples, sample_rate_hz=125.0)
    stretch = synthesise(
        people, beats, chance, start_s=0.0, samples=samples, sample_rate_hz=125.0
    )
    inside = (beats.time_s >= 0) & (beats.time_s < seconds)
    labels = labels_of(
        people, beats, stretch, inside, part=slice(0, samples), sample_rate_hz=125.0
    )
    return {name: float(value[0]) for name, value in labels.items()}


def test_a_pulse_that_nothing_disturbs_has_no_disturbance() -> None:
    assert labels_of_wearer(**_QUIET)["disturbance"] < 1e-6


@pytest.mark.parametrize("polarity", [1.0, -1.0])
def test_disturbance_grows_with_the_energy_of_the_noise(polarity: float) -> None:
    quiet = {name: value for name, value in _QUIET.items() if name != "noise_sd"}
    faint, loud = (
        labels_of_wearer(noise_sd=sd, noise_colour=1.0, polarity=polarity, **quiet)
        for sd in (0.05, 0.2)
    )
    assert loud["disturbance"] / faint["disturbance"] == pytest.approx(16.0, rel=0.05)


def test_lost_contact_and_light_off_the_scale_are_disturbance() -> None:
    assert labels_of_wearer(contact_loss_rate=0.3, **_QUIET)["disturbance"] > 10
    bright = labels_of_wearer(light_level=1.0, **_QUIET)["disturbance"]
    assert bright == MOST_DISTURBANCE


def test_the_shares_of_early_beats_count_the_beats() -> None:
    windows = simulate_batch(200, seed=31)
    kinds = windows.beat_kinds
    count = (kinds >= 0).sum(axis=1)
    wide = (kinds == VENTRICULAR).sum(axis=1) / count
    early = np.isin(kinds, (ATRIAL, SUPRAVENTRICULAR)).sum(axis=1) / count
    np.testing.assert_allclose(windows.labels["pvc_fraction"], wide, atol=1e-6)
    np.testing.assert_allclose(windows.labels["pac_fraction"], early, atol=1e-6)
    np.testing.assert_allclose(windows.labels["ectopic_fraction"], wide + early, atol=1e-6)
    assert wide.max() > 0.3
    assert early.max() > 0.3


def test_labels_of_a_part_speak_of_its_beats_alone() -> None:
    windows = simulate_batch(60, seed=32, duration_s=15.0, labelled_s=(4.0, 14.0))
    times, kinds = windows.beat_times_s, windows.beat_kinds
    inside = (times >= 4.0) & (times < 14.0)
    wide = ((kinds == VENTRICULAR) & inside).sum(axis=1) / inside.sum(axis=1)
    np.testing.assert_allclose(windows.labels["pvc_fraction"], wide, atol=1e-6)
    assert np.nanmax(times) > 14.0


def test_an_alternating_pulse_varies_and_a_regular_one_does_not() -> None:
    steady = {"amplitude_wobble": 0.0, "amplitude_breath": 0.0, "amplitude_mayer": 0.0,
              "rsa_depth": 0.0, "lf_depth": 0.0, "drift_depth": 0.0,
              "interval_jitter": 0.0}  # fmt: skip
    assert labels_of_wearer(**steady)["amplitude_cv"] < 0.005
    assert labels_of_wearer(alternans=0.2, **steady)["amplitude_cv"] == pytest.approx(
        0.2, abs=0.01
    )


def test_a_slower_rise_is_labelled_as_slower() -> None:
    fast, slow = labels_of_wearer(rise_s=0.12), labels_of_wearer(rise_s=0.22)
    assert slow["rise_time_s"] > 1.4 * fast["rise_time_s"]


def test_an_interpolated_beat_leaves_the_sinus_rhythm_in_step() -> None:
    sinus = {"rsa_depth": 0.0, "lf_depth": 0.0, "drift_depth": 0.0, "interval_jitter": 0.0}
    people = Wearer(
        rhythm="pvc", interpolated=1.0, heart_rate_bpm=55, prematurity=0.5, **sinus
    )  # type: ignore[arg-type]
    traits = people.traits()
    rng = np.random.default_rng(4)
    beats, _ = next_beats(traits, first_state(traits, rng, start_s=0.0), rng, until_s=60)
    wide = np.flatnonzero(beats.kind[0, 1:-1] == VENTRICULAR) + 1
    around_s = beats.time_s[0, wide + 1] - beats.time_s[0, wide - 1]
    assert wide.size > 3
    np.testing.assert_allclose(around_s, 1.05 * 60 / 55, rtol=0.01)


def test_beats_that_are_not_conducted_double_the_interval() -> None:
    traits = Wearer(pause_rate=0.2, rsa_depth=0.0, lf_depth=0.0, drift_depth=0.0).traits()
    rng = np.random.default_rng(5)
    beats, _ = next_beats(traits, first_state(traits, rng, start_s=0.0), rng, until_s=60)
    doubled = beats.interval_s[0] > 1.5 * 60 / 68
    assert 0.05 < doubled.mean() < 0.4


def test_damaged_signals_are_there_in_their_share_and_can_be_left_out() -> None:
    def hopeless(share: float) -> float:
        labels = simulate_batch(400, seed=33, damaged_share=share).labels
        return float(np.mean(labels["disturbance"] > 1.0))

    assert hopeless(1.0) > 0.75
    assert hopeless(0.0) < 0.35


@pytest.mark.parametrize("part", [(-1.0, 5.0), (2.0, 2.5), (0.0, 10.5)])
def test_a_labelled_part_outside_the_window_is_refused(part: tuple[float, float]) -> None:
    with pytest.raises(SignalError, match="labelled part"):
        simulate_batch(2, seed=1, labelled_s=part)


def test_a_damaged_share_above_one_is_refused() -> None:
    with pytest.raises(SignalError, match="damaged share"):
        simulate_batch(2, seed=1, damaged_share=1.5)


def test_every_rhythm_still_shows() -> None:
    shown = simulate_batch(600, seed=34).labels["rhythm"]
    assert set(np.unique(shown)) == set(range(len(RHYTHMS)))

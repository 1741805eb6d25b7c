"""What is true of a stretch of signal: the labels, exact because it was simulated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint_sim.disturbance import MOVING
from plethprint_sim.pulse import regular_pulse_s
from plethprint_sim.rhythm import (
    AF,
    ATRIAL,
    BIGEMINY,
    BRADY,
    BRADY_BELOW_BPM,
    FIBRILLATING,
    NORMAL,
    PAC,
    PVC,
    SINUS,
    SUPRAVENTRICULAR,
    SVT,
    TACHY,
    TACHY_ABOVE_BPM,
    VENTRICULAR,
    VT,
    Beats,
    FloatArray,
    People,
)
from plethprint_sim.synthesis import Stretch

_BAND_HZ = (0.5, 8.0)

MOST_DISTURBANCE = 1000.0
"""The label `disturbance` ends here (30 dB): nothing is left to be seen of the pulse."""

_TRAIT_LABELS = (
    "stiffness",
    "reflection",
    "reflection_delay_s",
    "perfusion",
    "respiration_hz",
    "noise_sd",
    "age_years",
    "pulse_arrival_s",
)


def labels_of(
    people: People,
    beats: Beats,
    stretch: Stretch,
    inside: npt.NDArray[np.bool_],
    *,
    part: slice,
    sample_rate_hz: float,
) -> dict[str, npt.NDArray[np.generic]]:
    """Labels of one stretch: name -> (N,); `simulate_batch` lists them.

    Parameters
    ----------
    people, beats, stretch
        Who, when their hearts beat, and what was made of it.
    inside
        bool (N, M): which of the beats lie in the part that is labelled.
    part
        The samples that are labelled.
    sample_rate_hz
        Samples a second.
    """
    # Intervals whose both beats lie in the window, and pairs of such intervals.
    ends = inside[:, 1:] & inside[:, :-1]
    interval_s = np.where(ends, beats.interval_s[:, 1:], np.nan)
    count = ends.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_s = np.nansum(interval_s, axis=1) / count
        square_s = np.nansum((interval_s - mean_s[:, None]) ** 2, axis=1)
        sdnn_s = np.sqrt(square_s / np.where(count > 1, count - 1, np.nan))
        steps_s = np.diff(interval_s, axis=1)
        rmssd_s = np.sqrt(
            np.nansum(steps_s**2, axis=1) / np.where(count > 1, count - 1, np.nan)
        )
        rate_bpm = 60.0 / np.where(count > 0, mean_s, np.nan)
        arrival_s = np.where(inside, stretch.pulses.foot_s - beats.time_s, 0.0)
        arrival_s = arrival_s.sum(axis=1) / inside.sum(axis=1)
        count_inside = inside.sum(axis=1)
        wide = ((beats.kind == VENTRICULAR) & inside).sum(axis=1)
        early = np.isin(beats.kind, (ATRIAL, SUPRAVENTRICULAR)) & inside
        early_count = early.sum(axis=1)
        size = np.where(inside, stretch.pulses.amplitude, 0.0)
        mean_size = size.sum(axis=1) / count_inside
        off = np.where(inside, size - mean_size[:, None], 0.0)
        amplitude_cv = np.sqrt((off**2).sum(axis=1) / count_inside) / mean_size
    width_s, rise_time_s = regular_pulse_s(people)
    labels: dict[str, npt.NDArray[np.generic]] = {
        name: people[name].astype(np.float32) for name in _TRAIT_LABELS
    }
    exact: dict[str, FloatArray] = {
        "heart_rate_bpm": rate_bpm,
        "rmssd_s": rmssd_s,
        "sdnn_s": sdnn_s,
        "interval_cv": sdnn_s / mean_s,
        "ectopic_fraction": (wide + early_count) / np.maximum(count_inside, 1),
        "pvc_fraction": wide / np.maximum(count_inside, 1),
        "pac_fraction": early_count / np.maximum(count_inside, 1),
        "amplitude_cv": amplitude_cv,
        "pulse_arrival_s": arrival_s,
        "pulse_width_s": width_s,
        "rise_time_s": rise_time_s,
        "motion_share": (stretch.moving[:, part] > MOVING).mean(axis=1),
        "disturbance": _disturbance(people, stretch, part, sample_rate_hz),
    }
    labels.update({name: value.astype(np.float32) for name, value in exact.items()})
    labels["rhythm"] = _shown_rhythm(people, beats, inside, rate_bpm)
    return labels


def _disturbance(
    people: People, stretch: Stretch, part: slice, sample_rate_hz: float
) -> FloatArray:
    """Energy of all that is not pulse over the energy of the pulse, 0.5 to 8 Hz.

    The light is split into what is in proportion to the undisturbed pulse and the rest:
    with their correlation r that is 1 / r**2 - 1. So a pulse that saturation or lost
    contact has taken away counts as gone, not as disturbed by its own negative.
    """
    pulse, light = stretch.pulse[:, part], stretch.ppg[:, part]
    # Ends are tapered, or the slow wander outside the band would leak into it.
    taper = _taper(pulse.shape[1])
    hz = np.fft.rfftfreq(pulse.shape[1], 1 / sample_rate_hz)
    band = (hz >= _BAND_HZ[0]) & (hz <= _BAND_HZ[1])

    def spectrum(signal: npt.NDArray[np.float32]) -> npt.NDArray[np.complexfloating]:
        centred = signal - signal.mean(axis=1, keepdims=True)
        found = np.fft.rfft(centred * taper, axis=1)[:, band]
        return np.asarray(found, dtype=np.complex128)

    own, seen = spectrum(pulse), spectrum(light)
    together = (own * seen.conj()).real.sum(axis=1) * people["polarity"]
    energies = (np.abs(own) ** 2).sum(axis=1) * (np.abs(seen) ** 2).sum(axis=1)
    shared = np.zeros(len(energies))  # r squared; nothing where nothing moves
    np.divide(together.clip(0) ** 2, energies, out=shared, where=energies > 0)
    ratio = 1 / np.maximum(shared, 1 / (1 + MOST_DISTURBANCE)) - 1
    return np.asarray(ratio.clip(0.0, MOST_DISTURBANCE))


def _taper(samples: int) -> npt.NDArray[np.float32]:
    """One, with the first and last fifth rising and falling along a cosine."""
    from_end = np.minimum(np.arange(samples), np.arange(samples)[::-1]) + 0.5
    edge = (from_end / (0.2 * samples)).clip(0, 1)
    return (0.5 - 0.5 * np.cos(np.pi * edge)).astype(np.float32)


def _shown_rhythm(
    people: People, beats: Beats, inside: npt.NDArray[np.bool_], rate_bpm: FloatArray
) -> npt.NDArray[np.int64]:
    """The rhythm that a window shows: a wearer with rare PVCs may have none in it."""
    own = people["rhythm"].astype(np.int64)
    seen = np.stack(
        [((beats.kind == kind) & inside).sum(axis=1) for kind in range(FIBRILLATING + 2)],
        axis=1,
    )
    shown = np.where(rate_bpm < BRADY_BELOW_BPM, BRADY, SINUS)
    shown = np.where(rate_bpm > TACHY_ABOVE_BPM, TACHY, shown)
    wide = seen[:, VENTRICULAR] > 0
    early = seen[:, ATRIAL] + seen[:, SUPRAVENTRICULAR] > 0
    shown = np.where(early, PAC, shown)
    shown = np.where(wide, PVC, shown)
    shown = np.where(
        (own == BIGEMINY) & (wide | early) & (seen[:, NORMAL] > 0), BIGEMINY, shown
    )
    # Three fast beats in a row are a run.
    shown = np.where((own == SVT) & (seen[:, SUPRAVENTRICULAR] >= 3), SVT, shown)
    shown = np.where((own == VT) & (seen[:, VENTRICULAR] >= 3), VT, shown)
    return np.where(own == AF, AF, shown).astype(np.int64)

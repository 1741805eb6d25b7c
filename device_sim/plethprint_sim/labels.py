"""What is true of a stretch of signal: the labels, exact because it was simulated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint_sim.disturbance import MOVING
from plethprint_sim.pulse import pulse_width_s
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

_TRAIT_LABELS = (
    "stiffness",
    "reflection",
    "perfusion",
    "respiration_hz",
    "noise_sd",
    "age_years",
    "pulse_arrival_s",
)


def labels_of(
    people: People, beats: Beats, stretch: Stretch, inside: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[np.generic]]:
    """Labels of one stretch: name -> (N,); `simulate_batch` lists them.

    Parameters
    ----------
    people, beats, stretch
        Who, when their hearts beat, and what was made of it.
    inside
        bool (N, M): which of the beats lie in the stretch.
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
        ectopic = np.isin(beats.kind, (VENTRICULAR, ATRIAL, SUPRAVENTRICULAR)) & inside
        ectopic_fraction = ectopic.sum(axis=1) / inside.sum(axis=1)
    labels: dict[str, npt.NDArray[np.generic]] = {
        name: people[name].astype(np.float32) for name in _TRAIT_LABELS
    }
    exact: dict[str, FloatArray] = {
        "heart_rate_bpm": rate_bpm,
        "rmssd_s": rmssd_s,
        "sdnn_s": sdnn_s,
        "interval_cv": sdnn_s / mean_s,
        "ectopic_fraction": ectopic_fraction,
        "pulse_arrival_s": arrival_s,
        "pulse_width_s": pulse_width_s(people),
        "motion_share": (stretch.moving > MOVING).mean(axis=1),
    }
    labels.update({name: value.astype(np.float32) for name, value in exact.items()})
    labels["rhythm"] = _shown_rhythm(people, beats, inside, rate_bpm)
    return labels


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

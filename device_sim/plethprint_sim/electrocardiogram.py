"""The electrocardiogram of one lead (II-like), in millivolts, from the same beats."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from plethprint_sim.deposit import Float32Array, IndexArray, deposit
from plethprint_sim.rhythm import (
    AF,
    ATRIAL,
    FIBRILLATING,
    SUPRAVENTRICULAR,
    VENTRICULAR,
    Beats,
    FloatArray,
    People,
    breathing,
)


class _Bump(NamedTuple):
    """One wave of every beat: height, centre from the R peak, and half widths."""

    height_mv: FloatArray
    centre_s: FloatArray
    left_s: FloatArray
    right_s: FloatArray


_REACH = 3.2
"""Half widths after which a wave has died away."""


def electrocardiogram(
    people: People,
    beats: Beats,
    onto: Float32Array,
    *,
    start_s: float,
    sample_rate_hz: float,
) -> None:
    """Add P, Q, R, S, ST and T of every beat to `onto`, and what AF puts between.

    Parameters
    ----------
    people
        Traits of N people.
    beats
        (N, M) beats, from about a second before to half a second after the signal.
    onto
        float32 (N, T), millivolts, changed in place.
    start_s
        Time of the first sample on the wearers' clock.
    sample_rate_hz
        Samples a second.
    """
    duration_s = onto.shape[1] / sample_rate_hz
    beat_s = beats.time_s - start_s
    row, beat = np.nonzero((beat_s > -1.0) & (beat_s < duration_s + 0.4))
    if len(row):
        kind = beats.kind[row, beat]
        interval_s = beats.interval_s[row, beat]
        trait = {name: value[row] for name, value in people.items()}
        # The heart turns and the chest fills with every breath: the lead sees it.
        breath = breathing(people, beats.time_s)[row, beat]
        gain = 1 + trait["ecg_breath"] * breath
        gain += trait["ecg_wobble"] * beats.wobble[row, beat, 0]
        gain += trait["ecg_alternans"] * beats.turn[row, beat]
        for bump in _bumps(trait, kind, interval_s):
            present = bump.height_mv != 0
            bump = bump._replace(height_mv=bump.height_mv * gain)
            _deposit_bump(
                onto,
                _Bump(*(value[present] for value in bump)),
                row=row[present],
                beat_s=beat_s[row, beat][present],
                sample_rate_hz=sample_rate_hz,
            )
    _fibrillation(people, onto, start_s=start_s, sample_rate_hz=sample_rate_hz)


def _bumps(trait: People, kind: IndexArray, interval_s: FloatArray) -> list[_Bump]:
    wide = kind == VENTRICULAR
    narrow_p = wide | (kind == FIBRILLATING) | (kind == SUPRAVENTRICULAR)
    # A premature atrial beat starts elsewhere in the atrium: smaller P, shorter way.
    premature = kind == ATRIAL
    p_height = np.where(narrow_p, 0.0, np.where(premature, -0.5, 1.0) * trait["p_mv"])
    p_centre = -trait["p_lead_s"] * np.where(premature, 0.85, 1.0)
    p_width = trait["p_width_s"]

    qrs, gap = trait["qrs_width_s"], trait["qrs_gap_s"]
    ectopic_mv, ectopic_s = trait["ectopic_mv"], trait["ectopic_width_s"]
    r_height = np.where(wide, ectopic_mv, trait["r_mv"])
    r_width = np.where(wide, ectopic_s, qrs)
    r_fall = r_width * trait["r_fall"]
    q_height = np.where(wide, 0.0, trait["q_mv"])
    s_height = np.where(wide, -0.45 * ectopic_mv, trait["s_mv"])
    s_centre = np.where(wide, 2.6 * ectopic_s, gap)
    s_width = np.where(wide, 1.2 * ectopic_s, 1.15 * qrs)

    # Repolarisation follows the rate (Bazett), held within what is physiological.
    pace = np.sqrt(interval_s.clip(0.3, 1.6))
    t_height = np.where(wide, trait["ectopic_t"] * ectopic_mv, trait["t_mv"])
    t_centre = trait["t_delay_s"] * pace + np.where(wide, 0.07, 0.0)
    t_width = trait["t_width_s"] * pace * np.where(wide, 1.3, 1.0)
    st_height = np.where(wide, 0.0, trait["st_mv"])
    return [
        _Bump(p_height, p_centre, p_width, p_width),
        _Bump(q_height, -gap, qrs, qrs),
        _Bump(r_height, np.zeros_like(gap), r_width, r_fall),
        _Bump(s_height, s_centre, s_width, s_width),
        _Bump(st_height, 0.5 * t_centre + 0.02, 0.05 * pace, 0.05 * pace),
        # The T wave climbs slowly and falls fast.
        _Bump(t_height, t_centre, 1.25 * t_width, 0.8 * t_width),
    ]


def _deposit_bump(
    onto: Float32Array,
    bump: _Bump,
    *,
    row: IndexArray,
    beat_s: FloatArray,
    sample_rate_hz: float,
) -> None:
    if not len(row):
        return
    before_s = _REACH * bump.left_s
    height = bump.height_mv.astype(np.float32)[:, None]
    lead = before_s.astype(np.float32)[:, None]
    left = (-0.5 / bump.left_s**2).astype(np.float32)[:, None]
    right = (-0.5 / bump.right_s**2).astype(np.float32)[:, None]

    def wave(time_s: Float32Array, which: IndexArray) -> Float32Array:
        from_centre = time_s - lead[which]
        sharpness = np.where(from_centre < 0, left[which], right[which])
        return np.asarray(height[which] * np.exp(sharpness * np.square(from_centre)))

    deposit(
        onto,
        wave,
        row=row,
        start_s=beat_s + bump.centre_s - before_s,
        reach_s=before_s + _REACH * bump.right_s,
        sample_rate_hz=sample_rate_hz,
    )


def _fibrillation(
    people: People, onto: Float32Array, *, start_s: float, sample_rate_hz: float
) -> None:
    """Add the fibrillatory waves of those whose atria fibrillate."""
    row = np.nonzero(people["rhythm"] == AF)[0]
    if not len(row):
        return
    phase = people["lf_phase"][row, None]
    rate = people["fibrillation_hz"][row, None]
    since_s = (np.arange(onto.shape[1]) / sample_rate_hz).astype(np.float32)

    def turning(rate_hz: FloatArray | float, turns: float) -> Float32Array:
        # The angle at the start in double precision, from there on in single.
        angle = (2 * np.pi * rate_hz * start_s + turns * phase) % (2 * np.pi)
        speed = np.asarray(2 * np.pi * rate_hz, dtype=np.float32)
        return np.asarray(speed * since_s + angle.astype(np.float32))

    # The circling waves speed up, slow down, wax and wane.
    turn = turning(rate, 1) + 2.5 * np.sin(turning(0.31, 2)) + np.sin(turning(0.83, 3))
    waxing = 1 + 0.5 * np.sin(turning(0.47, 1))
    height = people["fibrillation_mv"][row, None].astype(np.float32)
    onto[row] += height * waxing * (np.sin(turn) + 0.4 * np.sin(2 * turn + 1))

"""When the heart beats: intervals of sinus and disturbed rhythms, many hearts at once.

Everything here is vectorised over people (rows). `next_beats` goes on from a
`HeartState`, so one window of many people and one endless stream of one person are
the same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
People = Mapping[str, npt.NDArray[np.float64]]
"""Traits of N people: trait name -> float64 (N,); the names are those of `Wearer`."""

RHYTHMS = ("sinus", "brady", "tachy", "af", "pvc", "pac", "bigeminy", "svt", "vt")
"""Names of the rhythm codes; `labels["rhythm"]` indexes this tuple."""

SINUS, BRADY, TACHY, AF, PVC, PAC, BIGEMINY, SVT, VT = range(len(RHYTHMS))

BRADY_BELOW_BPM = 60.0
TACHY_ABOVE_BPM = 100.0

NORMAL, VENTRICULAR, ATRIAL, FIBRILLATING, SUPRAVENTRICULAR = range(5)
"""Kinds of a beat."""

_SHORTEST_INTERVAL_S = 0.25
_LONGEST_INTERVAL_S = 2.6


@dataclass(frozen=True)
class Beats:
    """Beats of N people; every array is (N, M), times ascending along a row."""

    time_s: FloatArray
    """R peak, seconds on the wearer's clock."""
    interval_s: FloatArray
    """Interval from the beat before."""
    previous_interval_s: FloatArray
    """The interval before that one; with `interval_s` it sets how far the heart fills."""
    kind: npt.NDArray[np.int64]
    """NORMAL, VENTRICULAR, ATRIAL, FIBRILLATING or SUPRAVENTRICULAR."""
    wobble: FloatArray
    """(N, M, 2) standard normal: beat-to-beat chance in pulse size and arrival."""
    turn: FloatArray
    """1 and -1 by turns: strong and weak beats of an alternating pulse."""

    def joined(self, later: Beats) -> Beats:
        """These beats and then `later`, of the same people."""
        return Beats(
            np.concatenate((self.time_s, later.time_s), axis=1),
            np.concatenate((self.interval_s, later.interval_s), axis=1),
            np.concatenate((self.previous_interval_s, later.previous_interval_s), axis=1),
            np.concatenate((self.kind, later.kind), axis=1),
            np.concatenate((self.wobble, later.wobble), axis=1),
            np.concatenate((self.turn, later.turn), axis=1),
        )


@dataclass(frozen=True)
class HeartState:
    """Where N hearts stand after their last beat; every array is (N,)."""

    time_s: FloatArray
    interval_s: FloatArray
    previous_interval_s: FloatArray
    pause_s: FloatArray
    """Interval that must follow (the pause after an early beat); 0 when none."""
    early_last: BoolArray
    """Whether the last beat came early."""
    run_left: FloatArray
    """Beats still to come in a run of tachycardia."""
    turn: FloatArray
    """1 or -1: `Beats.turn` of the last beat."""


def breathing(people: People, time_s: FloatArray) -> npt.NDArray[np.float32]:
    """Breath at `time_s` (N, ...): -1 (out) to 1 (in), its rate wandering slowly."""
    rate, phase, sway = (
        _beside(people[name], time_s)
        for name in ("respiration_hz", "respiration_phase", "respiration_sway")
    )
    # Angles at one origin in double precision, from there on in single, which is fast.
    origin_s = float(time_s.flat[0])
    angle = ((2 * np.pi * rate * origin_s + phase) % (2 * np.pi)).astype(np.float32)
    swing = ((0.17 * origin_s + 3 * phase) % (2 * np.pi)).astype(np.float32)
    since_s = (time_s - origin_s).astype(np.float32)
    # A slow sway of the phase keeps hours of breathing from being one spectral line.
    swayed = sway.astype(np.float32) * np.sin(np.float32(0.17) * since_s + swing)
    turn = (2 * np.pi * rate).astype(np.float32) * since_s
    return np.asarray(np.sin(turn + angle + swayed), dtype=np.float32)


def vasomotion(people: People, time_s: FloatArray) -> FloatArray:
    """Vasomotor (Mayer) wave near 0.1 Hz at `time_s` (N, ...): about -1 to 1."""
    rate, phase = _beside(people["lf_hz"], time_s), _beside(people["lf_phase"], time_s)
    angle = 2 * np.pi * rate * time_s + phase
    return np.asarray(0.7 * np.sin(angle) + 0.3 * np.sin(0.77 * angle + 2 * phase))


def slow_drift(people: People, time_s: FloatArray) -> FloatArray:
    """Drift over minutes at `time_s` (N, ...): about -1 to 1."""
    phase = _beside(people["drift_phase"], time_s)
    slow = np.sin(2 * np.pi * time_s / 171.0 + phase)
    return np.asarray(0.6 * slow + 0.4 * np.sin(2 * np.pi * time_s / 47.0 + 5 * phase))


def first_state(
    people: People, rng: np.random.Generator, *, start_s: float, in_run: bool = False
) -> HeartState:
    """Hearts at a random moment of their cycle, at most one interval before `start_s`.

    With `in_run`, people who have runs of tachycardia may be in the midst of one.
    """
    n = len(people["rhythm"])
    interval = 60.0 / people["heart_rate_bpm"]
    run_left = np.zeros(n)
    if in_run:
        has_runs = (people["rhythm"] == SVT) | (people["rhythm"] == VT)
        run_left = np.where(has_runs, np.floor(rng.uniform(-6, 40, n)).clip(0), 0.0)
    return HeartState(
        time_s=start_s - interval * rng.uniform(0, 1, n),
        interval_s=interval,
        previous_interval_s=interval,
        pause_s=np.zeros(n),
        early_last=rng.uniform(0, 1, n) < 0.5,
        run_left=run_left,
        turn=np.ones(n),
    )


def next_beats(
    people: People, state: HeartState, rng: np.random.Generator, *, until_s: float
) -> tuple[Beats, HeartState]:
    """Beats that follow `state`, until every heart has one at or after `until_s`.

    Parameters
    ----------
    people
        Traits of N people.
    state
        What `first_state` or an earlier call returned.
    rng
        Drawn from once for each beat.
    until_s
        Time on the wearers' clock.

    Returns
    -------
    tuple of Beats and HeartState
        (N, M) beats; hearts faster than the slowest one run past `until_s`.
    """
    rhythm = people["rhythm"]
    fibrillates, alternates = rhythm == AF, rhythm == BIGEMINY
    wide = (
        (rhythm == PVC) | (rhythm == VT) | (alternates & (people["ectopic_focus"] < 0.85))
    )
    has_ectopy = (rhythm == PVC) | (rhythm == PAC)
    run_rate = np.where((rhythm == SVT) | (rhythm == VT), people["run_rate"], 0.0)
    base_s = 60.0 / people["heart_rate_bpm"]
    time, interval, previous = state.time_s, state.interval_s, state.previous_interval_s
    pause, early_last, run_left = state.pause_s, state.early_last, state.run_left
    turn = state.turn
    interpolated = people["interpolated"] > 0.5
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    n = len(base_s)
    while time.min() < until_s:
        chance = rng.random((4, n))
        wobble = rng.standard_normal((4, n))
        modulation = (
            people["rsa_depth"] * breathing(people, time)
            + people["lf_depth"] * vasomotion(people, time)
            + people["drift_depth"] * slow_drift(people, time)
            + people["interval_jitter"] * wobble[0]
        )
        sinus_s = base_s * (1.0 - modulation)
        spread = people["af_spread"]
        irregular_s = base_s * np.exp(spread * wobble[1] - 0.5 * spread**2)
        # The node's refractory time bounds a fibrillating interval softly from below.
        floor_s = 0.28 + 0.04 * chance[2]
        following = np.where(fibrillates, np.maximum(irregular_s, floor_s), sinus_s)

        starts = (run_left <= 0) & (chance[0] < run_rate)
        run_left = np.where(
            starts, np.floor(5 + 40 * chance[1]), np.maximum(run_left - 1, 0)
        )
        running = run_left > 0
        may_repeat = chance[1] < people["couplet_rate"]
        comes_early = has_ectopy & (chance[0] < people["ectopic_rate"])
        comes_early &= ~early_last | may_repeat
        early = np.where(alternates, ~early_last, comes_early)
        early &= ~running
        early_s = sinus_s * (people["prematurity"] + 0.03 * wobble[1])
        # A beat that is not conducted leaves twice the interval.
        dropped = ~fibrillates & (pause <= 0) & (chance[3] < people["pause_rate"])
        following = np.where(dropped, 2 * following, following)
        following = np.where((pause > 0) & ~early, pause, following)
        following = np.where(early, early_s, following)
        following = np.where(
            running, 60.0 / people["run_bpm"] * (1 + 0.01 * wobble[0]), following
        )
        following = following.clip(_SHORTEST_INTERVAL_S, _LONGEST_INTERVAL_S)

        # A ventricular beat leaves the sinus node alone (full pause, or none when it
        # falls between two sinus beats); an atrial one resets it.
        pause_after = np.where(wide, 2 * sinus_s - following, 1.06 * sinus_s)
        between = wide & interpolated
        pause_after = np.where(
            between, np.maximum(1.05 * sinus_s - following, 0.3), pause_after
        )
        pause = np.where(early, pause_after, 0.0)
        kind = np.where(fibrillates, FIBRILLATING, NORMAL)
        kind = np.where(early, np.where(wide, VENTRICULAR, ATRIAL), kind)
        kind = np.where(running, np.where(wide, VENTRICULAR, SUPRAVENTRICULAR), kind)
        time, previous, interval = time + following, interval, following
        early_last, turn = early, -turn
        columns.append((time, interval, previous, kind, wobble[2:].T, turn))
    if not columns:
        return _no_beats(n), state
    stacked = [np.stack(column, axis=1) for column in zip(*columns, strict=True)]
    beats = Beats(
        stacked[0].astype(np.float64),
        stacked[1].astype(np.float64),
        stacked[2].astype(np.float64),
        stacked[3].astype(np.int64),
        stacked[4].astype(np.float64),
        stacked[5].astype(np.float64),
    )
    return beats, HeartState(time, interval, previous, pause, early_last, run_left, turn)


def _no_beats(n: int) -> Beats:
    none = np.zeros((n, 0))
    return Beats(none, none, none, none.astype(np.int64), np.zeros((n, 0, 2)), none)


def _beside(trait: FloatArray, like: FloatArray) -> FloatArray:
    """The (N,) trait shaped to broadcast against an (N, ...) array."""
    return trait.reshape(trait.shape + (1,) * (like.ndim - 1))

"""Many random wearers at once: paired windows with exact labels, for training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.errors import SampleRateError, SignalError
from plethprint_sim.deposit import Float32Array
from plethprint_sim.disturbance import draw_chance
from plethprint_sim.population import RHYTHM_SHARES, draw_people
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
    RHYTHMS,
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
    first_state,
    next_beats,
)
from plethprint_sim.synthesis import LEAD_S, TAIL_S, Stretch, synthesise

MIN_SAMPLE_RATE_HZ = 20.0
MAX_SAMPLE_RATE_HZ = 500.0

_PEOPLE_AT_ONCE = 256
"""So many people's signals stay in the processor's cache."""

_TRAIT_LABELS = (
    "stiffness",
    "reflection",
    "perfusion",
    "respiration_hz",
    "noise_sd",
    "age_years",
    "pulse_arrival_s",
)


@dataclass(frozen=True)
class Waveforms:
    """Paired windows of N virtual wearers and what is true of them."""

    ppg: Float32Array
    """(N, T), 0 (dark) to 1 (full scale); a pulse is upright."""
    ecg: Float32Array
    """(N, T), millivolts."""
    sample_rate_hz: float
    labels: dict[str, npt.NDArray[np.generic]]
    """Label name -> (N,). See `simulate_batch`."""
    beat_times_s: Float32Array
    """(N, M): R peaks inside the window, seconds from its first sample; NaN pads."""
    pulse_times_s: Float32Array
    """(N, M): feet of the pulses that those beats sent out; may lie past the end."""
    beat_kinds: npt.NDArray[np.int8]
    """(N, M): NORMAL .. SUPRAVENTRICULAR of `plethprint_sim.rhythm`; -1 pads."""

    def __len__(self) -> int:
        return len(self.ppg)


def simulate_batch(
    n: int,
    *,
    seed: int,
    duration_s: float = 10.0,
    sample_rate_hz: float = 125.0,
    rhythm_shares: Sequence[float] = RHYTHM_SHARES,
) -> Waveforms:
    """Simulate one window of each of `n` random wearers.

    The same arguments give the same bytes. A batch of a different `n` holds other
    wearers: vary `seed`, not `n`, to get new ones.

    Parameters
    ----------
    n
        Number of wearers, at least 1.
    seed
        Seed, not negative.
    duration_s
        Length of the windows, 1 to 600 s.
    sample_rate_hz
        20 to 500 Hz, for both signals.
    rhythm_shares
        Weight of each of `RHYTHMS`, not negative, some positive.

    Returns
    -------
    Waveforms
        Labels: `heart_rate_bpm` (mean over the window's beats), `rhythm` (int64, index
        into `RHYTHMS`, as it shows in the window), `rmssd_s`, `sdnn_s`, `interval_cv`,
        `ectopic_fraction` (share of early or wide beats), `stiffness` (0..1),
        `reflection` (height of the reflected wave, systolic = 1), `pulse_width_s` (at
        half height), `perfusion` (pulse as % of the light), `respiration_hz`,
        `motion_share` (share of samples in motion), `noise_sd` (pulse height = 1),
        `age_years`, `pulse_arrival_s` (mean from R peak to foot). Interval statistics
        are NaN where the window has too few beats.

    Raises
    ------
    plethprint.errors.SampleRateError
        The sample rate lies outside 20..500 Hz.
    plethprint.errors.SignalError
        Another argument is out of range.

    Examples
    --------
    >>> from plethprint_sim import simulate_batch
    >>> windows = simulate_batch(4, seed=1)
    >>> windows.ppg.shape, windows.ecg.shape
    ((4, 1250), (4, 1250))
    """
    check_rate(sample_rate_hz)
    if n < 1:
        raise SignalError(f"expected at least 1 wearer, got n={n}")
    if seed < 0:
        raise SignalError(f"expected a seed that is not negative, got {seed}")
    if not 1.0 <= duration_s <= 600.0:
        raise SignalError(f"expected a duration of 1 to 600 s, got {duration_s}")
    shares = np.asarray(rhythm_shares, dtype=np.float64)
    if shares.shape != (len(RHYTHMS),) or not (shares.min() >= 0 < shares.sum() < math.inf):
        raise SignalError(
            f"expected {len(RHYTHMS)} weights, one for each of {RHYTHMS}, none negative "
            f"and some positive, got {list(rhythm_shares)}"
        )
    parts = []
    for index, start in enumerate(range(0, n, _PEOPLE_AT_ONCE)):
        rng = np.random.Generator(np.random.SFC64([seed, index]))
        people = draw_people(min(_PEOPLE_AT_ONCE, n - start), rng, rhythm_shares=shares)
        parts.append(_simulate(people, rng, duration_s, sample_rate_hz))
    return _joined(parts)


def check_rate(sample_rate_hz: float) -> None:
    """Refuse a sample rate outside 20..500 Hz."""
    if not MIN_SAMPLE_RATE_HZ <= sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        raise SampleRateError(
            f"expected a sample rate of {MIN_SAMPLE_RATE_HZ:g} to "
            f"{MAX_SAMPLE_RATE_HZ:g} Hz, got {sample_rate_hz}"
        )


def _simulate(
    people: People, rng: np.random.Generator, duration_s: float, sample_rate_hz: float
) -> Waveforms:
    samples = round(duration_s * sample_rate_hz)
    # Any moment of the wearers' day: breath and drift stand anywhere.
    state = first_state(people, rng, start_s=-LEAD_S, in_run=True)
    beats, _ = next_beats(people, state, rng, until_s=duration_s + TAIL_S)
    chance = draw_chance(
        people, rng, start_s=0.0, samples=samples, sample_rate_hz=sample_rate_hz
    )
    stretch = synthesise(
        people, beats, chance, start_s=0.0, samples=samples, sample_rate_hz=sample_rate_hz
    )
    inside = (beats.time_s >= 0) & (beats.time_s < samples / sample_rate_hz)
    return Waveforms(
        ppg=stretch.ppg,
        ecg=stretch.ecg,
        sample_rate_hz=sample_rate_hz,
        labels=_labels(people, beats, stretch, inside),
        beat_times_s=_packed(beats.time_s.astype(np.float32), inside, np.nan),
        pulse_times_s=_packed(stretch.pulses.foot_s.astype(np.float32), inside, np.nan),
        beat_kinds=_packed(beats.kind.astype(np.int8), inside, -1),
    )


def _labels(
    people: People, beats: Beats, stretch: Stretch, inside: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[np.generic]]:
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
        "motion_share": (stretch.moving > 0.17).mean(axis=1),
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
    wide, early = seen[:, VENTRICULAR] > 0, seen[:, ATRIAL] > 0
    shown = np.where(early, PAC, shown)
    shown = np.where(wide, PVC, shown)
    shown = np.where((own == BIGEMINY) & (wide | early) & (seen[:, NORMAL] > 0), BIGEMINY, shown)
    # Three fast beats in a row are a run.
    shown = np.where((own == SVT) & (seen[:, SUPRAVENTRICULAR] >= 3), SVT, shown)
    shown = np.where((own == VT) & (seen[:, VENTRICULAR] >= 3), VT, shown)
    return np.where(own == AF, AF, shown).astype(np.int64)


def _packed(
    values: npt.NDArray[np.generic], keep: npt.NDArray[np.bool_], pad: float
) -> npt.NDArray[np.generic]:
    """The kept values of each row, moved to its front; `pad` behind them."""
    width = int(keep.sum(axis=1).max())
    packed = np.full((len(values), width), pad, dtype=values.dtype)
    row, column = np.nonzero(keep)
    packed[row, np.cumsum(keep, axis=1)[row, column] - 1] = values[row, column]
    return packed


def _joined(parts: list[Waveforms]) -> Waveforms:
    width = max(part.beat_times_s.shape[1] for part in parts)

    def padded(array: npt.NDArray[np.generic], pad: float) -> npt.NDArray[np.generic]:
        missing = ((0, 0), (0, width - array.shape[1]))
        return np.pad(array, missing, constant_values=pad)

    return Waveforms(
        ppg=np.concatenate([part.ppg for part in parts]),
        ecg=np.concatenate([part.ecg for part in parts]),
        sample_rate_hz=parts[0].sample_rate_hz,
        labels={
            name: np.concatenate([part.labels[name] for part in parts])
            for name in parts[0].labels
        },
        beat_times_s=np.concatenate([padded(part.beat_times_s, np.nan) for part in parts]),
        pulse_times_s=np.concatenate([padded(part.pulse_times_s, np.nan) for part in parts]),
        beat_kinds=np.concatenate([padded(part.beat_kinds, -1) for part in parts]),
    )

"""Many random wearers at once: paired windows with exact labels, for training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from plethprint.errors import SignalError
from plethprint_sim.deposit import Float32Array
from plethprint_sim.disturbance import draw_chance
from plethprint_sim.labels import labels_of
from plethprint_sim.population import DAMAGED_SHARE, RHYTHM_SHARES, draw_people
from plethprint_sim.rhythm import RHYTHMS, People, first_state, next_beats
from plethprint_sim.source import check_rate
from plethprint_sim.synthesis import LEAD_S, TAIL_S, synthesise

_Array = TypeVar("_Array", bound=npt.NDArray[Any])

_PEOPLE_AT_ONCE = 256
"""So many people's signals stay in the processor's cache."""


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
    damaged_share: float = DAMAGED_SHARE,
    labelled_s: tuple[float, float] | None = None,
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
        Length of the windows, 1 to 60 s; `WearerStream` goes on for hours.
    sample_rate_hz
        20 to 500 Hz, for both signals.
    rhythm_shares
        Weight of each of `RHYTHMS`, not negative, some positive.
    damaged_share
        Share of windows, 0 to 1, whose PPG is badly damaged: contact lost half of the
        time, noise many times the pulse, or light beyond the converter's scale.
    labelled_s
        Start and end, seconds, of the part that the labels speak of; all by default.
        Beat and pulse times are those of the whole window.

    Returns
    -------
    Waveforms
        Labels: `heart_rate_bpm` (mean over the window's beats), `rhythm` (int64, index
        into `RHYTHMS`, as it shows in the window), `rmssd_s`, `sdnn_s`, `interval_cv`,
        `ectopic_fraction` (share of early or wide beats), `pvc_fraction` (of ventricular
        beats), `pac_fraction` (of atrial and supraventricular early beats),
        `amplitude_cv` (sd over mean of the pulses' sizes), `stiffness` (0..1),
        `reflection` (height of the reflected wave, systolic = 1), `reflection_delay_s`
        (its peak after the systolic one), `pulse_width_s` (at half height),
        `rise_time_s` (foot to peak), `perfusion` (pulse as % of the light),
        `respiration_hz`, `motion_share` (share of samples in motion), `noise_sd` (pulse
        height = 1),
        `disturbance` (energy between 0.5 and 8 Hz of all that is not pulse - noise,
        wander, motion, lost contact, saturation - over the energy of the pulse; at most
        1000),
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
    if not 1.0 <= duration_s <= 60.0:
        raise SignalError(f"expected a duration of 1 to 60 s, got {duration_s}")
    shares = np.asarray(rhythm_shares, dtype=np.float64)
    if shares.shape != (len(RHYTHMS),) or not (shares.min() >= 0 < shares.sum() < math.inf):
        raise SignalError(
            f"expected {len(RHYTHMS)} weights, one for each of {RHYTHMS}, none negative "
            f"and some positive, got {list(rhythm_shares)}"
        )
    if not 0.0 <= damaged_share <= 1.0:
        raise SignalError(f"expected a damaged share of 0 to 1, got {damaged_share}")
    first_s, last_s = labelled_s or (0.0, duration_s)
    if not 0.0 <= first_s <= last_s - 1.0 <= duration_s - 1.0:
        raise SignalError(
            f"expected a labelled part of at least 1 s inside 0 to {duration_s} s, "
            f"got {labelled_s}"
        )
    parts = []
    for index, start in enumerate(range(0, n, _PEOPLE_AT_ONCE)):
        rng = np.random.Generator(np.random.SFC64([seed, index]))
        people = draw_people(
            min(_PEOPLE_AT_ONCE, n - start),
            rng,
            rhythm_shares=shares.tolist(),
            damaged_share=damaged_share,
        )
        parts.append(_simulate(people, rng, duration_s, sample_rate_hz, (first_s, last_s)))
    return _joined(parts)


def _simulate(
    people: People,
    rng: np.random.Generator,
    duration_s: float,
    sample_rate_hz: float,
    labelled_s: tuple[float, float],
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
    labelled = inside & (beats.time_s >= labelled_s[0]) & (beats.time_s < labelled_s[1])
    part = slice(*(round(time_s * sample_rate_hz) for time_s in labelled_s))
    return Waveforms(
        ppg=stretch.ppg,
        ecg=stretch.ecg,
        sample_rate_hz=sample_rate_hz,
        labels=labels_of(
            people, beats, stretch, labelled, part=part, sample_rate_hz=sample_rate_hz
        ),
        beat_times_s=_packed(beats.time_s.astype(np.float32), inside, np.nan),
        pulse_times_s=_packed(stretch.pulses.foot_s.astype(np.float32), inside, np.nan),
        beat_kinds=_packed(beats.kind.astype(np.int8), inside, -1),
    )


def _packed(values: _Array, keep: npt.NDArray[np.bool_], pad: float) -> _Array:
    """The kept values of each row, moved to its front; `pad` behind them."""
    width = int(keep.sum(axis=1).max())
    packed = np.full((len(values), width), pad, dtype=values.dtype)
    row, column = np.nonzero(keep)
    packed[row, np.cumsum(keep, axis=1)[row, column] - 1] = values[row, column]
    return packed  # type: ignore[return-value]  # np.full keeps the type it is given


def _joined(parts: list[Waveforms]) -> Waveforms:
    width = max(part.beat_times_s.shape[1] for part in parts)

    def padded(array: _Array, pad: float) -> _Array:
        missing = ((0, 0), (0, width - array.shape[1]))
        return np.pad(array, missing, constant_values=pad)  # type: ignore[return-value]

    return Waveforms(
        ppg=np.concatenate([part.ppg for part in parts]),
        ecg=np.concatenate([part.ecg for part in parts]),
        sample_rate_hz=parts[0].sample_rate_hz,
        labels={
            name: np.concatenate([part.labels[name] for part in parts])
            for name in parts[0].labels
        },
        beat_times_s=np.concatenate([padded(part.beat_times_s, np.nan) for part in parts]),
        pulse_times_s=np.concatenate(
            [padded(part.pulse_times_s, np.nan) for part in parts]
        ),
        beat_kinds=np.concatenate([padded(part.beat_kinds, -1) for part in parts]),
    )

"""What the sensors add: noise, baseline wander, mains hum, motion and lost contact.

Noise with a spectrum is a spline through white knots, one spline for each octave. A
stretch of signal needs only its own knots and the first three of the next stretch, so
stretches made on their own fit together without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from plethprint_sim.deposit import Float32Array
from plethprint_sim.rhythm import FloatArray, People

_KNOTS_HZ = (0.15, 0.5, 1.6, 5.0, 14.0)
"""Knots a second of the octaves of noise."""

MOVING = 0.17
"""Strength from which on a burst counts as begun: half of the weakest burst."""

_EVENTS = 5
"""At most this many bursts of motion, or losses of contact, begin in one stretch."""


@dataclass(frozen=True)
class Chance:
    """White numbers behind the disturbances of one stretch of N people's signals."""

    ppg_knots: tuple[Float32Array, ...]
    """For each octave (N, K + 3)."""
    ecg_knots: tuple[Float32Array, ...]
    ppg_white: Float32Array
    """(N, T)"""
    ecg_white: Float32Array
    motion: FloatArray
    """(N, E, 4): start s, length s, size, phase; length 0 for no burst."""
    contact_loss: FloatArray
    """(N, E, 4), alike."""
    pressure: FloatArray
    """(N, E, 4), alike: times of another pressure between sensor and skin."""


def knots_in(duration_s: float) -> tuple[int, ...]:
    """Number of knot intervals of each octave in a stretch."""
    return tuple(max(1, round(rate * duration_s)) for rate in _KNOTS_HZ)


def draw_chance(
    people: People,
    rng: np.random.Generator,
    *,
    start_s: float,
    samples: int,
    sample_rate_hz: float,
) -> Chance:
    """Draw the chance of one stretch that begins at `start_s`."""
    n = len(people["rhythm"])
    duration_s = samples / sample_rate_hz

    def knots() -> tuple[Float32Array, ...]:
        return tuple(
            rng.standard_normal((n, count + 3), dtype=np.float32)
            for count in knots_in(duration_s)
        )

    ppg_knots, ecg_knots = knots(), knots()
    return Chance(
        ppg_knots=ppg_knots,
        ecg_knots=ecg_knots,
        motion=_events(people["motion_rate"], rng, start_s, duration_s),
        contact_loss=_events(people["contact_loss_rate"], rng, start_s, duration_s),
        pressure=_events(people["pressure_rate"], rng, start_s, duration_s),
        ppg_white=rng.standard_normal((n, samples), dtype=np.float32),
        ecg_white=rng.standard_normal((n, samples), dtype=np.float32),
    )


def share_of(events: FloatArray, time_s: FloatArray) -> Float32Array:
    """How strongly `events` (N, E, 4) act at `time_s` (T,): float32 (N, T), from 0 on.

    An event swells and sinks within 0.15 s; at half its size it counts as begun.
    """
    strength = np.zeros((len(events), len(time_s)), dtype=np.float32)
    touched = (
        (events[..., 1] > 0)
        & (events[..., 0] < time_s[-1] + 0.5)
        & (events[..., 0] + events[..., 1] > time_s[0] - 0.5)
    )
    for slot in range(events.shape[1]):
        row = np.nonzero(touched[:, slot])[0]
        if not len(row):
            continue
        start, length, size, _ = (events[row, slot, k, None] for k in range(4))
        inside = np.minimum(time_s - start, start + length - time_s)
        envelope = size * (0.5 + 0.5 * (inside / 0.075).clip(-1, 1))
        strength[row] = np.maximum(strength[row], envelope.astype(np.float32))
    return strength


def disturb_ppg(
    people: People,
    chance: Chance,
    onto: Float32Array,
    *,
    time_s: FloatArray,
    sample_rate_hz: float,
    breath: Float32Array,
    moving: Float32Array,
    pressed: Float32Array,
) -> None:
    """Add wander, noise and motion to pulses of height one, float32 (N, T), in place.

    Parameters
    ----------
    people, chance
        Traits and white numbers of N people.
    onto
        Pulses; the regular pulse of each wearer has a height of about one.
    time_s
        float64 (T,): times of the samples on the wearers' clock.
    sample_rate_hz
        Samples a second.
    breath
        float32 (N, T): `breathing`.
    moving
        float32 (N, T): strength of motion, `share_of` the bursts.
    pressed
        float32 (N, T): strength of a change of pressure, likewise.
    """
    samples, knots = onto.shape[1], chance.ppg_knots
    column = {name: value.astype(np.float32)[:, None] for name, value in people.items()}
    slow = _octave(knots[1], samples)
    onto += column["wander"] * (_octave(knots[0], samples) + np.float32(0.5) * slow)
    onto += column["wander_breath"] * breath
    # White noise is per sample: hold its density, not its sd, when the rate changes.
    white = np.float32(np.sqrt(sample_rate_hz / 125.0)) * column["noise_sd"]
    onto += white * (1 - column["noise_colour"]) * chance.ppg_white
    coloured = _octave(knots[3], samples) + _octave(knots[4], samples)
    onto += column["noise_sd"] * column["noise_colour"] * coloured
    row = np.nonzero(pressed.max(axis=1) > 0)[0]
    if len(row):
        onto[row] += column["pressure_step"][row] * pressed[row]
    row = np.nonzero(moving.max(axis=1) > 0)[0]
    if not len(row):
        return
    phase = people["lf_phase"][row, None]
    step = (2 * np.pi * people["cadence_hz"][row, None] * time_s + 3 * phase) % (2 * np.pi)
    heel = column["heel_strike"][row]
    stepping = np.exp(-heel) * np.sin(step.astype(np.float32))
    stepping += 0.5 * np.sin((2 * step + phase).astype(np.float32))
    # Hard steps ring: their harmonics outgrow the swing of the arm.
    stepping += heel * np.sin((3 * step + 2 * phase).astype(np.float32))
    stepping += 0.6 * heel * np.sin((4 * step + 3 * phase).astype(np.float32))
    jerk = _octave(knots[2][row], samples)
    jolts = (
        0.8 * stepping + 0.8 * slow[row] + 0.7 * jerk + column["shake"][row] * coloured[row]
    )
    # Pressing and lifting let light past more often than they block it.
    jolts -= 0.35 * np.square(jerk)
    onto[row] += column["motion_size"][row] * moving[row] * jolts


def disturb_ecg(
    people: People,
    chance: Chance,
    onto: Float32Array,
    *,
    time_s: FloatArray,
    sample_rate_hz: float,
    breath: Float32Array,
    moving: Float32Array,
) -> None:
    """Add wander, hum, muscle noise and motion to `onto`, millivolts, in place."""
    samples, knots = onto.shape[1], chance.ecg_knots
    column = {name: value.astype(np.float32)[:, None] for name, value in people.items()}
    slow = _octave(knots[1], samples)
    onto += column["ecg_wander_mv"] * (
        _octave(knots[0], samples)
        + np.float32(0.6) * (slow + breath)
        + np.float32(0.3) * _octave(knots[2], samples)
    )
    white = np.float32(0.8 * np.sqrt(sample_rate_hz / 125.0)) * column["ecg_noise_mv"]
    onto += white * chance.ecg_white
    onto += np.float32(0.4) * column["ecg_noise_mv"] * _octave(knots[3], samples)
    humming = np.nonzero(people["ecg_mains_mv"] > 0)[0]
    if len(humming):
        hum = 2 * np.pi * people["mains_hz"][humming, None] * time_s
        hum = (hum + people["lf_phase"][humming, None]) % (2 * np.pi)
        onto[humming] += column["ecg_mains_mv"][humming] * np.sin(hum.astype(np.float32))
    row = np.nonzero(moving.max(axis=1) > 0)[0]
    if len(row):
        strain = 0.12 * slow[row] + 0.08 * _octave(knots[2][row], samples)
        strain += 0.05 * _octave(knots[4][row], samples)
        strain *= column["ecg_strain"][row]
        onto[row] += np.minimum(column["motion_size"][row], 3) * moving[row] * strain


def _events(
    rate: FloatArray, rng: np.random.Generator, start_s: float, duration_s: float
) -> FloatArray:
    n = len(rate)
    gap_s = rng.exponential(1.0, (n, _EVENTS)) / np.maximum(rate, 1e-12)[:, None]
    begin_s = np.cumsum(gap_s, axis=1)
    # An event ends at the latest with the stretch after its own.
    length_s = np.minimum(
        np.exp(rng.uniform(np.log(0.4), np.log(9.0), (n, _EVENTS))), 0.95 * duration_s
    )
    length_s = np.where(begin_s < duration_s, length_s, 0.0)
    size = rng.uniform(0.35, 1.0, (n, _EVENTS))
    phase = rng.uniform(0, 2 * np.pi, (n, _EVENTS))
    return np.stack(
        (start_s + np.minimum(begin_s, duration_s), length_s, size, phase), axis=2
    )


def _octave(knots: Float32Array, samples: int) -> Float32Array:
    return knots @ _basis(knots.shape[1] - 3, samples)


@lru_cache(maxsize=20)
def _basis(intervals: int, samples: int) -> Float32Array:
    """Cubic B-spline weights (intervals + 3, samples), of unit mean square."""
    position = np.arange(samples) * (intervals / samples)
    segment = np.minimum(position.astype(np.int64), intervals - 1)
    u = position - segment
    weights = (
        np.stack(
            ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
        )
        / 6.0
    )
    basis = np.zeros((intervals + 3, samples), dtype=np.float32)
    for k in range(4):
        basis[segment + k, np.arange(samples)] = weights[k] / 0.692
    basis.flags.writeable = False
    return basis

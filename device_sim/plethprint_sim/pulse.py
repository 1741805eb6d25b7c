"""The pulse in the skin: what one beat, one artery and one breath make of the PPG.

A pulse is a sum of three log-normal waves that start together: the systolic wave, its
reflection from the lower body, and the diastolic run-off. The foot, where tangents
meet, lies one arrival time after the R peak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint_sim.deposit import Float32Array, IndexArray, deposit
from plethprint_sim.rhythm import (
    NORMAL,
    VENTRICULAR,
    Beats,
    FloatArray,
    People,
    breathing,
    vasomotion,
)

_LIFE_S = 1.3
"""A pulse has died away this long after its onset (at a stretch of one)."""

_REFERENCE_INTERVAL_S = 0.85


@dataclass(frozen=True)
class Pulses:
    """The pulses that follow N people's beats; arrays are (N, M)."""

    amplitude: FloatArray
    """Size relative to the wearer's regular pulse."""
    foot_s: FloatArray
    """Foot by intersecting tangents, seconds on the wearer's clock."""
    stretch: FloatArray
    """How far the pulse is stretched in time: ejection lasts longer at slow rates."""


def pulses_of(people: People, beats: Beats) -> Pulses:
    """Size, time and stretch of the pulse that each beat sends out."""
    trait = {name: value[:, None] for name, value in people.items()}
    mean_s = 60.0 / trait["heart_rate_bpm"]
    filled = _filling(beats.interval_s, trait["filling_s"])
    amplitude = filled / _filling(mean_s, trait["filling_s"])
    # A longer interval than the one before strengthens the beat, a shorter weakens it.
    swing = (beats.interval_s / beats.previous_interval_s).clip(0.4, 2.2)
    amplitude = amplitude * swing ** trait["potentiation"]
    amplitude = amplitude * np.where(
        beats.kind == VENTRICULAR, trait["ectopic_ejection"], 1.0
    )
    breath = breathing(people, beats.time_s)
    amplitude = amplitude * (
        1
        + trait["amplitude_breath"] * breath
        + trait["amplitude_mayer"] * vasomotion(people, beats.time_s)
        + trait["amplitude_wobble"] * beats.wobble[..., 0]
        + trait["alternans"] * beats.turn
    )
    amplitude = amplitude.clip(0.01, 2.5)
    # A poorly filled heart needs longer to open the aortic valve.
    arrival_s = (
        trait["pulse_arrival_s"]
        + 0.05 * (1 - amplitude.clip(0.2, 1.3))
        + trait["arrival_wander_s"] * (breath + beats.wobble[..., 1])
    )
    ejecting_s = 0.4 * beats.interval_s + 0.6 * np.where(
        beats.kind == NORMAL, mean_s, beats.interval_s
    )
    return Pulses(
        amplitude=amplitude,
        foot_s=beats.time_s + arrival_s,
        stretch=_stretch(ejecting_s, trait["ejection_exponent"]),
    )


def pulse_wave(
    people: People,
    pulses: Pulses,
    onto: Float32Array,
    *,
    start_s: float,
    sample_rate_hz: float,
) -> None:
    """Add the pulses to `onto`, float32 (N, T), whose first sample is at `start_s`."""
    stretch = pulses.stretch
    onset_s = pulses.foot_s - start_s - _foot_delay_s(people)[:, None] * stretch
    duration_s = onto.shape[1] / sample_rate_hz
    row, beat = np.nonzero((onset_s < duration_s) & (onset_s > -_LIFE_S * stretch))
    if not len(row):
        return
    shape = _shape_of(people, row)
    size = pulses.amplitude[row, beat].astype(np.float32)[:, None]
    inverse = (1.0 / stretch[row, beat]).astype(np.float32)[:, None]

    def wave(time_s: Float32Array, which: IndexArray) -> Float32Array:
        chosen = {name: value[which] for name, value in shape.items()}
        return size[which] * _pulse(time_s * inverse[which], chosen)

    deposit(
        onto,
        wave,
        row=row,
        start_s=onset_s[row, beat],
        reach_s=_LIFE_S * stretch[row, beat],
        sample_rate_hz=sample_rate_hz,
    )


def regular_pulse_s(people: People) -> tuple[FloatArray, FloatArray]:
    """Width at half height and time from foot to peak of each regular pulse, seconds.

    The foot is where the steepest tangent meets zero; both are float64 (N,).
    """
    rows = np.arange(len(people["rise_s"]))
    grid_s = np.arange(0.004, _LIFE_S, 0.004, dtype=np.float32)
    pulse = _pulse(
        np.broadcast_to(grid_s, (len(rows), len(grid_s))), _shape_of(people, rows)
    )
    width_s = 0.004 * (pulse > 0.5 * pulse.max(axis=1, keepdims=True)).sum(axis=1)
    peak_s = grid_s[np.argmax(pulse, axis=1)] - _foot_delay_s(people)
    stretch = _stretch(60.0 / people["heart_rate_bpm"], people["ejection_exponent"])
    return np.asarray(width_s * stretch), np.asarray(peak_s * stretch)


def _filling(interval_s: FloatArray, filling_s: FloatArray) -> FloatArray:
    # 0.15 s: the ventricle still ejects and cannot fill.
    return np.asarray(1 - np.exp(-(interval_s - 0.15).clip(0.02) / filling_s))


def _stretch(interval_s: FloatArray, exponent: FloatArray) -> FloatArray:
    return np.asarray(((interval_s / _REFERENCE_INTERVAL_S) ** exponent).clip(0.55, 1.3))


def _foot_delay_s(people: People) -> FloatArray:
    """From the onset of the systolic wave to where its steepest tangent meets zero."""
    spread = people["rise_spread"]
    steepest = -0.5 * (spread + np.sqrt(spread**2 + 4))
    time_s = people["rise_s"] * np.exp(spread * steepest)
    return np.asarray(time_s * (1 + spread / steepest))


def _shape_of(people: People, row: IndexArray) -> Mapping[str, Float32Array]:
    rise, spread = people["rise_s"], people["rise_spread"]
    second = rise + people["reflection_delay_s"]
    third = rise + people["runoff_delay_s"]
    columns: dict[str, npt.NDArray[np.float64]] = {
        "log_rise": np.log(rise),
        "sharp_rise": -0.5 / spread**2,
        "log_second": np.log(second),
        "sharp_second": -0.5 / people["reflection_spread"] ** 2,
        "reflection": people["reflection"],
        "log_third": np.log(third),
        "sharp_third": -0.5 / people["runoff_spread"] ** 2,
        "runoff": people["runoff"],
    }
    return {name: c[row].astype(np.float32)[:, None] for name, c in columns.items()}


def _pulse(time_s: Float32Array, shape: Mapping[str, Float32Array]) -> Float32Array:
    """Pulses of systolic height one at `time_s` (B, L) after their onset."""
    log_time = np.log(np.maximum(time_s, np.float32(1e-6)))
    total = np.exp(shape["sharp_rise"] * np.square(log_time - shape["log_rise"]))
    total += shape["reflection"] * np.exp(
        shape["sharp_second"] * np.square(log_time - shape["log_second"])
    )
    total += shape["runoff"] * np.exp(
        shape["sharp_third"] * np.square(log_time - shape["log_third"])
    )
    # Log-normal tails are long: bring them to rest within the pulse's life.
    left = np.maximum(1 - np.square(time_s / np.float32(_LIFE_S)), 0)
    return np.asarray(total * np.square(left), dtype=np.float32)

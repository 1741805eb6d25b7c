"""From people, beats and chance to paired PPG and ECG: the one place they meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plethprint_sim.deposit import Float32Array
from plethprint_sim.disturbance import Chance, disturb_ecg, disturb_ppg, share_of
from plethprint_sim.electrocardiogram import electrocardiogram
from plethprint_sim.pulse import Pulses, pulse_wave, pulses_of
from plethprint_sim.rhythm import Beats, People, breathing

LEAD_S = 3.0
"""Beats from this long before a stretch still sound in it."""

TAIL_S = 0.6
"""Beats up to this long after a stretch already show in it (their P wave)."""


@dataclass(frozen=True)
class Stretch:
    """Paired signals of N people over one stretch of time; arrays are (N, T)."""

    ppg: Float32Array
    """Light on the photodiode, 0 (dark) to 1 (full scale of the converter)."""
    ecg: Float32Array
    """Millivolts."""
    moving: Float32Array
    """Strength of motion, 0 to 1; above `disturbance.MOVING` a burst has begun."""
    apart: Float32Array
    """Loss of contact, 0 to 1; above 0 the light is not that of the skin."""
    pulses: Pulses
    """The pulses of all beats that were given."""
    pulse: Float32Array
    """The pulse alone, before anything disturbs it; the regular one has height one."""


def synthesise(
    people: People,
    beats: Beats,
    chance: Chance,
    *,
    start_s: float,
    samples: int,
    sample_rate_hz: float,
) -> Stretch:
    """Make the signals of one stretch.

    Parameters
    ----------
    people
        Traits of N people.
    beats
        (N, M) beats that cover `LEAD_S` before to `TAIL_S` after the stretch.
    chance
        White numbers of this stretch.
    start_s
        Time of the first sample on the wearers' clock.
    samples
        T.
    sample_rate_hz
        Samples a second.
    """
    n = len(people["rhythm"])
    time_s = start_s + np.arange(samples) / sample_rate_hz
    breath = breathing(people, time_s[None, :])
    moving = share_of(chance.motion, time_s)
    apart = share_of(chance.contact_loss, time_s)

    ppg = np.zeros((n, samples), dtype=np.float32)
    pulses = pulses_of(people, beats)
    pulse_wave(people, pulses, ppg, start_s=start_s, sample_rate_hz=sample_rate_hz)
    pressed = share_of(chance.pressure, time_s)
    if pressed.any():
        # Pressing empties the small vessels: the pulse under the sensor shrinks.
        weakened = people["pressure_damping"].astype(np.float32)[:, None]
        ppg *= 1 - weakened * np.minimum(pressed, 1)
    undisturbed = ppg.copy()
    disturb_ppg(
        people,
        chance,
        ppg,
        time_s=time_s,
        sample_rate_hz=sample_rate_hz,
        breath=breath,
        moving=moving,
        pressed=pressed,
    )
    _light(people, ppg, apart)

    ecg = np.zeros((n, samples), dtype=np.float32)
    electrocardiogram(people, beats, ecg, start_s=start_s, sample_rate_hz=sample_rate_hz)
    disturb_ecg(
        people,
        chance,
        ecg,
        time_s=time_s,
        sample_rate_hz=sample_rate_hz,
        breath=breath,
        moving=moving,
    )
    return Stretch(ppg, ecg, moving, apart, pulses, undisturbed)


def _light(people: People, pulse: Float32Array, apart: Float32Array) -> None:
    """Turn pulses of height one into light on the photodiode, in place."""
    column = {name: value.astype(np.float32)[:, None] for name, value in people.items()}
    pulse *= np.float32(0.01) * column["polarity"] * column["perfusion"]
    pulse += 1
    pulse *= column["light_level"]
    if apart.any():
        # Off the skin the diode sees the room, a tenth of the light, and no pulse.
        pulse += np.minimum(apart * 3, 1) * (
            np.float32(0.1) * column["light_level"] - pulse
        )
    np.clip(pulse, 0, 1, out=pulse)

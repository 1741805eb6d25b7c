"""The virtual wearer: one numerical person with a heart, arteries and sensors.

`simulate_batch` makes windows of many; `WearerStream` makes hours of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from plethprint.errors import SignalError
from plethprint_sim.batch import Waveforms, simulate_batch
from plethprint_sim.population import SITES, draw_people
from plethprint_sim.rhythm import RHYTHMS, FloatArray

__all__ = [
    "RHYTHMS",
    "SEXES",
    "SITES",
    "Waveforms",
    "Wearer",
    "random_wearer",
    "simulate_batch",
]

SEXES = ("female", "male")

_CODED = {"rhythm": RHYTHMS, "site": SITES, "sex": SEXES}


@dataclass(frozen=True)
class Wearer:
    """A person, as numbers. The defaults are a calm forty-year-old's finger.

    Examples
    --------
    >>> Wearer(rhythm="af", heart_rate_bpm=95).rhythm
    'af'
    """

    age_years: float = 40.0
    sex: str = "female"
    """One of `SEXES`."""
    site: str = "finger"
    """One of `SITES`: where the light is read."""

    respiration_hz: float = 0.25
    respiration_phase: float = 0.0
    """Radians."""
    respiration_sway: float = 0.5
    """Radians by which the breath runs ahead of and behind its mean rate."""

    rhythm: str = "sinus"
    """One of `RHYTHMS`."""
    heart_rate_bpm: float = 68.0
    rsa_depth: float = 0.04
    """Respiratory sinus arrhythmia: swing of the interval, as a share of it."""
    lf_depth: float = 0.03
    """Swing of the interval with the vasomotor (Mayer) wave."""
    lf_hz: float = 0.1
    lf_phase: float = 1.0
    drift_depth: float = 0.02
    """Swing of the interval over minutes."""
    drift_phase: float = 2.0
    interval_jitter: float = 0.004
    """Chance from beat to beat, as a share of the interval."""
    af_spread: float = 0.22
    """Spread (log sd) of the intervals while the atria fibrillate."""
    ectopic_rate: float = 0.15
    """Chance at each beat that the next comes early; for "pvc" and "pac" only."""
    ectopic_focus: float = 0.5
    """0..1; above 0.85 the early beats of a bigeminy are atrial."""
    interpolated: float = 0.0
    """1: a ventricular beat falls between two sinus beats, no pause follows."""
    pause_rate: float = 0.0
    """Chance at each beat that the next one is not conducted."""
    couplet_rate: float = 0.0
    """Chance that an early beat may follow another."""
    prematurity: float = 0.62
    """Interval before an early beat, as a share of the regular one."""
    run_rate: float = 0.06
    """Chance at each beat that a run begins; for "svt" and "vt" only."""
    run_bpm: float = 160.0
    filling_s: float = 0.32
    """Time constant with which the heart fills."""
    ectopic_ejection: float = 0.6
    """How much of its filling a ventricular beat ejects."""
    potentiation: float = 0.2
    """How much a long interval after a short one strengthens the beat."""

    stiffness: float = 0.3
    """Of the large arteries, 0 (young) to 1."""
    reflection: float = 0.3
    """Height of the reflected wave; systolic = 1."""
    reflection_delay_s: float = 0.17
    """Peak of the reflected wave after the systolic peak."""
    reflection_spread: float = 0.3
    rise_s: float = 0.16
    """Onset to systolic peak."""
    rise_spread: float = 0.5
    runoff: float = 0.35
    """Height of the diastolic wave; systolic = 1."""
    runoff_delay_s: float = 0.33
    runoff_spread: float = 0.3
    ejection_exponent: float = 0.3
    """How strongly the pulse widens with the interval."""
    pulse_arrival_s: float = 0.25
    """R peak to the foot of the pulse."""
    arrival_wander_s: float = 0.003
    amplitude_wobble: float = 0.02
    """Chance in the pulse's size from beat to beat."""
    alternans: float = 0.0
    """Pulsus alternans: strong and weak pulses by turns, 1 + and 1 - this."""
    amplitude_breath: float = 0.06
    """Swing of the pulse's size with the breath."""
    amplitude_mayer: float = 0.04
    perfusion: float = 2.0
    """Pulse as percent of the light."""

    p_mv: float = 0.12
    p_lead_s: float = 0.15
    """Middle of the P wave before the R peak."""
    p_width_s: float = 0.02
    q_mv: float = -0.1
    r_mv: float = 1.1
    s_mv: float = -0.2
    qrs_width_s: float = 0.0105
    """Half width (sd) of R; Q and S follow it."""
    r_fall: float = 1.0
    """How long R falls, as a share of how long it rises."""
    qrs_gap_s: float = 0.0265
    """Distance of Q and S from R."""
    t_mv: float = 0.25
    t_delay_s: float = 0.28
    """Peak of T after the R peak at an interval of one second."""
    t_width_s: float = 0.045
    st_mv: float = 0.0
    ectopic_mv: float = -1.4
    """Height of a ventricular beat."""
    ectopic_width_s: float = 0.038
    ectopic_t: float = -0.4
    """T wave of a ventricular beat, as a share of its height."""
    fibrillation_mv: float = 0.06
    fibrillation_hz: float = 6.0
    ecg_breath: float = 0.03
    """Swing of the ECG's height with the breath."""
    ecg_wobble: float = 0.01
    ecg_alternans: float = 0.0
    ecg_strain: float = 1.0
    """How much a burst of motion moves the electrodes."""
    ecg_wander_mv: float = 0.05
    ecg_mains_mv: float = 0.005
    mains_hz: float = 50.0
    ecg_noise_mv: float = 0.01

    noise_sd: float = 0.006
    """Sensor noise at 125 Hz; the regular pulse's height = 1."""
    noise_colour: float = 0.5
    """0 (white) to 1 (below some 7 Hz only)."""
    wander: float = 0.12
    """Slow wander of the baseline; the pulse's height = 1."""
    wander_breath: float = 0.08
    motion_rate: float = 0.004
    """Bursts of motion a second."""
    motion_size: float = 1.5
    """Height of a burst; the pulse's height = 1."""
    cadence_hz: float = 1.7
    heel_strike: float = 0.0
    """Height of the third harmonic of the steps."""
    shake: float = 0.4
    """Fast part of a burst of motion."""
    pressure_rate: float = 0.0
    """Changes of the sensor's pressure on the skin, a second."""
    pressure_step: float = 0.0
    """Step of the baseline that such a change brings; the pulse's height = 1."""
    pressure_damping: float = 0.0
    """Share of the pulse that it takes away."""
    contact_loss_rate: float = 0.0
    """Losses of contact a second."""
    light_level: float = 0.5
    """Mean light, as a share of the converter's full scale."""
    polarity: float = 1.0
    """-1: more blood, less light, as at the bare photodiode; 1: turned upright."""

    def __post_init__(self) -> None:
        for name, options in _CODED.items():
            if getattr(self, name) not in options:
                raise SignalError(
                    f"expected {name} to be one of {options}, got {getattr(self, name)!r}"
                )
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in _CODED and not math.isfinite(value):
                raise SignalError(f"expected {field.name} to be finite, got {value}")
        if not 20 <= self.heart_rate_bpm <= 250:
            raise SignalError(
                f"expected a heart rate of 20 to 250 bpm, got {self.heart_rate_bpm}"
            )
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise SignalError(f"expected a positive {name}, got {getattr(self, name)}")
        for name in (
            "motion_rate",
            "contact_loss_rate",
            "pressure_rate",
            "pause_rate",
            "ectopic_rate",
            "run_rate",
        ):
            if getattr(self, name) < 0:
                raise SignalError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.light_level <= 1:
            raise SignalError(f"expected a light level in (0, 1], got {self.light_level}")
        if abs(self.polarity) != 1:
            raise SignalError(f"expected a polarity of 1 or -1, got {self.polarity}")

    def traits(self) -> dict[str, FloatArray]:
        """The wearer as a population of one: trait name -> float64 (1,)."""
        return {
            field.name: np.array([self._number(field.name)], dtype=np.float64)
            for field in fields(self)
        }

    def _number(self, name: str) -> float:
        value = getattr(self, name)
        return float(_CODED[name].index(value) if name in _CODED else value)


_POSITIVE = (
    "run_bpm",
    "filling_s",
    "prematurity",
    "reflection_spread",
    "rise_s",
    "rise_spread",
    "runoff_spread",
    "perfusion",
    "p_width_s",
    "qrs_width_s",
    "r_fall",
    "t_width_s",
    "ectopic_width_s",
)


def random_wearer(rng: np.random.Generator | int, **fixed: Any) -> Wearer:
    """Draw one wearer from the population that `simulate_batch` draws from.

    None of those whose signal is damaged throughout is among them.

    Parameters
    ----------
    rng
        Source of chance, or a seed.
    **fixed
        Traits to hold, by the names of `Wearer`; the others are drawn.

    Raises
    ------
    plethprint.errors.SignalError
        A fixed trait has no such name or is out of range.

    Examples
    --------
    >>> random_wearer(7, rhythm="af").rhythm
    'af'
    """
    unknown = sorted(set(fixed) - {field.name for field in fields(Wearer)})
    if unknown:
        raise SignalError(f"a wearer has no {', '.join(unknown)}")
    if isinstance(rng, int | np.integer):
        if rng < 0:
            raise SignalError(f"expected a seed that is not negative, got {rng}")
        rng = np.random.Generator(np.random.SFC64(int(rng)))
    rhythm = fixed.get("rhythm")
    if rhythm is None:
        drawn = draw_people(1, rng, damaged_share=0.0)
    elif rhythm in RHYTHMS:
        # The other traits of the heart go with its rhythm.
        drawn = draw_people(
            1,
            rng,
            rhythm_shares=[float(name == rhythm) for name in RHYTHMS],
            damaged_share=0.0,
        )
    else:
        raise SignalError(f"expected rhythm to be one of {RHYTHMS}, got {rhythm!r}")
    traits: dict[str, Any] = {name: float(value[0]) for name, value in drawn.items()}
    for name, options in _CODED.items():
        traits[name] = options[int(traits[name])]
    return replace(Wearer(**traits), **fixed)

"""Who wears: random people drawn from wide, physiologically linked distributions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from plethprint_sim.rhythm import (
    AF,
    BIGEMINY,
    BRADY,
    PAC,
    PVC,
    RHYTHMS,
    SINUS,
    SVT,
    TACHY,
    VT,
    FloatArray,
)

SITES = ("finger", "wrist", "camera")
"""Where the light is read; `site` indexes this tuple."""

_FINGER, _WRIST, _CAMERA = range(len(SITES))

RHYTHM_SHARES = (0.33, 0.10, 0.13, 0.15, 0.10, 0.08, 0.05, 0.03, 0.03)
"""Default share of each of `RHYTHMS` in a population."""

DAMAGED_SHARE = 0.05
"""Default share of a population whose PPG is badly damaged throughout."""

_RATES_BPM = {
    SINUS: (58, 102),
    BRADY: (35, 62),
    TACHY: (98, 190),
    AF: (42, 185),
    PVC: (45, 125),
    PAC: (45, 125),
    BIGEMINY: (50, 115),
    SVT: (52, 110),
    VT: (52, 110),
}


def draw_people(
    n: int,
    rng: np.random.Generator,
    *,
    rhythm_shares: Sequence[float] = RHYTHM_SHARES,
    damaged_share: float = DAMAGED_SHARE,
) -> dict[str, FloatArray]:
    """Draw the traits of `n` people.

    Parameters
    ----------
    n
        Number of people.
    rng
        Source of chance.
    rhythm_shares
        Weight of each of `RHYTHMS`; need not sum to one.
    damaged_share
        Share of people whose PPG is badly damaged throughout, 0 to 1.

    Returns
    -------
    dict
        Trait name (a field of `Wearer`) -> float64 (n,); `rhythm`, `site` and `sex`
        as codes.
    """
    weights = np.asarray(rhythm_shares, dtype=np.float64)
    rhythm = rng.choice(len(RHYTHMS), size=n, p=weights / weights.sum())
    traits = _body(n, rng)
    traits.update(_heart(rhythm, traits["age_years"], rng))
    traits.update(_artery(traits, rng))
    traits.update(_electrocardiogram(n, rng))
    traits.update(_sensor(traits, rng))
    _calm(traits, rng)
    _damage(traits, damaged_share, rng)
    return {name: np.asarray(value, dtype=np.float64) for name, value in traits.items()}


def _body(n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    site = rng.choice(3, size=n, p=(0.55, 0.30, 0.15)).astype(np.float64)
    return {
        "age_years": rng.uniform(18, 92, n),
        "sex": rng.integers(0, 2, n).astype(np.float64),
        "site": site,
        "respiration_hz": _log_uniform(rng, 0.1, 0.55, n),
        "respiration_phase": rng.uniform(0, 2 * np.pi, n),
        "respiration_sway": rng.uniform(0, 1.2, n),
    }


def _heart(
    rhythm: npt.NDArray[np.int64], age_years: FloatArray, rng: np.random.Generator
) -> dict[str, FloatArray]:
    n = len(rhythm)
    lowest = np.array([_RATES_BPM[code][0] for code in range(len(RHYTHMS))])[rhythm]
    highest = np.array([_RATES_BPM[code][1] for code in range(len(RHYTHMS))])[rhythm]
    # Squaring leans the fast rhythms towards their slow end, as in the clinic.
    lean = np.where((rhythm == TACHY) | (rhythm == AF), 1.7, 1.0)
    rate = lowest + (highest - lowest) * rng.random(n) ** lean
    # Vagal tone, and with it the breath in the pulse, fades with age and rate.
    calm = np.exp(-(age_years - 18) / 60) * (70 / rate).clip(0.15, 1.6) ** 1.3
    return {
        "rhythm": rhythm.astype(np.float64),
        "heart_rate_bpm": rate,
        "rsa_depth": (calm * _log_uniform(rng, 0.004, 0.16, n)).clip(0, 0.2),
        "lf_depth": (calm * _log_uniform(rng, 0.004, 0.09, n)).clip(0, 0.12),
        "lf_hz": rng.uniform(0.06, 0.14, n),
        "lf_phase": rng.uniform(0, 2 * np.pi, n),
        "drift_depth": _log_uniform(rng, 0.001, 0.06, n),
        "drift_phase": rng.uniform(0, 2 * np.pi, n),
        "interval_jitter": _log_uniform(rng, 0.001, 0.012, n),
        "af_spread": rng.uniform(0.10, 0.34, n),
        "ectopic_rate": _log_uniform(rng, 0.05, 0.6, n),
        "interpolated": (rng.random(n) < 0.12).astype(np.float64),
        "pause_rate": np.where(
            ((rhythm == SINUS) | (rhythm == BRADY)) & (rng.random(n) < 0.06),
            _log_uniform(rng, 0.04, 0.35, n),
            0.0,
        ),
        "ectopic_focus": rng.random(n),
        "couplet_rate": np.where(rng.random(n) < 0.3, rng.uniform(0, 0.4, n), 0.0),
        "prematurity": np.where(
            rhythm == PAC, rng.uniform(0.55, 0.85, n), rng.uniform(0.48, 0.8, n)
        ),
        "run_rate": rng.uniform(0.03, 0.15, n),
        "run_bpm": np.maximum(rng.uniform(130, 220, n), 1.35 * rate),
        "filling_s": rng.uniform(0.18, 0.55, n),
        "ectopic_ejection": rng.uniform(0.35, 0.9, n),
        "potentiation": rng.uniform(0.0, 0.5, n),
    }


def _artery(
    traits: dict[str, FloatArray], rng: np.random.Generator
) -> dict[str, FloatArray]:
    age, site = traits["age_years"], traits["site"]
    n = len(age)
    stiffness = (0.08 + 0.0085 * (age - 18) + rng.normal(0, 0.15, n)).clip(0, 1)
    wrist, camera = site == _WRIST, site == _CAMERA
    smooth = 1.0 + 0.55 * wrist * rng.random(n) + 0.35 * camera * rng.random(n)
    # Green light at the wrist sees small vessels: round tops, narrow troughs.
    plateau = (wrist | camera) * rng.uniform(-0.5, 1.3, n).clip(0)
    rise = _log_uniform(rng, 0.09, 0.30, n) * smooth
    # A stiff artery returns its reflection sooner and larger, until it is lost in the
    # systolic wave; the run-off (diastolic) wave sinks.
    delay = 0.205 - 0.125 * stiffness + rng.normal(0, 0.026, n)
    reflection = 0.12 + 0.62 * stiffness + rng.normal(0, 0.25, n) + plateau
    runoff = (0.48 - 0.32 * stiffness + rng.normal(0, 0.24, n)) * (1 - 0.35 * wrist)
    # A wide-open periphery makes the diastolic wave as high as the systolic.
    dicrotic = (rng.random(n) < 0.06) * rng.uniform(0.2, 0.9, n)
    runoff = runoff + 0.6 * plateau + dicrotic
    arrival = 0.275 - 0.095 * stiffness + rng.normal(0, 0.025, n) - 0.02 * wrist
    return {
        "stiffness": stiffness,
        "reflection": reflection.clip(0.02, 1.6),
        "reflection_delay_s": delay.clip(0.05, 0.30),
        "reflection_spread": rng.uniform(0.16, 0.46, n),
        "rise_s": rise,
        "rise_spread": rng.uniform(0.30, 0.72, n) * smooth**0.3,
        "runoff": runoff.clip(0.0, 1.4),
        "runoff_delay_s": rng.uniform(0.24, 0.46, n) - 0.05 * stiffness,
        "runoff_spread": rng.uniform(0.16, 0.48, n),
        "ejection_exponent": rng.uniform(0.15, 0.5, n),
        "pulse_arrival_s": arrival.clip(0.14, 0.36),
        "arrival_wander_s": rng.uniform(0.001, 0.008, n),
        "amplitude_wobble": _log_uniform(rng, 0.004, 0.14, n),
        "alternans": np.where(rng.random(n) < 0.03, rng.uniform(0.03, 0.3, n), 0.0),
        "amplitude_breath": rng.uniform(0, 0.36, n) ** 1.4,
        "amplitude_mayer": rng.uniform(0, 0.12, n),
        "perfusion": _log_uniform(rng, 0.12, 9.0, n) * np.where(wrist, 0.5, 1.0),
    }


def _electrocardiogram(n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    r_wave = _log_uniform(rng, 0.2, 2.8, n)
    block = rng.random(n) < 0.12
    widen = np.where(block, rng.uniform(1.5, 2.6, n), rng.uniform(0.5, 1.35, n))
    upright = np.where(rng.random(n) < 0.14, -1.0, 1.0)
    # Leads of the right chest: a small R and a deep S.
    right_sided = (rng.random(n) < 0.2) * rng.uniform(0.3, 1.8, n)
    focus_sign = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    focus_size = focus_sign * rng.uniform(0.7, 2.2, n) * np.maximum(r_wave, 0.5)
    t_sign = np.where(rng.random(n) < 0.18, -0.7, 1.0)
    t_high = np.where(
        rng.random(n) < 0.12, rng.uniform(0.4, 1.0, n), rng.uniform(0.0, 0.42, n)
    )
    return {
        "p_mv": rng.uniform(0.02, 0.22, n) * np.where(rng.random(n) < 0.06, -1, 1),
        "p_lead_s": rng.uniform(0.10, 0.20, n),
        "p_width_s": rng.uniform(0.014, 0.027, n),
        "q_mv": -r_wave * rng.uniform(0.0, 0.28, n) * upright,
        "r_mv": r_wave * upright,
        "s_mv": -r_wave * (rng.uniform(0.0, 0.85, n) ** 1.3 + right_sided) * upright,
        "qrs_width_s": 0.0105 * widen,
        "r_fall": _log_uniform(rng, 0.5, 1.25, n),
        "qrs_gap_s": 0.0265 * widen * rng.uniform(0.85, 1.15, n),
        "t_mv": t_sign * t_high * np.maximum(r_wave, 0.6) ** 0.6,
        "t_delay_s": rng.uniform(0.21, 0.34, n) + 0.012 * widen,
        "t_width_s": rng.uniform(0.026, 0.072, n),
        "st_mv": rng.normal(0, 0.035, n) * np.where(rng.random(n) < 0.15, 4.0, 1.0),
        "ectopic_mv": focus_size,
        "ectopic_width_s": rng.uniform(0.028, 0.05, n),
        "ectopic_t": -rng.uniform(0.2, 0.6, n),
        "fibrillation_mv": _log_uniform(rng, 0.012, 0.14, n),
        "fibrillation_hz": rng.uniform(4.2, 8.5, n),
        "ecg_breath": rng.uniform(0, 0.35, n) ** 1.6,
        "ecg_wobble": _log_uniform(rng, 0.003, 0.12, n),
        "ecg_alternans": np.where(rng.random(n) < 0.02, rng.uniform(0.03, 0.2, n), 0.0),
        "ecg_strain": _log_uniform(rng, 0.25, 8.0, n),
        "ecg_wander_mv": _log_uniform(rng, 0.003, 0.8, n)
        * np.where(rng.random(n) < 0.2, 3.0, 1.0),
        "ecg_mains_mv": np.where(
            rng.random(n) < 0.4, _log_uniform(rng, 0.003, 0.12, n), 0.0
        ),
        "mains_hz": np.where(rng.random(n) < 0.5, 50.0, 60.0),
        "ecg_noise_mv": _log_uniform(rng, 0.001, 0.09, n),
    }


def _sensor(
    traits: dict[str, FloatArray], rng: np.random.Generator
) -> dict[str, FloatArray]:
    site, perfusion = traits["site"], traits["perfusion"]
    n = len(site)
    coarse = np.array((1.0, 2.2, 2.8))[site.astype(np.int64)]
    noise = _log_uniform(rng, 0.0004, 0.14, n) * coarse * perfusion**-0.15
    restless = np.array((0.15, 0.55, 0.30))[site.astype(np.int64)]
    rate_hz = traits["heart_rate_bpm"] / 60.0
    # Steps often fall in with the heart, and some hands tremble.
    gait = rng.random(n)
    cadence = rng.uniform(0.7, 3.2, n)
    cadence = np.where(gait < 0.25, rate_hz * rng.uniform(0.9, 1.1, n), cadence)
    cadence = np.where(gait > 0.9, rng.uniform(3.5, 7.5, n), cadence)
    pressed = rng.random(n) < 0.12
    near_rail = rng.random(n) < 0.03
    return {
        "noise_sd": noise.clip(0, 0.6),
        "noise_colour": rng.random(n),
        "wander": _log_uniform(rng, 0.01, 1.6, n),
        "wander_breath": rng.uniform(0, 0.5, n) ** 1.4,
        "motion_rate": np.where(
            rng.random(n) < restless, _log_uniform(rng, 0.03, 1.0, n), 0.004
        ),
        "motion_size": _log_uniform(rng, 0.2, 14.0, n),
        "cadence_hz": cadence,
        "heel_strike": rng.uniform(-0.7, 1.5, n).clip(0),
        "shake": _log_uniform(rng, 0.1, 3.0, n),
        "pressure_rate": np.where(pressed, _log_uniform(rng, 0.03, 0.3, n), 0.0),
        "pressure_step": rng.choice((-1.0, 1.0), n) * _log_uniform(rng, 0.2, 8.0, n),
        "pressure_damping": rng.uniform(0, 0.8, n),
        "contact_loss_rate": np.zeros(n),
        "light_level": np.where(
            near_rail,
            1.0 / (1 + 0.01 * perfusion * rng.uniform(0.4, 1.2, n)),
            rng.uniform(0.15, 0.8, n),
        ),
        "polarity": np.ones(n),
    }


def _calm(traits: dict[str, FloatArray], rng: np.random.Generator) -> None:
    """Some lie quite still, ventilated or paced, under a good sensor."""
    n = len(traits["site"])
    less = np.where(rng.random(n) < 0.1, _log_uniform(rng, 0.03, 0.4, n), 1.0)
    for name in _STILL:
        traits[name] = traits[name] * less


_STILL = (
    "rsa_depth",
    "lf_depth",
    "drift_depth",
    "interval_jitter",
    "amplitude_wobble",
    "amplitude_breath",
    "amplitude_mayer",
    "wander",
    "wander_breath",
    "noise_sd",
    "motion_rate",
    "ecg_breath",
    "ecg_wobble",
)


def _damage(traits: dict[str, FloatArray], share: float, rng: np.random.Generator) -> None:
    """Some signals are hardly any: contact lost, drowned in noise, or off the scale."""
    n = len(traits["site"])
    damaged, how = rng.random(n) < share, rng.random(n)
    lost, loud, bright = how < 0.4, (how >= 0.4) & (how < 0.8), how >= 0.8
    strong = _log_uniform(rng, 0.6, 6.0, n)
    traits["contact_loss_rate"] = np.where(damaged & lost, rng.uniform(0.15, 0.6, n), 0.0)
    traits["noise_sd"] = np.where(damaged & loud, strong, traits["noise_sd"])
    # So bright that only the troughs of the pulse are left.
    rail = 1.0 / (1 + 0.01 * traits["perfusion"] * rng.uniform(0.02, 0.4, n))
    traits["light_level"] = np.where(damaged & bright, rail, traits["light_level"])


def _log_uniform(rng: np.random.Generator, low: float, high: float, n: int) -> FloatArray:
    return np.asarray(np.exp(rng.uniform(np.log(low), np.log(high), n)))

"""Virtual wearers as a corpus: windows with exact labels, as many as wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.alignment import PHYSIOLOGICAL_LAG_S
from plethprint.resample import resample_rows
from plethprint.signal import ECG, PPG, window_rows
from plethprint_distill.crops import with_context
from plethprint_distill.physiology import (
    INTERVAL_TARGETS,
    SHAPE_POINTS,
    TARGETS,
    VIRTUAL_TARGETS,
    interval_targets,
    log_with_floor,
    pulse_shape,
)
from plethprint_distill.sensor_chain import (
    draw_filters,
    hold_samples,
    jump_electrodes,
    quantise,
)
from plethprint_distill.windows import WindowSet
from plethprint_sim.batch import simulate_batch

__all__ = ["virtual_windows"]

_WARM_UP_S = 4.0
_MARGIN_S = 1.0
"""Before and behind: room for the shift to one lag, and for sensors to settle in."""
_FOOT_LAG_S = PHYSIOLOGICAL_LAG_S - 0.045
"""R peak to the pulse's foot, where the steepest rise lies at `PHYSIOLOGICAL_LAG_S`."""
_BASE_RATE_HZ = 125.0
_RATES_HZ = (25.0, 30.0, 50.0, 64.0, 85.0, 100.0, 125.0, 125.0, 125.0)
"""Rates of the simulated sensors: a fingerprint must not tell them apart."""


def virtual_windows(
    count: int, *, seed: int, chunk: int = 1000, context_s: float = 0.0
) -> WindowSet:
    """`count` windows of as many random wearers, settled and cold by turns.

    Parameters
    ----------
    count
        Number of windows.
    seed
        Same seed, same bytes.
    chunk
        Windows simulated at a time; part of the seed's meaning.
    context_s
        Seconds kept before and behind each window; part of the seed's meaning too. What
        is told of a window is told of its middle.
    """
    rng = np.random.default_rng([seed, 77])
    parts = [
        _chunk(
            min(chunk, count - first),
            seed * 1_000_003 + first,
            rng,
            cold=turn % 3 == 2,
            context_s=context_s,
        )
        for turn, first in enumerate(range(0, count, chunk))
    ]
    return WindowSet(
        **{
            key: np.concatenate([getattr(part, key) for part in parts])
            for key in WindowSet.__dataclass_fields__
        }
    )


def _chunk(
    count: int, seed: int, rng: np.random.Generator, *, cold: bool, context_s: float
) -> WindowSet:
    warm_up_s = 0.0 if cold else _WARM_UP_S
    rate_hz = float(rng.choice(_RATES_HZ))
    long_ppg, long_ecg = (with_context(spec, context_s) for spec in (PPG, ECG))
    length_s = long_ppg.window_s + warm_up_s
    middle_s = _MARGIN_S + warm_up_s + context_s
    # The ECG keeps a rate that shows its QRS; only the optical sensor's rate varies.
    waves = simulate_batch(
        count,
        seed=seed,
        duration_s=length_s + 2 * _MARGIN_S,
        sample_rate_hz=_BASE_RATE_HZ,
        labelled_s=(middle_s, middle_s + PPG.window_s),
    )
    light = draw_filters(count, rng, ecg=False).run(waves.ppg, _BASE_RATE_HZ)
    light = quantise(light, rng)
    hold_samples(light, rng, _BASE_RATE_HZ)
    leads = draw_filters(count, rng, ecg=True).run(
        jump_electrodes(waves.ecg, rng, _BASE_RATE_HZ), _BASE_RATE_HZ
    )
    leads = quantise(leads, rng)
    span = round(length_s * _BASE_RATE_HZ)
    first = round(_MARGIN_S * _BASE_RATE_HZ)
    raw: npt.NDArray[np.floating[Any]] = light[:, first : first + span]
    # Off the scale nothing moves at all, and flat windows are no windows: the corpora's
    # are left out, here the converter's last bit flickers.
    flat = np.ptp(raw[:, round(warm_up_s * _BASE_RATE_HZ) :], axis=1) == 0
    raw = raw + 1e-6 * flat[:, None] * rng.standard_normal(raw.shape)
    if rate_hz < _BASE_RATE_HZ:
        raw = _at_rate(raw, rate_hz)
    # Real pairs are brought to one lag, since monitors add their own: virtual ones too.
    late_s = waves.labels["pulse_arrival_s"].astype(np.float64) - _FOOT_LAG_S
    late_s = np.clip(np.nan_to_num(late_s), -_MARGIN_S, _MARGIN_S)
    start = first - np.rint(late_s * _BASE_RATE_HZ).astype(int)
    hearts = leads[np.arange(count)[:, None], start[:, None] + np.arange(span)]
    ppg, _ = window_rows(raw, rate_hz, spec=long_ppg, warm_up_s=warm_up_s)
    ecg, _ = window_rows(hearts, _BASE_RATE_HZ, spec=long_ecg, warm_up_s=warm_up_s)
    labels = waves.labels
    names = np.array([f"virtual/{seed}-{row}" for row in range(count)])
    whole = WindowSet(
        ppg=ppg,
        ecg=ecg,
        has_ppg=np.asarray(ppg.any(axis=1)),
        has_ecg=np.asarray(ecg.any(axis=1)),
        targets=np.full((count, len(TARGETS)), np.nan, np.float32),
        rhythm=labels["rhythm"].astype(np.int8),
        person=names,
        record=names,
        start_s=np.zeros(count, np.float32),
    )
    targets = _targets(labels, waves.beat_times_s - middle_s, whole.centred().ppg)
    return replace(whole, targets=targets)


def _targets(
    labels: dict[str, npt.NDArray[np.generic]],
    beats_s: npt.NDArray[np.floating[Any]],
    ppg: npt.NDArray[np.int8],
) -> npt.NDArray[np.float32]:
    """(N, len(TARGETS)): labels, and what the beats (N, M) inside the window tell."""
    targets = np.full((len(ppg), len(TARGETS)), np.nan, np.float32)
    known = len(INTERVAL_TARGETS)
    for column, name in enumerate(VIRTUAL_TARGETS):
        values = labels[name.removeprefix("log_")].astype(np.float64)
        targets[:, known + column] = (
            log_with_floor(values) if name.startswith("log_") else values
        )
    for row, times in enumerate(beats_s):
        inside = times[(times >= 0.0) & (times < PPG.window_s)]
        targets[row, :known] = interval_targets(inside)
        targets[row, -SHAPE_POINTS:] = pulse_shape(ppg[row], inside)
    return targets


def _at_rate(
    rows: npt.NDArray[np.floating[Any]], rate_hz: float
) -> npt.NDArray[np.float64]:
    count = round(rows.shape[1] * rate_hz / _BASE_RATE_HZ)
    return resample_rows(rows.astype(np.float64), _BASE_RATE_HZ, rate_hz, count)

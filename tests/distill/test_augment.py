"""Augmented views keep what a fingerprint is of, and change what it must not tell."""

from __future__ import annotations

import numpy as np

from plethprint.signal import ECG, PPG
from plethprint_distill.augment import disturb, disturb_ecg, other_lead
from plethprint_distill.windows import WindowSet


def moving(virtual: WindowSet, name: str) -> np.ndarray:  # type: ignore[type-arg]
    spec = {"ppg": PPG, "ecg": ECG}[name]
    rows = getattr(virtual, name).astype(np.float32) * np.float32(spec.input_scale)
    return rows[rows.std(axis=1) > 0.5]


def alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)])


def test_disturbed_windows_keep_their_beats_and_their_spread(virtual: WindowSet) -> None:
    ppg = moving(virtual, "ppg")
    out = disturb(ppg, np.random.default_rng(0))
    assert out.dtype == np.float32
    assert out.std(axis=1).max() < 1.05
    assert 0.7 < np.median(alike(ppg, out)) < 1.0


def test_a_disturbance_of_no_strength_is_none(virtual: WindowSet) -> None:
    ppg = moving(virtual, "ppg")
    out = disturb(ppg, np.random.default_rng(0), strength=0.0)
    assert alike(ppg, out).min() > 0.99  # only the clipping moves


def test_a_disturbed_ecg_is_still_the_same_lead(virtual: WindowSet) -> None:
    ecg = moving(virtual, "ecg")
    out = disturb_ecg(ecg, np.random.default_rng(0))
    assert 0.8 < np.median(alike(ecg, out)) < 1.0
    assert alike(ecg, out).min() > 0.3  # none is upside down


def test_another_lead_may_be_upside_down(virtual: WindowSet) -> None:
    ecg = moving(virtual, "ecg")
    turned = alike(ecg, other_lead(ecg, np.random.default_rng(0))) < 0.0
    assert 0.1 < turned.mean() < 0.45


def test_the_same_chance_gives_the_same_view(virtual: WindowSet) -> None:
    ppg = moving(virtual, "ppg")
    a, b = (disturb(ppg, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_some_windows_have_lost_samples_bridged_by_a_line(virtual: WindowSet) -> None:
    noiseless = np.zeros((400, virtual.ppg.shape[1]), np.float32)
    noiseless[:] = np.sin(np.arange(virtual.ppg.shape[1]) / 6.0)
    seen = disturb(noiseless, np.random.default_rng(3))
    bend = np.abs(np.diff(seen, n=2, axis=1))
    straight = np.array(
        [np.convolve(row < 1e-5, np.ones(7), "valid").max() for row in bend]
    )
    assert 0.1 < (straight == 7).mean() < 0.25

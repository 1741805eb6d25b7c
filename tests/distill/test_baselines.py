"""Baselines: each gives finite features, and the hand-made ones measure what they say."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("scipy", reason="needs the `train` extra")

from plethprint.errors import MissingExtraError, WindowShapeError
from plethprint_distill.baselines import BASELINES
from plethprint_distill.baselines.hand_made import (
    FEATURES,
    HandMade,
    hand_made_features,
)
from plethprint_distill.baselines.pulses import find_pulses
from plethprint_distill.physiology import TARGETS
from plethprint_distill.windows import WindowSet

Windows = np.ndarray[Any, np.dtype[np.int8]]


@pytest.fixture(scope="module")
def hard() -> Windows:
    """Flat, clipped, a spike, noise, slow waves, one long rise: what a sensor may give."""
    rng = np.random.default_rng(0)
    rows = np.zeros((9, 640), np.int8)
    rows[1], rows[2] = 127, -127
    rows[3, 300] = 100
    rows[4] = rng.integers(-127, 128, 640)
    rows[5] = np.sign(np.sin(np.arange(640) / 9)) * 127
    rows[6] = 60 * np.sin(np.arange(640) / 100)
    rows[7] = np.linspace(-127, 127, 640)
    rows[8] = 100 * np.tanh(np.linspace(-1, 1, 640)) + 10 * np.linspace(-1, 1, 640)
    return rows


def _made(name: str) -> Any:
    try:
        return BASELINES[name]()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", [n for n in BASELINES if not n.endswith(("s1", "s2"))])
def test_features_are_finite_and_of_one_size_whatever_the_windows(
    name: str, virtual: WindowSet, hard: Windows
) -> None:
    baseline = _made(name)
    baseline.fit(np.concatenate([virtual.ppg[:24], hard]))
    clean, damaged = baseline.embed(virtual.ppg[:8]), baseline.embed(hard)
    assert baseline.name == name
    assert baseline.family == "baseline"
    assert clean.dtype == damaged.dtype == np.float32
    assert clean.shape[1:] == damaged.shape[1:]
    assert np.isfinite(clean).all()
    assert np.isfinite(damaged).all()
    assert (clean.std(axis=0) > 0).mean() > 0.5


@pytest.mark.parametrize("name", ["hrv_morphology", "catch22", "log_spectrum"])
def test_a_window_has_the_same_features_alone_as_among_others(
    name: str, virtual: WindowSet
) -> None:
    baseline = _made(name)
    baseline.fit(virtual.ppg)
    together = baseline.embed(virtual.ppg[:5])
    alone = np.concatenate([baseline.embed(virtual.ppg[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


def test_baselines_not_yet_fitted_give_features_too(hard: Windows) -> None:
    assert np.isfinite(HandMade().embed(hard)).all()
    assert HandMade().embed(hard[:0]).shape == (0, len(FEATURES))


def test_a_window_of_the_wrong_length_is_refused(hard: Windows) -> None:
    with pytest.raises(WindowShapeError, match="640"):
        HandMade().embed(hard[:, :600])


def test_two_seeds_of_a_random_network_differ_and_one_seed_does_not(
    virtual: WindowSet,
) -> None:
    first, again, other = (
        BASELINES[f"random_cnn_raw_s{seed}"]().embed(virtual.ppg[:4]) for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert not np.allclose(first, other)


def test_calibration_gives_a_random_network_the_spread_of_its_windows(
    virtual: WindowSet,
) -> None:
    raw, calibrated = (
        BASELINES[f"random_cnn_{kind}_s0"]() for kind in ("raw", "calibrated")
    )
    for baseline in (raw, calibrated):
        baseline.fit(virtual.ppg[:64])
    spread = [b.embed(virtual.ppg[:64]).std(axis=0).mean() for b in (raw, calibrated)]
    assert spread[1] > 3 * spread[0]


def test_pulses_are_found_where_a_wearer_has_beats(virtual: WindowSet) -> None:
    rates = hand_made_features(virtual.ppg)[:, FEATURES.index("rate_bpm")]
    truth = np.exp(virtual.targets[:, TARGETS.index("log_heart_rate")])
    # Among virtual wearers are ones in motion and with atrial fibrillation.
    whole = virtual.targets[:, TARGETS.index("log_disturbance")] < np.log(0.1)
    assert whole.sum() > 50
    assert np.nanmedian(np.abs(rates - truth)[whole]) < 1.0


def test_an_early_beat_is_seen_in_the_intervals() -> None:
    time_s = np.arange(640) / 64
    beats = np.array([0.5, 1.3, 2.1, 2.9, 3.4, 4.5, 5.3, 6.1, 6.9, 7.7, 8.5, 9.3])
    pulse = np.exp(-(((time_s[:, None] - beats) / 0.12) ** 2)).sum(axis=1)
    found = find_pulses((pulse - pulse.mean()) / pulse.std(), 0.8).time_s
    np.testing.assert_allclose(np.diff(found), np.diff(beats), atol=0.02)
    row = hand_made_features((30 * (pulse - pulse.mean())).astype(np.int8)[None])[0]
    assert row[FEATURES.index("early_share")] == pytest.approx(1 / 11)


def test_a_dicrotic_wave_is_no_pulse() -> None:
    time_s = np.arange(640) / 64 % 0.9
    pulse = np.exp(-(((time_s - 0.2) / 0.08) ** 2))
    pulse += 0.45 * np.exp(-(((time_s - 0.55) / 0.08) ** 2))
    found = find_pulses((pulse - pulse.mean()) / pulse.std(), 0.9)
    np.testing.assert_allclose(np.diff(found.time_s), 0.9, atol=0.03)


@pytest.mark.parametrize(
    ("name", "library"), [("catch22", "pycatch22"), ("minirocket", "sktime")]
)
def test_a_missing_library_is_named_with_the_command_that_brings_it(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(module: str, *arguments: Any, **named: Any) -> Any:
        if module.partition(".")[0] == library:
            raise ImportError(module)
        return real(module, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'plethprint\[baselines\]'"):
        BASELINES[name]()

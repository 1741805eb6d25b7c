"""ECG baselines: the network learns what it is shown, the features what they are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("sleepecg", reason="needs the `train` extra")

from plethprint.errors import SignalError, WindowShapeError  # noqa: E402
from plethprint_distill.ecg_baselines import (  # noqa: E402
    ECG_FEATURES,
    EcgCnn,
    EcgCnnConfig,
    EcgFeatures,
    ecg_hrv_features,
)
from plethprint_distill.physiology import TARGETS  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

Windows = np.ndarray[Any, np.dtype[np.int8]]
HELD = np.arange(96) % 4 == 0


def _upright_or_not() -> tuple[Windows, Windows]:
    """96 windows of spikes, about half upside down; which, and a label that is noise."""
    rng = np.random.default_rng(0)
    time_s = np.arange(1280) / 128
    phase = (time_s + rng.random((96, 1))) % 0.8
    spikes = 90 * np.exp(-(((phase - 0.4) / 0.02) ** 2))
    upright = rng.random(96) < 0.5
    noise = rng.normal(0, 8, spikes.shape)
    labels = np.stack([upright, rng.random(96) < 0.5], axis=1)
    windows = np.where(upright[:, None], spikes, -spikes) + noise
    return windows.astype(np.int8), labels.astype(np.int8)


@pytest.mark.parametrize("architecture", ["residual", "teacher"])
def test_a_network_learns_a_plain_difference(architecture: str) -> None:
    ecg, labels = _upright_or_not()
    network = EcgCnn(EcgCnnConfig(architecture=architecture, epochs=4, mix=0.0))
    network.fit(ecg, labels, seed=0, validation=HELD)
    guess = network.predict_proba(ecg[HELD])[:, 0]
    truth = labels[HELD, 0] == 1
    assert guess[truth].min() > guess[~truth].max()


@pytest.mark.parametrize("architecture", ["residual", "teacher"])
def test_a_network_is_of_the_size_of_the_teachers_ecg_side(architecture: str) -> None:
    ecg, labels = _upright_or_not()
    network = EcgCnn(EcgCnnConfig(architecture=architecture, epochs=1, batch=64))
    network.fit(ecg[:16], labels[:16], seed=0, validation=HELD[:16])
    assert network.network is not None
    size = sum(p.numel() for p in network.network.parameters())
    assert 0.4e6 < size < 0.7e6


def test_one_seed_gives_one_network_and_leaves_the_global_seed_alone() -> None:
    ecg, labels = _upright_or_not()
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        network = EcgCnn(EcgCnnConfig(epochs=1))
        network.fit(ecg[:16], labels[:16], seed=3, validation=HELD[:16])
        found.append(network.predict_proba(ecg[:4]))
        assert float(torch.rand(1)) == float(
            torch.rand(1, generator=torch.Generator().manual_seed(7))
        )
    assert (found[0] == found[1]).all()


def test_training_stops_when_people_held_out_gain_nothing() -> None:
    ecg, labels = _upright_or_not()
    noise = labels[:, 1:]  # nothing to learn
    network = EcgCnn(EcgCnnConfig(epochs=30, patience=2, learning_rate=0.01))
    network.fit(ecg[:24], noise[:24], seed=0, validation=HELD[:24])
    assert network.epochs_run < 30


def test_what_does_not_belong_together_is_refused() -> None:
    ecg, labels = _upright_or_not()
    with pytest.raises(WindowShapeError, match="labels"):
        EcgCnn().fit(ecg, labels[:, 0], seed=0, validation=HELD)
    with pytest.raises(WindowShapeError, match="validation"):
        EcgCnn().fit(ecg, labels, seed=0, validation=np.zeros(96, np.bool_))
    with pytest.raises(SignalError, match="fit"):
        EcgCnn().predict_proba(ecg)
    with pytest.raises(SignalError, match="lstm"):
        EcgCnn(EcgCnnConfig(architecture="lstm"))


def test_features_find_the_rate_of_wearers(virtual: WindowSet) -> None:
    rates = ecg_hrv_features(virtual.ecg[:64])[:, ECG_FEATURES.index("rate_bpm")]
    truth = np.exp(virtual.targets[:64, TARGETS.index("log_heart_rate")])
    assert np.nanmedian(np.abs(rates - truth)) < 1.0


def test_a_wider_qrs_and_a_raised_st_segment_are_measured() -> None:
    time_s = np.arange(1280) / 128
    phase = (time_s + 0.1) % 0.8 - 0.4

    def window(width_s: float, level: float) -> Windows:
        spike = 90 * np.exp(-((phase / width_s) ** 2))
        segment = level * ((phase > 0.08) & (phase < 0.2))
        return (spike + segment).astype(np.int8)

    rows = ecg_hrv_features(
        np.stack([window(0.015, 0), window(0.04, 0), window(0.015, 30)])
    )
    width, st = (rows[:, ECG_FEATURES.index(n)] for n in ("qrs_width_s", "st_level"))
    assert width[1] > width[0] + 0.02
    assert st[2] > st[0] + 0.15


def test_features_are_finite_whatever_the_windows(virtual: WindowSet) -> None:
    rng = np.random.default_rng(0)
    hard = np.zeros((4, 1280), np.int8)
    hard[1], hard[2, 600] = 127, 100
    hard[3] = rng.integers(-127, 128, 1280)
    features = EcgFeatures()
    features.fit(virtual.ecg[:32])
    assert np.isfinite(features.embed(hard)).all()
    assert np.isfinite(EcgFeatures().embed(hard)).all()

"""Real windows lie among the virtual ones, and the test of it can say no."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plethprint.signal import ECG, PPG
from plethprint_distill.realism import (
    coverage,
    draw_figure,
    looped,
    measure,
    real_windows,
    tell_apart,
)
from plethprint_distill.virtual import virtual_windows
from plethprint_distill.window_features import FEATURES, features_of
from plethprint_distill.windows import WindowSet

_DATA = Path(__file__).parents[2].parent / "shared" / "data"
_needs_data = pytest.mark.skipif(
    not _DATA.is_dir(), reason="needs the recordings of ../shared/data"
)


@pytest.fixture(scope="module")
def crowd() -> WindowSet:
    return virtual_windows(1200, seed=41, chunk=300)


@pytest.fixture(scope="module")
def made(crowd: WindowSet) -> dict[str, np.ndarray]:
    return {spec.name: features_of(getattr(crowd, spec.name), spec) for spec in (PPG, ECG)}


@_needs_data
@pytest.mark.parametrize(
    ("corpus", "signal"),
    [
        ("bidmc", "ppg"),
        ("stress_predict", "ppg"),
        ("wrist_exercise", "ppg"),
        ("bidmc", "ecg"),
        ("cinc2017", "ecg"),
    ],
)
def test_real_windows_lie_among_the_virtual_ones(
    corpus: str, signal: str, made: dict[str, np.ndarray]
) -> None:
    spec = PPG if signal == "ppg" else ECG
    real = real_windows(corpus, _DATA, signal=signal, most=60)
    found = coverage(
        features_of(getattr(real, signal), spec),
        np.asarray(real.person),
        made[signal],
        FEATURES[signal],
    )
    assert found.near > 0.88
    assert np.mean(list(found.inside.values())) > 0.95


def test_every_feature_is_finite_whatever_the_window(crowd: WindowSet) -> None:
    odd = np.zeros((3, PPG.window_samples), np.int8)
    odd[1] = 127
    odd[2, ::2] = -127
    for windows in (odd, np.asarray(crowd.ppg[:50])):
        found = features_of(windows)
        assert found.shape == (len(windows), len(FEATURES["ppg"]))
        assert np.isfinite(found).all()
    assert np.isfinite(features_of(crowd.ecg[:50], ECG)).all()


def test_windows_unlike_any_virtual_one_are_told_apart_and_not_covered(
    crowd: WindowSet, made: dict[str, np.ndarray]
) -> None:
    upside_down = features_of((-crowd.ppg[400:520]).astype(np.int8))
    people = np.arange(120).astype(str)
    linear, trees, importance = tell_apart(upside_down, people, made["ppg"][:400], folds=2)
    assert min(linear, trees) > 0.85
    assert importance.max() > 0.01
    turns = np.random.default_rng(0).uniform(8, 35, (120, 1)) * np.arange(640) / 640
    square = np.where(turns % 1 < 0.5, 32, -32).astype(np.int8)
    found = coverage(features_of(square), people, made["ppg"], FEATURES["ppg"])
    assert found.near < 0.3


def test_virtual_windows_are_neither_told_apart_from_others_nor_outside_them(
    made: dict[str, np.ndarray],
) -> None:
    others, more = made["ppg"][:1000], made["ppg"][1000:]
    people = np.arange(200).astype(str)
    linear, trees, _ = tell_apart(more, people, others[:400], folds=2)
    assert 0.35 < linear < 0.65
    assert 0.35 < trees < 0.65
    near = coverage(more, people, others, FEATURES["ppg"]).near
    assert near == pytest.approx(0.95, abs=0.05)


def test_a_short_segment_is_looped_over_whole_beats() -> None:
    rate_hz, period_s = 125.0, 0.8
    time_s = np.arange(round(2.1 * rate_hz)) / rate_hz
    long = looped(np.sin(2 * np.pi * time_s / period_s).astype(np.float32), rate_hz, 12.0)
    even_s = np.arange(long.size) / rate_hz
    power = np.abs(np.fft.rfft(long * np.hanning(long.size)))
    peak_hz = np.fft.rfftfreq(long.size, even_s[1])[np.argmax(power)]
    assert long.size >= 12.0 * rate_hz
    assert peak_hz == pytest.approx(1 / period_s, abs=0.05)
    assert np.abs(np.diff(long)).max() < 0.12


def test_a_measurement_becomes_json_and_a_picture(crowd: WindowSet, tmp_path: Path) -> None:
    found = list(measure({"some": crowd.take(np.arange(60))}, crowd.take(np.arange(300))))
    assert found[0].to_dict()["coverage"] == 1.0  # they are among themselves
    draw_figure(found, tmp_path / "realism.png")
    assert (tmp_path / "realism.png").stat().st_size > 5000


def test_virtual_windows_of_a_seed_are_the_same_bytes() -> None:
    once, again = (virtual_windows(60, seed=6, chunk=30) for _ in range(2))
    for name in WindowSet.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(once, name), getattr(again, name))
    assert once.has_ppg.all()
    assert once.has_ecg.all()

"""Quality in integers against the SDK's, and C against Python."""

import ctypes
from pathlib import Path

import numpy as np
import pytest

from plethprint.errors import WindowShapeError
from plethprint.quality import assess
from plethprint.signal import windows_of
from plethprint_quantize.firmware.fixed_quality import quality_255
from plethprint_sim import WearerStream
from plethprint_sim.wearer import random_wearer

DATA = Path("../shared/data")
TOLERANCE = 2  # of 255


def c_quality(library, window, missing=0):
    return library.pp_signal_window_quality(
        window.ctypes.data_as(ctypes.c_void_p), ctypes.c_uint32(missing)
    )


def odd_windows():
    """Windows that reach every end of every measure."""
    rng = np.random.default_rng(0)
    t = np.arange(640) / 64
    waves = [rng.standard_normal(640) * 40, np.cumsum(rng.standard_normal(640))]
    for rate_hz in (0.3, 0.46, 0.5, 0.9, 1.37, 2.2, 3.7, 3.9, 6.0, 20.0):
        waves.append(60 * np.sin(2 * np.pi * rate_hz * t))
        waves.append(waves[-1] * (t < 4) + rng.standard_normal(640))
        waves.append(waves[-2] + rng.standard_normal(640) * 15)
        waves.append(np.sign(waves[-3]) * 127)
    for noise in np.geomspace(0.02, 3, 40):
        beat = np.exp(np.sin(2 * np.pi * rng.uniform(0.7, 3) * t))
        waves.append((beat - beat.mean()) * 40 + 40 * noise * rng.standard_normal(640))
    waves += [t == 3, t < 5, t * 0 + 127, t * 0 - 128, (t * 64) % 2 * 255 - 127]
    return np.clip(np.rint(np.array(waves, float)), -128, 127).astype(np.int8)


def wearer_windows():
    found = []
    for seed in range(12):
        stream = WearerStream(random_wearer(seed), seed=seed, sample_rate_hz=64.0)
        found += [w.samples for w in windows_of(stream.counts(0, 64 * 60), 64.0)]
    return np.array(found)


@pytest.mark.parametrize("make", [odd_windows, wearer_windows])
def test_quality_is_that_of_the_sdk(make):
    windows = make()
    apart = [quality_255(w) for w in windows] - assess(windows) * 255
    assert np.abs(apart).max() <= TOLERANCE


def test_missing_samples_lower_quality_as_in_the_sdk():
    window = windows_of(
        WearerStream(random_wearer(3), seed=1, sample_rate_hz=64.0).counts(0, 1300), 64.0
    )[-1].samples
    for missing in (0, 1, 77, 160, 319, 320, 640):
        found = quality_255(window, missing)
        assert abs(found - assess(window[None], missing / 640)[0] * 255) <= TOLERANCE


def test_c_gives_the_quality_of_the_model(library):
    for window in odd_windows():
        for missing in (0, 5, 200, 321):
            assert c_quality(library, window, missing) == quality_255(window, missing)
    rng = np.random.default_rng(1)
    for _ in range(100):
        window = rng.integers(-128, 128, 640).astype(np.int8)
        window[rng.random(640) < rng.random()] = 0
        assert c_quality(library, window) == quality_255(window)


def test_the_quality_of_a_signal_is_that_of_its_window(device):
    stream = WearerStream(random_wearer(5), seed=2, sample_rate_hz=50.0)
    counts = stream.counts(0, 50 * 40)
    missing = np.arange(counts.size) % 400 < 30
    found = device(50_000).push(counts, missing)
    assert any(window.missing for window in found)
    for window in found:
        assert window.quality == quality_255(window.samples, window.missing)


def test_no_window_has_no_quality(library):
    assert c_quality(library, np.zeros(640, np.int8)) == 0
    assert library.pp_signal_window_quality(None, 0) == 0
    with pytest.raises(WindowShapeError, match="int8"):
        quality_255(np.zeros(640))


@pytest.mark.skipif(not (DATA / "stress_predict").is_dir(), reason="needs ../shared/data")
def test_quality_of_real_windows_is_that_of_the_sdk():
    found = []
    for folder in ("bidmc", "stress_predict"):
        for path in sorted((DATA / folder).glob("*.npz"))[::10]:
            fields = np.load(path)
            wave = fields["ppg"][:15_000].astype(float)
            found += [w.samples for w in windows_of(wave, float(fields["fs_ppg"]))]
    windows = np.array(found)
    apart = np.abs([quality_255(w) for w in windows] - assess(windows) * 255)
    assert apart.max() <= TOLERANCE

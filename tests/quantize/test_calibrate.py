import numpy as np
import pytest
import torch

from plethprint.errors import WindowShapeError
from plethprint.signal import PPG
from plethprint_quantize.calibrate import (
    HEADROOM,
    choose_windows,
    float_fingerprints,
    measure_ranges,
)


def test_the_same_seed_draws_the_same_windows(windows):
    first = choose_windows(windows, count=20, seed=4)
    assert np.array_equal(first, choose_windows(windows, count=20, seed=4))
    assert not np.array_equal(first, choose_windows(windows, count=20, seed=5))


def test_flat_and_repeated_windows_are_not_drawn(windows):
    flat = np.zeros((5, PPG.window_samples), np.int8)
    chosen = choose_windows(np.concatenate([windows, windows, flat]), count=1000)
    assert len(chosen) == len(windows)
    assert chosen.std(axis=1).min() > 0


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 100), np.int8),
        np.zeros((4, PPG.window_samples), np.float32),
        np.zeros(PPG.window_samples, np.int8),
        np.zeros((4, PPG.window_samples), np.int8),
        np.zeros((0, PPG.window_samples), np.int8),
    ],
)
def test_windows_that_cannot_calibrate_are_refused(wrong):
    with pytest.raises(WindowShapeError):
        choose_windows(wrong)


def test_ranges_are_what_the_float_graph_reaches_and_headroom_for_the_fingerprint(
    deploy, windows
):
    ranges = measure_ranges(deploy, windows)
    with torch.no_grad():
        x = torch.from_numpy(windows[:, None, None].astype(np.float32) * PPG.input_scale)
        steps = [step.numpy() for step in deploy.activations(x.float())]
    expected = [(step.min(), step.max()) for step in steps]
    np.testing.assert_allclose(ranges.steps[:-1], expected[:-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        ranges.steps[-1], HEADROOM * np.array(expected[-1]), rtol=1e-5, atol=1e-6
    )
    assert ranges.windows == len(windows)


def test_a_percentile_cuts_activations_but_never_the_fingerprint(deploy, windows):
    whole, cut = (measure_ranges(deploy, windows, method=m) for m in ("min-max", "p99.9"))
    with torch.no_grad():
        x = torch.from_numpy(windows[:, None, None].astype(np.float32) * PPG.input_scale)
        first = next(deploy.activations(x.float())).numpy()
    assert cut.steps[0][1] == pytest.approx(np.percentile(first, 99.9), rel=2e-3)
    pairs = zip(cut.steps, whole.steps, strict=True)
    assert all(short[1] <= full[1] for short, full in pairs)
    assert cut.steps[-1] == whole.steps[-1]


def test_float_fingerprints_do_not_depend_on_batches(deploy, windows):
    together = float_fingerprints(deploy, windows)
    assert together.shape == (len(windows), 16)
    alone = float_fingerprints(deploy, windows[70:71])
    np.testing.assert_allclose(together[70:71], alone, rtol=1e-4, atol=1e-6)


def test_least_squared_error_never_rounds_worse_than_the_whole_range(deploy, windows):
    whole, cut = (measure_ranges(deploy, windows, method=m) for m in ("min-max", "mse"))
    assert cut.steps[-1] == whole.steps[-1]
    with torch.no_grad():
        x = torch.from_numpy(windows[:, None, None].astype(np.float32) * PPG.input_scale)
        steps = [step.double().numpy() for step in deploy.activations(x.float())][:-1]
    shorter = 0
    for values, (_, full), (_, short) in zip(steps, whole.steps, cut.steps, strict=False):
        errors = []
        for end in (full, short):
            rounded = np.rint(np.clip(values, 0, end) / (end / 255)) * (end / 255)
            errors.append(np.square(rounded - values).sum())
        assert errors[1] <= errors[0] * 1.01
        shorter += short < full
    assert shorter > 0

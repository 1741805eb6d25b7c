"""The filter against scipy's, and its independence of cuts and neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint.biquad import butterworth_band_pass, run_biquads
from plethprint.signal import ECG, PPG, SignalSpec, band_pass

signal = pytest.importorskip("scipy.signal", reason="scipy is the reference (`test` extra)")


@pytest.mark.parametrize("spec", [PPG, ECG])
def test_the_filter_is_the_one_that_scipy_designs(spec: SignalSpec) -> None:
    theirs = signal.butter(
        spec.order, spec.band_hz, "bandpass", fs=spec.rate_hz, output="sos"
    )
    hz = np.linspace(0.01, 0.49 * spec.rate_hz, 500)
    responses = [
        signal.sosfreqz(sections, hz, fs=spec.rate_hz)[1]
        for sections in (band_pass(spec), theirs)
    ]
    np.testing.assert_allclose(responses[0], responses[1], rtol=1e-9, atol=1e-12)
    noise = np.random.default_rng(0).normal(size=4000)
    ours, _ = run_biquads(band_pass(spec), noise, np.zeros((spec.order, 2)))
    np.testing.assert_allclose(ours, signal.sosfilt(theirs, noise), atol=1e-11)


@pytest.mark.parametrize("order", [2, 4, 6])
def test_the_edges_are_at_half_power(order: int) -> None:
    sections = butterworth_band_pass(order, (1.0, 20.0), 100.0)
    _, response = signal.sosfreqz(sections, [1.0, np.sqrt(20.0), 20.0], fs=100.0)
    np.testing.assert_allclose(np.abs(response[[0, 2]]), np.sqrt(0.5), rtol=1e-6)


def test_cuts_and_neighbours_do_not_change_a_bit() -> None:
    rows = np.random.default_rng(1).normal(size=(3, 500))
    sections = band_pass(PPG)
    together, end = run_biquads(sections, rows, np.zeros((2, 3, 2)))
    for row, expected in enumerate(together):
        alone, _ = run_biquads(sections, rows[row], np.zeros((2, 2)))
        np.testing.assert_array_equal(alone, expected)
    head, state = run_biquads(sections, rows[:, :123], np.zeros((2, 3, 2)))
    tail, last = run_biquads(sections, rows[:, 123:], state)
    np.testing.assert_array_equal(np.concatenate([head, tail], axis=1), together)
    np.testing.assert_array_equal(last, end)


@pytest.mark.parametrize(
    ("order", "band_hz"),
    [(3, (0.5, 8.0)), (0, (0.5, 8.0)), (2, (8.0, 0.5)), (2, (0.0, 8.0)), (2, (0.5, 32.0))],
)
def test_a_band_that_does_not_fit_is_refused(
    order: int, band_hz: tuple[float, float]
) -> None:
    with pytest.raises(ValueError, match=r"order|band"):
        butterworth_band_pass(order, band_hz, 64.0)

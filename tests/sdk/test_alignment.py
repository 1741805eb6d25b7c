"""The constant lag between ECG and PPG: found, taken off, or refused."""

import numpy as np
import pytest

from plethprint.alignment import PHYSIOLOGICAL_LAG_S, align_pair, estimate_lag_s
from plethprint.errors import SampleRateError, SignalError

RATE_HZ = 125.0


def pair(lag_s, rate_hz=RATE_HZ, duration_s=60.0, seed=0):
    """R peaks of an irregular heart, and pulses whose steepest rise comes `lag_s` later."""
    rng = np.random.default_rng(seed)
    beats = 0.5 + np.cumsum(rng.uniform(0.7, 1.1, int(duration_s)))
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    ecg = np.exp(-(((t[:, None] - beats) / 0.012) ** 2)).sum(axis=1)
    width = 0.1  # a Gaussian rises fastest width / sqrt(2) before its peak
    peaks = beats + lag_s + width / np.sqrt(2)
    ppg = np.exp(-(((t[:, None] - peaks) / width) ** 2)).sum(axis=1)
    return ecg, ppg


@pytest.mark.parametrize("lag_s", [0.1, 0.3, 0.62, 1.05])
@pytest.mark.parametrize("rate_hz", [64.0, 125.0, 256.0])
def test_the_lag_is_found_at_any_rate(lag_s, rate_hz):
    assert estimate_lag_s(*pair(lag_s, rate_hz), rate_hz) == pytest.approx(lag_s, abs=0.03)


def test_gain_offset_and_missing_samples_do_not_matter():
    ecg, ppg = pair(0.4)
    expected = estimate_lag_s(ecg, ppg, RATE_HZ)
    ppg = 900.0 * ppg - 1e5
    ppg[1000:1040] = np.nan
    assert estimate_lag_s(-2.0 * ecg + 7.0, ppg, RATE_HZ) == pytest.approx(
        expected, abs=0.02
    )


@pytest.mark.parametrize("lag_s", [0.05, 0.3, 0.7])
def test_an_aligned_pair_has_the_physiological_lag_and_one_length(lag_s):
    ecg, ppg, shift_s = align_pair(*pair(lag_s), RATE_HZ)
    assert shift_s == pytest.approx(lag_s - PHYSIOLOGICAL_LAG_S, abs=0.03)
    assert ecg.size == ppg.size == round(60 * RATE_HZ - abs(round(shift_s * RATE_HZ)))
    again = estimate_lag_s(ecg, ppg, RATE_HZ)
    assert again == pytest.approx(PHYSIOLOGICAL_LAG_S, abs=0.03)


@pytest.mark.parametrize("rate_hz", [0.0, -125.0, np.nan, np.inf])
def test_a_rate_that_is_none_is_refused(rate_hz):
    with pytest.raises(SampleRateError, match="must be positive"):
        estimate_lag_s(*pair(0.3), rate_hz)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ecg, ppg: (ecg[:-1], ppg), "one length"),
        (lambda ecg, ppg: (ecg[:500], ppg[:500]), "at least 5 s"),
        (lambda ecg, ppg: (ecg, np.zeros_like(ppg)), "flat"),
        (lambda ecg, ppg: (np.full_like(ecg, np.nan), ppg), "missing samples"),
    ],
)
def test_a_pair_without_a_lag_is_refused(change, message):
    with pytest.raises(SignalError, match=message):
        align_pair(*change(*pair(0.3)), RATE_HZ)

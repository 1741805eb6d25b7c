"""Real recordings must look as if they could have been simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import signal as ss
from scipy import stats

from plethprint_sim import simulate_batch

_DATA = Path(__file__).parents[2].parent / "shared" / "data" / "bidmc"

pytestmark = pytest.mark.skipif(
    not _DATA.is_dir(), reason="needs the recordings of ../shared/data"
)


def features(ppg: np.ndarray, ecg: np.ndarray) -> dict[str, np.ndarray]:
    band = ss.butter(2, (0.5, 8), "bandpass", fs=125, output="sos")
    pulse = ss.sosfiltfilt(band, ppg.astype(float), axis=1)
    slope = np.diff(pulse, axis=1)
    power = np.abs(np.fft.rfft(pulse * np.hanning(pulse.shape[1]))) ** 2
    hz = np.fft.rfftfreq(pulse.shape[1], 1 / 125)
    band = ss.butter(2, (0.5, 40), "bandpass", fs=125, output="sos")
    lead = ss.sosfiltfilt(band, ecg.astype(float), axis=1)
    beat_power = np.abs(np.fft.rfft(lead)) ** 2

    def share(power: np.ndarray, low: float, high: float) -> np.ndarray:
        return power[:, (hz >= low) & (hz < high)].sum(axis=1) / power.sum(axis=1)

    return {
        "skewness": stats.skew(pulse, axis=1),
        "kurtosis": stats.kurtosis(pulse, axis=1),
        "skewness of slope": stats.skew(slope, axis=1),
        "sharpness": np.log(np.diff(slope, axis=1).std(axis=1) / slope.std(axis=1)),
        "1-2 Hz": share(power, 1, 2),
        "2-4 Hz": share(power, 2, 4),
        "4-8 Hz": share(power, 4, 8),
        "ecg skewness": stats.skew(lead, axis=1),
        "ecg kurtosis": stats.kurtosis(lead, axis=1),
        "ecg 8-15 Hz": share(beat_power, 8, 15),
        "ecg 15-25 Hz": share(beat_power, 15, 25),
    }


def decoded(stored: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    codes = stored[name]
    known = np.where(codes == -32768, np.nan, codes.astype(float))
    return known * stored[f"{name}_gain"] + stored[f"{name}_offset"]


def real_rows() -> tuple[np.ndarray, np.ndarray]:
    ppg, ecg = [], []
    for path in sorted(_DATA.glob("*.npz"))[::2]:
        with np.load(path) as stored:
            pulse, lead = (decoded(stored, name)[5000:] for name in ("ppg", "ecg"))
        for start in range(0, 50000, 10000):
            part = slice(start, start + 1250)
            # A missing sample makes the span NaN, which is not above zero.
            if min(np.ptp(pulse[part]), np.ptp(lead[part])) > 0:
                ppg.append(pulse[part])
                ecg.append(lead[part])
    return np.array(ppg), np.array(ecg)


def test_intensive_care_windows_lie_inside_the_simulated_distribution() -> None:
    windows = simulate_batch(1200, seed=30)
    simulated = features(windows.ppg, windows.ecg)
    real = features(*real_rows())
    outside = {}
    for name, values in real.items():
        lowest, highest = np.percentile(simulated[name], (1, 99))
        outside[name] = float(np.mean((values < lowest) | (values > highest)))
    assert len(real["skewness"]) > 100
    assert max(outside.values()) < 0.08, outside

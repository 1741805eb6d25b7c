"""Log power spectrum and autocorrelation: what a Fourier transform alone can tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.signal import PPG

__all__ = ["LogSpectrum"]

_PADDED = 2 * PPG.window_samples
_FREQUENCY_HZ = np.fft.rfftfreq(_PADDED, 1.0 / PPG.rate_hz)
_BAND = (PPG.band_hz[0] <= _FREQUENCY_HZ) & (PPG.band_hz[1] >= _FREQUENCY_HZ)
_LAGS = slice(round(0.25 * PPG.rate_hz), round(2.2 * PPG.rate_hz) + 1)
_FLOOR = 1e-5


class LogSpectrum:
    """Power at 0.5 to 8 Hz, in steps of 0.05 Hz, and correlation at lags of 0.25 to 2.2 s.

    Power is of the Hann-tapered window, as share of its power in the band, as logarithm
    with a floor of 1e-5. Nothing to fit.
    """

    name = "log_spectrum"
    family = "baseline"

    def fit(self, ppg: npt.NDArray[np.int8]) -> None:
        """Do nothing."""

    def embed(self, ppg: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """Features (N, 277)."""
        steps = checked_windows(ppg, PPG.window_samples).astype(np.float64)
        steps -= steps.mean(axis=1, keepdims=True)
        tapered = np.fft.rfft(steps * np.hanning(steps.shape[1]), _PADDED, axis=1)
        power = np.abs(tapered[:, _BAND]) ** 2
        share = power / (power.sum(axis=1, keepdims=True) + 1e-9)
        products = np.fft.irfft(np.abs(np.fft.rfft(steps, _PADDED, axis=1)) ** 2, axis=1)
        correlation = products[:, _LAGS] / (products[:, :1] + 1e-9)
        return np.concatenate([np.log(share + _FLOOR), correlation], axis=1).astype(
            np.float32
        )

"""How far a PPG lags the ECG it was recorded with.

Monitors delay the optical channel by a constant of their own: often 0.6 s, where
arteries take 0.2 to 0.4 s. Pairs from different devices agree only after this constant
is known and taken off.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from plethprint.errors import MissingExtraError, SampleRateError, SignalError

__all__ = ["PHYSIOLOGICAL_LAG_S", "align_pair", "estimate_lag_s"]

FloatArray = npt.NDArray[np.float64]

PHYSIOLOGICAL_LAG_S = 0.30
"""R peak to the steepest rise of a finger pulse, seconds; pairs are brought to it."""

_RATE_HZ = 100.0


def estimate_lag_s(
    ecg: npt.ArrayLike, ppg: npt.ArrayLike, sample_rate_hz: float, *, max_lag_s: float = 1.2
) -> float:
    """Seconds from the R peak to the steepest rise of the pulse it caused.

    The energy of the QRS complexes is correlated with the rising slopes of the pulse;
    beat-to-beat variation tells the true lag from that lag plus one beat, so a minute or
    more of signal is wanted.

    Parameters
    ----------
    ecg, ppg
        Shape (T,), one rate, any gain; NaN is bridged. The pulse rises when it fills.
    sample_rate_hz
        Of both, Hz.
    max_lag_s
        Lags from 0 to this are considered.

    Raises
    ------
    SampleRateError
        If the rate is not a positive number.
    MissingExtraError
        If scipy is not installed; the `sim` and `train` extras bring it.
    SignalError
        If the two differ in length, last less than 5 s, or one of them is flat.

    Examples
    --------
    >>> t = np.arange(0, 30, 0.01)
    >>> beat = 1.0 * t + 0.1 * np.sin(0.9 * t)
    >>> ecg = np.exp(-(((beat % 1) - 0.5) / 0.02) ** 2)
    >>> ppg = np.exp(-(((beat - 0.4) % 1 - 0.5) / 0.1) ** 2)
    >>> bool(0.2 < estimate_lag_s(ecg, ppg, 100.0) < 0.5)
    True
    """
    try:
        from scipy import signal as scipy_signal
    except ImportError as error:
        raise MissingExtraError("sim", "Finding the lag of a pair") from error
    if not 0.0 < sample_rate_hz < np.inf:  # also refuses NaN
        raise SampleRateError(f"the sample rate must be positive, not {sample_rate_hz} Hz")
    pair = [np.asarray(x, dtype=np.float64) for x in (ecg, ppg)]
    if pair[0].shape != pair[1].shape or pair[0].ndim != 1:
        raise SignalError(
            f"ECG and PPG of one length are needed, not {pair[0].shape} and {pair[1].shape}"
        )
    if pair[0].size < 5 * sample_rate_hz:
        raise SignalError("at least 5 s of paired signal are needed to find the lag")
    ratio = Fraction(_RATE_HZ / sample_rate_hz).limit_denominator(512)
    qrs_in, pulse_in = (
        scipy_signal.resample_poly(_bridged(x), ratio.numerator, ratio.denominator)
        for x in pair
    )
    qrs_band = scipy_signal.butter(2, (8.0, 20.0), "bandpass", fs=_RATE_HZ, output="sos")
    pulse_band = scipy_signal.butter(2, (0.5, 8.0), "bandpass", fs=_RATE_HZ, output="sos")
    qrs = scipy_signal.sosfiltfilt(qrs_band, qrs_in) ** 2
    slope = np.maximum(np.gradient(scipy_signal.sosfiltfilt(pulse_band, pulse_in)), 0.0)
    trains = []
    for train in (qrs, slope):
        # Artefacts tower over beats; without a lid one of them decides the correlation.
        lid = np.percentile(train, 99.0)
        if not lid > 0.0:
            raise SignalError("a flat signal has no lag to find")
        train = np.minimum(train, lid)
        trains.append(train - train.mean())
    correlation = scipy_signal.correlate(trains[1], trains[0], mode="full", method="fft")
    lags = correlation[trains[0].size - 1 :][: int(max_lag_s * _RATE_HZ) + 1]
    return float(np.argmax(lags)) / _RATE_HZ


def align_pair(
    ecg: npt.ArrayLike, ppg: npt.ArrayLike, sample_rate_hz: float
) -> tuple[FloatArray, FloatArray, float]:
    """Shift a pair to `PHYSIOLOGICAL_LAG_S`; give ECG, PPG (shortened) and the shift, s.

    Parameters
    ----------
    ecg, ppg
        Shape (T,), one rate, any gain; NaN where missing.
    sample_rate_hz
        Of both, Hz.

    Returns
    -------
    ecg, ppg, shift_s
        Two arrays of one length, and by how much the PPG was moved to the left.

    Raises
    ------
    SampleRateError, SignalError
        As `estimate_lag_s`.
    """
    heart, pulse = (np.asarray(x, dtype=np.float64) for x in (ecg, ppg))
    shift_s = estimate_lag_s(heart, pulse, sample_rate_hz) - PHYSIOLOGICAL_LAG_S
    shift = round(shift_s * sample_rate_hz)
    if shift >= 0:
        return heart[: heart.size - shift], pulse[shift:], shift_s
    return heart[-shift:], pulse[: pulse.size + shift], shift_s


def _bridged(signal: FloatArray) -> FloatArray:
    finite = np.isfinite(signal)
    if not finite.any():
        raise SignalError("a signal of nothing but missing samples has no lag to find")
    index = np.arange(signal.size)
    return np.interp(index, index[finite], signal[finite])

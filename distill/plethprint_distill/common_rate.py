"""Bring the two signals of a recording to one rate that the preprocessing takes.

Corpora record PPG and ECG at rates of their own (64 and 700 Hz on WESAD's wrist and chest,
62.5 and 250 Hz on a monitor), and some faster than 500 Hz. The SDK's own resampler does it,
so that nothing but the one filter bank of the project ever touches a signal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from plethprint.resample import MAX_RATE_HZ, resample_rows
from plethprint_distill.corpora.recording import CorpusRecording, FloatArray

__all__ = ["COMMON_RATE_HZ", "at_common_rate"]

COMMON_RATE_HZ = 250.0
"""Highest rate that is resampled to: twice what the ECG's windows have."""


def at_common_rate(recording: CorpusRecording) -> CorpusRecording:
    """The recording with both signals at one rate of at most 500 Hz.

    A recording that is so already comes back as it is. Otherwise both are brought to the
    higher of their rates, or to `COMMON_RATE_HZ` where that is lower; missing samples stay
    missing.

    Examples
    --------
    >>> ppg, ecg = np.zeros(640, np.float32), np.zeros(7000, np.float32)
    >>> pair = at_common_rate(CorpusRecording("x", "p", "r", ppg, 64.0, ecg, 700.0))
    >>> pair.ppg_rate_hz, pair.ppg.size, pair.ecg.size
    (250.0, 2500, 2500)
    """
    rates_hz = {
        rate_hz
        for signal, rate_hz in (
            (recording.ppg, recording.ppg_rate_hz),
            (recording.ecg, recording.ecg_rate_hz),
        )
        if signal is not None
    }
    highest_hz = max(rates_hz, default=0.0)
    if len(rates_hz) < 2 and highest_hz <= MAX_RATE_HZ:
        return recording
    target_hz = min(highest_hz, COMMON_RATE_HZ)
    ppg, ecg = recording.ppg, recording.ecg
    return replace(
        recording,
        ppg=None if ppg is None else _resampled(ppg, recording.ppg_rate_hz, target_hz),
        ppg_rate_hz=0.0 if ppg is None else target_hz,
        ecg=None if ecg is None else _resampled(ecg, recording.ecg_rate_hz, target_hz),
        ecg_rate_hz=0.0 if ecg is None else target_hz,
    )


def _resampled(signal: FloatArray, in_hz: float, out_hz: float) -> FloatArray:
    finite = np.isfinite(signal)
    count = int(signal.size * out_hz / in_hz)
    if not finite.any() or not count:
        return np.full(count, np.nan, np.float32)
    index = np.arange(signal.size)
    bridged = np.interp(index, index[finite], signal[finite])
    out = resample_rows(bridged[None], in_hz, out_hz, count)[0]
    nearest = np.rint(np.arange(count) * (in_hz / out_hz)).astype(np.int64)
    out[~finite[np.minimum(nearest, signal.size - 1)]] = np.nan
    resampled: FloatArray = out.astype(np.float32)
    return resampled

"""Raw stretches of PPG with what is known of them: what changes of a device are tried on.

A stretch is a window with what comes before and after it: `WARM_UP_S` for the filter to
settle on and `TAIL_S` to be moved into. Windows overlap nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint.resample import resample_rows
from plethprint.signal import PPG, window_rows
from plethprint_distill.corpora import CORPORA, CorpusRecording
from plethprint_distill.physiology import beats_of_ecg, interval_targets

__all__ = ["TAIL_S", "WARM_UP_S", "StretchSet", "looped", "owner", "read_stretches"]

FloatArray = npt.NDArray[np.float64]

WARM_UP_S = 5.0
TAIL_S = 1.5
_LENGTH_S = WARM_UP_S + PPG.window_s + TAIL_S
_COMMON_RATE_HZ = {"welltory": 64.0}
"""Camera frames come at another rate in each record: those are brought to one."""
_DECIMATED_HZ = 125.0  # PPG-BP comes at 1 kHz, filtered to 12 Hz by its hardware
_MAX_MISSING = 0.02


@dataclass(frozen=True)
class StretchSet:
    """N stretches of one corpus, all at one rate."""

    corpus: str
    rows: FloatArray
    """(N, T), `WARM_UP_S` + a window + `TAIL_S`, in the sensor's own unit."""
    rate_hz: float
    person: npt.NDArray[np.str_]
    """(N,) "corpus/person", or "corpus/record" where nobody knows who it is."""
    heart_rate_bpm: FloatArray
    """(N,) from the ECG's beats (Welltory: the chest strap's); NaN where not known."""
    labels: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    """(N,) each: what the corpus says of the person or the minute, as text."""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: npt.NDArray[Any]) -> StretchSet:
        """The stretches at `index` (a mask or positions)."""
        return StretchSet(
            self.corpus,
            self.rows[index],
            self.rate_hz,
            self.person[index],
            self.heart_rate_bpm[index],
            {key: values[index] for key, values in self.labels.items()},
        )

    def windows(self, *, cold: bool = False) -> npt.NDArray[np.int8]:
        """Int8 windows (N, T) after the warm-up; `cold`, of their own samples alone."""
        return windows_after_warm_up(self.rows, self.rate_hz, cold=cold)


def windows_after_warm_up(
    rows: FloatArray, rate_hz: float, *, cold: bool = False
) -> npt.NDArray[np.int8]:
    """Windows of stretches (N, T), the SDK's own preprocessing."""
    if cold:
        return window_rows(rows[:, round(WARM_UP_S * rate_hz) :], rate_hz)[0]
    return window_rows(rows, rate_hz, warm_up_s=WARM_UP_S)[0]


def read_stretches(
    corpus: str, folder: Path, *, per_person: int = 20, seed: int = 0
) -> StretchSet:
    """Stretches of a corpus, up to `per_person` of each, drawn from all of its time.

    Parameters
    ----------
    corpus
        Name in `CORPORA`.
    folder
        The corpus's folder.

    Raises
    ------
    RecordingError
        If the folder does not hold the corpus, or has no stretch long enough.
    """
    try:
        recordings = list(CORPORA[corpus].read(folder))
    except (OSError, LookupError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(f"{folder} does not hold the corpus {corpus}") from error
    parts: dict[str, list[tuple[FloatArray, float, CorpusRecording]]] = {}
    rate_hz = 0.0
    for recording in recordings:
        if recording.ppg is None:
            continue
        signal, rate_hz = _at_common_rate(recording)
        length = round(_LENGTH_S * rate_hz)
        beats = _beats(recording)
        for first in range(0, signal.size - length + 1, length):
            row = signal[first : first + length]
            if np.isnan(row).mean() > _MAX_MISSING or np.ptp(row[np.isfinite(row)]) == 0:
                continue
            start = first / rate_hz + WARM_UP_S
            inside = beats[(beats >= start) & (beats < start + PPG.window_s)]
            rate = float(np.exp(interval_targets(inside)[0]))
            parts.setdefault(owner(recording), []).append((row, rate, recording))
    rng = np.random.default_rng(seed)
    chosen = [
        found[index]
        for found in parts.values()
        for index in np.sort(rng.permutation(len(found))[:per_person]).tolist()
    ]
    if not chosen:
        raise RecordingError(f"{folder} has no stretch of {_LENGTH_S:g} s")
    rows, rates, sources = zip(*chosen, strict=True)
    keys = sorted(set().union(*(r.labels for r in sources)) - {"rr_ms"})
    return StretchSet(
        corpus,
        np.stack(rows),
        rate_hz,
        np.array([owner(r) for r in sources]),
        np.array(rates),
        {key: np.array([str(r.labels.get(key, "")) for r in sources]) for key in keys},
    )


def owner(recording: CorpusRecording) -> str:
    """Name as "corpus/person"; where nobody knows who it is, as "corpus/record"."""
    known = recording.person != "unknown"
    return f"{recording.corpus}/{recording.person if known else recording.record}"


def _at_common_rate(recording: CorpusRecording) -> tuple[FloatArray, float]:
    signal = np.asarray(recording.ppg, np.float64)
    rate_hz = recording.ppg_rate_hz
    if recording.corpus == "ppg_bp":
        step = round(rate_hz / _DECIMATED_HZ)
        return looped(signal[::step], rate_hz / step, _LENGTH_S), rate_hz / step
    common_hz = _COMMON_RATE_HZ.get(recording.corpus, rate_hz)
    if common_hz != rate_hz:
        count = int(signal.size / rate_hz * common_hz)
        signal = resample_rows(signal[None], rate_hz, common_hz, count)[0]
    return signal, common_hz


def _beats(recording: CorpusRecording) -> FloatArray:
    """Beat times in seconds; empty where nothing but the PPG tells them."""
    if recording.ecg is not None:
        return beats_of_ecg(recording.ecg, recording.ecg_rate_hz)
    if "rr_ms" in recording.labels:
        intervals = np.array(str(recording.labels["rr_ms"]).split(), np.float64)
        return np.cumsum(intervals) / 1000.0
    return np.empty(0)


def looped(segment: FloatArray, rate_hz: float, length_s: float) -> FloatArray:
    """A short segment, repeated over whole beats without a seam.

    The longest lag at which the segment's beginning comes again is the loop; 0.3 s are
    faded from the end into the beginning and the drift over the loop is taken off.

    Parameters
    ----------
    segment
        (T,) of at least 0.8 s and two feet or peaks.

    Examples
    --------
    >>> beat = np.sin(2 * np.pi * 1.25 * np.arange(0, 2.1, 1 / 100))
    >>> longer = looped(beat, 100.0, 4.0)
    >>> bool(np.abs(longer - np.sin(2 * np.pi * 1.25 * np.arange(400) / 100)).max() < 0.01)
    True
    """
    fade = round(0.3 * rate_hz)
    lags = np.arange(round(0.4 * rate_hz), segment.size - fade + 1)
    if lags.size == 0:
        raise RecordingError(f"a segment of {segment.size / rate_hz:.1f} s holds no beat")
    head = segment[:fade] - segment[:fade].mean()
    cuts = np.lib.stride_tricks.sliding_window_view(segment, fade)[lags]
    misfit = np.mean((cuts - cuts.mean(axis=1, keepdims=True) - head) ** 2, axis=1)
    misfit /= max(float(segment.var()), 1e-12)
    lag = int(lags[np.flatnonzero(misfit <= 1.5 * misfit.min() + 0.01)[-1]])
    drift = (segment[lag : lag + fade].mean() - segment[:fade].mean()) / lag
    level = segment - drift * np.arange(segment.size)
    loop = level[:lag].copy()
    weight = np.linspace(0.0, 1.0, fade)
    loop[:fade] = level[lag : lag + fade] * (1.0 - weight) + level[:fade] * weight
    count = round(length_s * rate_hz)
    return np.resize(loop, count)

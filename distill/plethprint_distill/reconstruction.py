"""How well the teacher paints the ECG of a moment from its PPG alone, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from plethprint.signal import ECG, PPG
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet

__all__ = [
    "Reconstruction",
    "interval_error_s",
    "paint",
    "paint_ecg",
    "peak_f1",
    "r_peaks",
    "reconstruction",
    "waveform_figures",
]

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reconstruction:
    """Figures of each window, (N,); F1 of R peaks at the record's best lag and at 0."""

    pearson: npt.NDArray[np.float64]
    f1_50ms: npt.NDArray[np.float64]
    f1_100ms: npt.NDArray[np.float64]
    f1_50ms_zero_lag: npt.NDArray[np.float64]
    f1_100ms_zero_lag: npt.NDArray[np.float64]
    f1_50ms_null: npt.NDArray[np.float64]
    """Predictions swapped with another window of the record, at the swap's best lag."""
    rmse: npt.NDArray[np.float64]
    """Root mean square error in standard deviations; silence has 1."""
    interval_error_ms: npt.NDArray[np.float64]
    """Median error of RR intervals between matched peaks; NaN where no two match."""


@torch.inference_mode()
def paint(
    teacher: M2AE,
    windows: npt.NDArray[np.int8],
    source: str,
    target: str,
    *,
    batch: int = 256,
) -> Float32Array:
    """Windows of one modality, in standard deviations, from int8 windows of the other."""
    teacher.eval()
    device = next(teacher.parameters()).device
    scale = np.float32({"ppg": PPG, "ecg": ECG}[source].input_scale)
    parts = []
    for first in range(0, len(windows), batch):
        steps = np.asarray(windows[first : first + batch], np.float32)
        values = torch.from_numpy(steps * scale).to(device)
        painted = teacher.decode(target, teacher.share(teacher.encode(source, values)))
        parts.append(painted.reshape(len(painted), -1).cpu().numpy())
    return np.concatenate(parts).astype(np.float32)


def paint_ecg(
    teacher: M2AE, ppg: npt.NDArray[np.int8], *, batch: int = 256
) -> Float32Array:
    """ECG windows (N, ECG.window_samples) in standard deviations, from PPG windows."""
    return paint(teacher, ppg, "ppg", "ecg", batch=batch)


def r_peaks(ecg: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """R-peak times (n,) in seconds of one window at ECG.rate_hz, by QRS energy.

    The energy of the slope over 80 ms is searched for peaks at least 0.27 s apart that
    reach a third of the window's tall ones; each is then put on the largest deflection
    within 60 ms.
    """
    from scipy.signal import find_peaks

    signal = np.asarray(ecg, dtype=np.float64)
    width = round(0.08 * ECG.rate_hz)
    energy = np.convolve(np.gradient(signal) ** 2, np.ones(width) / width, mode="same")
    tall = np.percentile(energy, 98.0)
    if not tall > 0.0:
        return np.empty(0)
    peaks, _ = find_peaks(energy, height=tall / 3, distance=round(0.27 * ECG.rate_hz))
    reach = round(0.06 * ECG.rate_hz)
    centred = np.abs(signal - np.median(signal))
    placed = [
        max(0, p - reach) + int(np.argmax(centred[max(0, p - reach) : p + reach + 1]))
        for p in peaks
    ]
    return np.asarray(placed, dtype=np.float64) / ECG.rate_hz


def peak_f1(
    found_s: npt.NDArray[np.float64], true_s: npt.NDArray[np.float64], within_s: float
) -> float:
    """F1 of matching peaks one to one within a tolerance; NaN when there is nothing true.

    Examples
    --------
    >>> peak_f1(np.array([1.01, 2.2]), np.array([1.0, 2.0]), 0.05)
    0.5
    """
    if not true_s.size:
        return float("nan")
    hits, free = 0, list(found_s)
    for true in true_s:
        close = [p for p in free if abs(p - true) <= within_s]
        if close:
            free.remove(min(close, key=lambda p: abs(p - true)))
            hits += 1
    return 2.0 * hits / (true_s.size + found_s.size)


def interval_error_s(
    found_s: npt.NDArray[np.float64], true_s: npt.NDArray[np.float64], within_s: float
) -> float:
    """Median error of the intervals between neighbouring true peaks that both match.

    NaN where no two neighbours match.

    Examples
    --------
    >>> true = np.array([1.0, 2.0, 3.0])
    >>> round(interval_error_s(true + np.array([0.0, 0.02, 0.0]), true, 0.1), 6)
    0.02
    """
    if found_s.size < 2 or true_s.size < 2:
        return float("nan")
    nearest = np.abs(found_s[None, :] - true_s[:, None]).argmin(axis=1)
    matched = np.abs(found_s[nearest] - true_s) <= within_s
    pairs = matched[1:] & matched[:-1] & (nearest[1:] > nearest[:-1])
    if not pairs.any():
        return float("nan")
    error = np.abs(np.diff(found_s[nearest]) - np.diff(true_s))
    return float(np.median(error[pairs]))


def waveform_figures(
    painted: npt.NDArray[np.floating], truth: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pearson's r and root mean square error of each window, (N,) each."""
    r = np.array([_pearson(a, b) for a, b in zip(painted, truth, strict=True)])
    error = np.sqrt(((np.asarray(painted, np.float64) - truth) ** 2).mean(axis=1))
    return r, error


def reconstruction(
    teacher: M2AE, windows: WindowSet, *, swap: npt.NDArray[np.intp] | None = None
) -> Reconstruction:
    """Figures of ECG painted from PPG for paired windows.

    With `swap` (N,), the painting of window ``swap[i]`` is held against window i: the null.

    A constant of the recording delays one channel against the other; the best lag is
    chosen per record, for the true pairs and for the swapped ones alike.
    """
    painted = paint_ecg(teacher, windows.ppg)
    if swap is not None:
        painted = painted[swap]
    truth = np.asarray(windows.ecg, np.float64) * ECG.input_scale
    n = len(windows)
    pearson, rmse = waveform_figures(painted, truth)
    found, true = [r_peaks(x) for x in painted], [r_peaks(x) for x in truth]
    columns = {
        name: np.full(n, np.nan) for name in ("f50", "f100", "zero", "far", "null", "rr")
    }
    for record in np.unique(windows.record):
        rows = np.flatnonzero(windows.record == record)
        swapped = np.roll(rows, max(1, len(rows) // 2))
        columns["zero"][rows] = _scores(found, true, rows, rows, 0.0, 0.05)
        columns["far"][rows] = _scores(found, true, rows, rows, 0.0, 0.10)
        lag = _best_lag(found, true, rows, rows)
        columns["f50"][rows] = _scores(found, true, rows, rows, lag, 0.05)
        columns["f100"][rows] = _scores(found, true, rows, rows, lag, 0.10)
        columns["rr"][rows] = [
            1000.0 * interval_error_s(found[a] + lag, true[a], 0.10) for a in rows
        ]
        if len(rows) > 1:
            lag = _best_lag(found, true, swapped, rows)
            columns["null"][rows] = _scores(found, true, swapped, rows, lag, 0.05)
    return Reconstruction(
        pearson,
        columns["f50"],
        columns["f100"],
        columns["zero"],
        columns["far"],
        columns["null"],
        rmse,
        columns["rr"],
    )


def _scores(
    found: list[npt.NDArray[np.float64]],
    true: list[npt.NDArray[np.float64]],
    of: npt.NDArray[np.intp],
    rows: npt.NDArray[np.intp],
    lag_s: float,
    within_s: float,
) -> list[float]:
    return [
        peak_f1(found[a] + lag_s, true[b], within_s) for a, b in zip(of, rows, strict=True)
    ]


def _best_lag(
    found: list[npt.NDArray[np.float64]],
    true: list[npt.NDArray[np.float64]],
    of: npt.NDArray[np.intp],
    rows: npt.NDArray[np.intp],
) -> float:
    # Peaks are sampled from a few windows of the record: the lag is one number.
    some = np.linspace(0, len(rows) - 1, min(len(rows), 24)).astype(int)
    if not any(true[b].size for b in rows[some]):  # no beat: no lag beats another
        return 0.0
    lags = np.arange(-0.3, 0.301, 0.02)
    means = [np.nanmean(_scores(found, true, of[some], rows[some], g, 0.05)) for g in lags]
    return float(lags[int(np.argmax(means))])


def _pearson(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])

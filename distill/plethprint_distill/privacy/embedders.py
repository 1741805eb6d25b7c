"""What is looked into: fingerprints, and the plain features they must be seen beside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.quality import heart_rate_bpm
from plethprint.signal import PPG
from plethprint_distill.corpora import CORPORA
from plethprint_distill.physiology import SHAPE_POINTS, pulse_shape
from plethprint_distill.space import fingerprints
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet

__all__ = [
    "Embedder",
    "level_embedder",
    "pulse_features",
    "pulse_peaks",
    "spectrum_features",
    "student_embedder",
    "teacher_embedder",
]

Float32Array = npt.NDArray[np.float32]
Embedder = Callable[[WindowSet], Float32Array]
"""Windows -> vectors (N, F)."""


def student_embedder(package: Path | None = None) -> Embedder:
    """The int8 student of a model package, by default the one that ships, by the SDK."""
    from plethprint.encoder import load_encoder
    from plethprint.package import ModelPackage

    encoder = load_encoder(ModelPackage.load(package), "onnx")
    return lambda windows: encoder.run(np.asarray(windows.ppg)).astype(np.float32)


def teacher_embedder(teacher: M2AE) -> Embedder:
    """The teacher's fingerprint of the PPG alone."""
    return lambda windows: fingerprints(teacher, windows, ("ppg",))


def pulse_peaks(window: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Times of the pulse's peaks (n,) in s of one window at PPG.rate_hz."""
    from scipy.signal import find_peaks

    signal = np.asarray(window, dtype=np.float64)
    spread = signal.std()
    if not spread > 0.0:
        return np.empty(0)
    steps = np.clip(np.rint(signal / spread / PPG.input_scale), -127, 127).astype(np.int8)
    rate = float(heart_rate_bpm(steps[None])[0])
    period_s = 60.0 / rate if np.isfinite(rate) else 0.5
    least = max(1, round(0.6 * period_s * PPG.rate_hz))
    peaks, _ = find_peaks(signal, distance=least, prominence=0.5 * spread)
    return np.asarray(peaks, dtype=np.float64) / PPG.rate_hz


def pulse_features(windows: WindowSet) -> Float32Array:
    """The simple baseline: mean pulse shape and rate, (N, SHAPE_POINTS + 1).

    The rate is scaled so that a doubling moves as far as two usual shapes lie apart.
    """
    rows = np.zeros((len(windows), SHAPE_POINTS + 1), np.float32)
    for row, window in enumerate(np.asarray(windows.ppg)):
        beats = pulse_peaks(window)
        shape = pulse_shape(window, beats)
        rows[row, :-1] = np.nan_to_num(shape)
        if beats.size > 2:
            rows[row, -1] = 4.0 * np.log2(1.0 / np.median(np.diff(beats)))
    return rows


def spectrum_features(windows: WindowSet) -> Float32Array:
    """The raw window's log amplitude spectrum to 8 Hz, (N, 80): raw, but for its phase."""
    steps = np.asarray(windows.ppg, np.float64) * np.hanning(PPG.window_samples)
    amplitude = np.abs(np.fft.rfft(steps, axis=1))[:, 1:81]
    level = amplitude.mean(axis=1, keepdims=True) + 1e-9
    spectrum: Float32Array = np.log(amplitude / level + 0.05).astype(np.float32)
    return spectrum


def level_embedder(data: Path) -> Embedder:
    """Level and spread of the unfiltered signal: what the sensor, not the pulse, gives.

    Parameters
    ----------
    data
        Folder of the corpora's folders; a window whose recording is not there gets zeros.
    """

    def embed(windows: WindowSet) -> Float32Array:
        rows = np.zeros((len(windows), 3), np.float32)
        record, start = np.asarray(windows.record), np.asarray(windows.start_s)
        for corpus in sorted({str(p).split("/")[0] for p in np.unique(windows.person)}):
            if corpus not in CORPORA or not (data / corpus).is_dir():
                continue
            for recording in CORPORA[corpus].read(data / corpus):
                mine = np.flatnonzero(record == recording.record)
                if recording.ppg is None or not len(mine):
                    continue
                for row in mine.tolist():
                    first = round(float(start[row]) * recording.ppg_rate_hz)
                    cut = recording.ppg[
                        first : first + round(PPG.window_s * recording.ppg_rate_hz)
                    ]
                    cut = cut[np.isfinite(cut)]
                    if cut.size:
                        rows[row] = cut.mean(), np.log(cut.std() + 1e-6), np.median(cut)
        spread = rows.std(axis=0)
        levels: Float32Array = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
        return levels.astype(np.float32)

    return embed

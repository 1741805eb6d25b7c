"""What the acceleration of real wrists says of the pulse under it.

Two corpora have wrist PPG and acceleration: Stress-Predict, 35 people at a desk and on
their feet for about an hour, without another truth of the pulse; and Wrist PPG During
Exercise, of which only three people's first minutes are at hand, with an ECG. By how much
the wrist moved: how often the pulse alone is flagged, how often with the acceleration, and,
where there is an ECG, whether the rate counted in the window is within 5 beats of it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint.fingerprint import LOW_QUALITY
from plethprint.motion_history import MotionHistory
from plethprint.quality import heart_rate_bpm
from plethprint.signal import PPG, window_rows
from plethprint.signal_quality import judge, lowered
from plethprint_distill.corpora.compact import decode
from plethprint_distill.labelled_windows import corpus_folders
from plethprint_distill.physiology import beats_of_ecg
from plethprint_distill.statistics import mean_over_people

__all__ = ["MOTION_BINS_G", "add_verb", "motion_figures"]

FloatArray = npt.NDArray[np.float64]

MOTION_BINS_G = (0.0, 0.02, 0.05, 0.1, 0.2, np.inf)
"""Edges of the rows, g."""
_WARM_UP_S = 4.0
_HOP_S = {"stress_predict": 20.0, "wrist_exercise": 2.0}
_RIGHT_BPM = 5.0


def motion_figures(corpus: str, folder: Path) -> dict[str, Any]:
    """Figures of one corpus, by how much the wrist moved.

    Parameters
    ----------
    corpus : {"stress_predict", "wrist_exercise"}
        Which.
    folder : Path
        Its compact npz files.

    Raises
    ------
    RecordingError
        There are none, or one has no acceleration.
    """
    paths = sorted(folder.glob("[Ss]*.npz"))
    parts = [_of_recording(p, _HOP_S[corpus]) for p in tqdm(paths, desc=corpus)]
    if not parts:
        raise RecordingError(f"{folder} has no recordings s*.npz")
    table = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    rows = {}
    for low, high in pairwise(MOTION_BINS_G):
        inside = (table["motion_g"] >= low) & (table["motion_g"] < high)
        if inside.any():
            rows[f"{low:g} to {high:g} g"] = _row({k: v[inside] for k, v in table.items()})
    return {"all": _row(table), **rows}


def _row(table: dict[str, Any]) -> dict[str, Any]:
    person = table["person"]
    shares = {
        "flagged_by_pulse": table["quality"] < LOW_QUALITY,
        "flagged_with_motion": table["lowered"] < LOW_QUALITY,
    }
    if np.isfinite(table["error_bpm"]).any():
        shares["rate_right"] = np.abs(table["error_bpm"]) <= _RIGHT_BPM
    told = {
        name: asdict(mean_over_people(share.astype(np.float64), person))
        for name, share in shares.items()
    }
    return {"windows": len(person), "people": len(set(person.tolist())), **told}


def _of_recording(path: Path, hop_s: float) -> dict[str, Any]:
    arrays = decode(path)
    if "acc" not in arrays:
        raise RecordingError(f"{path} has no acceleration")
    rate_hz, motion_hz = float(arrays["fs_ppg"]), float(arrays["fs_acc"])
    ppg = np.asarray(arrays["ppg"], np.float64)
    before, span = round(_WARM_UP_S * rate_hz), round(PPG.window_s * rate_hz)
    starts = np.arange(before, ppg.size - span, round(hop_s * rate_hz))
    rows = np.stack([ppg[s - before : s + span] for s in starts])
    starts_s = starts / rate_hz
    vectors = np.asarray(arrays["acc"], np.float64).T
    one_g = float(np.nanmedian(np.linalg.norm(vectors, axis=1)))
    motion_g = np.array([_motion_g(vectors, motion_hz, s, one_g) for s in starts_s])
    keep = np.isfinite(rows).all(axis=1) & np.isfinite(motion_g)
    windows, _ = window_rows(rows[keep], rate_hz, warm_up_s=_WARM_UP_S)
    quality, reasons = judge(windows)
    lower = [
        lowered(float(q), reason, motion_g=float(g))[0]
        for q, reason, g in zip(quality, reasons, motion_g[keep], strict=True)
    ]
    rate = heart_rate_bpm(windows).astype(np.float64)
    person = path.stem.split("_")[0]
    return {
        "person": np.full(len(windows), person),
        "motion_g": motion_g[keep],
        "quality": quality.astype(np.float64),
        "lowered": np.array(lower),
        "error_bpm": rate - _true_bpm(arrays, starts_s[keep]),
    }


def _motion_g(vectors: FloatArray, rate_hz: float, start_s: float, one_g: float) -> float:
    part = vectors[round(start_s * rate_hz) : round((start_s + PPG.window_s) * rate_hz)]
    history = MotionHistory(keep_s=2 * PPG.window_s)
    history.add(start_s, 1.0 / rate_hz, part, counts_per_g=one_g)
    told = history.rms_g(start_s, PPG.window_s) if np.isfinite(part).all() else None
    return np.nan if told is None else told


def _true_bpm(arrays: dict[str, Any], starts_s: FloatArray) -> FloatArray:
    """Rate by the ECG in each window; NaN without one."""
    if "ecg" not in arrays:
        return np.full(len(starts_s), np.nan)
    ecg = np.asarray(arrays["ecg"], np.float64)
    beats_s = beats_of_ecg(ecg, float(arrays["fs_ecg"]))
    told = []
    for start_s in starts_s.tolist():
        inside = beats_s[(beats_s >= start_s) & (beats_s < start_s + PPG.window_s)]
        told.append(60.0 / np.diff(inside).mean() if len(inside) > 2 else np.nan)
    return np.array(told)


def add_verb(verbs: Any) -> None:
    """Add `motion` to the command line."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "motion", help="what the acceleration of real wrists says of the pulse"
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    folders = corpus_folders(arguments.data)
    told = {name: motion_figures(name, folders[name]) for name in _HOP_S if name in folders}
    if not told:
        raise RecordingError(f"none of {', '.join(_HOP_S)} is there")
    return told

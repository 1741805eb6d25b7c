"""What a student is to give: the teacher's fingerprints of every training window, kept.

The student follows the mean of the fingerprints from ECG and PPG together and from PPG
alone: the one knows more, the other is all that a wearable can be asked for. Where the
PPG is spoiled, the ECG beside it knows what no PPG can tell, and PPG alone is the target.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import PackageIncompatibleError
from plethprint_distill.physiology import log_with_floor, target_column
from plethprint_distill.space import fingerprints
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet

__all__ = ["teacher_targets"]

Float32Array = npt.NDArray[np.float32]

SPOILED_RATIO = 0.3
"""A PPG is spoiled when its disturbance has more than this share of the pulse's energy."""


def teacher_targets(
    teacher: M2AE, sets: dict[str, WindowSet], folder: Path
) -> dict[str, Float32Array]:
    """Unit target vectors (N, dim) of each set's windows, which all hold PPG.

    Parameters
    ----------
    folder
        Where they are kept; a set that is there already is not computed again.

    Raises
    ------
    PackageIncompatibleError
        If the folder holds the work of another teacher.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp, whose = folder / "teacher.sha256", _digest(teacher)
    if stamp.is_file() and stamp.read_text() != whose:
        raise PackageIncompatibleError(
            f"{folder.parent} was begun with another teacher: remove it, or name another "
            "folder"
        )
    stamp.write_text(whose)
    return {name: _targets(teacher, part, folder, name) for name, part in sets.items()}


def _targets(teacher: M2AE, windows: WindowSet, folder: Path, name: str) -> Float32Array:
    path = folder / f"{name}.npy"
    if path.is_file():
        kept: Float32Array = np.load(path)
        if len(kept) == len(windows):
            return kept
    windows = windows.centred()
    vectors = fingerprints(teacher, windows, ("ppg",))
    disturbed = np.asarray(windows.targets[:, target_column("log_disturbance")])
    whole = ~(disturbed > log_with_floor(SPOILED_RATIO))
    rows = np.flatnonzero(np.asarray(windows.has_ecg) & whole)
    if len(rows):
        vectors[rows] += fingerprints(teacher, windows.take(rows), ("ppg", "ecg"))
        vectors[rows] /= np.linalg.norm(vectors[rows], axis=1, keepdims=True)
    part = path.with_suffix(".part.npy")
    np.save(part, vectors)
    part.replace(path)
    return vectors


def _digest(teacher: M2AE) -> str:
    """SHA-256 of the weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, weights in sorted(teacher.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()

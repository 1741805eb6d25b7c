"""What quantisation needs beside the student's weights, written into its folder.

::

    calibration.npy   int8 windows of training people, to set ranges on
    golden.npz        windows of virtual wearers nobody trained on, and the teacher's
                      fingerprints of them: golden input and reference bank
    about.json        name, teacher, training data with licences, figures, card text
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from plethprint.agreement import agreement
from plethprint.errors import RecordingError
from plethprint_distill.card import student_notes
from plethprint_distill.evaluate import load_student, student_vectors
from plethprint_distill.prepare import load_training_sets
from plethprint_distill.space import fingerprints
from plethprint_distill.student import Student
from plethprint_distill.teacher import M2AE
from plethprint_distill.virtual import virtual_windows
from plethprint_distill.windows import WindowSet

__all__ = ["VERSION", "hand_over", "read_figures", "training_data", "training_facts"]

VERSION = "2"
"""Of the models that `make train` makes: raised when the recipe changes what they mean."""

_CALIBRATION_WINDOWS = 2048
_GOLDEN_WINDOWS = 256
_BAR_BELOW = 0.05
"""How far below the float student's agreement with the teacher the bars are set."""
_GOLDEN_SEED = 987_654
"""Not among the seeds of training wearers: `prepare` uses 2000 to 2019."""


def training_data(windows_dir: Path) -> list[dict[str, Any]]:
    """Corpora that trained, with licences and the windows and people that were used."""
    rows = []
    for name, part in load_training_sets(windows_dir).items():
        stated = json.loads((windows_dir / name / "about.json").read_text())["corpora"][0]
        people = len(np.unique(np.asarray(part.person)))
        told = {**stated, "windows": len(part), "people": people}
        if name.endswith("_resensed"):
            told["name"] = f"{stated['name']}, other sensors"
        rows.append(told)
    return rows


def training_facts(checkpoint: Path, *, seen_before: int = 0) -> dict[str, Any]:
    """How a checkpoint came about: windows seen, and the configuration of its last run.

    `seen_before` is what the weights that the run began with had seen.
    """
    if not checkpoint.is_file():
        return {}
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    config = dict(state["config"])
    seen = int(state["step"]) * int(config["batch"])
    before = {"windows_seen_before": seen_before} if seen_before else {}
    return {"windows_seen": seen + seen_before, **before, **config}


def read_figures(path: Path | None) -> dict[str, Any]:
    """What `python -m plethprint_distill evaluate` printed; nothing without a path.

    Raises
    ------
    RecordingError
        If the file is not one JSON object.
    """
    if path is None:
        return {}
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} holds no figures: {error}") from error
    if not isinstance(figures, dict):
        raise RecordingError(f"{path} holds no figures: it is not one JSON object")
    return figures


def hand_over(
    folder: Path,
    teacher: M2AE,
    windows_dir: Path,
    *,
    teacher_id: str = "",
    figures: dict[str, Any] | None = None,
    name: str = "plethprint-micro",
    version: str = VERSION,
) -> None:
    """Write the three files beside `student.pt`."""
    sets = load_training_sets(windows_dir)
    rng = np.random.default_rng(0)
    share = _CALIBRATION_WINDOWS // len(sets)
    calibration = [
        np.asarray(s.ppg)[np.sort(rng.permutation(len(s))[:share])] for s in sets.values()
    ]
    np.save(folder / "calibration.npy", np.concatenate(calibration))
    golden: WindowSet = virtual_windows(_GOLDEN_WINDOWS, seed=_GOLDEN_SEED, chunk=64)
    both = fingerprints(teacher, golden, ("ppg", "ecg"))
    alone = fingerprints(teacher, golden, ("ppg",))
    np.savez_compressed(
        folder / "golden.npz",
        windows=golden.ppg,
        teacher_both=both,
        teacher_ppg=alone,
    )
    about = {
        "name": name,
        "teacher_least": _bars(load_student(folder), golden, (both, alone)),
        "version": version,
        "teacher": teacher_id,
        "training_data": training_data(windows_dir),
        "figures": figures or {},
        "notes": student_notes(figures or {}),
    }
    (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n")


def _bars(
    student: Student,
    golden: WindowSet,
    teacher: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> dict[str, float]:
    """Least agreement with the teacher that this student's runtimes must show."""
    ours = student_vectors(student, golden.ppg)
    both, alone = (agreement(ours, vectors) for vectors in teacher)
    measured = {
        "centred_cosine": both["centred_cosine"],
        "overlap_at_10": both["overlap_at_10"],
        "ppg_centred_cosine": alone["centred_cosine"],
    }
    return {k: math.floor(100 * (v - _BAR_BELOW)) / 100 for k, v in measured.items()}

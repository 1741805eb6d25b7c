"""Figures on people held out: parity, painted ECG, and a heart-rate probe with controls.

Every figure is a mean over people with a bootstrap interval over people. The probe is
ridge regression on frozen fingerprints, fitted on training people, beside the same probe
on an untrained student and beside plain beat counting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from plethprint.agreement import centred_cosine, neighbour_overlap, retrieval_at
from plethprint.errors import PackageIncompatibleError
from plethprint.quality import heart_rate_bpm
from plethprint.signal import PPG
from plethprint_distill.physiology import TARGETS
from plethprint_distill.reconstruction import reconstruction
from plethprint_distill.space import effective_rank, fingerprints
from plethprint_distill.statistics import Interval, mean_over_people
from plethprint_distill.student import Student, StudentConfig
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet

__all__ = [
    "FLOAT_STUDENTS",
    "evaluate",
    "load_student",
    "onnx_vectors",
    "ridge_guess",
    "student_vectors",
    "unit_rows",
]

Float32Array = npt.NDArray[np.float32]

_RATE = TARGETS.index("log_heart_rate")


FLOAT_STUDENTS = Path(__file__).with_name("float_students")
"""Float students of packages that ship, ``NAME_vVERSION.npz``: int8 keeps no way back."""


def load_student(folder: Path) -> Student:
    """The student of a distillation folder, or of an ``.npz`` as `FLOAT_STUDENTS` holds.

    Raises
    ------
    PackageIncompatibleError
        If there is none, or it does not fit its own configuration.
    """
    if folder.suffix == ".npz":
        from plethprint_distill.control_weights import load_control

        return load_control(folder)[0]
    try:
        state = torch.load(folder / "student.pt", map_location="cpu", weights_only=True)
        blocks = tuple((int(w), int(s)) for w, s in state["student"]["blocks"])
        student = Student(StudentConfig(**{**state["student"], "blocks": blocks}))
        student.load_state_dict(state["model"])
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise PackageIncompatibleError(f"{folder} holds no student: {error}") from error
    return student.eval()


def onnx_vectors(path: Path, ppg: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Int8 fingerprints (N, dim) of a quantised student, by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    parts = [
        session.run(None, {"window": np.asarray(ppg[i : i + 512])[:, None, None, :]})[0]
        for i in range(0, len(ppg), 512)
    ]
    return np.concatenate(parts)


@torch.inference_mode()
def student_vectors(
    student: Student, ppg: npt.NDArray[np.int8], *, batch: int = 512
) -> Float32Array:
    """Fingerprints (N, dim) of the float student for int8 windows, not normalised."""
    student.eval()
    parts = []
    for first in range(0, len(ppg), batch):
        steps = np.asarray(ppg[first : first + batch], np.float32)[:, None, None, :]
        parts.append(student(torch.from_numpy(steps * np.float32(PPG.input_scale))).numpy())
    return np.concatenate(parts).astype(np.float32)


def evaluate(
    teacher: M2AE,
    student: Student,
    train: dict[str, WindowSet],
    test: dict[str, WindowSet],
    *,
    int8_vectors: dict[str, npt.NDArray[np.int8]] | None = None,
) -> dict[str, Any]:
    """All figures, as plain values.

    Parameters
    ----------
    train, test
        Window sets by corpus; `test` holds only people held out. Probes are fitted on
        `train["bidmc"]` and tested on `test["bidmc"]`.
    int8_vectors
        The int8 student's fingerprints of the test sets, by corpus; the float student's
        stand in where there are none.
    """
    figures: dict[str, Any] = {"parity": {}, "teacher": {}}
    for name, windows in test.items():
        if not np.asarray(windows.has_ppg).all():
            continue  # a corpus of ECG alone: no student sees it
        given = (int8_vectors or {}).get(name)
        ours = student_vectors(student, windows.ppg) if given is None else given
        views = {"ppg": fingerprints(teacher, windows, ("ppg",))}
        if np.asarray(windows.has_ecg).all():
            views["both"] = fingerprints(teacher, windows, ("ppg", "ecg"))
            views["ecg"] = fingerprints(teacher, windows, ("ecg",))
            figures["teacher"][name] = {
                "retrieval_ppg_to_ecg_at_256": _retrieval(views["ppg"], views["ecg"]),
                "effective_rank": effective_rank(views["both"]),
                "ppg_against_both": _agreement(views["ppg"], views["both"], windows),
            }
        figures["parity"][name] = {
            view: _agreement(ours, vectors, windows)
            for view, vectors in views.items()
            if view != "ecg"
        }
    if "bidmc" in test:
        figures["ecg_from_ppg"] = _painted(teacher, test["bidmc"])
        if "bidmc" in train:
            figures["heart_rate_mae_bpm"] = _heart_rate(
                teacher, student, train["bidmc"], test["bidmc"]
            )
    return figures


def _agreement(
    a: npt.NDArray[Any], b: npt.NDArray[Any], windows: WindowSet
) -> dict[str, Any]:
    centred = centred_cosine(a, b)
    # Neighbours are looked for among other people's windows and one's own alike; a
    # random draw keeps the bank small enough to hold.
    some = np.random.default_rng(0).permutation(len(a))[:2048]
    overlap = neighbour_overlap(a[some], b[some])
    person = np.asarray(windows.person)
    return {
        "centred_cosine": asdict(mean_over_people(centred, person)),
        "centred_cosine_p5": float(np.quantile(centred, 0.05)),
        "overlap_at_10": asdict(mean_over_people(overlap, person[some])),
        "retrieval_at_256": _retrieval(a, b),
        "windows": len(a),
    }


def _retrieval(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    order = np.random.default_rng(0).permutation(len(a))
    return retrieval_at(a[order], b[order], 256)


def _painted(teacher: M2AE, windows: WindowSet) -> dict[str, Any]:
    found = reconstruction(teacher, windows)
    person = np.asarray(windows.person)
    return {k: asdict(mean_over_people(v, person)) for k, v in vars(found).items()}


def _heart_rate(
    teacher: M2AE, student: Student, train: WindowSet, test: WindowSet
) -> dict[str, Any]:
    truth = np.exp(np.asarray(test.targets[:, _RATE], np.float64))
    person = np.asarray(test.person)
    known = np.isfinite(np.asarray(train.targets[:, _RATE]))
    labels = np.exp(np.asarray(train.targets[known, _RATE], np.float64))
    torch.manual_seed(0)
    features: dict[str, Callable[[WindowSet], Float32Array]] = {
        "teacher_ppg": lambda w: fingerprints(teacher, w, ("ppg",)),
        "student": lambda w: unit_rows(student_vectors(student, w.ppg)),
        "student_untrained": lambda w: student_vectors(Student(student.config), w.ppg),
    }
    rows: dict[str, Interval] = {}
    for name, make in features.items():
        torch.manual_seed(0)  # the untrained student is one network, not two
        seen = make(train.take(known))
        torch.manual_seed(0)
        guess = ridge_guess(seen, labels, make(test))
        rows[name] = mean_over_people(np.abs(guess - truth), person)
    counted = np.asarray(heart_rate_bpm(np.asarray(test.ppg)), np.float64)
    # Where it finds no rate it is given the training mean: all rows on the same windows.
    counted = np.where(np.isfinite(counted), counted, labels.mean())
    rows["beat_counting"] = mean_over_people(np.abs(counted - truth), person)
    rows["mean_of_training"] = mean_over_people(np.abs(labels.mean() - truth), person)
    return {k: asdict(v) for k, v in rows.items()}


def unit_rows(rows: Float32Array) -> Float32Array:
    """Rows (N, D) at unit length; a row of zeros stays one."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    unit: Float32Array = rows / lengths
    return unit


def ridge_guess(
    train: Float32Array, labels: npt.NDArray[np.float64], test: Float32Array
) -> npt.NDArray[np.float64]:
    """Standardise, fit ridge (strength by generalised cross-validation), predict."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    guess: npt.NDArray[np.float64] = model.fit(train, labels).predict(test)
    return guess

"""Whatever turns windows into features: teacher, students, controls, baselines.

Frozen all of them: a probe sees their features and nothing inside. `ours` is taught by
the teacher or is it; a `control` shares a student's architecture or a task's side facts,
but not the teaching; a `baseline` is what the literature would reach for.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from plethprint.encoder import load_encoder
from plethprint.errors import MissingExtraError
from plethprint.package import ModelPackage
from plethprint.signal import ECG, PPG
from plethprint_distill.checkpoint import load_teacher
from plethprint_distill.claim_gate import DISTILLED
from plethprint_distill.evaluate import load_student, student_vectors
from plethprint_distill.student import PRESETS, Student
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet

__all__ = [
    "STUDENT_FLOAT",
    "STUDENT_INT8",
    "Embedder",
    "baseline_embedders",
    "control_embedders",
    "float_student",
    "int8_student",
    "random_students",
    "teacher_embedders",
]

_LOGGER = logging.getLogger(__name__)

Float32Array = npt.NDArray[np.float32]

STUDENT_FLOAT = "float student"
"""The same student before it was quantised; a row where its folder was given."""
STUDENT_INT8 = "int8 student"
"""The row that every other is compared with."""


@dataclass(frozen=True)
class Embedder:
    """A frozen map from windows to features."""

    name: str
    family: str
    """ "ours", "control" or "baseline"."""
    modality: str
    """What a window must have: "ppg", "ecg" or "both"."""
    embed: Callable[[WindowSet], Float32Array]
    """Windows -> features (N, F), finite."""
    fit: Callable[[WindowSet], None] | None = None
    """Looks at training windows once, without labels."""
    wide: bool = True
    """Whether it is a row of every task; else only of tasks on ECG."""

    def takes(self, windows: WindowSet) -> bool:
        """Whether every window has what this needs."""
        has = {"ppg": windows.has_ppg, "ecg": windows.has_ecg}
        needed = ("ppg", "ecg") if self.modality == "both" else (self.modality,)
        return all(bool(np.asarray(has[m]).all()) for m in needed)


class _TeacherView:
    """A teacher's pooled tokens of one choice of modalities; the last set is kept."""

    def __init__(self, teacher: M2AE, modalities: tuple[str, ...]) -> None:
        self._teacher = teacher.eval()
        self._modalities = modalities
        self._last: tuple[WindowSet, Float32Array] | None = None

    @torch.inference_mode()
    def pooled(self, windows: WindowSet) -> Float32Array:
        """Mean and spread over time of the bottleneck's tokens, (N, 2 width)."""
        if self._last is not None and self._last[0] is windows:
            return self._last[1]
        parts = []
        for first in range(0, len(windows), 512):
            tokens = []
            for name, spec in (("ppg", PPG), ("ecg", ECG)):
                if name in self._modalities:
                    steps = np.asarray(getattr(windows, name)[first : first + 512])
                    values = torch.from_numpy(steps.astype(np.float32) * spec.input_scale)
                    tokens.append(self._teacher.encode(name, values.float()))
            shared = self._teacher.share(torch.cat(tokens, dim=1))
            spread = torch.sqrt(shared.var(dim=1, unbiased=False) + 1e-4)
            parts.append(torch.cat([shared.mean(dim=1), spread], dim=-1).numpy())
        width = 2 * self._teacher.config.width
        made = np.concatenate(parts) if parts else np.empty((0, width), np.float32)
        self._last = (windows, made)
        return made

    @torch.inference_mode()
    def fingerprints(self, windows: WindowSet) -> Float32Array:
        """Unit fingerprints (N, dim)."""
        raw = self._teacher.project(torch.from_numpy(self.pooled(windows)))
        made: Float32Array = self._teacher.finish(raw).numpy()
        return made


def teacher_embedders(path: Path) -> tuple[M2AE, list[Embedder]]:
    """A teacher and its rows: fingerprints of ECG + PPG, ECG, PPG, and pooled tokens.

    Raises
    ------
    PackageIncompatibleError
        If the file holds no teacher.
    """
    teacher = load_teacher(path)
    views = {
        "both": _TeacherView(teacher, ("ppg", "ecg")),
        "ecg": _TeacherView(teacher, ("ecg",)),
        "ppg": _TeacherView(teacher, ("ppg",)),
    }
    titles = {"both": "ECG + PPG", "ecg": "ECG", "ppg": "PPG"}
    rows = [
        Embedder(f"teacher, {titles[m]}", "ours", m, view.fingerprints)
        for m, view in views.items()
    ]
    rows += [
        Embedder(
            f"teacher, {titles[m]} tokens", "ours", m, views[m].pooled, None, m == "ppg"
        )
        for m in ("ecg", "ppg")
    ]
    return teacher, rows


def int8_student(package: ModelPackage, name: str = STUDENT_INT8) -> Embedder:
    """A package's student, in onnxruntime as the SDK runs it."""
    encoder = load_encoder(package, "onnx")
    return Embedder(
        name,
        "ours",
        "ppg",
        lambda windows: _unit(encoder.run(np.ascontiguousarray(windows.ppg))),
    )


def float_student(folder: Path, name: str = STUDENT_FLOAT) -> Embedder:
    """The float student of a distillation folder, or of an ``.npz``.

    Raises
    ------
    PackageIncompatibleError
        If there is none.
    """
    student = load_student(folder)
    return Embedder(
        name,
        "ours",
        "ppg",
        partial(_student_unit, student),
    )


def random_students(preset: str = "micro", seed: int = 0) -> list[Embedder]:
    """Students nobody taught: batch norm as it starts, and set on training windows.

    Two rows, because batch norm's calibration alone changes what a random net gives.
    """
    rows = []
    for name, calibrated in (
        ("random weights", False),
        ("random weights, batch norm set", True),
    ):
        student = Student(PRESETS[preset])
        generator = torch.Generator().manual_seed(seed)
        for module in student.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                fan_in = module.weight[0].numel()
                with torch.no_grad():
                    module.weight.normal_(0.0, (2 / fan_in) ** 0.5, generator=generator)
                    if module.bias is not None:
                        module.bias.zero_()
        student.eval()
        rows.append(
            Embedder(
                f"student, {name}",
                "control",
                "ppg",
                partial(_student_raw, student),
                partial(_set_batch_norm, student) if calibrated else None,
            )
        )
    return rows


@torch.no_grad()
def _set_batch_norm(student: Student, windows: WindowSet) -> None:
    for module in student.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over the batches
    student.train()
    for first in range(0, len(windows), 256):
        steps = np.asarray(windows.ppg[first : first + 256], np.float32)
        student(torch.from_numpy(steps[:, None, None, :] * np.float32(PPG.input_scale)))
    student.eval()


def baseline_embedders(notes: list[str]) -> Iterator[Embedder]:
    """Baselines that are installed; what is left out is told in `notes`."""
    makers = _found("plethprint_distill.baselines", "BASELINES", notes) or {}
    for name, make in makers.items():
        try:
            made = make()
        except MissingExtraError as error:
            notes.append(f"no row {name}: {error}")
            continue
        yield Embedder(
            made.name,
            made.family,
            "ppg",
            partial(_embed_ppg, made),
            partial(_fit_ppg, made),
        )
    maker = _found("plethprint_distill.ecg_features", "EcgFeatures", notes)
    if maker is not None:
        made = maker()
        yield Embedder(
            made.name,
            made.family,
            "ecg",
            partial(_embed_ecg, made),
            partial(_fit_ecg, made),
            wide=False,
        )


def control_embedders(notes: list[str]) -> Iterator[Embedder]:
    """Students of the same shape and data without a teacher, where they are there.

    Beside them may lie students distilled on as many windows, for the claim gate.
    """
    load = _found("plethprint_distill.control_weights", "load_controls", notes)
    found = [] if load is None else load()
    if load is not None and not found:
        notes.append("no same-data control rows: their weights are not here")
    for name, student in found:
        family = "ours" if name.startswith(DISTILLED) else "control"
        yield Embedder(str(name), family, "ppg", partial(_student_unit, student))


def _found(module: str, name: str, notes: list[str]) -> Any:
    """What a module that may be missing holds under a name; else None, and a note."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        notes.append(f"no rows from {module}: {error}")
        return None


def _embed_ecg(baseline: Any, windows: WindowSet) -> Float32Array:
    made: Float32Array = baseline.embed(np.asarray(windows.ecg))
    return made


def _fit_ecg(baseline: Any, windows: WindowSet) -> None:
    paired = np.asarray(windows.has_ecg)
    if paired.any():
        baseline.fit(np.asarray(windows.ecg)[paired])


def _embed_ppg(baseline: Any, windows: WindowSet) -> Float32Array:
    made: Float32Array = baseline.embed(np.asarray(windows.ppg))
    return made


def _fit_ppg(baseline: Any, windows: WindowSet) -> None:
    baseline.fit(np.asarray(windows.ppg))


def _student_unit(student: Student, windows: WindowSet) -> Float32Array:
    return _unit(student_vectors(student, windows.ppg))


def _student_raw(student: Student, windows: WindowSet) -> Float32Array:
    return student_vectors(student, windows.ppg)


def _unit(rows: npt.NDArray[np.int8] | Float32Array) -> Float32Array:
    values = np.asarray(rows, np.float32)
    lengths = np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    unit: Float32Array = values / lengths
    return unit

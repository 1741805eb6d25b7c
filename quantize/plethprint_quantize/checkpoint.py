"""Reads what training leaves behind: student, calibration windows, golden source.

::

    student/
      student.pt        {"model": state dict, "student": fields of StudentConfig, ...} and,
                        of a student whose last phase was quantised, "ranges"
      calibration.npy   int8 (N, T), windows of the training split
      golden.npz        windows, teacher_both, teacher_ppg (see `GoldenSource`)
      about.json        name, version, teacher, training_data, figures (see `About`)
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from plethprint.errors import PackageIncompatibleError, WindowShapeError
from plethprint_distill.student import PRESETS, Student, StudentConfig
from plethprint_quantize.calibrate import Ranges

__all__ = ["About", "choose_ranges", "load_ranges", "load_student", "load_windows"]


@dataclass(frozen=True)
class About:
    """What a package says about where its student comes from."""

    name: str = "plethprint-micro"
    version: str = "1"
    teacher: str = ""
    """Identity of the teacher, ``name@version+hash8``."""
    training_data: tuple[Mapping[str, Any], ...] = ()
    """Per corpus: ``name``, ``licence``, ``windows``, ``people``."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Measured figures for the card."""
    teacher_least: Mapping[str, float] = field(default_factory=dict)
    """Thresholds of the teacher level, such as ``{"ppg_centred_cosine": 0.9}``."""
    notes: str = ""
    """Markdown that the card ends with: intended use, known failures."""

    @classmethod
    def load(cls, path: Path) -> About:
        """Read ``about.json``.

        Raises
        ------
        PackageIncompatibleError
            The file is not a JSON object with these keys alone, each of its type.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            about = cls(
                **{**fields, "training_data": tuple(fields.get("training_data", ()))}
            )
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise PackageIncompatibleError(
                f"{path} does not describe a student: {error}"
            ) from error
        for name in ("name", "version", "teacher", "notes"):
            if not isinstance(getattr(about, name), str):
                raise PackageIncompatibleError(f"{name} in {path} must be a string")
        for name in ("figures", "teacher_least"):
            if not isinstance(getattr(about, name), dict):
                raise PackageIncompatibleError(f"{name} in {path} must be an object")
        if not all(isinstance(row, dict) for row in about.training_data):
            raise PackageIncompatibleError(f"training_data in {path} must be objects")
        return about


def load_student(path: str | Path) -> Student:
    """Load a trained student.

    Parameters
    ----------
    path : path-like
        ``student.pt``, or the folder that holds it.

    Returns
    -------
    Student
        In evaluation mode, on the CPU.

    Raises
    ------
    PackageIncompatibleError
        The file is missing, is not a checkpoint, or does not fit its own configuration.
    """
    path = Path(path)
    path = path / "student.pt" if path.is_dir() else path
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        student = Student(_student_config(state))
        student.load_state_dict(state["model"])
    except (
        OSError,
        RuntimeError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise PackageIncompatibleError(
            f"{path} is not a student checkpoint: {reason}"
        ) from error
    return student.eval()


def load_ranges(path: str | Path) -> Ranges | None:
    """Load the ranges that quantisation-aware training found, if it did.

    Parameters
    ----------
    path : path-like
        ``student.pt``, or the folder that holds it.

    Returns
    -------
    Ranges or None
        None of a student that was trained in float to the end.

    Raises
    ------
    PackageIncompatibleError
        The file is no checkpoint, or its ranges are not one for each step.
    """
    path = Path(path)
    path = path / "student.pt" if path.is_dir() else path
    steps = len(load_student(path).layers) + 2
    found = torch.load(path, map_location="cpu", weights_only=True).get("ranges")
    if found is None:
        return None
    try:
        ranges = tuple((float(low), float(high)) for low, high in found)
        fit = len(ranges) == steps and all(
            math.isfinite(low) and math.isfinite(high) and low <= 0.0 < high
            for low, high in ranges
        )
    except (TypeError, ValueError):
        fit = False
    if not fit:
        raise PackageIncompatibleError(
            f"{path} holds ranges that are not one for each of the student's {steps} steps"
        )
    return Ranges("learned", ranges, 0)


def choose_ranges(path: str | Path, wanted: str | None) -> Ranges | None:
    """Ranges to quantise with: learned ones, or None where they are to be calibrated.

    Parameters
    ----------
    path : path-like
        ``student.pt``, or the folder that holds it.
    wanted : str or None
        ``"learned"``, ``"calibrated"``, or None for learned where there are any.

    Raises
    ------
    PackageIncompatibleError
        If learned ranges are wanted of a student that has none.
    """
    ranges = None if wanted == "calibrated" else load_ranges(path)
    if ranges is None and wanted == "learned":
        raise PackageIncompatibleError(
            f"{path} holds no learned ranges: it was trained in float to the end "
            "(distill --quantize-share)"
        )
    return ranges


def load_windows(path: str | Path) -> npt.NDArray[np.int8]:
    """Load calibration windows from an .npy file.

    Raises
    ------
    WindowShapeError
        The file cannot be read as an array of numbers.
    """
    try:
        with Path(path).open("rb") as file:  # numpy leaves open what turns out no array
            windows = np.load(file, allow_pickle=False)
    except Exception as error:  # zipfile, tokenize: numpy lets them all through
        raise WindowShapeError(f"{path} holds no calibration windows: {error}") from error
    if not isinstance(windows, np.ndarray):
        raise WindowShapeError(f"{path} must be one array (.npy), not an archive")
    return windows


def _student_config(state: Mapping[str, Any]) -> StudentConfig:
    given = state["student"]
    if isinstance(given, str):
        return PRESETS[given]
    blocks = tuple((int(width), int(stride)) for width, stride in given["blocks"])
    return StudentConfig(**{**given, "blocks": blocks})

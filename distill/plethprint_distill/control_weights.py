"""Finished controls as files without pickles: weights in float16 and what they are."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from plethprint.errors import PackageIncompatibleError
from plethprint_distill.controls import ControlConfig
from plethprint_distill.student import Student, StudentConfig

__all__ = ["CONTROL_WEIGHTS", "load_control", "load_controls", "save_control"]

CONTROL_WEIGHTS = Path(__file__).with_name("control_weights")
"""Where the controls lie that come with the package, if any do."""

_STUDENT, _CONTROL = "student_json", "control_json"


def save_control(student: Student, path: Path, config: ControlConfig) -> None:
    """Write an .npz; vectors, as those of batch norms, stay in float32."""
    arrays: dict[str, Any] = {}
    for name, value in student.state_dict().items():
        array = value.cpu().numpy()
        arrays[name] = array.astype(np.float16) if array.ndim > 1 else array
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays[_STUDENT] = np.array(json.dumps(asdict(student.config)))
    arrays[_CONTROL] = np.array(json.dumps(asdict(config)))
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **arrays)
    part.replace(path)


def load_control(path: Path) -> tuple[Student, ControlConfig]:
    """Read what `save_control` wrote.

    Raises
    ------
    PackageIncompatibleError
        If the file is missing or is no control.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            shape = json.loads(str(archive[_STUDENT]))
            blocks = tuple((int(width), int(stride)) for width, stride in shape["blocks"])
            student = Student(StudentConfig(**{**shape, "blocks": blocks}))
            config = ControlConfig(**json.loads(str(archive[_CONTROL])))
            own = student.state_dict()
            state = {
                k: torch.from_numpy(archive[k]).to(own[k].dtype)
                for k in archive.files
                if k not in (_STUDENT, _CONTROL)
            }
        student.load_state_dict(state)
    except (
        OSError,
        KeyError,
        ValueError,
        TypeError,
        RuntimeError,
        EOFError,
        BadZipFile,
        zlib.error,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise PackageIncompatibleError(f"{path} is not a control: {reason}") from error
    return student.eval(), config


def load_controls(folder: Path | None = None) -> list[tuple[str, Student]]:
    """Every control of a folder as (name, student), in the order of their names.

    Parameters
    ----------
    folder
        Where `save_control` wrote; None for those that come with the package.

    Raises
    ------
    PackageIncompatibleError
        If the named folder is not there, or a file in it is no control.
    """
    if folder is not None and not folder.is_dir():
        raise PackageIncompatibleError(f"{folder} is no folder of controls")
    paths = sorted((folder or CONTROL_WEIGHTS).glob("*.npz"))
    return [(path.stem, load_control(path)[0]) for path in paths]

"""The finished teacher as one file without pickles: weights in float16 and its shape."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from plethprint.errors import PackageIncompatibleError
from plethprint_distill.teacher import M2AE, TeacherConfig, shape_of

__all__ = ["fit_weights", "load_teacher", "save_teacher"]

_CONFIG = "config_json"


def save_teacher(teacher: M2AE, path: Path) -> None:
    """Write an .npz of float16 weights: half the size, far finer than training noise."""
    arrays: dict[str, Any] = {
        k: v.cpu().numpy().astype(np.float16) for k, v in teacher.state_dict().items()
    }
    # The settled space is an exact map of float32: rounding it would tilt the fingerprints.
    for name in ("centre", "spread"):
        arrays[name] = teacher.state_dict()[name].cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays[_CONFIG] = np.array(json.dumps(asdict(teacher.config)))
    # No `allow_pickle` here: before numpy 2.1 it would be taken for one more array.
    np.savez_compressed(path, **arrays)


def load_teacher(path: Path) -> M2AE:
    """Read what `save_teacher` wrote, or a pre-training checkpoint (`teacher.pt`).

    Raises
    ------
    PackageIncompatibleError
        If the file is missing or is no teacher.
    """
    try:
        if path.suffix == ".pt":
            return _from_training(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            teacher = M2AE(TeacherConfig(**json.loads(str(archive[_CONFIG]))))
            state = {
                k: torch.from_numpy(archive[k].astype(np.float32))
                for k in archive.files
                if k != _CONFIG
            }
        fit_weights(teacher, state)
    except (
        OSError,
        LookupError,
        ValueError,
        TypeError,
        RuntimeError,
        EOFError,
        BadZipFile,
        zlib.error,
        UnpicklingError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise PackageIncompatibleError(f"{path} is not a teacher: {reason}") from error
    return teacher.eval()


def fit_weights(teacher: M2AE, state: dict[str, torch.Tensor]) -> None:
    """Load weights; read-outs of another list of targets stay as they are made.

    They serve training alone: no fingerprint depends on them.
    """
    own = teacher.state_dict()
    for name in own:
        if name.startswith("read_") and state[name].shape != own[name].shape:
            state = {**state, name: own[name]}
    teacher.load_state_dict(state)


def _from_training(path: Path) -> M2AE:
    state = torch.load(path, map_location="cpu", weights_only=True)
    told = state["config"]
    # Checkpoints from before there was a choice of length say nothing of it.
    teacher = M2AE(shape_of(told["preset"], told.get("dim", 0)))
    fit_weights(teacher, state["model"])
    return teacher.eval()

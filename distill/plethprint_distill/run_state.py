"""The state of a run on disk: written whole or not at all, the same file for any strategy.

Under FSDP each process holds a part of every tensor (a ``DTensor``). What is written is
the whole tensor, as one process would have written it, so that a run can go on with
another number of processes.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor, distribute_tensor

from plethprint.errors import TrainingError

__all__ = ["fit_module", "fit_optimizer", "read_state", "whole", "write_state"]

_LOGGER = logging.getLogger(__name__)


def write_state(state: dict[str, Any], path: Path) -> None:
    """Replace `path` by `state` at once; what it held before stays as ``.before``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        # Otherwise a power cut may leave the new name on an empty file.
        os.fsync(file.fileno())
    if path.is_file():
        path.replace(path.with_suffix(".before"))
    part.replace(path)


def read_state(path: Path) -> dict[str, Any] | None:
    """The last state that can be read, on the CPU; None if none was ever written.

    Raises
    ------
    TrainingError
        If there are files, and none of them can be read.
    """
    torn = []
    for candidate in (path, path.with_suffix(".before")):
        if not candidate.is_file():
            continue
        try:
            state = torch.load(candidate, map_location="cpu", weights_only=True)
        except Exception as error:  # a torn pickle raises almost anything
            torn.append(candidate.name)
            _LOGGER.warning("%s cannot be read: %s", candidate, type(error).__name__)
            continue
        if not isinstance(state, dict):
            torn.append(candidate.name)
            continue
        return state
    if torn:
        raise TrainingError(
            f"{path.parent}: no checkpoint can be read ({', '.join(torn)}); remove them to "
            "begin anew"
        )
    return None


def whole(state: Any) -> Any:
    """The same nested state with every sharded tensor gathered; all ranks must call it."""
    if isinstance(state, DTensor):
        return state.full_tensor().cpu()
    if isinstance(state, dict):
        return {k: whole(v) for k, v in state.items()}
    if isinstance(state, list):
        return [whole(v) for v in state]
    return state


def fit_module(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load whole tensors into a module, sharded or not.

    Raises
    ------
    TrainingError
        If it has other tensors, or tensors of other shapes.
    """
    own = module.state_dict()
    odd = sorted(own.keys() ^ state.keys()) or [
        k for k, v in own.items() if v.shape != state[k].shape
    ]
    if odd:
        raise TrainingError(f"the checkpoint is of another teacher: it differs in {odd[0]}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(_as(state[name], tensor))


def fit_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's whole state; its tensors are sharded as their parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    entries = {
        index: {
            k: _as(v, parameters[index]) if k != "step" else v for k, v in entry.items()
        }
        for index, entry in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": entries})


def _as(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if not isinstance(like, DTensor):
        return tensor
    # Every rank has read the same file: it cuts its own part, nothing is sent.
    return distribute_tensor(
        tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )

"""Where a training runs: device, processes, strategy, precision, by Lightning Fabric.

Many processes are started by ``torchrun``, one for each device; a run never starts others
itself. The batch stays the *global* batch however it is cut: see `pretrain`.

============  ===================  ==========================================
accelerator   precision ``auto``   why
============  ===================  ==========================================
cuda          bf16-mixed           matrix units take bf16 at twice the rate and more
mps           32-true              not measured
cpu           32-true              measured slower in bf16 (docs/training-at-scale.md)
============  ===================  ==========================================
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from lightning.fabric.strategies.model_parallel import ModelParallelStrategy
from torch import nn

from plethprint.errors import TrainingError

__all__ = ["ComputeConfig", "is_leader", "make_fabric", "processes_here"]

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
STRATEGIES = ("auto", "ddp", "fsdp")
_LEAST_ROWS = 16
"""Windows of a process, at least: below that a step is mostly exchange."""
PRECISIONS = ("auto", "32-true", "bf16-mixed")


@dataclass(frozen=True)
class ComputeConfig:
    """What a run computes on; changes neither its batches nor what it learns.

    Raises
    ------
    TrainingError
        If a word is not one of its field's choices or a number is out of range.
    """

    accelerator: str = "auto"
    """auto, cpu, cuda or mps."""
    devices: int = 0
    """Processes on each node; 0: as torchrun started them, otherwise one."""
    nodes: int = 0
    """Machines; 0: as torchrun started them, otherwise one."""
    strategy: str = "auto"
    """Of many processes: ddp (each holds all weights; auto) or fsdp (each holds a part)."""
    precision: str = "auto"
    """auto, 32-true or bf16-mixed."""
    accumulate: int = 1
    """Micro-batches that one step's batch is cut into on each device, to save memory."""

    def __post_init__(self) -> None:
        for name, choices in (
            ("accelerator", ACCELERATORS),
            ("strategy", STRATEGIES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise TrainingError(
                    f"{name} is one of {', '.join(choices)}, not {getattr(self, name)!r}"
                )
        if self.accumulate < 1 or self.devices < 0 or self.nodes < 0:
            raise TrainingError(
                "accumulate is at least 1, devices and nodes at least 0; got "
                f"{self.accumulate}, {self.devices} and {self.nodes}"
            )


def is_leader() -> bool:
    """Whether this process is the one of its run that writes files and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def processes_here(batch: int = 256) -> int:
    """How many processes a training on this machine is best started with.

    One for each GPU; without any, one for each core, since PyTorch's threads inside one
    process wait for each other more than processes do. Cut down to a number that a batch
    of `batch` windows can be shared among.

    Examples
    --------
    >>> 256 % processes_here(256)
    0
    """
    if torch.cuda.is_available():
        most = torch.cuda.device_count()
    elif torch.backends.mps.is_available():
        most = 1
    else:
        most = min(os.cpu_count() or 1, batch // _LEAST_ROWS or 1)
    return next(n for n in range(most, 0, -1) if batch % n == 0)


def make_fabric(
    config: ComputeConfig, parts_of: Callable[[nn.Module], list[nn.Module]]
) -> Fabric:
    """Fabric as configured, launched; `parts_of` names the modules that FSDP shards alone.

    Raises
    ------
    TrainingError
        If the accelerator is absent, or torchrun started another number of processes than
        the configuration says.
    """
    accelerator = _accelerator(config.accelerator)
    devices, nodes = _processes(config)
    options: dict[str, Any] = {}
    if devices * nodes > 1:
        options["strategy"] = (
            _sharded(devices * nodes, parts_of)
            if config.strategy == "fsdp"
            # Unpaired steps use one encoder only. The buffers never change in training.
            else DDPStrategy(find_unused_parameters=True, forward_sync_buffers=False)
        )
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        precision=_precision(config.precision, accelerator),
        **options,
    )
    fabric.launch()
    return fabric


def _accelerator(name: str) -> str:
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return next(k for k, v in present.items() if v)
    if not present[name]:
        raise TrainingError(f"this machine, or this build of torch, has no {name}")
    return name


def _processes(config: ComputeConfig) -> tuple[int, int]:
    """Devices of a node and nodes: what torchrun says, held against the configuration."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    started = (devices, world // devices)
    asked = (config.devices or started[0], config.nodes or started[1])
    if asked != started:
        raise TrainingError(
            f"{asked[1]} x {asked[0]} processes asked for, {started[1]} x {started[0]} "
            f"started: use torchrun --nnodes {asked[1]} --nproc_per_node {asked[0]} "
            "-m plethprint_distill pretrain"
        )
    return started


def _precision(name: str, accelerator: str) -> Any:
    if name != "auto":
        return name
    fast = accelerator == "cuda" and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if fast else "32-true"


def _sharded(
    world: int, parts_of: Callable[[nn.Module], list[nn.Module]]
) -> ModelParallelStrategy:
    """FSDP2: gradients of parameters that a step does not use stay None, as in one process.

    (FSDP1 would hand AdamW zeros for them, which is another training.)
    """
    from torch.distributed.fsdp import fully_shard

    def shard(module: nn.Module, mesh: Any) -> nn.Module:
        ranks = mesh["data_parallel"]
        for part in parts_of(module):
            fully_shard(part, mesh=ranks)
        # It shards no scalars; the few numbers of the loss are kept whole everywhere.
        own = set(module.parameters(recurse=False))
        fully_shard(module, mesh=ranks, ignored_params=own)
        return module

    return ModelParallelStrategy(shard, data_parallel_size=world, tensor_parallel_size=1)

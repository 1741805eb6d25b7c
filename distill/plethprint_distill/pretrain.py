"""Pre-train the teacher: a run that can stop after any step and go on from its folder.

What a step sees is in `teacher_batch`, what it is trained for in `objective`, how one
batch lies on many devices in `parallel`, and what it may compute on in `compute`.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from plethprint.errors import PackageIncompatibleError, TrainingError
from plethprint_distill.ahead import AheadSource
from plethprint_distill.checkpoint import fit_weights
from plethprint_distill.compute import ComputeConfig, make_fabric
from plethprint_distill.objective import Learned, draw_masks, total_loss
from plethprint_distill.parallel import Objective, micro_batches
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.run_state import (
    fit_module,
    fit_optimizer,
    read_state,
    whole,
    write_state,
)
from plethprint_distill.teacher import M2AE, PRESETS, shape_of
from plethprint_distill.teacher_batch import BatchSource, WindowSetSource
from plethprint_distill.training_run import go_on
from plethprint_distill.windows import WindowSet

__all__ = ["PretrainConfig", "Pretraining", "learning_rate", "pretrain"]

_LOGGER = logging.getLogger(__name__)


def learning_rate(config: PretrainConfig, windows_seen: int) -> float:
    """Warm up, stay, and fall to a fiftieth over the last `decay_share`."""
    rise = min(1.0, (windows_seen + 1) / max(1, config.warm_up_windows))
    left = (config.windows - windows_seen) / max(1.0, config.decay_share * config.windows)
    return config.learning_rate * rise * min(1.0, max(0.02, left))


class Pretraining:
    """A run that can stop after any step and go on from its folder.

    `PretrainConfig.batch` is the global batch: of W ranks each takes its slice of it, in
    `ComputeConfig.accumulate` micro-batches, and the losses are those of the whole.

    Parameters
    ----------
    folder
        Where the run is kept: `teacher.pt`, `metrics.jsonl`. All ranks must see it.
    sets
        Training windows, or whatever else a batch can be drawn from.
    config, compute
        What to learn, and on what.

    Raises
    ------
    TrainingError
        If the batch cannot be cut evenly, or the machine is not as `compute` says.
    """

    def __init__(
        self,
        folder: Path,
        sets: dict[str, WindowSet] | BatchSource,
        config: PretrainConfig,
        compute: ComputeConfig | None = None,
    ) -> None:
        self.folder, self.config = folder, config
        self.compute = compute or ComputeConfig()
        if config.preset not in PRESETS:
            raise TrainingError(
                f"no preset {config.preset!r}; there are {', '.join(PRESETS)}"
            )
        self.source: BatchSource = (
            WindowSetSource(sets, config) if isinstance(sets, dict) else sets
        )
        self.fabric = make_fabric(
            self.compute, lambda m: m.teacher.layers() if isinstance(m, Objective) else []
        )
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size
        if self.fabric.device.type != "cpu":
            self.source = AheadSource(self.source)
        pieces = self.world * self.compute.accumulate
        if config.batch % pieces:
            raise TrainingError(
                f"a batch of {config.batch} windows cannot be cut into {self.world} ranks, "
                f"{self.compute.accumulate} micro-batches each"
            )
        torch.manual_seed(config.seed)
        self.objective = Objective(M2AE(shape_of(config.preset, config.dim)), config)
        self.objective.to(self.fabric.device)
        if self.world > 1:
            self.objective.gather = self._gather
        self.wrapped = self.fabric.setup_module(self.objective)
        groups = [
            {"params": list(self.model.parameters()), "weight_decay": config.weight_decay},
            {"params": list(vars(self.learned).values()), "weight_decay": 0.0},
        ]
        # Neither fp32 nor bf16 scales the loss, so that it needs no wrapper of Fabric's.
        self.optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=(0.9, 0.98)
        )
        self.step = 0

    @property
    def model(self) -> M2AE:
        """The teacher; under FSDP its weights are in parts."""
        return self.objective.teacher

    @property
    def learned(self) -> Learned:
        """What is learned along with it."""
        return self.objective.learned

    @property
    def leads(self) -> bool:
        """Whether this rank writes the files."""
        return self.rank == 0

    @property
    def checkpoint(self) -> Path:
        """Where the run is kept."""
        return self.folder / "teacher.pt"

    def resume(self) -> bool:
        """Go on from the folder's checkpoint; False if there is none.

        Raises
        ------
        TrainingError
            If it is unreadable, of another teacher, or not the same for every rank.
        """
        state = read_state(self.checkpoint)
        step = -1 if state is None else int(state["step"])
        if self.fabric.broadcast(step) != step:
            raise TrainingError(f"{self.folder} is not the same folder for every rank")
        if state is None:
            return False
        for name, value in state["config"].items():
            if self.leads and value != getattr(self.config, name, value):
                told = getattr(self.config, name)
                _LOGGER.warning("%s was %s, and is now %s", name, value, told)
        fit_module(self.model, state["model"])
        fit_optimizer(self.optimizer, state["optimizer"])
        for name, parameter in vars(self.learned).items():
            parameter.data.copy_(state[name])
        self.step = step
        if self.leads:
            _LOGGER.info("resumed at step %d", self.step)
        return True

    def start_from(self, teacher: M2AE) -> None:
        """Begin with a finished teacher's weights; its settled space is undone.

        Raises
        ------
        PackageIncompatibleError
            If it has another shape than the preset.
        """
        if teacher.config != self.model.config:
            raise PackageIncompatibleError(
                f"a teacher of shape {teacher.config} cannot start preset "
                f"{self.config.preset}, which is {self.model.config}"
            )
        begun = M2AE(teacher.config)
        begun.load_state_dict(whole(self.model.state_dict()))
        fit_weights(begun, teacher.state_dict())
        begun.centre.zero_()
        begun.spread.copy_(torch.eye(teacher.config.dim))
        fit_module(self.model, begun.state_dict())

    def save(self) -> None:
        """Write the checkpoint whole or not at all; every rank must call it."""
        state = {
            "model": whole(self.model.state_dict()),
            "optimizer": whole(self.optimizer.state_dict()),
            **{k: v.detach().clone() for k, v in vars(self.learned).items()},
            "step": self.step,
            "config": asdict(self.config),
            "target_centre": torch.from_numpy(self.source.centre),
            "target_spread": torch.from_numpy(self.source.spread),
        }
        if self.leads:
            write_state(state, self.checkpoint)

    def run_step(self) -> dict[str, float]:
        """One step of the optimiser; gives the losses of the global batch."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step * config.batch)
        self.wrapped.train()
        self.optimizer.zero_grad(set_to_none=True)
        losses, loss = self._losses()
        if self.compute.strategy == "fsdp":
            for parameter in vars(self.learned).values():
                if parameter.grad is not None:
                    parameter.grad = self.fabric.all_reduce(
                        parameter.grad, reduce_op="mean"
                    )
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        named = {k: float(v.detach()) for k, v in losses.items()}
        return {
            "loss": float(loss.detach()),
            **named,
            "scale": float(self.learned.scale.detach()),
        }

    def _losses(self) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Losses of the step, by name and in all, once their gradients are there."""
        config, count = self.config, self.compute.accumulate
        batch = self.source.draw(self.step, self.rank, self.world)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        paired = batch.ppg is not None and batch.ecg is not None
        masks = draw_masks(self.model, config.batch, config, generator, paired=paired)
        if masks is not None:
            mine = slice(self.rank * len(batch), (self.rank + 1) * len(batch))
            masks = masks[0][mine], masks[1][mine]
        parts = list(micro_batches(batch.to(self.fabric.device), masks, count))
        kept = None
        if count > 1:
            with torch.no_grad():
                kept = [self.wrapped(part, only_look=True) for part in parts]
        for place, part in enumerate(parts):
            with self.fabric.no_backward_sync(self.wrapped, enabled=place < count - 1):
                losses: dict[str, torch.Tensor] = self.wrapped(part, kept, place)
                loss = total_loss(losses, config)
                self.fabric.backward(loss)
        return losses, loss

    def _gather(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, ...) of this rank -> (W n, ...) of all."""
        with warnings.catch_warnings():
            # Fabric 2.6 calls what torch 2.13 has another name for.
            warnings.filterwarnings("ignore", "torch.distributed.nn", FutureWarning)
            every: Any = self.fabric.all_gather(rows, sync_grads=rows.is_floating_point())
        gathered: torch.Tensor = every.flatten(0, 1)
        return gathered

    def finish(self) -> M2AE:
        """The teacher whole, on every rank; the ranks part here."""
        teacher = M2AE(self.model.config)
        teacher.load_state_dict(whole(self.model.state_dict()))
        if self.world > 1:
            torch.distributed.destroy_process_group()
        return teacher


def pretrain(
    folder: Path,
    sets: dict[str, WindowSet] | BatchSource,
    config: PretrainConfig,
    compute: ComputeConfig | None = None,
    *,
    start: M2AE | None = None,
    progress: bool = True,
) -> M2AE:
    """Train to `config.windows`, resuming from `folder`; metrics go to metrics.jsonl.

    `start` is a finished teacher to go on from where the folder holds no run yet.
    """
    run = Pretraining(folder, sets, config, compute)
    if not run.resume() and start is not None:
        run.start_from(start)
    go_on(
        run,
        folder,
        windows=config.windows,
        batch=config.batch,
        progress=progress,
        leads=run.leads,
        agree=run.fabric.broadcast,
    )
    return run.finish()

"""Pre-train the teacher: a run that can stop after any step and go on from its folder.

What a step sees is in `teacher_batch`, what it is trained for in `objective`.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric

from plethprint.errors import PackageIncompatibleError
from plethprint_distill.checkpoint import fit_weights
from plethprint_distill.objective import Learned, step_losses, total_loss
from plethprint_distill.physiology import TARGETS
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.teacher import M2AE, PRESETS
from plethprint_distill.teacher_batch import Pools, draw_batch
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
    """A run that can stop after any step and go on from its folder."""

    def __init__(
        self, folder: Path, sets: dict[str, WindowSet], config: PretrainConfig
    ) -> None:
        self.folder, self.config = folder, config
        self.pools = Pools(sets, config)
        # One process here; `torchrun` and Fabric carry the same loop over many.
        self.fabric = Fabric(accelerator="auto", devices=1)
        torch.manual_seed(config.seed)
        self.model = M2AE(PRESETS[config.preset])
        self.learned = Learned(
            torch.nn.Parameter(torch.tensor(np.log(10.0), dtype=torch.float32)),
            torch.nn.Parameter(torch.zeros(len(TARGETS))),
        )
        groups = [
            {"params": list(self.model.parameters()), "weight_decay": config.weight_decay},
            {"params": list(vars(self.learned).values()), "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=(0.9, 0.98)
        )
        self.fabric.launch()
        self.model.to(self.fabric.device)
        self.step = 0

    @property
    def checkpoint(self) -> Path:
        """Where the run is kept."""
        return self.folder / "teacher.pt"

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        if not self.checkpoint.is_file():
            return
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in vars(self.learned).items():
            value.data.copy_(state[name])
        self.step = int(state["step"])
        _LOGGER.info("resumed at step %d", self.step)

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
        fit_weights(self.model, teacher.state_dict())
        self.model.centre.zero_()
        self.model.spread.copy_(torch.eye(teacher.config.dim))

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                **{k: v.detach().clone() for k, v in vars(self.learned).items()},
                "step": self.step,
                "config": asdict(self.config),
                "target_centre": torch.from_numpy(self.pools.centre),
                "target_spread": torch.from_numpy(self.pools.spread),
            },
            part,
        )
        part.replace(self.checkpoint)

    def run_step(self) -> dict[str, float]:
        """One step of the optimiser; gives the losses."""
        config = self.config
        seen = self.step * config.batch
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, seen)
        batch = draw_batch(self.pools, config, self.step).to(self.fabric.device)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        self.model.train()
        losses = step_losses(self.model, batch, config, self.learned, generator)
        loss = total_loss(losses, config)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        named = {k: float(v.detach()) for k, v in losses.items()}
        return {
            "loss": float(loss.detach()),
            **named,
            "scale": float(self.learned.scale.detach()),
        }


def pretrain(
    folder: Path,
    sets: dict[str, WindowSet],
    config: PretrainConfig,
    *,
    start: M2AE | None = None,
    progress: bool = True,
) -> M2AE:
    """Train to `config.windows`, resuming from `folder`; metrics go to metrics.jsonl.

    `start` is a finished teacher to go on from where the folder holds no run yet.
    """
    run = Pretraining(folder, sets, config)
    if start is not None and not run.checkpoint.is_file():
        run.start_from(start)
    run.resume()
    go_on(run, folder, windows=config.windows, batch=config.batch, progress=progress)
    return run.model

"""Distil the teacher into the PPG-only student.

The teacher sees the window as it is, ECG and PPG where it has both; the student sees the
PPG alone, often disturbed further as wearables disturb it. Its fingerprint follows the
teacher's by direction (cosine), by neighbourhood (similarity matrices), by telling
windows apart (InfoNCE), and carries the teacher's physiology read-outs as targets of its
own. For the last share of the windows it is the int8 student that does so: see
`quantization_aware`.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric import Fabric
from torch.nn import functional as fn

from plethprint.errors import TrainingError
from plethprint.resample import resample_rows
from plethprint.signal import PPG
from plethprint_distill.augment import disturb
from plethprint_distill.crops import crop, room_samples
from plethprint_distill.losses import contrast, masked_regression, relation
from plethprint_distill.physiology import TARGETS, target_column
from plethprint_distill.quantization_aware import QuantizationAware
from plethprint_distill.student import PRESETS, Student, StudentConfig
from plethprint_distill.teacher import M2AE, RHYTHMS
from plethprint_distill.teacher_targets import teacher_targets
from plethprint_distill.training_run import go_on
from plethprint_distill.windows import WindowSet

__all__ = ["DistillConfig", "Distillation", "distill", "pulses_only"]

_LOGGER = logging.getLogger(__name__)

_RANGE_RATE = 10.0
"""Learning rate of the logarithm of a range over that of a weight.

The quantised phase comes where the cosine has all but ended: of 5 M windows at 3e-3, Adam
can move a logarithm by 0.16 in all; ten times that lets a range find its place.
"""

_DISTURBANCE = target_column("log_disturbance")

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DistillConfig:
    """One distillation; written beside the checkpoint."""

    preset: str = "micro"
    windows: int = 4_000_000
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warm_up_windows: int = 20_000
    virtual_share: float = 0.4
    disturbed_share: float = 0.6
    """Share of the windows that the student sees disturbed and the teacher does not."""
    direction: float = 1.0
    relation: float = 2.0
    contrast: float = 0.1
    physiology: float = 0.3
    length: float = 0.01
    """Keeps the raw fingerprint near length 8, so that int8 has one range to cover."""
    quantize_share: float = 0.15
    """Last share of the windows, for which the int8 student is trained; 0: never."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0.0 <= self.quantize_share <= 1.0:
            raise TrainingError(
                f"quantize_share must lie from 0 to 1, not at {self.quantize_share}"
            )


class Distillation:
    """A run that can stop after any step and go on from its folder.

    `shape` is another student than the preset's; its fingerprint is as long as the targets.
    `rate_hz` is another rate than the device's for the student's windows, to try one out.
    """

    def __init__(
        self,
        folder: Path,
        sets: dict[str, WindowSet],
        targets: dict[str, Float32Array],
        config: DistillConfig,
        *,
        shape: StudentConfig | None = None,
        rate_hz: float | None = None,
    ) -> None:
        self.folder, self.config = folder, config
        self.rate_hz = rate_hz or PPG.rate_hz
        self.sets, self.targets = sets, targets
        real = {k: len(v) for k, v in sets.items() if k != "virtual"}
        total = sum(real.values()) or 1
        share = config.virtual_share if real else 1.0
        self.shares = {k: (1 - share) * n / total for k, n in real.items()}
        if "virtual" in sets:
            self.shares["virtual"] = share
        norm = sum(self.shares.values())
        self.shares = {k: v / norm for k, v in self.shares.items()}
        stacked = np.ma.masked_invalid(
            np.concatenate([np.asarray(s.targets) for s in sets.values()])
        )
        self.centre = np.asarray(stacked.mean(axis=0).filled(0.0), np.float32)
        self.spread = np.asarray(stacked.std(axis=0).filled(1.0) + 1e-3, np.float32)
        self.fabric = Fabric(accelerator="auto", devices=1)
        self.fabric.launch()
        torch.manual_seed(config.seed)
        dim = next(iter(targets.values())).shape[1]
        self.student = Student(replace(shape or PRESETS[config.preset], dim=dim))
        self.student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.heads = torch.nn.ModuleDict(
            {
                "read_out": torch.nn.Linear(dim, len(TARGETS)),
                "rhythm": torch.nn.Linear(dim, RHYTHMS),
            }
        )
        self.log_variance = torch.nn.Parameter(torch.zeros(len(TARGETS)))
        self.quantized: QuantizationAware | None = None
        self.modules = torch.nn.ModuleList([self.student, self.heads]).to(
            self.fabric.device
        )
        groups = [
            {
                "params": list(self.modules.parameters()),
                "weight_decay": config.weight_decay,
            },
            {"params": [self.log_variance], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        self.step = 0

    @property
    def checkpoint(self) -> Path:
        """Where the run is kept."""
        return self.folder / "student.pt"

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        if self.checkpoint.is_file():
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            self.student.load_state_dict(state["model"])
            self.heads.load_state_dict(state["heads"])
            self.log_variance.data.copy_(state["log_variance"])
            if "quantized" in state:
                self._begin_quantized().load_state_dict(state["quantized"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = int(state["step"])
            _LOGGER.info("resumed at step %d", self.step)

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.checkpoint.with_suffix(".part")
        state: dict[str, Any] = {
            "model": self.student.state_dict(),
            "heads": self.heads.state_dict(),
            "log_variance": self.log_variance.detach().clone(),
            "optimizer": self.optimizer.state_dict(),
            "student": asdict(self.student.config),
            "config": asdict(self.config),
            "step": self.step,
        }
        if self.quantized is not None:
            state["quantized"] = self.quantized.state_dict()
            if self._quantizes():
                state["ranges"] = self.quantized.ranges()
        torch.save(state, part)
        part.replace(self.checkpoint)

    def _quantizes(self) -> bool:
        """Whether what comes next is a step, or the end, of the int8 student."""
        share = self.config.quantize_share
        seen = self.step * self.config.batch
        return share > 0.0 and seen >= (1.0 - share) * self.config.windows

    def _begin_quantized(self) -> QuantizationAware:
        """From here on the student runs as int8 would run it, and learns its ranges."""
        self.quantized = QuantizationAware(self.student).to(self.fabric.device)
        # A group of its own and only now: checkpoints from before this phase have none.
        self.optimizer.add_param_group(
            {"params": [self.quantized.log_high], "weight_decay": 0.0, "rate": _RANGE_RATE}
        )
        return self.quantized

    def run_step(self) -> dict[str, float]:
        """One step of the optimiser; gives the losses."""
        config = self.config
        seen = self.step * config.batch
        rise = min(1.0, (seen + 1) / max(1, config.warm_up_windows))
        fall = 0.5 * (1.0 + np.cos(np.pi * min(1.0, seen / config.windows)))
        if self._quantizes() and self.quantized is None:
            self._begin_quantized()
        for group in self.optimizer.param_groups:
            rate = group.get("rate", 1.0) * rise * max(0.002, fall)
            group["lr"] = float(config.learning_rate * rate)
        rng = np.random.default_rng([config.seed, self.step])
        counts = rng.multinomial(config.batch, list(self.shares.values()))
        picks = [
            (k, np.sort(rng.choice(len(self.sets[k]), n)))
            for k, n in zip(self.shares, counts, strict=True)
            if n
        ]
        whole = np.concatenate([self.sets[k].ppg[i] for k, i in picks])
        # The target is of the window's middle: where a crop begins must not matter.
        room = room_samples(whole, PPG)
        ppg = crop(whole, PPG, rng.integers(0, room + 1, len(whole)))
        physiology = np.concatenate([self.sets[k].targets[i] for k, i in picks])
        further = np.flatnonzero(rng.random(len(ppg)) < config.disturbed_share)
        ppg[further] = disturb(ppg[further], rng)
        physiology[further, _DISTURBANCE] = np.nan  # it is no longer what it was
        if self.rate_hz != PPG.rate_hz:
            # By the device's own resampler, which lets nothing fold back.
            count = round(self.rate_hz * PPG.window_s)
            rows = resample_rows(ppg.astype(np.float64), PPG.rate_hz, self.rate_hz, count)
            ppg = rows.astype(np.float32)
        rhythm = np.concatenate([self.sets[k].rhythm[i] for k, i in picks])
        target = np.concatenate([self.targets[k][i] for k, i in picks])
        device = self.fabric.device
        losses = self._losses(
            torch.from_numpy(ppg[:, None, None, :]).to(device),
            torch.from_numpy(target).to(device),
            torch.from_numpy((physiology - self.centre) / self.spread).to(device),
            torch.from_numpy(rhythm.astype(np.int64)).to(device),
        )
        loss = torch.stack([getattr(config, k) * v for k, v in losses.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.modules.parameters(), 5.0)
        self.optimizer.step()
        if self.quantized is not None:
            self.quantized.keep_in_bounds()
        self.step += 1
        return {
            "loss": float(loss.detach()),
            **{k: float(v.detach()) for k, v in losses.items()},
        }

    def _losses(
        self,
        ppg: torch.Tensor,
        target: torch.Tensor,
        physiology: torch.Tensor,
        rhythm: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        windows = ppg.contiguous(memory_format=torch.channels_last)
        if self.quantized is not None and self._quantizes():
            # Batch norm's statistics stand still: they are folded into the weights.
            raw = self.quantized.train()(windows)
        else:
            raw = self.student.train()(windows)
        unit = fn.normalize(raw, dim=-1)
        read = masked_regression(
            self.heads["read_out"](8.0 * unit), physiology, self.log_variance
        )
        known = rhythm >= 0
        if known.any():
            guess = self.heads["rhythm"](8.0 * unit[known])
            read = read + 0.3 * fn.cross_entropy(guess, rhythm[known])
        return {
            "direction": (1.0 - (unit * target).sum(dim=-1)).mean(),
            "relation": relation(unit, target),
            "contrast": contrast(unit, target, 20.0),
            "physiology": read,
            "length": (raw.norm(dim=-1) - 8.0).square().mean(),
        }


def pulses_only(sets: dict[str, WindowSet]) -> dict[str, WindowSet]:
    """The sets and the windows of them that hold PPG."""
    held = {k: s.take(np.asarray(s.has_ppg)) for k, s in sets.items()}
    return {k: s for k, s in held.items() if len(s)}


def distill(
    folder: Path,
    teacher: M2AE,
    sets: dict[str, WindowSet],
    config: DistillConfig,
    *,
    progress: bool = True,
) -> Student:
    """Train to `config.windows`, resuming from `folder`; metrics go to metrics.jsonl."""
    sets = pulses_only(sets)
    targets = teacher_targets(teacher, sets, folder / "targets")
    run = Distillation(folder, sets, targets, config)
    run.resume()
    go_on(run, folder, windows=config.windows, batch=config.batch, progress=progress)
    student: Student = run.student.eval()
    return student

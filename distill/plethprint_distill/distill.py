"""Distil the teacher into the PPG-only student.

The teacher sees the clean window, ECG and PPG where it has both; the student sees the
PPG alone, disturbed as wearables disturb it. Its fingerprint follows the teacher's by
direction (cosine), by neighbourhood (similarity matrices), by telling windows apart
(InfoNCE), and carries the teacher's physiology read-outs as targets of its own.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric import Fabric
from torch.nn import functional as fn

from plethprint.errors import PackageIncompatibleError
from plethprint.signal import PPG
from plethprint_distill.augment import disturb
from plethprint_distill.losses import contrast, masked_regression, relation
from plethprint_distill.physiology import TARGETS
from plethprint_distill.space import fingerprints
from plethprint_distill.student import PRESETS, Student
from plethprint_distill.teacher import M2AE, RHYTHMS
from plethprint_distill.training_run import go_on
from plethprint_distill.windows import WindowSet

__all__ = ["DistillConfig", "Distillation", "distill", "teacher_targets"]

_LOGGER = logging.getLogger(__name__)

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DistillConfig:
    """One distillation; written beside the checkpoint."""

    preset: str = "micro"
    windows: int = 1_500_000
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warm_up_windows: int = 20_000
    virtual_share: float = 0.4
    direction: float = 1.0
    relation: float = 2.0
    contrast: float = 0.1
    physiology: float = 0.1
    length: float = 0.01
    """Keeps the raw fingerprint near length 8, so that int8 has one range to cover."""
    seed: int = 0


def teacher_targets(
    teacher: M2AE, sets: dict[str, WindowSet], folder: Path
) -> dict[str, Float32Array]:
    """The teacher's fingerprints of every training window, kept in `folder`.

    ECG and PPG together where the window has both, else PPG alone.

    Raises
    ------
    PackageIncompatibleError
        If the folder holds the work of another teacher.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp, whose = folder / "teacher.sha256", _digest(teacher)
    if stamp.is_file() and stamp.read_text() != whose:
        raise PackageIncompatibleError(
            f"{folder.parent} was begun with another teacher: remove it, or name another "
            "folder"
        )
    stamp.write_text(whose)
    targets = {}
    for name, windows in sets.items():
        path = folder / f"{name}.npy"
        if not path.is_file():
            paired = np.asarray(windows.has_ecg)
            vectors = np.empty((len(windows), teacher.config.dim), np.float32)
            for modalities, rows in ((("ppg", "ecg"), paired), (("ppg",), ~paired)):
                if rows.any():
                    vectors[rows] = fingerprints(teacher, windows.take(rows), modalities)
            part = path.with_suffix(".part.npy")
            np.save(part, vectors)
            part.replace(path)
        targets[name] = np.load(path)
        if len(targets[name]) != len(windows):
            path.unlink()
            return teacher_targets(teacher, sets, folder)
    return targets


def _digest(teacher: M2AE) -> str:
    """SHA-256 of the weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, weights in sorted(teacher.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()


class Distillation:
    """A run that can stop after any step and go on from its folder."""

    def __init__(
        self,
        folder: Path,
        sets: dict[str, WindowSet],
        targets: dict[str, Float32Array],
        config: DistillConfig,
    ) -> None:
        self.folder, self.config = folder, config
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
        self.student = Student(PRESETS[config.preset])
        self.student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.heads = torch.nn.ModuleDict(
            {
                "read_out": torch.nn.Linear(dim, len(TARGETS)),
                "rhythm": torch.nn.Linear(dim, RHYTHMS),
            }
        )
        self.modules = torch.nn.ModuleList([self.student, self.heads]).to(
            self.fabric.device
        )
        self.optimizer = torch.optim.AdamW(
            self.modules.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
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
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = int(state["step"])
            _LOGGER.info("resumed at step %d", self.step)

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "model": self.student.state_dict(),
                "heads": self.heads.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "student": asdict(self.student.config),
                "config": asdict(self.config),
                "step": self.step,
            },
            part,
        )
        part.replace(self.checkpoint)

    def run_step(self) -> dict[str, float]:
        """One step of the optimiser; gives the losses."""
        config = self.config
        seen = self.step * config.batch
        rise = min(1.0, (seen + 1) / max(1, config.warm_up_windows))
        fall = 0.5 * (1.0 + np.cos(np.pi * min(1.0, seen / config.windows)))
        for group in self.optimizer.param_groups:
            group["lr"] = float(config.learning_rate * rise * max(0.002, fall))
        rng = np.random.default_rng([config.seed, self.step])
        counts = rng.multinomial(config.batch, list(self.shares.values()))
        picks = [
            (k, np.sort(rng.choice(len(self.sets[k]), n)))
            for k, n in zip(self.shares, counts, strict=True)
            if n
        ]
        ppg = np.concatenate([self.sets[k].ppg[i] for k, i in picks]).astype(np.float32)
        ppg = disturb(ppg * np.float32(PPG.input_scale), rng)
        physiology = np.concatenate([self.sets[k].targets[i] for k, i in picks])
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
        self.student.train()
        raw = self.student(ppg.contiguous(memory_format=torch.channels_last))
        unit = fn.normalize(raw, dim=-1)
        read = masked_regression(self.heads["read_out"](8.0 * unit), physiology)
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


def distill(
    folder: Path,
    teacher: M2AE,
    sets: dict[str, WindowSet],
    config: DistillConfig,
    *,
    progress: bool = True,
) -> Student:
    """Train to `config.windows`, resuming from `folder`; metrics go to metrics.jsonl."""
    targets = teacher_targets(teacher, sets, folder / "targets")
    run = Distillation(folder, sets, targets, config)
    run.resume()
    go_on(run, folder, windows=config.windows, batch=config.batch, progress=progress)
    student: Student = run.student.eval()
    return student

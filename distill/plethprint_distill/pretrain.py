"""Pre-train the teacher: masked reconstruction, cross-modal contrast, physiology.

Two kinds of step alternate by chance. A *cross* step sees each modality whole and alone:
it paints the other one, contrasts the two, and reads physiology from each. A *masked*
step shows complementary halves, PPG where ECG is hidden and ECG where PPG is hidden, and
paints what is hidden. Recordings without ECG take masked steps of their own.

Every random choice is drawn from (seed, step), so that a resumed run is the run that
was not interrupted.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric import Fabric
from torch.nn import functional as fn

from plethprint.errors import PackageIncompatibleError
from plethprint.signal import ECG, PPG
from plethprint_distill.losses import (
    contrast,
    decorrelation,
    masked_regression,
    patch_error,
)
from plethprint_distill.teacher import M2AE, PRESETS
from plethprint_distill.training_run import go_on
from plethprint_distill.windows import WindowSet

__all__ = [
    "PretrainConfig",
    "Pretraining",
    "TeacherBatch",
    "draw_batch",
    "draw_mask",
    "pretrain",
    "step_losses",
    "total_loss",
]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainConfig:
    """One pre-training run; written beside every checkpoint."""

    preset: str = "small"
    windows: int = 840_000
    """Windows seen in all, over as many resumed runs as it takes."""
    batch: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warm_up_windows: int = 20_000
    decay_share: float = 0.18
    """The last share of the windows, over which the learning rate falls to a fiftieth."""
    cross_share: float = 0.6
    """Share of the paired steps that hide one modality whole."""
    unpaired_share: float = 0.12
    """Share of the steps on recordings without ECG."""
    virtual_share: float = 0.5
    mask_ratio: float = 0.5
    """Share of PPG tokens hidden in a masked step; the ECG shows just these."""
    reconstruction: float = 1.0
    """lambda of L = L_contrast + lambda L_recon."""
    contrast: float = 0.5
    physiology: float = 1.0
    decorrelation: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class TeacherBatch:
    """What one step sees, on the device."""

    ppg: torch.Tensor
    ecg: torch.Tensor | None
    targets: torch.Tensor
    rhythm: torch.Tensor


class _Pools:
    """Window sets a batch is drawn from, with the shares of each."""

    def __init__(self, sets: dict[str, WindowSet], config: PretrainConfig) -> None:
        self.sets = sets
        self.paired = {
            k: np.flatnonzero(np.asarray(s.has_ecg))
            for k, s in sets.items()
            if np.any(s.has_ecg)
        }
        self.unpaired = {
            k: np.flatnonzero(~np.asarray(s.has_ecg))
            for k, s in sets.items()
            if k not in self.paired
        }
        real = {k: len(v) for k, v in self.paired.items() if k != "virtual"}
        total = sum(real.values()) or 1
        share = config.virtual_share if real else 1.0
        self.shares = {k: (1 - share) * n / total for k, n in real.items()}
        if "virtual" in self.paired:
            self.shares["virtual"] = share
        norm = sum(self.shares.values())
        self.shares = {k: v / norm for k, v in self.shares.items()}
        stacked = np.concatenate([np.asarray(s.targets) for s in sets.values()])
        known = np.ma.masked_invalid(stacked)
        # A target that no set knows stays as it is: it costs no loss anyhow.
        self.centre = np.asarray(known.mean(axis=0).filled(0.0), np.float32)
        self.spread = np.asarray(known.std(axis=0).filled(1.0) + 1e-3, np.float32)


def draw_batch(pools: _Pools, config: PretrainConfig, step: int) -> TeacherBatch:
    """The windows of one step: a function of (seed, step) alone."""
    rng = np.random.default_rng([config.seed, step])
    if pools.unpaired and rng.random() < config.unpaired_share:
        choice = [(k, rng.choice(v, config.batch)) for k, v in pools.unpaired.items()][:1]
    else:
        counts = rng.multinomial(config.batch, list(pools.shares.values()))
        choice = [
            (k, rng.choice(pools.paired[k], n))
            for k, n in zip(pools.shares, counts, strict=True)
        ]
    parts = [(pools.sets[k], np.sort(index)) for k, index in choice if len(index)]
    ppg = np.concatenate([s.ppg[i] for s, i in parts]).astype(np.float32)
    targets = np.concatenate([s.targets[i] for s, i in parts])
    rhythm = np.concatenate([s.rhythm[i] for s, i in parts]).astype(np.int64)
    paired = bool(parts[0][0].has_ecg[parts[0][1][0]])
    ecg = None
    if paired:
        heart = np.concatenate([s.ecg[i] for s, i in parts]).astype(np.float32)
        # Alignment of a pair is known to some twenty milliseconds: it must not matter.
        shift = int(rng.integers(-3, 4))
        ecg = torch.from_numpy(np.roll(heart, shift, axis=1) * ECG.input_scale)
    return TeacherBatch(
        torch.from_numpy(_disturbed(ppg * PPG.input_scale, rng)).float(),
        None if ecg is None else ecg.float(),
        torch.from_numpy((targets - pools.centre) / pools.spread),
        torch.from_numpy(rhythm),
    )


def _disturbed(
    ppg: npt.NDArray[np.floating[Any]], rng: np.random.Generator
) -> npt.NDArray[np.floating[Any]]:
    """White noise on half of the windows: sensors differ in it, fingerprints must not."""
    level = rng.uniform(0.0, 0.25, size=(len(ppg), 1)) * (rng.random((len(ppg), 1)) < 0.5)
    noise = rng.standard_normal(ppg.shape, dtype=np.float32)
    return ppg + level * noise


def draw_mask(
    teacher: M2AE, size: int, ratio: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Places (N, K) that the PPG shows, and those it hides, at random in each window."""
    order = torch.rand(size, teacher.tokens, generator=generator).argsort(dim=1)
    shown = round((1.0 - ratio) * teacher.tokens)
    return order[:, :shown], order[:, shown:]


def step_losses(
    teacher: M2AE,
    batch: TeacherBatch,
    config: PretrainConfig,
    scale: torch.Tensor,
    generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    """Losses of one step, unweighted, by name."""
    device = batch.ppg.device
    patches = {"ppg": teacher.patches("ppg", batch.ppg)}
    losses: dict[str, torch.Tensor] = {}
    if batch.ecg is not None:
        patches["ecg"] = teacher.patches("ecg", batch.ecg)
    cross = batch.ecg is not None and (
        torch.rand((), generator=generator).item() < config.cross_share
    )
    if cross:
        assert batch.ecg is not None
        tokens = {
            "ppg": teacher.encode("ppg", batch.ppg),
            "ecg": teacher.encode("ecg", batch.ecg),
        }
        shared = {m: teacher.share(t) for m, t in tokens.items()}
        shared["both"] = teacher.share(torch.cat(list(tokens.values()), dim=1))
        raws = {m: teacher.pool(s) for m, s in shared.items()}
        losses["ecg_from_ppg"] = patch_error(
            teacher.decode("ecg", shared["ppg"]), patches["ecg"]
        )
        losses["ppg_from_ecg"] = patch_error(
            teacher.decode("ppg", shared["ecg"]), patches["ppg"]
        )
        unit = {m: teacher.finish(raw) for m, raw in raws.items()}
        losses["contrast"] = (
            contrast(unit["ppg"], unit["ecg"], scale)
            + 0.5 * contrast(unit["both"], unit["ppg"], scale)
            + 0.5 * contrast(unit["both"], unit["ecg"], scale)
        )
    else:
        shown, hidden = (
            x.to(device)
            for x in draw_mask(teacher, len(batch.ppg), config.mask_ratio, generator)
        )
        parts = [teacher.encode("ppg", batch.ppg, shown)]
        if batch.ecg is not None:  # complementary: the ECG shows what the PPG hides
            parts.append(teacher.encode("ecg", batch.ecg, hidden))
        memory = teacher.share(torch.cat(parts, dim=1))
        raws = {"masked": teacher.pool(memory)}
        unseen = torch.zeros(len(batch.ppg), teacher.tokens, device=device)
        unseen = unseen.scatter(1, hidden, 1.0)
        losses["ppg_masked"] = patch_error(
            teacher.decode("ppg", memory), patches["ppg"], unseen
        )
        if batch.ecg is not None:
            losses["ecg_masked"] = patch_error(
                teacher.decode("ecg", memory), patches["ecg"], 1.0 - unseen
            )
    losses["decorrelation"] = torch.stack([decorrelation(r) for r in raws.values()]).mean()
    losses["physiology"] = torch.stack(
        [_physiology(teacher, raw, batch) for raw in raws.values()]
    ).mean()
    return losses


def _physiology(teacher: M2AE, raw: torch.Tensor, batch: TeacherBatch) -> torch.Tensor:
    """Linear read-outs from the unit fingerprint: regression, and rhythm where known."""
    unit = 8.0 * teacher.finish(raw)
    loss = masked_regression(teacher.read_out(unit), batch.targets)
    known = batch.rhythm >= 0
    if known.any():
        rhythm = fn.cross_entropy(teacher.read_rhythm(unit[known]), batch.rhythm[known])
        loss = loss + 0.3 * rhythm
    return loss


def total_loss(losses: dict[str, torch.Tensor], config: PretrainConfig) -> torch.Tensor:
    """The weighted sum that is minimised."""
    weights = {
        "contrast": config.contrast,
        "decorrelation": config.decorrelation,
        "physiology": config.physiology,
    }
    parts = [weights.get(k, config.reconstruction) * v for k, v in losses.items()]
    return torch.stack(parts).sum()


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
        self.pools = _Pools(sets, config)
        # One process here; `torchrun` and Fabric carry the same loop over many.
        self.fabric = Fabric(accelerator="auto", devices=1)
        torch.manual_seed(config.seed)
        self.model = M2AE(PRESETS[config.preset])
        self.log_scale = torch.nn.Parameter(torch.tensor(np.log(10.0), dtype=torch.float32))
        groups = [
            {"params": list(self.model.parameters()), "weight_decay": config.weight_decay},
            {"params": [self.log_scale], "weight_decay": 0.0},
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
        self.log_scale.data.copy_(state["log_scale"])
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
        self.model.load_state_dict(teacher.state_dict())
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
                "log_scale": self.log_scale.detach().clone(),
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
        batch = draw_batch(self.pools, config, self.step)
        device = self.fabric.device
        batch = TeacherBatch(
            *(None if x is None else x.to(device) for x in vars(batch).values())  # type: ignore[arg-type]
        )
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        scale = self.log_scale.exp().clamp(max=50.0)
        self.model.train()
        losses = step_losses(self.model, batch, config, scale, generator)
        loss = total_loss(losses, config)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        named = {k: float(v.detach()) for k, v in losses.items()}
        return {"loss": float(loss.detach()), **named, "scale": float(scale.detach())}


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

"""Same-data controls: the student trained on the same windows, without any teacher.

"The teacher helps" means better than these: the same architecture, the same corpora and
share of virtual wearers, the same crops in time and disturbance, optimiser and number of
windows; only what is learned differs (see `control_objectives`). SimCLR draws the same
number of windows but sees two views of each, and so costs twice the passes.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from joblib import Parallel, delayed
from lightning.fabric import Fabric
from tqdm import tqdm

from plethprint.errors import PackageIncompatibleError, RecordingError, SignalError
from plethprint.signal import PPG
from plethprint_distill.baselines.hand_made import FEATURES, hand_made_features
from plethprint_distill.control_objectives import (
    ControlBatch,
    MaskedPatches,
    Objective,
    ReadOuts,
    SimClr,
    images,
)
from plethprint_distill.crops import crop, room_samples
from plethprint_distill.physiology import TARGETS
from plethprint_distill.student import PRESETS, Student
from plethprint_distill.training_run import go_on
from plethprint_distill.windows import WindowSet

__all__ = ["METHODS", "ControlConfig", "ControlTraining", "train_control"]

_LOGGER = logging.getLogger(__name__)

Float32Array = npt.NDArray[np.float32]

METHODS = ("simclr", "masked", "supervised", "hand_made", "random")
_SETTLE_WINDOWS = 4096
_CHUNK = 2048


@dataclass(frozen=True)
class ControlConfig:
    """One control; what it shares with `DistillConfig` has the same default."""

    method: str = "simclr"
    """One of `METHODS`."""
    preset: str = "micro"
    windows: int = 1_500_000
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warm_up_windows: int = 20_000
    virtual_share: float = 0.4
    temperature: float = 0.1
    """Of SimCLR."""
    person_share: float = 0.0
    """Share of SimCLR's positives that are another window of the same person."""
    mask_share: float = 0.5
    """Share of patches that masked reconstruction hides."""
    seed: int = 0

    @property
    def name(self) -> str:
        """What files and rows of tables are called."""
        method = self.method + ("_person" if self.person_share else "")
        return f"{method}-{self.preset}-s{self.seed}"


class ControlTraining:
    """A run that can stop after any step and go on from its folder.

    Sets without PPG are left out. Everything random in a step is a function of the seed
    and the step's number.

    Raises
    ------
    SignalError
        If the configuration names no method or preset.
    RecordingError
        If no set holds PPG.
    """

    def __init__(
        self, folder: Path, sets: dict[str, WindowSet], config: ControlConfig
    ) -> None:
        if config.method not in METHODS or config.preset not in PRESETS:
            raise SignalError(
                f"a control is one of {', '.join(METHODS)} with one of "
                f"{', '.join(PRESETS)}, not {config.method!r} with {config.preset!r}"
            )
        self.folder, self.config, self.step = folder, config, 0
        held = {k: s.take(np.asarray(s.has_ppg)) for k, s in sets.items()}
        self.sets = {k: s for k, s in held.items() if len(s)}
        if not self.sets:
            raise RecordingError("no window set holds PPG to train a control on")
        self.shares = _shares(self.sets, config.virtual_share)
        self.groups = {k: _Groups(np.asarray(s.person)) for k, s in self.sets.items()}
        self.targets = self._standardised_targets()
        self.fabric = Fabric(accelerator="auto", devices=1)
        self.fabric.launch()
        torch.manual_seed(config.seed)
        self.student = Student(PRESETS[config.preset])
        self.student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = self._objective()
        self.modules = torch.nn.ModuleList([self.student, self.objective]).to(
            self.fabric.device
        )
        self.optimizer = torch.optim.AdamW(
            self.modules.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )

    def _objective(self) -> Objective:
        config, dim = self.config, self.student.config.dim
        if config.method == "simclr":
            return SimClr(dim, config.temperature)
        if config.method == "masked":
            return MaskedPatches(self.student, config.mask_share)
        if config.method == "supervised":
            return ReadOuts(dim, len(TARGETS), rhythm=True)
        if config.method == "hand_made":
            return ReadOuts(dim, len(FEATURES), rhythm=False)
        return Objective()

    def _standardised_targets(self) -> dict[str, Float32Array]:
        if self.config.method == "hand_made":
            raw = _hand_made_targets(self.sets, self.folder.parent / "hand_made")
        else:
            raw = {k: np.asarray(s.targets, np.float32) for k, s in self.sets.items()}
        together = np.ma.masked_invalid(np.concatenate(list(raw.values())))
        centre = np.asarray(together.mean(axis=0).filled(0.0), np.float32)
        spread = np.asarray(together.std(axis=0).filled(1.0) + 1e-3, np.float32)
        return {k: (values - centre) / spread for k, values in raw.items()}

    @property
    def checkpoint(self) -> Path:
        """Where the run is kept."""
        return self.folder / "control.pt"

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one.

        Raises
        ------
        PackageIncompatibleError
            If it was begun with another configuration.
        """
        if not self.checkpoint.is_file():
            return
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        if state["config"] != asdict(self.config):
            raise PackageIncompatibleError(
                f"{self.folder} was begun with another configuration: remove it, or name "
                "another folder"
            )
        self.student.load_state_dict(state["model"])
        self.objective.load_state_dict(state["objective"])
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
                "objective": self.objective.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "config": asdict(self.config),
                "step": self.step,
            },
            part,
        )
        part.replace(self.checkpoint)

    def run_step(self) -> dict[str, float]:
        """One step of the optimiser; gives the losses."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.step])
        batch = self._draw(rng)
        self.student.train()
        if config.method == "random":
            with torch.no_grad():
                self.student(images(batch.ppg, self.student))
            self.step += 1
            return {"loss": 0.0}
        seen = self.step * config.batch
        rise = min(1.0, (seen + 1) / max(1, config.warm_up_windows))
        fall = 0.5 * (1.0 + np.cos(np.pi * min(1.0, seen / config.windows)))
        for group in self.optimizer.param_groups:
            group["lr"] = float(config.learning_rate * rise * max(0.002, fall))
        losses = self.objective.losses(self.student, batch, rng)
        loss = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.modules.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        return {
            "loss": float(loss.detach()),
            **{k: float(v.detach()) for k, v in losses.items()},
        }

    def _draw(self, rng: np.random.Generator) -> ControlBatch:
        counts = rng.multinomial(self.config.batch, list(self.shares.values()))
        picks = [
            (k, np.sort(rng.choice(len(self.sets[k]), n)))
            for k, n in zip(self.shares, counts, strict=True)
            if n
        ]
        other = [
            (k, np.where(rng.random(len(i)) < self.config.person_share, mate, i))
            for k, i in picks
            for mate in (self.groups[k].mates(i, rng),)
        ]
        ppg, partner = (
            self._crops(np.concatenate([self.sets[k].ppg[i] for k, i in side]), rng)
            for side in (picks, other)
        )
        rhythm = np.concatenate([np.asarray(self.sets[k].rhythm[i]) for k, i in picks])
        return ControlBatch(
            ppg,
            partner,
            np.concatenate([self.targets[k][i] for k, i in picks]),
            rhythm.astype(np.int64),
        )

    @staticmethod
    def _crops(whole: npt.NDArray[np.int8], rng: np.random.Generator) -> Float32Array:
        room = room_samples(whole, PPG)
        return crop(whole, PPG, rng.integers(0, room + 1, len(whole)))

    def finished(self) -> Student:
        """The student as it is to be judged, after the last step."""
        if self.config.method == "masked":
            rng = np.random.default_rng([self.config.seed, 1])
            parts = [
                s.take(np.sort(rng.permutation(len(s))[: round(share * _SETTLE_WINDOWS)]))
                .centred()
                .ppg
                for share, s in zip(self.shares.values(), self.sets.values(), strict=True)
            ]
            _set_head(self.student, np.concatenate(parts))
        student: Student = self.student.eval()
        return student


class _Groups:
    """Which windows are of whom."""

    def __init__(self, person: npt.NDArray[np.str_]) -> None:
        _, self.of = np.unique(person, return_inverse=True)
        self.order = np.argsort(self.of, kind="stable")
        self.count = np.bincount(self.of)
        self.first = np.cumsum(self.count) - self.count

    def mates(
        self, rows: npt.NDArray[np.intp], rng: np.random.Generator
    ) -> npt.NDArray[np.intp]:
        """A random window of the same person for each row; its own where it is alone."""
        who = self.of[rows]
        place = (rng.random(len(rows)) * self.count[who]).astype(np.intp)
        found: npt.NDArray[np.intp] = self.order[self.first[who] + place]
        return found


def _shares(sets: dict[str, WindowSet], virtual_share: float) -> dict[str, float]:
    """Share of each set in a batch, as in distillation."""
    real = {k: len(s) for k, s in sets.items() if k != "virtual"}
    virtual = (virtual_share if real else 1.0) if "virtual" in sets else 0.0
    total = sum(real.values())
    return {
        k: virtual if k == "virtual" else (1.0 - virtual) * real[k] / total for k in sets
    }


def _hand_made_targets(
    sets: dict[str, WindowSet], folder: Path, *, jobs: int = 2
) -> dict[str, Float32Array]:
    """Hand-made features of every window, kept in `folder` for all controls beside."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, windows in sets.items():
        path = folder / f"{name}.npy"
        if not path.is_file() or len(np.load(path, mmap_mode="r")) != len(windows):
            starts, rows = range(0, len(windows), _CHUNK), windows.centred().ppg
            tasks = (
                delayed(hand_made_features)(np.asarray(rows[i : i + _CHUNK]))
                for i in starts
            )
            parts = Parallel(n_jobs=min(jobs, len(starts)), return_as="generator")(tasks)
            bar = tqdm(parts, total=len(starts), desc=f"features of {name}", mininterval=5)
            part = path.with_suffix(".part.npy")
            np.save(part, np.concatenate(list(bar)).astype(np.float32))
            part.replace(path)
        found[name] = np.load(path)
    return found


@torch.no_grad()
def _set_head(student: Student, ppg: npt.NDArray[np.int8]) -> None:
    """Make the last layer the principal components of the mean features of windows."""
    student.eval()
    windows = ppg * np.float32(PPG.input_scale)
    mean = torch.cat(
        [
            student.layers(images(windows[i : i + 512], student)).mean(dim=(2, 3)).cpu()
            for i in range(0, len(windows), 512)
        ]
    ).double()
    centre = mean.mean(dim=0)
    _, vectors = torch.linalg.eigh(torch.cov((mean - centre).T))
    main = vectors.flip(1)[:, : student.config.dim].T
    student.head.weight.copy_(main)
    student.head.bias.copy_(-main @ centre)


def train_control(
    folder: Path,
    sets: dict[str, WindowSet],
    config: ControlConfig,
    *,
    progress: bool = True,
) -> Student:
    """Train to `config.windows`, resuming from `folder`; metrics go to metrics.jsonl."""
    run = ControlTraining(folder, sets, config)
    run.resume()
    go_on(run, folder, windows=config.windows, batch=config.batch, progress=progress)
    return run.finished()

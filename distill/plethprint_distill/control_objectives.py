"""What a student can be trained on without a teacher, as losses of one batch of windows.

Every objective owns the modules that it needs beside the student and that are thrown
away after training. Where the methods leave a choice open, it is:

simclr
    Two views of a window, each disturbed and cropped by itself; NT-Xent on the output of
    a head of two layers on top of the fingerprint (Chen et al. 2020). The share of
    positives that are another window of the same person is a setting, 0 for SimCLR.
masked
    Half of the half-second patches are zero; a decoder of two small convolutions paints
    the clean window from the student's features before their mean; the error counts on
    hidden patches alone. The student's last linear layer is not in its way: after
    training it is set to the principal components of the mean features.
supervised
    Linear read-outs of `physiology.TARGETS` and rhythm from the unit fingerprint, the
    very ones of distillation, without a teacher beside them.
hand_made
    Linear read-outs of the hand-made features of the clean window.
random
    No objective: batch norms see the windows, weights stay as they were drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as fn

from plethprint.signal import PPG
from plethprint_distill.augment import disturb
from plethprint_distill.losses import masked_regression
from plethprint_distill.student import Student
from plethprint_distill.teacher import RHYTHMS

__all__ = ["ControlBatch", "MaskedPatches", "Objective", "ReadOuts", "SimClr", "nt_xent"]

Float32Array = npt.NDArray[np.float32]

_PATCH = round(0.5 * PPG.rate_hz)
_SHORTEST_CROP_S = 7.0
_LENGTH = 8.0
"""Read-outs see the unit fingerprint times this, as in distillation."""


@dataclass(frozen=True)
class ControlBatch:
    """N windows, in standard deviations, and what is known of them."""

    ppg: Float32Array
    """(N, T), clean."""
    partner: Float32Array
    """(N, T), clean: the same window, or another one of the same person."""
    targets: Float32Array
    """(N, K), standardised; NaN where unknown."""
    rhythm: npt.NDArray[np.int64]
    """(N,), -1 where unknown."""


class Objective(nn.Module):
    """Gives a loss of a batch; its own modules are trained along and then forgotten."""

    def losses(
        self, student: Student, batch: ControlBatch, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """Losses by name; their sum is what the optimiser sees."""
        raise NotImplementedError


class SimClr(Objective):
    """NT-Xent between two views through a projection head."""

    def __init__(self, dim: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.project = nn.Sequential(nn.Linear(dim, 128), nn.ReLU(), nn.Linear(128, dim))

    def losses(
        self, student: Student, batch: ControlBatch, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """See `nt_xent`."""
        views = np.concatenate(
            [disturb(crop(side, rng), rng) for side in (batch.ppg, batch.partner)]
        )
        first, second = self.project(student(images(views, student))).chunk(2)
        return {"nt_xent": nt_xent(first, second, self.temperature)}


class MaskedPatches(Objective):
    """Mean squared error of painted hidden patches."""

    def __init__(self, student: Student, mask_share: float) -> None:
        super().__init__()
        self.mask_share = mask_share
        with torch.inference_mode():
            student.eval()
            shape = student.layers(torch.zeros(1, 1, 1, PPG.window_samples)).shape
        self.paint = nn.Sequential(
            nn.Conv1d(shape[1], 128, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(128, PPG.window_samples // shape[3], 1),
        )

    def losses(
        self, student: Student, batch: ControlBatch, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """The student sees the disturbed window, the decoder paints the clean one."""
        n, samples = batch.ppg.shape
        patches = samples // _PATCH
        order = rng.random((n, patches)).argsort(axis=1)
        hidden = order < round(self.mask_share * patches)
        over_time = np.repeat(hidden, _PATCH, axis=1)
        seen = np.where(over_time, np.float32(0.0), disturb(batch.ppg, rng))
        features = student.layers(images(seen, student)).squeeze(2)
        painted = self.paint(features).transpose(1, 2).reshape(n, samples)
        weight = torch.from_numpy(over_time).to(painted)
        clean = torch.from_numpy(batch.ppg).to(painted)
        error = ((painted - clean).square() * weight).sum() / weight.sum().clamp(min=1.0)
        return {"patches": error}


class ReadOuts(Objective):
    """Huber loss of linear read-outs from the unit fingerprint, and of rhythm."""

    def __init__(self, dim: int, targets: int, *, rhythm: bool) -> None:
        super().__init__()
        self.read = nn.Linear(dim, targets)
        self.read_rhythm = nn.Linear(dim, RHYTHMS) if rhythm else None

    def losses(
        self, student: Student, batch: ControlBatch, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """As in distillation, with the same weights of rhythm and of length."""
        raw = student(images(disturb(batch.ppg, rng), student))
        unit = _LENGTH * fn.normalize(raw, dim=-1)
        targets = torch.from_numpy(batch.targets).to(raw)
        found = {
            "read_out": masked_regression(self.read(unit), targets),
            "length": 0.01 * (raw.norm(dim=-1) - _LENGTH).square().mean(),
        }
        known = torch.from_numpy(batch.rhythm >= 0).to(raw.device)
        if self.read_rhythm is not None and known.any():
            rhythm = torch.from_numpy(batch.rhythm).to(raw.device)
            guess = self.read_rhythm(unit[known])
            found["rhythm"] = 0.3 * fn.cross_entropy(guess, rhythm[known])
        return found


def nt_xent(a: torch.Tensor, b: torch.Tensor, temperature: float) -> torch.Tensor:
    """Normalised temperature-scaled cross entropy of pairs (N, D), (N, D).

    Every row has to find its partner among the other 2 N - 1 rows (Chen et al. 2020).

    Examples
    --------
    >>> pairs = torch.eye(4)
    >>> bool(nt_xent(pairs, pairs, 0.1) < nt_xent(pairs, pairs.flip(0), 0.1))
    True
    """
    rows = fn.normalize(torch.cat([a, b]), dim=-1)
    logits = rows @ rows.T / temperature
    logits = logits.masked_fill(
        torch.eye(len(rows), dtype=torch.bool, device=rows.device), float("-inf")
    )
    partner = torch.arange(len(rows), device=rows.device).roll(len(a))
    return fn.cross_entropy(logits, partner)


def crop(ppg: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Keep 7 to 10 s of each window (N, T), moved to a random place; zero elsewhere.

    Stretching the crop back to 10 s, as is done with images, would teach that heart rate
    does not matter.
    """
    n, samples = ppg.shape
    length = rng.integers(round(_SHORTEST_CROP_S * PPG.rate_hz), samples + 1, (n, 1))
    start, place = (rng.integers(0, samples - length + 1) for _ in range(2))
    time = np.arange(samples)
    inside = (time >= place) & (time < place + length)
    source = np.clip(time - place + start, 0, samples - 1)
    moved = np.take_along_axis(ppg, source, axis=1)
    return np.where(inside, moved, np.float32(0.0))


def images(ppg: Float32Array, student: Student) -> torch.Tensor:
    """Windows (N, T) as the student's input (N, 1, 1, T), on its device."""
    windows = torch.from_numpy(np.ascontiguousarray(ppg[:, None, None, :]))
    return windows.to(student.head.weight.device).contiguous(
        memory_format=torch.channels_last
    )

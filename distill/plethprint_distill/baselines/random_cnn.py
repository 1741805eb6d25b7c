"""The student without any training: what its architecture alone brings along."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from plethprint.encoder import checked_windows
from plethprint.signal import PPG
from plethprint_distill.student import PRESETS, Student

__all__ = ["RandomCnn", "calibrate"]

_CALIBRATION_WINDOWS = 2048
_BATCH = 512


class RandomCnn:
    """Fingerprints (N, 64) of a student with random weights.

    Parameters
    ----------
    calibrated
        Whether `fit` sets the batch norms to the statistics of the windows. It makes
        another network of it: without, they pass on what the random weights give.
    seed
        Of the weights; report several.
    """

    family = "baseline"

    def __init__(self, *, calibrated: bool, seed: int = 0, preset: str = "micro") -> None:
        self.name = f"random_cnn_{'calibrated' if calibrated else 'raw'}_s{seed}"
        self.calibrated, self.seed = calibrated, seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.student = Student(PRESETS[preset]).eval()

    def fit(self, ppg: npt.NDArray[np.int8]) -> None:
        """Calibrate the batch norms on up to 2,048 windows, where that is wanted."""
        if self.calibrated:
            steps = checked_windows(ppg, PPG.window_samples)
            some = np.random.default_rng(self.seed).permutation(len(steps))
            calibrate(self.student, steps[np.sort(some[:_CALIBRATION_WINDOWS])])

    @torch.inference_mode()
    def embed(self, ppg: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """Fingerprints, not normalised."""
        steps = checked_windows(ppg, PPG.window_samples)
        parts = [
            self.student(_tensor(steps[first : first + _BATCH])).numpy()
            for first in range(0, len(steps), _BATCH)
        ]
        return np.concatenate(parts).astype(np.float32)


@torch.no_grad()
def calibrate(student: Student, ppg: npt.NDArray[np.int8]) -> None:
    """Set the student's batch norms to the mean statistics over int8 windows (N, 640)."""
    norms = [m for m in student.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches, not a moving one
    student.train()
    for first in range(0, len(ppg), _BATCH):
        student(_tensor(ppg[first : first + _BATCH]))
    student.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _tensor(steps: npt.NDArray[np.int8]) -> torch.Tensor:
    windows = steps[:, None, None, :] * np.float32(PPG.input_scale)
    return torch.from_numpy(windows)

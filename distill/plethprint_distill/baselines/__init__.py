"""Baselines: what a window tells without any teacher, one module each.

All share one small protocol, so that a table of results can treat them as it treats
fingerprints: `fit` without labels on training windows, then `embed` any windows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from plethprint_distill.baselines.catch22 import Catch22
from plethprint_distill.baselines.hand_made import HandMade
from plethprint_distill.baselines.minirocket import MiniRocket
from plethprint_distill.baselines.random_cnn import RandomCnn
from plethprint_distill.baselines.spectrum import LogSpectrum

__all__ = ["BASELINES", "Baseline"]


class Baseline(Protocol):
    """Features of windows that no teacher taught."""

    @property
    def name(self) -> str:
        """Its row in a table."""

    @property
    def family(self) -> str:
        """Always "baseline"."""

    def fit(self, ppg: npt.NDArray[np.int8]) -> None:
        """Look at training windows (N, 640), without labels; may do nothing."""

    def embed(self, ppg: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """Features (N, F), finite for any window, flat and noisy ones too."""


BASELINES: dict[str, Callable[[], Baseline]] = {
    "hrv_morphology": HandMade,
    "catch22": Catch22,
    "minirocket": MiniRocket,
    "log_spectrum": LogSpectrum,
    **{
        f"random_cnn_{'calibrated' if calibrated else 'raw'}_s{seed}": partial(
            RandomCnn, calibrated=calibrated, seed=seed
        )
        for calibrated in (False, True)
        for seed in range(3)
    },
}
"""A maker for each; one whose library is missing raises MissingExtraError when made."""

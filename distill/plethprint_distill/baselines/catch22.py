"""catch22: twenty-two canonical features of a time series, by their authors' own library.

Lubba et al., "catch22: CAnonical Time-series CHaracteristics", 2019.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.errors import MissingExtraError
from plethprint.signal import PPG

__all__ = ["Catch22"]

_COUNT = 22


class Catch22:
    """The 22 features of each window; nothing to fit.

    Raises
    ------
    MissingExtraError
        Where pycatch22 is not installed.
    """

    name = "catch22"
    family = "baseline"

    def __init__(self) -> None:
        try:
            from pycatch22 import catch22_all
        except ImportError as error:
            raise MissingExtraError("baselines", "The baseline catch22") from error
        self._all = catch22_all

    def fit(self, ppg: npt.NDArray[np.int8]) -> None:
        """Do nothing: the features were chosen once, on other series."""

    def embed(self, ppg: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """Features (N, 22); 0 where one is not defined, as for a flat window."""
        steps = checked_windows(ppg, PPG.window_samples)
        rows = np.zeros((len(steps), _COUNT))
        for row, window in enumerate(steps.astype(np.float64)):
            if window.any():
                rows[row] = self._all(window.tolist())["values"]
        return np.nan_to_num(rows, posinf=0.0, neginf=0.0).astype(np.float32)

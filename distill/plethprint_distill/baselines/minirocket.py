"""MiniRocket: proportions of positive values of some ten thousand dilated convolutions.

Dempster, Schmidt and Webb, "MiniRocket", 2021, as sktime keeps it; the machine code that
numba makes of it on the first use (half a minute) is cached beside the library.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.errors import MissingExtraError
from plethprint.signal import PPG

__all__ = ["MiniRocket"]

_BIAS_WINDOWS = 2048
_CHUNK = 4096


class MiniRocket:
    """9,996 features of each window; `fit` draws its biases from training windows.

    A ridge probe with generalised cross-validation copes with that many columns as long
    as the windows are fewer: it then works in the space of the windows (N, N).

    Parameters
    ----------
    kernels
        Number of features asked for; rounded down to a multiple of 84.

    Raises
    ------
    MissingExtraError
        Where sktime or numba is not installed.
    """

    name = "minirocket"
    family = "baseline"

    def __init__(self, *, kernels: int = 10_000, seed: int = 0) -> None:
        try:
            import numba  # noqa: F401  # sktime takes it for granted only when it runs
            from sktime.transformations.rocket import MiniRocket as Transform
        except ImportError as error:
            raise MissingExtraError("baselines", "The baseline MiniRocket") from error
        self._transform = Transform(num_kernels=kernels, random_state=seed)
        self._seed = seed
        self._fitted = False

    def fit(self, ppg: npt.NDArray[np.int8]) -> None:
        """Draw the biases from up to 2,048 windows of (N, 640)."""
        steps = checked_windows(ppg, PPG.window_samples)
        some = np.random.default_rng(self._seed).permutation(len(steps))[:_BIAS_WINDOWS]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, about each other
            self._transform.fit(_panel(steps[np.sort(some)]))
        self._fitted = True

    def embed(self, ppg: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """Shares (N, 9996), 0 to 1; fits on the windows themselves when not yet fitted."""
        steps = checked_windows(ppg, PPG.window_samples)
        if not self._fitted:
            self.fit(steps)
        parts = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for first in range(0, len(steps), _CHUNK):
                part = self._transform.transform(_panel(steps[first : first + _CHUNK]))
                parts.append(np.asarray(part, np.float32))
        return np.concatenate(parts)


def _panel(steps: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
    panel: npt.NDArray[np.float32] = steps[:, None, :] * np.float32(PPG.input_scale)
    return panel

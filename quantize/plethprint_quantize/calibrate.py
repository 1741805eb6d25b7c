"""Measures the range of every activation on real windows, and chooses how to clip it.

An int8 activation has 256 steps to spend. *Min-max* spends them on everything seen; a
*percentile* cuts the rarest values off and resolves the rest more finely; *mse* cuts where
the squared error of clipping and rounding together is least. Which one loses less is
measured, not assumed: see :func:`plethprint_quantize.pipeline.quantize`. A student whose
last phase was quantised brings ranges of its own, and needs none of these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from plethprint.errors import WindowShapeError
from plethprint.signal import PPG
from plethprint_distill.quantization_aware import ACTIVATION_STEPS, HEADROOM
from plethprint_quantize.export import DeployNet

__all__ = [
    "HEADROOM",
    "METHODS",
    "Ranges",
    "choose_windows",
    "float_fingerprints",
    "measure_ranges",
    "real_windows",
]

_LOGGER = logging.getLogger(__name__)
_BATCH = 64
_BINS = 8192

PERCENTILES: dict[str, float] = {"min-max": 100.0, "p99.99": 99.99, "p99.9": 99.9}
"""Method -> percentile of the values that stay inside the range."""

METHODS = (*PERCENTILES, "mse")
"""Ways to choose ranges by calibration."""

Int8Array = npt.NDArray[np.int8]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranges:
    """Real ranges of what flows through the deploy graph.

    Attributes
    ----------
    method : str
        One of `METHODS`, or ``"learned"``.
    steps : tuple of (float, float)
        Lowest and highest value of each step's output, in running order: every
        convolution, the mean, the linear layer.
    windows : int
        How many calibration windows were measured; 0 where training found them.
    """

    method: str
    steps: tuple[tuple[float, float], ...]
    windows: int


def choose_windows(windows: Int8Array, *, count: int = 512, seed: int = 0) -> Int8Array:
    """Draw calibration windows: distinct, not flat, the same for the same seed.

    Parameters
    ----------
    windows : ndarray of int8, shape (N, T)
        Candidates from the training split, never from the test split.
    count : int
        How many to draw; all that qualify when there are fewer.
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray of int8, shape (<= count, T)

    Raises
    ------
    WindowShapeError
        Wrong shape or type, or no window is left after flat ones are dropped.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> candidates = rng.integers(-127, 128, (9, 640), dtype=np.int8)
    >>> choose_windows(candidates, count=4).shape
    (4, 640)
    """
    if (
        windows.ndim != 2
        or windows.dtype != np.int8
        or windows.shape[1] != PPG.window_samples
    ):
        raise WindowShapeError(
            f"calibration windows must be int8 of shape (N, {PPG.window_samples}), "
            f"these are {windows.dtype} of shape {windows.shape}"
        )
    useful = np.unique(windows[np.any(windows != windows[:, :1], axis=1)], axis=0)
    if not len(useful):
        raise WindowShapeError("every calibration window is flat: nothing can be measured")
    if len(useful) < 64:
        _LOGGER.warning(
            "only %d distinct calibration windows: ranges may be short", len(useful)
        )
    picked = np.random.default_rng(seed).permutation(len(useful))[:count]
    chosen: Int8Array = useful[np.sort(picked)]
    return chosen


def float_fingerprints(deploy: DeployNet, windows: Int8Array) -> npt.NDArray[np.float32]:
    """Run the float deploy graph on int8 windows (N, T); returns (N, D), not normalised."""
    outputs = [deploy(batch).numpy() for batch in _batches(windows)]
    return np.concatenate(outputs).astype(np.float32)


def measure_ranges(
    deploy: DeployNet, windows: Int8Array, *, method: str = "min-max"
) -> Ranges:
    """Run the float graph on calibration windows and return every step's range.

    Parameters
    ----------
    deploy : DeployNet
        The folded student.
    windows : ndarray of int8, shape (N, T)
        From `choose_windows`.
    method : str
        One of `METHODS`. The fingerprint itself always keeps its full range,
        with `HEADROOM`: an outlier there is a person, not noise.

    Returns
    -------
    Ranges
        In the order of `DeployNet.activations`.
    """
    lows, highs = _extremes(deploy, windows)
    # People to come reach further than the calibration windows; and a fingerprint step
    # that is not finer than need be keeps runtimes that round differently together.
    if method != "min-max":
        counts = _histograms(deploy, windows, lows, highs)
        for i in np.flatnonzero(highs > lows)[:-1].tolist():
            cut = _least_error if method == "mse" else _percentile(PERCENTILES[method])
            highs[i] = cut(counts[i], lows[i], highs[i])
    lows[-1], highs[-1] = HEADROOM * lows[-1], HEADROOM * highs[-1]
    steps = tuple(zip(map(float, lows), map(float, highs), strict=True))
    return Ranges(method, steps, len(windows))


def real_windows(windows: Int8Array) -> torch.Tensor:
    """Int8 windows (N, T) as the float graph takes them: (N, 1, 1, T), in sd."""
    real = windows[:, None, None, :].astype(np.float32) * np.float32(PPG.input_scale)
    return torch.from_numpy(real)


def _batches(windows: Int8Array) -> Iterator[torch.Tensor]:
    with torch.inference_mode():
        for start in range(0, len(windows), _BATCH):
            yield real_windows(windows[start : start + _BATCH])


def _extremes(deploy: DeployNet, windows: Int8Array) -> tuple[FloatArray, FloatArray]:
    lows, highs = [], []
    for batch in _batches(windows):
        steps = list(deploy.activations(batch))
        lows.append([float(step.min()) for step in steps])
        highs.append([float(step.max()) for step in steps])
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _histograms(
    deploy: DeployNet, windows: Int8Array, lows: FloatArray, highs: FloatArray
) -> FloatArray:
    """Counts (steps, bins) of each step's values: memory stays small."""
    counts = np.zeros((len(lows), _BINS))
    for batch in _batches(windows):
        for i, step in enumerate(deploy.activations(batch)):
            if highs[i] > lows[i]:
                counts[i] += torch.histc(step, _BINS, lows[i], highs[i]).numpy()
    return counts


def _percentile(percentile: float) -> Callable[[FloatArray, float, float], float]:
    def cut(counts: FloatArray, low: float, high: float) -> float:
        share = np.cumsum(counts) / counts.sum()
        edge = int(np.searchsorted(share, percentile / 100.0)) + 1
        return float(low + (high - low) * min(edge, _BINS) / _BINS)

    return cut


def _least_error(counts: FloatArray, low: float, high: float) -> float:
    """The end of the range whose clipping and rounding lose least of these values."""
    values = low + (high - low) * (np.arange(_BINS) + 0.5) / _BINS
    ends = high * np.linspace(0.2, 1.0, 81)
    errors = []
    for end in ends.tolist():
        step = end / ACTIVATION_STEPS
        rounded = np.rint(np.minimum(values, end) / step) * step
        errors.append(float(counts @ np.square(rounded - values)))
    return float(ends[int(np.argmin(errors))])

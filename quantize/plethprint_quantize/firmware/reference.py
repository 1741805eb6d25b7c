"""The kernels' arithmetic once more, in numpy: what a plan makes of windows.

The generator runs golden windows through it before it writes anything, so that a model
which the firmware would get wrong is refused, with no C compiler at hand.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.errors import WindowShapeError
from plethprint_quantize.firmware.layer import Layer
from plethprint_quantize.firmware.plan import Plan

__all__ = ["run_plan"]

Int8Array = npt.NDArray[np.int8]
Int64Array = npt.NDArray[np.int64]


def run_plan(plan: Plan, windows: Int8Array) -> Int8Array:
    """Fingerprint windows as the firmware would.

    Parameters
    ----------
    plan : Plan
    windows : ndarray of int8, shape (N, T)

    Returns
    -------
    ndarray of int8, shape (N, D)

    Raises
    ------
    WindowShapeError
        The windows are not int8 of the plan's length.

    Examples
    --------
    >>> run_plan(plan, windows).shape  # doctest: +SKIP
    (256, 64)
    """
    if windows.dtype != np.int8 or windows.ndim != 2 or windows.shape[1] != plan.window:
        raise WindowShapeError(
            f"windows must be int8 of shape (N, {plan.window}), they are "
            f"{windows.dtype} of shape {windows.shape}"
        )
    values = windows.astype(np.int64)[:, :, None]
    for layer in plan.layers:
        values = _requantise(_sums(layer, values - layer.in_zero), layer)
    vectors: Int8Array = values[:, 0].astype(np.int8)
    return vectors


def _sums(layer: Layer, x: Int64Array) -> Int64Array:
    """(N, in_length, in_channels) without zero point -> (N, out_length, out_channels)."""
    if layer.kind == "MEAN":
        over_time: Int64Array = x.sum(axis=1, keepdims=True)
        return over_time
    if layer.kind in ("POINTWISE", "DENSE"):
        # float64 holds sums below 2**53 exactly, and multiplies matrices fast
        products = np.matmul(x.astype(np.float64), layer.weights.T.astype(np.float64))
        summed: Int64Array = products.astype(np.int64) + layer.bias
        return summed
    ends = (layer.out_length - 1) * layer.stride + layer.taps
    after = max(0, ends - layer.pad_left - layer.in_length)
    padded = np.pad(x, ((0, 0), (layer.pad_left, after), (0, 0)))
    total = np.zeros((len(x), layer.out_length, layer.out_channels), np.int64)
    for tap in range(layer.taps):
        last = tap + (layer.out_length - 1) * layer.stride + 1
        total += padded[:, tap : last : layer.stride] * layer.weights[:, tap]
    return total + layer.bias


def _requantise(sums: Int64Array, layer: Layer) -> Int64Array:
    """Two roundings: half up after the product, half away from zero after the halvings."""
    factors = np.array([m.value for m in layer.multipliers], np.int64)
    halvings = np.array([m.halvings for m in layer.multipliers], np.int64)
    values = (sums * factors + (1 << 30)) >> 31
    values = (values + (values >> 63) + (1 << (halvings - 1))) >> halvings
    limited: Int64Array = np.clip(values + layer.out_zero, layer.low, layer.high)
    return limited

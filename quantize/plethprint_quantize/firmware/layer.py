"""One layer of the encoder: an operator of the ``.tflite``, checked, as its C structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from plethprint.errors import PackageIncompatibleError
from plethprint_quantize.firmware.rescaling import (
    Multiplier,
    activation_range,
    mean_multiplier,
    multiplier,
)
from plethprint_quantize.flatbuffer import Graph, Operator, Tensor, same_padding

__all__ = ["MAX_TAPS", "TILE", "Kind", "Layer", "make_layer", "require"]

Kind = Literal["STEM", "DEPTHWISE", "POINTWISE", "MEAN", "DENSE"]
Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]

TILE = 5
"""Time steps a pointwise layer takes at once: PP_TILE of pp_kernels.h."""
MAX_TAPS = 16
"""Longest filter: PP_MAX_TAPS of pp_kernels.h."""
# Where SMMULR is used, a sum is doubled before the product.
_LARGEST_SUM = (1 << 30) - 1


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer with everything its C structure holds.

    Attributes
    ----------
    kind : str
        STEM, DEPTHWISE, POINTWISE, MEAN or DENSE.
    in_length, out_length : int
        Time steps.
    in_channels, out_channels : int
    taps : int
        Filter taps as stored, even; 0 for layers without a filter.
    stride, pad_left : int
        Steps between outputs, and of padding before the first input.
    in_zero, out_zero, low, high : int
        Zero points, and the range of the activation function.
    weights : ndarray of int8, shape (out_channels, taps or in_channels)
        Empty for a mean.
    bias : ndarray of int32, shape (out_channels,)
        Empty for a mean.
    multipliers : tuple of Multiplier
        One per output channel; a single one for a mean.
    macs : int
        Multiplications that the model asks for, padding included.
    """

    kind: Kind
    in_length: int
    out_length: int
    in_channels: int
    out_channels: int
    taps: int
    stride: int
    pad_left: int
    in_zero: int
    out_zero: int
    low: int
    high: int
    weights: Int8Array
    bias: Int32Array
    multipliers: tuple[Multiplier, ...]
    macs: int

    @property
    def backward(self) -> bool:
        """Whether a pointwise layer must begin with the last step to work in place."""
        return self.kind == "POINTWISE" and self.out_channels > self.in_channels

    @property
    def scratch_values(self) -> int:
        """16-bit values of scratch that the layer needs."""
        if self.kind in ("STEM", "DEPTHWISE"):
            filtered = (self.out_length - 1) * self.stride + MAX_TAPS
            return max(filtered, self.pad_left + self.in_length)
        # Helium reads whole vectors, and so up to four values past the last step
        return self.in_channels * TILE + 4 if self.kind != "MEAN" else 0

    @property
    def table_bytes(self) -> int:
        """Bytes of constants in flash."""
        return self.weights.nbytes + self.bias.nbytes + 5 * len(self.multipliers)


def make_layer(
    graph: Graph, operator: Operator, before: Tensor, after: Tensor, where: str
) -> Layer:
    """Check one operator and turn it into a layer.

    Parameters
    ----------
    graph : Graph
        Holds the tensors that the operator names.
    operator : Operator
        One of the deploy operators.
    before, after : Tensor
        Its activation in and out.
    where : str
        What errors call it, such as ``"operator 3 (CONV_2D)"``.

    Raises
    ------
    PackageIncompatibleError, PackageError
        See `plethprint_quantize.firmware.plan.make_plan`.
    """
    (in_length, in_channels), (out_length, out_channels) = (
        _steps_and_channels(tensor, where) for tensor in (before, after)
    )
    in_scale, in_zero = _scale_and_zero(before, where)
    out_scale, out_zero = _scale_and_zero(after, where)
    low, high = activation_range(operator.activation, out_scale, out_zero)
    if operator.name == "MEAN":
        axes = tuple(int(x) for x in graph.tensors[operator.inputs[1]].constant().ravel())
        require(
            axes == (1, 2) and not operator.keep_dims and in_channels == out_channels,
            f"{where} must be over axes (1, 2) without keeping them, not over {axes}",
        )
        require(in_length <= 1 << 15, f"{where} is over {in_length} steps, 32768 at most")
        factor = mean_multiplier(float(in_scale) / float(out_scale), in_length)
        return Layer(
            "MEAN", in_length, 1, in_channels, out_channels, 0, 1, 0, in_zero, out_zero,
            low, high, np.zeros((0, 0), np.int8), np.zeros(0, np.int32), (factor,), 0,
        )  # fmt: skip
    require(len(operator.inputs) == 3, f"{where} must have weights and a bias")
    weights, bias = (graph.tensors[index] for index in operator.inputs[1:])
    kind, rows, taps, pad_left = _filters(
        operator, weights, in_length, in_channels, out_length, out_channels, where
    )
    constant = bias.constant()
    require(
        constant.dtype == np.int32 and constant.size == out_channels,
        f"{where} must have {out_channels} int32 biases",
    )
    biases = constant.astype(np.int64).ravel()
    require(not weights.zero_point.any(), f"{where} has weights with a zero point")
    require(
        weights.scale.size in (1, out_channels),
        f"{where} has {weights.scale.size} weight scales, 1 or {out_channels} expected",
    )
    require(
        bool(np.isfinite(weights.scale).all()), f"{where} has a weight scale of no number"
    )
    scales = np.broadcast_to(weights.scale, out_channels).astype(np.float64)
    factors = tuple(
        multiplier(float(in_scale) * float(scale) / float(out_scale)) for scale in scales
    )
    largest = np.abs(rows.astype(np.int64)).sum(axis=1) * 255 + np.abs(biases)
    require(
        bool(np.all(largest <= _LARGEST_SUM)), f"{where} could overflow its 32-bit sums"
    )
    return Layer(
        kind, in_length, out_length, in_channels, out_channels, taps, operator.stride[1],
        pad_left, in_zero, out_zero, low, high, rows, biases.astype(np.int32), factors,
        out_length * int(np.prod(weights.shape)),
    )  # fmt: skip


def _filters(
    operator: Operator,
    weights: Tensor,
    in_length: int,
    in_channels: int,
    out_length: int,
    out_channels: int,
    where: str,
) -> tuple[Kind, Int8Array, int, int]:
    """Kind, weights (out_channels, taps or in_channels), taps stored, left padding."""
    values = weights.constant()
    require(values.dtype == np.int8, f"{where} has {values.dtype} weights, not int8")
    if operator.name == "FULLY_CONNECTED" or values.shape[1:3] == (1, 1):
        dense = operator.name == "FULLY_CONNECTED"
        ok = operator.name != "DEPTHWISE_CONV_2D" and operator.stride == (1, 1)
        ok = ok and values.size == out_channels * in_channels and in_channels % 4 == 0
        require(
            ok and values.shape[0] == out_channels and in_length == out_length,
            f"{where} has weights of shape {values.shape}; known are (out, 1, 1, in) at "
            "stride 1 with a multiple of 4 channels in",
        )
        matrix = values.reshape(out_channels, in_channels).astype(np.int8)
        return "DENSE" if dense else "POINTWISE", matrix, 0, 0
    kind: Kind = "STEM" if in_channels == 1 else "DEPTHWISE"
    require(
        operator.name == "DEPTHWISE_CONV_2D"
        and values.ndim == 4
        and values.shape[:2] == (1, 1)
        and values.shape[3] == out_channels
        and in_channels in (1, out_channels)
        and operator.dilation == (1, 1),
        f"{where} has weights of shape {values.shape}; known are depthwise filters "
        "(1, 1, taps, channels) without dilation",
    )
    taps, stride = int(values.shape[2]), operator.stride[1]
    require(
        2 <= taps <= MAX_TAPS and 1 <= stride <= 255,
        f"{where} has {taps} taps at stride {stride}; known are 2 to {MAX_TAPS} taps",
    )
    left = right = 0
    if operator.same_padding:
        left, right = same_padding(in_length, taps, stride)
    require(
        out_length == (in_length + left + right - taps) // stride + 1,
        f"{where} makes {out_length} steps of {in_length}, its filter says otherwise",
    )
    rows = values[0, 0].T.astype(np.int8)
    if taps % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    return kind, np.ascontiguousarray(rows), taps + taps % 2, left


def _steps_and_channels(tensor: Tensor, where: str) -> tuple[int, int]:
    shape = tensor.shape
    fits = shape[:1] == (1,) and (len(shape) == 2 or (len(shape) == 4 and shape[1] == 1))
    require(fits and min(shape) > 0, f"{where} meets a tensor of shape {shape}")
    steps, channels = (shape[2], shape[3]) if len(shape) == 4 else (1, shape[1])
    require(max(steps, channels) < 1 << 16, f"{where} meets a tensor of shape {shape}")
    return steps, channels


def _scale_and_zero(tensor: Tensor, where: str) -> tuple[np.float32, int]:
    scale, zero = tensor.one_scale()
    require(
        1e-12 < float(scale) < 1e12 and -128 <= zero <= 127,
        f"{where} meets a tensor of scale {scale:g} and zero point {zero}",
    )
    return scale, zero


def require(condition: bool, message: str) -> None:
    """Raise `PackageIncompatibleError` with `message` unless `condition` holds."""
    if not condition:
        raise PackageIncompatibleError(f"the firmware cannot run this model: {message}")

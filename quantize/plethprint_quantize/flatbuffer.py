"""Reads an int8 ``.tflite`` file: operators, tensors, weights, scales and zero points.

A ``.tflite`` file is a flatbuffer. Only the few tables that the deploy graph uses are
read here, with :mod:`struct` and numpy, so that the ONNX transcription and the firmware
generator need neither TensorFlow nor LiteRT. Field numbers are those of
``tensorflow/compiler/mlir/lite/schema/schema.fbs``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from plethprint.errors import PackageError, PackageIncompatibleError
from plethprint_quantize.flatbuffer_table import Table

__all__ = [
    "DEPLOY_OPS",
    "Activation",
    "Graph",
    "Operator",
    "Tensor",
    "read_tflite",
    "same_padding",
]

Activation = Literal["NONE", "RELU", "RELU6"]

DEPLOY_OPS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED"})
"""The only operators a deploy graph may have: all exist in every int8 runtime."""

_OP_NAMES = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 14: "LOGISTIC",
    17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE", 25: "SOFTMAX",
    28: "TANH", 32: "CUSTOM", 34: "PAD", 39: "TRANSPOSE", 40: "MEAN", 41: "SUB",
    43: "SQUEEZE", 45: "STRIDED_SLICE", 70: "EXPAND_DIMS", 74: "SUM", 114: "QUANTIZE",
    117: "HARD_SWISH",
}  # fmt: skip
_TYPES = {
    0: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
}
_ACTIVATIONS: dict[int, Activation] = {0: "NONE", 1: "RELU", 3: "RELU6"}


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of the graph.

    Attributes
    ----------
    index : int
        Number of the tensor inside the file.
    name : str
        Name that the converter gave it.
    shape : tuple of int
        Dimensions; activations are NHWC with N = 1.
    dtype : str
        numpy name, such as ``"int8"``.
    scale, zero_point : ndarray
        float32 and int64; empty for a tensor that is not quantised, one value per
        tensor or one value per channel along `quantized_dimension`. A real value is
        ``scale * (integer - zero_point)``.
    quantized_dimension : int
        Axis of the channels when there are several scales.
    data : ndarray or None
        The constant, shaped; None for an activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    quantized_dimension: int
    data: npt.NDArray[np.generic] | None

    def constant(self) -> npt.NDArray[np.generic]:
        """Return the constant, or raise `PackageError` for an activation."""
        if self.data is None:
            raise PackageError(f"tensor {self.name!r} was expected to be a constant")
        return self.data

    def one_scale(self) -> tuple[np.float32, int]:
        """Return the single (scale, zero point); `PackageError` if there is not one."""
        if self.scale.size != 1 or self.zero_point.size != 1:
            raise PackageError(
                f"tensor {self.name!r} was expected to have one scale and one zero point, "
                f"it has {self.scale.size} and {self.zero_point.size}"
            )
        return np.float32(self.scale[0]), int(self.zero_point[0])


@dataclass(frozen=True)
class Operator:
    """One operator, its tensors by number, and the options the deploy graph uses."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: Activation = "NONE"
    same_padding: bool = True
    stride: tuple[int, int] = (1, 1)
    """Height, width."""
    dilation: tuple[int, int] = (1, 1)
    depth_multiplier: int = 1
    keep_dims: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """A whole model with one input and one output, operators in running order."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: Tensor
    output: Tensor

    @property
    def ops(self) -> tuple[str, ...]:
        """Names of the operators in running order."""
        return tuple(op.name for op in self.operators)

    def require_deploy_ops(self) -> None:
        """Refuse a graph with an operator outside `DEPLOY_OPS`.

        Raises
        ------
        PackageIncompatibleError
            Names each foreign operator and how often it occurs.
        """
        foreign = {op: self.ops.count(op) for op in self.ops if op not in DEPLOY_OPS}
        if foreign:
            found = ", ".join(f"{count} x {op}" for op, count in foreign.items())
            raise PackageIncompatibleError(
                f"the deploy graph may only have {', '.join(sorted(DEPLOY_OPS))}, "
                f"this one also has {found}"
            )


def read_tflite(source: bytes | Path | str) -> Graph:
    """Read an int8 ``.tflite`` model.

    Parameters
    ----------
    source : bytes or path
        The model, or the file that holds it.

    Returns
    -------
    Graph
        Its operators in running order and all of its tensors.

    Raises
    ------
    PackageError
        The bytes are not a ``.tflite`` model, are cut short, or the model does not have
        exactly one graph, one input and one output.

    Examples
    --------
    >>> graph = read_tflite("encoder.tflite")  # doctest: +SKIP
    >>> graph.ops[0], graph.output.shape  # doctest: +SKIP
    ('CONV_2D', (1, 64))
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    if data[4:8] != b"TFL3":
        raise PackageError("not a .tflite model: the identifier TFL3 is missing at byte 4")
    try:
        return _graph(Table.root(data))
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, PackageError):
            raise
        raise PackageError(
            f"the .tflite model is damaged or cut short: {error!r}"
        ) from error


def same_padding(width: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the (left, right) zeros that TFLite's SAME padding puts around `width`.

    Examples
    --------
    >>> same_padding(640, 8, 2), same_padding(640, 9, 2)
    ((3, 3), (3, 4))
    """
    total = max((-(-width // stride) - 1) * stride + kernel - width, 0)
    return total // 2, total - total // 2


def _graph(model: Table) -> Graph:
    subgraphs = model.tables(2)
    if len(subgraphs) != 1:
        raise PackageError(f"the model has {len(subgraphs)} graphs, one was expected")
    # builtin_code outgrew its byte in 2020; the larger of the old and new field counts
    codes = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]
    buffers = model.tables(4)
    tensors = tuple(
        _tensor(i, table, buffers) for i, table in enumerate(subgraphs[0].tables(0))
    )
    inputs, outputs = subgraphs[0].integers(1), subgraphs[0].integers(2)
    if len(inputs) != 1 or len(outputs) != 1:
        raise PackageError(
            f"the model has {len(inputs)} inputs and {len(outputs)} outputs, "
            "one of each was expected"
        )
    return Graph(
        tensors,
        tuple(_operator(table, codes) for table in subgraphs[0].tables(3)),
        tensors[inputs[0]],
        tensors[outputs[0]],
    )


def _tensor(index: int, table: Table, buffers: list[Table]) -> Tensor:
    code = table.number(1, "b")
    dtype = _TYPES.get(code, f"type {code}")
    shape = table.integers(0)
    buffer = buffers[table.number(2, "I")]
    raw = buffer.array(0, "u1")
    if not raw.size and buffer.number(1, "Q") > 1:
        raise PackageError(
            f"the numbers of {table.text(3)!r} lie behind the .tflite model's tables, "
            "where not every runtime looks for them"
        )
    quantization = table.table(4)
    if raw.size and code not in _TYPES:
        raise PackageError(f"tensor {table.text(3)!r} holds numbers of a {dtype} not known")
    return Tensor(
        index,
        table.text(3),
        shape,
        dtype,
        np.asarray(quantization.array(2, "<f4") if quantization else [], np.float32),
        np.asarray(quantization.array(3, "<i8") if quantization else [], np.int64),
        quantization.number(6, "i") if quantization else 0,
        raw.view(np.dtype(dtype).newbyteorder("<")).reshape(shape) if raw.size else None,
    )


def _operator(table: Table, codes: list[int]) -> Operator:
    code = codes[table.number(0, "I")]
    name = _OP_NAMES.get(code, f"BUILTIN_{code}")
    inputs, outputs = table.integers(1), table.integers(2)
    options = table.table(4)
    if options is None:
        return Operator(name, inputs, outputs)
    if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        # DepthwiseConv2DOptions has depth_multiplier where Conv2DOptions has activation
        depthwise = int(name == "DEPTHWISE_CONV_2D")
        return Operator(
            name,
            inputs,
            outputs,
            _ACTIVATIONS[options.number(3 + depthwise, "b")],
            options.number(0, "b") == 0,
            (options.number(2, "i"), options.number(1, "i")),
            (options.number(5 + depthwise, "i", 1), options.number(4 + depthwise, "i", 1)),
            options.number(3, "i") if depthwise else 1,
        )
    if name == "FULLY_CONNECTED":
        return Operator(name, inputs, outputs, _ACTIVATIONS[options.number(0, "b")])
    if name == "MEAN":
        return Operator(name, inputs, outputs, keep_dims=bool(options.number(0, "b")))
    return Operator(name, inputs, outputs)

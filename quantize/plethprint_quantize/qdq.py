"""Transcribes the int8 ``.tflite`` model to ONNX: same integers, same scales.

Nothing is quantised a second time. Every int8 weight, int32 bias, scale and zero point of
the flatbuffer becomes an initializer, and quantise/dequantise pairs around each operator
let onnxruntime fuse them into its own 8-bit kernels. What is left to differ is rounding:
TFLite multiplies by a fixed-point number, onnxruntime by a float.

Inside the graph every int8 ``q`` is stored as the uint8 ``q + 128`` with its zero point
moved likewise: the same real number. On x86 processors without VNNI, onnxruntime's kernel
for uint8 activations and int8 weights adds pairs of products in 16 bits and saturates
silently (11 steps off in a measured case); its uint8-uint8 kernel does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import MissingExtraError, PackageIncompatibleError
from plethprint_quantize.flatbuffer import Graph, Operator, Tensor, same_padding

__all__ = ["OPSET", "transcribe"]

OPSET = 17


def transcribe(graph: Graph) -> bytes:
    """Write the ONNX form of an int8 deploy graph.

    Parameters
    ----------
    graph : Graph
        From `read_tflite`; only `DEPLOY_OPS`, int8 input and output.

    Returns
    -------
    bytes
        ONNX model, opset 17. Input ``window`` int8 (N, 1, 1, T), output ``fingerprint``
        int8 (N, D), N free.

    Raises
    ------
    PackageIncompatibleError
        The graph has a foreign operator or an activation that is not int8.
    MissingExtraError
        The `onnx` package is not installed.

    Examples
    --------
    >>> model = transcribe(read_tflite("encoder.tflite"))  # doctest: +SKIP
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("quantize", "Writing the ONNX model") from error
    graph.require_deploy_ops()
    if graph.input.dtype != "int8" or graph.output.dtype != "int8":
        raise PackageIncompatibleError("the .tflite model does not take and give int8")
    writer = _Writer(onnx, graph)
    for operator in graph.operators:
        writer.add(operator)
    return writer.finish()


@dataclass
class _Writer:
    onnx: Any
    graph: Graph
    nodes: list[Any] = field(default_factory=list)
    initializers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the int8 window in as uint8."""
        scale, zero_point = self.graph.input.one_scale()
        parameters = self._parameters("window_int8", scale, np.int8(zero_point))
        self._node("DequantizeLinear", ["window", *parameters], "window_real")
        self._quantize(self.graph.input, "window_real")

    def add(self, operator: Operator) -> None:
        source, target = self._tensor(operator.inputs[0]), self._tensor(operator.outputs[0])
        name, real = self._name(target), f"{self._name(source)}_out"
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self._convolution(operator, source, real, name)
        elif operator.name == "MEAN":
            self._mean(operator, source, real, name)
        else:
            self._linear(operator, source, real, name)
        self._quantize(target, self._activation(operator, target, name))

    def finish(self) -> bytes:
        """Give the fingerprint out as int8 and return the checked model."""
        scale, zero_point = self.graph.output.one_scale()
        parameters = self._parameters("fingerprint_int8", scale, np.int8(zero_point))
        last = f"{self._name(self.graph.output)}_out"
        self._node("QuantizeLinear", [last, *parameters], "fingerprint")
        helper, integer = self.onnx.helper, self.onnx.TensorProto.INT8
        samples, dim = self.graph.input.shape[2], self.graph.output.shape[-1]
        body = helper.make_graph(
            self.nodes,
            "plethprint",
            [helper.make_tensor_value_info("window", integer, ["N", 1, 1, samples])],
            [helper.make_tensor_value_info("fingerprint", integer, ["N", dim])],
            list(self.initializers.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            body, opset_imports=opsets, ir_version=8, producer_name="plethprint"
        )
        self.onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())

    def _convolution(
        self, operator: Operator, source: Tensor, real: str, name: str
    ) -> None:
        weights, bias = self._tensor(operator.inputs[1]), self._tensor(operator.inputs[2])
        values = weights.constant()
        if operator.name == "CONV_2D":
            values, group = values.transpose(0, 3, 1, 2), 1  # OHWI -> OIHW
        else:
            values, group = values.transpose(3, 0, 1, 2), source.shape[3]  # 1HWO -> O1HW
        padding = (0, 0)
        kernel = (values.shape[3] - 1) * operator.dilation[1] + 1
        if operator.same_padding:
            padding = same_padding(source.shape[2], kernel, operator.stride[1])
        self._node(
            "Conv",
            [
                real,
                self._constant(f"{name}_weights", values, weights),
                self._constant(f"{name}_bias", bias.constant(), bias),
            ],
            f"{name}_sum",
            kernel_shape=list(values.shape[2:]),
            strides=list(operator.stride),
            dilations=list(operator.dilation),
            pads=[0, padding[0], 0, padding[1]],
            group=group,
        )

    def _mean(self, operator: Operator, source: Tensor, real: str, name: str) -> None:
        axes = {int(a) % 4 for a in np.ravel(self._tensor(operator.inputs[1]).constant())}
        if not ({2} <= axes <= {1, 2}) or source.shape[1] != 1 or operator.keep_dims:
            raise PackageIncompatibleError("the MEAN of the model is not a mean over time")
        self._node("ReduceMean", [real], f"{name}_sum", axes=[2, 3], keepdims=0)

    def _linear(self, operator: Operator, source: Tensor, real: str, name: str) -> None:
        weights, bias = self._tensor(operator.inputs[1]), self._tensor(operator.inputs[2])
        self._node(
            "Gemm",
            [
                real,
                self._constant(f"{name}_weights", weights.constant(), weights),
                self._constant(f"{name}_bias", bias.constant(), bias),
            ],
            f"{name}_sum",
            transB=1,
        )

    def _activation(self, operator: Operator, target: Tensor, name: str) -> str:
        """Clip only where saturation to int8 does not already do it."""
        scale, zero_point = target.one_scale()
        low = zero_point if operator.activation != "NONE" else -128
        high = (
            zero_point + round(6 / float(scale)) if operator.activation == "RELU6" else 127
        )
        if low <= -128 and high >= 127:
            return f"{name}_sum"
        limits = [
            self._initializer(f"{name}_{side}", np.float32(value))
            for side, value in (
                ("low", (max(low, -128) - zero_point) * scale),
                ("high", (min(high, 127) - zero_point) * scale),
            )
        ]
        self._node("Clip", [f"{name}_sum", *limits], f"{name}_clipped")
        return f"{name}_clipped"

    def _tensor(self, index: int) -> Tensor:
        return self.graph.tensors[index]

    def _name(self, tensor: Tensor) -> str:
        return f"t{tensor.index}"

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(
            self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes)
        )

    def _initializer(self, name: str, values: npt.ArrayLike) -> str:
        array = np.ascontiguousarray(values)
        self.initializers[name] = self.onnx.numpy_helper.from_array(
            array.reshape(np.shape(values)), name
        )
        return name

    def _parameters(
        self, name: str, scale: npt.ArrayLike, zero_point: npt.ArrayLike
    ) -> list[str]:
        return [
            self._initializer(f"{name}_scale", np.asarray(scale, np.float32)),
            self._initializer(f"{name}_zero_point", zero_point),
        ]

    def _quantize(self, tensor: Tensor, real: str) -> None:
        """Round `real` to the steps of an activation, and back."""
        scale, zero_point = tensor.one_scale()
        name = self._name(tensor)
        parameters = self._parameters(name, scale, np.uint8(zero_point + 128))
        self._node("QuantizeLinear", [real, *parameters], name)
        self._node("DequantizeLinear", [name, *parameters], f"{name}_out")

    def _constant(self, name: str, values: npt.NDArray[np.generic], tensor: Tensor) -> str:
        """Add a quantised constant and its dequantisation, per channel along axis 0."""
        scale = np.broadcast_to(tensor.scale, (values.shape[0],))
        zero_point = np.zeros(len(scale), np.int32)
        if values.dtype == np.int8:
            values = (values.astype(np.int16) + 128).astype(np.uint8)
            zero_point = np.full(len(scale), 128, np.uint8)
        inputs = [
            self._initializer(name, values),
            *self._parameters(name, scale, zero_point),
        ]
        self._node("DequantizeLinear", inputs, f"{name}_out", axis=0)
        return f"{name}_out"

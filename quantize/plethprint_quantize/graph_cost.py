"""Counts what a ``.tflite`` graph costs by its shapes: MACs, parameters, memory.

Needs numpy alone, so that a report can be made where neither torch nor LiteRT is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from plethprint.errors import PackageIncompatibleError
from plethprint_quantize.flatbuffer import Graph, Operator, Tensor

__all__ = ["GraphCost", "StepCost", "graph_cost"]

_WEIGHTLESS = frozenset({"MEAN"})


@dataclass(frozen=True)
class StepCost:
    """What one operator costs for one window."""

    name: str
    """Kind and shape for a reader, such as ``"DEPTHWISE_CONV_2D 1x8 /2"``."""
    output_shape: tuple[int, ...]
    """Without the batch of 1."""
    macs: int
    """Multiply-accumulates; taps on padding count, bias additions do not."""
    parameters: int
    """Weights and biases."""
    constant_bytes: int
    """Of its weights and biases as they are stored."""
    live_bytes: int
    """Of its input and output together, while it runs."""


@dataclass(frozen=True)
class GraphCost:
    """What a whole graph costs for one window."""

    steps: tuple[StepCost, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return sum(step.macs for step in self.steps)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(step.parameters for step in self.steps)

    @property
    def constant_bytes(self) -> int:
        """Of all weights and biases; no code, no scales."""
        return sum(step.constant_bytes for step in self.steps)

    @property
    def activation_bytes(self) -> int:
        """Of the step with the largest input and output, none computed in place."""
        return max((step.live_bytes for step in self.steps), default=0)


def graph_cost(graph: Graph) -> GraphCost:
    """Count each operator of a deploy graph by its shapes.

    Parameters
    ----------
    graph
        From `plethprint_quantize.flatbuffer.read_tflite`.

    Raises
    ------
    PackageIncompatibleError
        An operator outside `DEPLOY_OPS`, or without the weights it needs: a count that
        left it out would be too small and say nothing.

    Examples
    --------
    >>> from plethprint.package import ModelPackage
    >>> from plethprint_quantize.flatbuffer import read_tflite
    >>> package = ModelPackage.load()
    >>> cost = graph_cost(read_tflite(package.read_bytes("encoder.tflite")))
    >>> cost.macs == package.manifest.macs
    True
    """
    graph.require_deploy_ops()
    return GraphCost(tuple(_step(graph, operator) for operator in graph.operators))


def _step(graph: Graph, operator: Operator) -> StepCost:
    source, output = (
        graph.tensors[operator.inputs[0]],
        graph.tensors[operator.outputs[0]],
    )
    live = _bytes(source) + _bytes(output)
    if operator.name in _WEIGHTLESS:
        return StepCost(operator.name, output.shape[1:], 0, 0, 0, live)
    constants = [graph.tensors[i] for i in operator.inputs[1:] if i >= 0]
    if not constants or any(tensor.data is None for tensor in constants):
        raise PackageIncompatibleError(
            f"{operator.name} that makes {output.name!r} has no constant weights: its "
            "cost cannot be counted"
        )
    weights = constants[0]
    if operator.name == "DEPTHWISE_CONV_2D":  # weights (1, height, width, channels)
        macs = prod(output.shape[1:]) * prod(weights.shape[1:3])
    else:  # convolution (out, height, width, in) or fully connected (out, in)
        macs = prod(output.shape[1:]) * prod(weights.shape[1:])
    return StepCost(
        _title(operator, weights),
        output.shape[1:],
        macs,
        sum(prod(tensor.shape) for tensor in constants),
        sum(_bytes(tensor) for tensor in constants),
        live,
    )


def _title(operator: Operator, weights: Tensor) -> str:
    if operator.name == "FULLY_CONNECTED":
        return operator.name
    height, width = weights.shape[1:3]
    stride = max(operator.stride)
    return f"{operator.name} {height}x{width}" + (f" /{stride}" if stride > 1 else "")


def _bytes(tensor: Tensor) -> int:
    return prod(tensor.shape) * np.dtype(tensor.dtype).itemsize

"""The layers of an int8 ``.tflite`` as the firmware runs them, and the memory they need."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from plethprint_quantize.firmware.layer import Layer, make_layer, require
from plethprint_quantize.flatbuffer import Graph

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """The layers in running order."""

    layers: tuple[Layer, ...]
    input_scale: float
    output_scale: float

    @property
    def window(self) -> int:
        """Samples of one window."""
        return self.layers[0].in_length

    @property
    def dim(self) -> int:
        """Numbers of one fingerprint."""
        return self.layers[-1].out_channels

    @property
    def activation_bytes(self) -> int:
        """Size of the one buffer in which every layer works in place."""
        sizes = [layer.out_length * layer.out_channels for layer in self.layers]
        return -(-max(*sizes, self.window) // 4) * 4

    @property
    def scratch_values(self) -> int:
        """16-bit values of scratch that the hungriest layer needs, an even number."""
        return -(-max(layer.scratch_values for layer in self.layers) // 2) * 2

    @property
    def table_bytes(self) -> int:
        """Bytes of constants in flash."""
        return sum(layer.table_bytes for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiplications of one window."""
        return sum(layer.macs for layer in self.layers)

    @property
    def shape_id(self) -> str:
        """Eight hex digits that two models of the same architecture share.

        Sizes and instruction counts measured on one then hold for the other.
        """
        shapes = [
            (
                layer.kind,
                layer.in_length,
                layer.out_length,
                layer.in_channels,
                layer.out_channels,
                layer.taps,
                layer.stride,
                layer.pad_left,
            )
            for layer in self.layers
        ]
        return f"{zlib.crc32(repr(shapes).encode()):08x}"

    def crc(self) -> int:
        """CRC-32 of all tables in the order of pp_model_crc in pp_encoder.c."""
        crc = 0
        for layer in self.layers:
            values = [m.value for m in layer.multipliers]
            halvings = [m.halvings for m in layer.multipliers]
            for table in (
                layer.weights,
                layer.bias.astype("<i4"),
                np.array(values, "<i4"),
                np.array(halvings, np.uint8),
            ):
                crc = zlib.crc32(table.tobytes(), crc)
        return crc


def make_plan(graph: Graph) -> Plan:
    """Check a graph and turn it into layers.

    Parameters
    ----------
    graph : Graph
        From :func:`plethprint_quantize.flatbuffer.read_tflite`.

    Returns
    -------
    Plan

    Raises
    ------
    PackageIncompatibleError
        The graph has an operator, a shape, a type or a scale that the kernels do not
        know; the message names it.
    PackageError
        A tensor lacks its constant or its scale.

    Examples
    --------
    >>> plan = make_plan(read_tflite("encoder.tflite"))  # doctest: +SKIP
    >>> plan.activation_bytes  # doctest: +SKIP
    5120
    """
    graph.require_deploy_ops()
    layers: list[Layer] = []
    current = graph.input
    require(
        current.dtype == "int8" and len(current.shape) == 4,
        f"the input must be int8 of shape (1, 1, T, 1), it is {current.dtype} "
        f"of shape {current.shape}",
    )
    for number, operator in enumerate(graph.operators):
        where = f"operator {number} ({operator.name})"
        require(
            len(operator.inputs) >= 2 and operator.inputs[0] == current.index,
            f"{where} does not take the output of the operator before it",
        )
        known = range(len(graph.tensors))
        require(
            all(index in known for index in operator.inputs + operator.outputs),
            f"{where} names a tensor that is not there",
        )
        require(len(operator.outputs) == 1, f"{where} must have one output")
        output = graph.tensors[operator.outputs[0]]
        require(output.dtype == "int8", f"{where} gives {output.dtype}, int8 was expected")
        layers.append(make_layer(graph, operator, current, output, where))
        current = output
    require(current.index == graph.output.index, "the last operator is not the output")
    stems = [number for number, layer in enumerate(layers) if layer.kind == "STEM"]
    require(
        stems == [0] and layers[-1].out_length == 1,
        "the graph must begin with the stem's filters and end in one vector",
    )
    return Plan(
        tuple(layers),
        float(graph.input.one_scale()[0]),
        float(graph.output.one_scale()[0]),
    )

"""Makes the canonical int8 model: deploy graph -> float .tflite -> int8 .tflite.

litert-torch converts, ai-edge-quantizer writes int8 weights (per channel) and
activations. Ranges come from :mod:`plethprint_quantize.calibrate` rather than from the
quantizer's own calibration, which averages them over time and so depends on the order
of the windows. The input scale is the preprocessing's and the output is symmetric, so a
fingerprint on the wire needs no zero point.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from plethprint.errors import EncoderError, MissingExtraError
from plethprint.signal import PPG
from plethprint_quantize.calibrate import Ranges
from plethprint_quantize.export import DeployNet
from plethprint_quantize.flatbuffer import Graph, read_tflite

__all__ = ["convert_float", "quantize_int8", "with_representable_biases"]

_LOGGER = logging.getLogger(__name__)

_MAX_BIAS = 2**28
"""Largest int32 bias that leaves room for the products on top of it."""


def convert_float(deploy: DeployNet, *, window_samples: int = PPG.window_samples) -> bytes:
    """Convert the deploy graph to a float ``.tflite``, input NHWC (1, 1, T, 1).

    Returns
    -------
    bytes
        The model; its operators are checked to be those of `DEPLOY_OPS`.

    Raises
    ------
    MissingExtraError
        litert-torch is not installed.
    PackageIncompatibleError
        The converter added an operator outside the deploy graph.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    try:
        with _quiet():
            import litert_torch
    except ImportError as error:
        raise MissingExtraError("tflite", "Converting to TFLite") from error
    example = (torch.zeros(1, 1, window_samples, 1),)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "float.tflite"
        channels_last = litert_torch.to_channel_last_io(deploy, args=[0]).eval()
        litert_torch.convert(channels_last, example).export(str(path))
        model = _named(path.read_bytes())
    read_tflite(model).require_deploy_ops()
    return model


def quantize_int8(float_model: bytes, ranges: Ranges) -> bytes:
    """Quantise a float ``.tflite`` to int8 weights, activations, input and output.

    Parameters
    ----------
    float_model : bytes
        From `convert_float`.
    ranges : Ranges
        Real range of each step's output, in running order.

    Returns
    -------
    bytes
        int8 model: input scale ``PPG.input_scale`` and zero point 0, output zero point 0.

    Raises
    ------
    MissingExtraError
        ai-edge-quantizer is not installed.
    EncoderError
        The quantizer's weights, biases or scales are not what was asked for.
    """
    try:
        with _quiet():
            from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        raise MissingExtraError("tflite", "Quantising to TFLite") from error
    graph = read_tflite(float_model)
    scale = PPG.input_scale
    statistics = {graph.input.name: _statistics(-128 * scale, 127 * scale)}
    for operator, (low, high) in zip(graph.operators, ranges.steps, strict=True):
        if operator is graph.operators[-1]:
            step = max(abs(low), abs(high)) / 127
            low, high = -128 * step, 127 * step
        statistics[graph.tensors[operator.outputs[0]].name] = _statistics(low, high)
    with _quiet():
        worker = quantizer.Quantizer(bytearray(float_model))
        worker.load_quantization_recipe(recipe.static_wi8_ai8())
        result = worker.quantize(statistics, enable_progress_report=False)
        model = _whole(bytes(result.quantized_model))
    _check(graph, read_tflite(model))
    return model


def with_representable_biases(deploy: DeployNet, ranges: Ranges) -> DeployNet:
    """Return a copy whose every bias fits int32 at its channel's weight scale.

    A channel that training has switched off keeps a bias but weights near zero, and with
    them a scale so small that its bias would overflow and be clipped silently. One weight
    of such a channel is raised just enough; its output moves by less than half a step.
    """
    copied = copy.deepcopy(deploy)
    input_step = PPG.input_scale
    highs = [high for _, high in ranges.steps]
    layers: list[nn.Conv2d | nn.Linear] = [*copied.layers(), copied.head]
    # the linear layer reads the mean, which stands between it and the last convolution
    steps = [
        input_step,
        *(high / 255 for high in highs[: len(layers) - 2]),
        highs[-2] / 255,
    ]
    for layer, step in zip(layers, steps, strict=True):
        assert layer.bias is not None
        weight, bias = layer.weight.detach(), layer.bias.detach()
        rows = weight.view(weight.shape[0], -1)
        needed = bias.abs() * 127 / (_MAX_BIAS * max(step, 1e-9))
        for channel in torch.nonzero(rows.abs().amax(dim=1) < needed).flatten().tolist():
            rows[channel, 0] = needed[channel]
    return copied


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Turn the converters' progress bars and warnings into debug log records."""
    said = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield
    for line in said.getvalue().splitlines():
        _LOGGER.debug("%s", line)


def _statistics(low: float, high: float) -> dict[str, Any]:
    return {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}


def _named(model: bytes) -> bytes:
    """Give the tensors short names: the converter's are Python class paths, repeated."""
    from ai_edge_litert.tools import flatbuffer_utils

    tree = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (subgraph,) = tree.subgraphs
    last = len(subgraph.operators) - 1
    for number, operator in enumerate(subgraph.operators):
        for role, tensor in zip(
            ("input", "weights", "bias"), operator.inputs, strict=False
        ):
            if tensor >= 0 and role != "input":
                subgraph.tensors[tensor].name = f"step{number}_{role}".encode()
        name = "fingerprint" if number == last else f"step{number}"
        subgraph.tensors[operator.outputs[0]].name = name.encode()
    subgraph.tensors[subgraph.inputs[0]].name = b"window"
    subgraph.name = b"plethprint"
    for signature in tree.signatureDefs or []:
        signature.inputs[0].name = b"window"
        signature.outputs[0].name = b"fingerprint"
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))


def _whole(model: bytes) -> bytes:
    """Bring constants that lie behind the flatbuffer back into it.

    The quantizer puts them there once they pass 256 KiB together, as those of a `mini` do.
    tflite-micro does not look there. A model without such constants stays as it is.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    data = bytearray(model)
    if not any(
        b.offset for b in flatbuffer_utils.convert_bytearray_to_object(data).buffers
    ):
        return model
    tree = flatbuffer_utils.read_model_from_bytearray(data)
    for buffer in tree.buffers:
        if isinstance(buffer.data, bytes | bytearray):
            # Byte by byte, as the writer would take them, is slow.
            buffer.data = np.frombuffer(buffer.data, np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))


def _check(source: Graph, made: Graph) -> None:
    """Compare what the quantizer wrote with the float model it was given."""
    made.require_deploy_ops()
    scale, zero_point = made.input.one_scale()
    if (made.input.dtype, zero_point) != ("int8", 0) or not np.isclose(
        scale, PPG.input_scale, rtol=1e-6
    ):
        raise EncoderError(
            f"the quantised input has scale {scale}, zero point {zero_point}"
        )
    if made.output.dtype != "int8" or made.output.one_scale()[1] != 0:
        raise EncoderError("the quantised output is not int8 with zero point 0")
    for before, after in zip(source.operators, made.operators, strict=True):
        for old, new in zip(before.inputs[1:], after.inputs[1:], strict=True):
            wanted, tensor = source.tensors[old], made.tensors[new]
            if not tensor.scale.size:
                continue
            shape = [1] * len(tensor.shape)
            shape[tensor.quantized_dimension] = -1
            step = tensor.scale.astype(np.float64).reshape(shape)
            exact = wanted.constant().astype(np.float64) / step
            # a scale is a float32: a bias of many steps carries its rounding
            error = np.abs(tensor.constant().astype(np.float64) - exact) - 2**-21 * np.abs(
                exact
            )
            if error.max() > 0.51:
                raise EncoderError(
                    f"{tensor.name!r} was quantised with an error of {error.max():.2g} "
                    "steps: weights or biases do not fit"
                )

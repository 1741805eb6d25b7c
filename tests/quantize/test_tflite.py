import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from plethprint.errors import EncoderError, MissingExtraError, PackageError
from plethprint.signal import PPG
from plethprint_quantize.calibrate import Ranges, float_fingerprints, measure_ranges
from plethprint_quantize.flatbuffer import read_tflite
from plethprint_quantize.tflite import (
    _check,
    _whole,
    convert_float,
    quantize_int8,
    with_representable_biases,
)


def bias_steps(deploy, ranges):
    """Largest int32 bias of each layer, as the quantizer will scale it."""
    input_steps = [PPG.input_scale, *(high / 255 for _, high in ranges.steps)]
    largest = []
    for layer, step in zip(deploy.layers(), input_steps, strict=False):
        weight_steps = layer.weight.abs().amax(dim=(1, 2, 3)).clamp_min(1e-12) / 127
        largest.append(float((layer.bias.abs() / weight_steps / step).max()))
    return largest


def test_a_channel_that_training_switched_off_keeps_a_bias_that_fits(deploy, windows):
    with torch.no_grad():
        deploy.convolutions[2].weight[3] = 1e-20
        deploy.convolutions[2].bias[3] = 0.7
    ranges = measure_ranges(deploy, windows)
    assert bias_steps(deploy, ranges)[2] > 2**31
    mended = with_representable_biases(deploy, ranges)
    assert bias_steps(mended, ranges)[2] < 2**29
    before, after = (float_fingerprints(d, windows) for d in (deploy, mended))
    step = np.abs(before).max() / 127
    assert np.abs(after - before).max() < 0.1 * step


def test_healthy_channels_are_left_alone(deploy, windows):
    mended = with_representable_biases(deploy, measure_ranges(deploy, windows))
    for name, value in mended.state_dict().items():
        assert torch.equal(value, deploy.state_dict()[name]), name


def test_a_missing_converter_names_the_extra(deploy, monkeypatch):
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(MissingExtraError, match=r"plethprint\[tflite\]"):
        convert_float(deploy)


def test_a_missing_quantizer_names_the_extra(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(MissingExtraError, match=r"plethprint\[tflite\]"):
        quantize_int8(tiny_model, Ranges("min-max", (), 0))


def test_weights_that_were_not_quantised_faithfully_are_noticed(tiny_graph):
    with pytest.raises(EncoderError, match="step0_weights"):
        _check(_real(tiny_graph, shift=0.9), tiny_graph)
    _check(_real(tiny_graph, shift=0.3), tiny_graph)
    other = replace(tiny_graph.input, scale=np.array([0.05], np.float32))
    with pytest.raises(EncoderError, match="input has scale"):
        _check(_real(tiny_graph, shift=0.0), replace(tiny_graph, input=other))


def _real(graph, *, shift):
    """The float graph whose constants are `shift` steps from those of `graph`."""
    tensors = list(graph.tensors)
    for tensor in graph.tensors:
        if tensor.data is not None and tensor.scale.size:
            shape = [1] * len(tensor.shape)
            shape[tensor.quantized_dimension] = -1
            steps = tensor.scale.astype(np.float64).reshape(shape)
            tensors[tensor.index] = replace(tensor, data=(tensor.data + shift) * steps)
    return replace(graph, tensors=tuple(tensors))


def test_constants_behind_the_flatbuffer_are_brought_back_into_it(tiny_model, tiny_graph):
    tools = pytest.importorskip(
        "ai_edge_litert.tools.flatbuffer_utils", reason="needs the `tflite` extra"
    )
    tree = tools.read_model_from_bytearray(bytearray(tiny_model))
    moved = {i: bytes(b.data) for i, b in enumerate(tree.buffers) if b.data is not None}
    # Twice: where a constant comes to lie is known when the rest has its length.
    for start in (1, None):
        body = b"" if start else bytes(tools.convert_object_to_bytearray(tree))
        at = start or len(body)
        for index, data in moved.items():
            buffer = tree.buffers[index]
            buffer.data, buffer.offset, buffer.size = None, at, len(data)
            at += 0 if start else len(data)
    apart = bytes(tools.convert_object_to_bytearray(tree)) + b"".join(moved.values())
    with pytest.raises(PackageError, match="lie behind"):
        read_tflite(apart)
    made = read_tflite(_whole(apart))
    assert made.ops == tiny_graph.ops
    for ours, theirs in zip(made.operators, tiny_graph.operators, strict=True):
        for one, other in zip(ours.inputs[1:], theirs.inputs[1:], strict=True):
            assert np.array_equal(
                made.tensors[one].constant(), tiny_graph.tensors[other].constant()
            )
    assert _whole(tiny_model) == tiny_model

"""A .tflite becomes layers that the kernels know, or is refused in one sentence."""

from dataclasses import replace

import numpy as np
import pytest

from plethprint.errors import PackageError, PackageIncompatibleError, WindowShapeError
from plethprint_quantize.firmware.layer import TILE
from plethprint_quantize.firmware.plan import Plan, make_plan
from plethprint_quantize.firmware.reference import run_plan
from plethprint_quantize.firmware.rescaling import activation_range, multiplier
from plethprint_quantize.flatbuffer import Graph, read_tflite


def _with_operator(graph: Graph, number: int, **changes: object) -> Graph:
    operators = list(graph.operators)
    operators[number] = replace(operators[number], **changes)
    return replace(graph, operators=tuple(operators))


def _with_tensor(graph: Graph, index: int, **changes: object) -> Graph:
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(graph, tensors=tuple(tensors))


def _refused(graph: Graph) -> str:
    with pytest.raises(PackageIncompatibleError) as told:
        make_plan(graph)
    sentence = str(told.value)
    assert "\n" not in sentence
    return sentence


def test_the_numpy_kernels_give_tflite_micros_bits_on_any_window(tiny_model):
    golden = pytest.importorskip("plethprint_quantize.golden")
    pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")
    rng = np.random.default_rng(3)
    windows = rng.integers(-128, 128, (24, 640)).astype(np.int8)
    windows[0], windows[1], windows[2, ::2] = -128, 127, -128
    found = run_plan(make_plan(read_tflite(tiny_model)), windows)
    assert np.array_equal(found, golden.run_tflite_micro(tiny_model, windows))


def test_the_plan_counts_what_the_manifest_counts(shipped):
    plan = make_plan(read_tflite(shipped.read_bytes("encoder.tflite")))
    assert (plan.macs, plan.dim) == (shipped.manifest.macs, shipped.manifest.dim)
    assert plan.output_scale == pytest.approx(shipped.manifest.output_scale)
    assert plan.window == 640


@pytest.mark.parametrize("which", ["tiny", "shipped"])
def test_no_layer_overwrites_what_it_has_yet_to_read(which, tiny_model, shipped):
    model = tiny_model if which == "tiny" else shipped.read_bytes("encoder.tflite")
    plan: Plan = make_plan(read_tflite(model))
    for layer in plan.layers:
        assert layer.out_length * layer.out_channels <= plan.activation_bytes
        if layer.kind not in ("POINTWISE", "DENSE"):
            # filters and means read a whole channel before they write into it
            assert layer.out_length <= layer.in_length
            continue
        starts = list(range(0, layer.in_length, TILE))
        order = starts[::-1] if layer.backward else starts
        unread = set(range(layer.in_length * layer.in_channels))
        for start in order:
            end = min(start + TILE, layer.in_length)
            unread -= set(range(start * layer.in_channels, end * layer.in_channels))
            written = range(start * layer.out_channels, end * layer.out_channels)
            assert unread.isdisjoint(written), layer


def test_an_operator_that_the_kernels_lack_is_named(tiny_graph):
    assert "1 x ADD" in _refused(_with_operator(tiny_graph, 2, name="ADD"))


def test_a_dilated_filter_is_refused(tiny_graph):
    assert "dilation" in _refused(_with_operator(tiny_graph, 1, dilation=(1, 2)))


def test_a_strided_pointwise_layer_is_refused(tiny_graph):
    number = tiny_graph.ops.index("CONV_2D")
    assert "stride 1" in _refused(_with_operator(tiny_graph, number, stride=(1, 2)))


def test_a_filter_that_does_not_make_its_output_is_refused(tiny_graph):
    assert "says otherwise" in _refused(_with_operator(tiny_graph, 0, stride=(1, 3)))


def test_operators_that_are_not_a_chain_are_refused(tiny_graph):
    inputs = tiny_graph.operators[3].inputs
    graph = _with_operator(tiny_graph, 3, inputs=(tiny_graph.input.index, *inputs[1:]))
    assert "the operator before it" in _refused(graph)


def test_a_mean_over_channels_is_refused(tiny_graph):
    axes = tiny_graph.operators[tiny_graph.ops.index("MEAN")].inputs[1]
    graph = _with_tensor(tiny_graph, axes, data=np.array([2, 3], np.int32))
    assert "axes (1, 2)" in _refused(graph)


def test_an_output_that_is_not_int8_is_refused(tiny_graph):
    index = tiny_graph.operators[1].outputs[0]
    assert "int8" in _refused(_with_tensor(tiny_graph, index, dtype="int16"))


def test_weights_with_a_zero_point_are_refused(tiny_graph):
    index = tiny_graph.operators[2].inputs[1]
    zero_point = np.ones_like(tiny_graph.tensors[index].zero_point)
    assert "zero point" in _refused(_with_tensor(tiny_graph, index, zero_point=zero_point))


def test_sums_that_could_overflow_are_refused(tiny_graph):
    index = tiny_graph.operators[2].inputs[2]
    bias = np.full_like(tiny_graph.tensors[index].data, 1 << 30)
    assert "overflow" in _refused(_with_tensor(tiny_graph, index, data=bias))


def test_a_layer_that_amplifies_is_refused(tiny_graph):
    index = tiny_graph.operators[2].inputs[1]
    scale = tiny_graph.tensors[index].scale * np.float32(1000)
    assert "less than 0.5" in _refused(_with_tensor(tiny_graph, index, scale=scale))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_an_activation_without_a_usable_scale_is_refused(tiny_graph, value):
    index = tiny_graph.operators[1].outputs[0]
    scale = np.array([value], np.float32)
    assert "scale" in _refused(_with_tensor(tiny_graph, index, scale=scale))


def test_a_bias_that_is_left_out_is_refused(tiny_graph):
    inputs = (*tiny_graph.operators[2].inputs[:2], -1)
    assert "not there" in _refused(_with_operator(tiny_graph, 2, inputs=inputs))


def test_a_damaged_flatbuffer_is_refused_or_still_a_plan_but_never_a_crash(tiny_model):
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(400):
        damaged = bytearray(tiny_model)
        for at in rng.integers(8, len(damaged), 3):
            damaged[at] = rng.integers(256)
        try:
            make_plan(read_tflite(bytes(damaged)))
        except PackageError:
            refused += 1
    assert 0 < refused < 400


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf"), 0.5])
def test_a_factor_outside_the_kernels_range_is_refused(factor):
    with pytest.raises(PackageIncompatibleError):
        multiplier(factor)


def test_a_factor_is_written_to_31_bits():
    for factor in np.random.default_rng(0).uniform(1e-6, 0.49, 200).tolist():
        found = multiplier(factor)
        assert 1 <= found.halvings <= 31
        assert found.value / 2**31 / 2**found.halvings == pytest.approx(factor, rel=2**-31)
    # q = 2**31 does not fit: it becomes the next power of two
    assert multiplier(np.nextafter(0.25, 0)).value == 1 << 30


def test_the_activation_function_sets_the_range():
    assert activation_range("NONE", np.float32(0.1), 3) == (-128, 127)
    assert activation_range("RELU", np.float32(0.1), 3) == (3, 127)
    assert activation_range("RELU6", np.float32(0.1), 3) == (3, 63)


def test_windows_of_another_length_are_refused(tiny_model):
    with pytest.raises(WindowShapeError, match="640"):
        run_plan(make_plan(read_tflite(tiny_model)), np.zeros((1, 639), np.int8))

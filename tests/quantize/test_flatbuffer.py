from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plethprint.errors import PackageError, PackageIncompatibleError
from plethprint.signal import PPG
from plethprint_quantize.flatbuffer import DEPLOY_OPS, Graph, read_tflite, same_padding


def test_the_graph_is_read_in_running_order(tiny_graph):
    assert tiny_graph.ops == (
        "DEPTHWISE_CONV_2D",  # the stem: one channel in, eight out
        *("DEPTHWISE_CONV_2D", "CONV_2D") * 3,
        "MEAN",
        "FULLY_CONNECTED",
    )
    assert tiny_graph.input.shape == (1, 1, PPG.window_samples, 1)
    assert tiny_graph.output.shape == (1, 16)
    stem, strided = tiny_graph.operators[0], tiny_graph.operators[3]
    assert (stem.stride, stem.depth_multiplier, stem.activation) == ((1, 4), 8, "RELU6")
    assert (strided.stride, strided.depth_multiplier) == ((1, 2), 1)


def test_the_input_has_the_scale_of_the_preprocessing_and_no_zero_point(tiny_graph):
    scale, zero_point = tiny_graph.input.one_scale()
    assert scale == pytest.approx(PPG.input_scale, rel=1e-6)
    assert zero_point == 0
    assert tiny_graph.output.one_scale()[1] == 0


def test_weights_are_int8_with_one_scale_a_channel_and_biases_int32(tiny_graph):
    for operator in tiny_graph.operators:
        if operator.name == "MEAN":
            continue
        weights, bias = (tiny_graph.tensors[i] for i in operator.inputs[1:3])
        channels = weights.shape[weights.quantized_dimension]
        assert (weights.dtype, bias.dtype) == ("int8", "int32")
        assert weights.scale.shape == bias.scale.shape == (channels,)
        assert weights.constant().shape == weights.shape
        assert not weights.zero_point.any()


def test_the_reader_agrees_with_the_official_schema(tiny_model, tiny_graph):
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="needs the `litert` extra"
    )
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tiny_model))
    (subgraph,) = model.subgraphs
    assert len(subgraph.tensors) == len(tiny_graph.tensors)
    for theirs, ours in zip(subgraph.tensors, tiny_graph.tensors, strict=True):
        assert theirs.name.decode() == ours.name
        assert tuple(theirs.shape) == ours.shape
        if theirs.quantization is not None and theirs.quantization.scale is not None:
            np.testing.assert_array_equal(theirs.quantization.scale, ours.scale)
            np.testing.assert_array_equal(theirs.quantization.zeroPoint, ours.zero_point)
            assert theirs.quantization.quantizedDimension == ours.quantized_dimension
        data = model.buffers[theirs.buffer].data
        assert (data is None or not len(data)) == (ours.data is None)
        if ours.data is not None:
            assert bytes(data) == ours.data.tobytes()
    for theirs, ours in zip(subgraph.operators, tiny_graph.operators, strict=True):
        assert tuple(theirs.inputs) == ours.inputs
        assert tuple(theirs.outputs) == ours.outputs
        options = theirs.builtinOptions
        if "CONV" in ours.name:
            assert (options.strideH, options.strideW) == ours.stride
            assert (options.dilationHFactor, options.dilationWFactor) == ours.dilation
            assert (options.padding == schema.Padding.SAME) == ours.same_padding


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_model_that_is_cut_short_is_refused(tiny_model, share):
    with pytest.raises(PackageError):
        read_tflite(tiny_model[: int(share * len(tiny_model))])


@given(st.data())
def test_damaged_bytes_are_read_or_refused_but_nothing_else_happens(tiny_model, data):
    damaged = bytearray(tiny_model)
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    try:
        graph = read_tflite(bytes(damaged))
    except PackageError:
        return
    assert isinstance(graph, Graph)


@pytest.mark.parametrize("kind", [1, 13, -1])
def test_weights_of_a_type_not_known_are_refused(tiny_model, kind):
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="needs the `litert` extra"
    )
    flatbuffers = pytest.importorskip("flatbuffers")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tiny_model))
    (subgraph,) = model.subgraphs
    subgraph.tensors[subgraph.operators[0].inputs[1]].type = kind
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(PackageError, match=f"type {kind} not known"):
        read_tflite(bytes(builder.Output()))


def test_a_file_of_another_kind_is_refused_by_name():
    with pytest.raises(PackageError, match=r"not a \.tflite model"):
        read_tflite(b"\x08\x08\x12\x0aplethprint" * 9)


def test_a_graph_of_deploy_operators_passes(tiny_graph):
    assert tiny_graph.require_deploy_ops() is None
    assert set(tiny_graph.ops) <= set(DEPLOY_OPS)


def test_a_foreign_operator_is_refused_by_name_and_count(tiny_graph):
    foreign = replace(tiny_graph.operators[0], name="PAD")
    graph = replace(tiny_graph, operators=(foreign, foreign, *tiny_graph.operators))
    with pytest.raises(PackageIncompatibleError, match="2 x PAD"):
        graph.require_deploy_ops()


def test_an_activation_has_no_constant_and_a_weight_no_single_scale(tiny_graph):
    with pytest.raises(PackageError, match="constant"):
        tiny_graph.input.constant()
    with pytest.raises(PackageError, match="one scale"):
        tiny_graph.tensors[tiny_graph.operators[0].inputs[1]].one_scale()


@given(st.integers(1, 700), st.integers(1, 20), st.integers(1, 5))
def test_same_padding_gives_the_rounded_up_width(width, kernel, stride):
    left, right = same_padding(width, kernel, stride)
    taken = (width + left + right - kernel) // stride + 1
    assert taken == max(-(-width // stride), taken if left + right == 0 else 0)
    assert 0 <= right - left <= 1

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from plethprint.errors import PackageIncompatibleError
from plethprint.signal import PPG
from plethprint_quantize.golden import run_onnx, run_tflite_micro
from plethprint_quantize.pipeline import ONNX_MAX_LSB
from plethprint_quantize.qdq import OPSET, transcribe


@pytest.fixture(scope="module")
def onnx_model(tiny_graph):
    return transcribe(tiny_graph)


def against_tflite_micro(onnx_model, tiny_model, windows):
    pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")
    truth = run_tflite_micro(tiny_model, windows)
    return np.abs(run_onnx(onnx_model, windows).astype(int) - truth)


def test_the_onnx_model_takes_and_gives_int8_of_any_batch(onnx_model):
    model = onnx.load_from_string(onnx_model)
    assert model.opset_import[0].version == OPSET
    (source,), (sink,) = model.graph.input, model.graph.output
    assert (source.name, sink.name) == ("window", "fingerprint")
    shapes = [
        [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim]
        for tensor in (source, sink)
    ]
    assert shapes == [["N", 1, 1, PPG.window_samples], ["N", 16]]
    for tensor in (source, sink):
        assert tensor.type.tensor_type.elem_type == onnx.TensorProto.INT8


def test_integers_and_scales_are_those_of_the_tflite_model(onnx_model, tiny_graph):
    model = onnx.load_from_string(onnx_model)
    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for operator in tiny_graph.operators:
        target = tiny_graph.tensors[operator.outputs[0]]
        scale, zero_point = target.one_scale()
        assert found[f"t{target.index}_scale"] == scale
        assert int(found[f"t{target.index}_zero_point"]) - 128 == zero_point
        if operator.name == "MEAN":
            continue
        for role, index in zip(("weights", "bias"), operator.inputs[1:], strict=True):
            tensor, name = tiny_graph.tensors[index], f"t{target.index}_{role}"
            values = tensor.constant().astype(int)
            if role == "weights" and operator.name != "FULLY_CONNECTED":
                last = operator.name == "DEPTHWISE_CONV_2D"
                values = np.moveaxis(values, -1, 0 if last else 1)
            shift = 128 if role == "weights" else 0
            actual = found[name].astype(int) - shift
            np.testing.assert_array_equal(actual.reshape(values.shape), values)
            np.testing.assert_array_equal(found[f"{name}_scale"], tensor.scale)
            assert (found[f"{name}_zero_point"] == shift).all()


def test_onnx_is_within_two_steps_of_tflite_micro(onnx_model, tiny_model, windows):
    steps = against_tflite_micro(onnx_model, tiny_model, windows)
    assert steps.max() <= ONNX_MAX_LSB
    assert (steps > 0).mean() < 0.3


def test_extreme_windows_do_not_saturate_the_onnx_kernels(onnx_model, tiny_model):
    """uint8 activations with int8 weights overflow 16 bits on x86 without VNNI."""
    rng = np.random.default_rng(0)
    halves = (4, 5, 8, 16, 40, 80)
    index = np.arange(PPG.window_samples)
    waves = [np.where(index // half % 2, 127, -127) for half in halves]
    waves += [np.full_like(index, 127), np.full_like(index, -127)]
    noise = rng.choice([-127, 127], (8, PPG.window_samples))
    windows = np.concatenate([waves, noise]).astype(np.int8)
    assert against_tflite_micro(onnx_model, tiny_model, windows).max() <= ONNX_MAX_LSB


@pytest.mark.parametrize("count", [1, 2, 7, 33])
def test_a_result_does_not_depend_on_the_batch(onnx_model, windows, count):
    together = run_onnx(onnx_model, windows)
    some = slice(5, 5 + count)
    assert np.array_equal(run_onnx(onnx_model, windows[some]), together[some])


def test_every_convolution_runs_in_an_8_bit_kernel(onnx_model, tiny_graph, tmp_path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(onnx_model, options, providers=["CPUExecutionProvider"])
    kinds = Counter(n.op_type for n in onnx.load(tmp_path / "optimised.onnx").graph.node)
    convolutions = sum("CONV" in op for op in tiny_graph.ops)
    assert (kinds["QLinearConv"], kinds["Conv"], kinds["QGemm"]) == (convolutions, 0, 1)


def test_a_relu6_that_saturation_does_not_cover_is_clipped(tiny_graph):
    """A scale of 0.05 reaches 12.75: without a clip, values above 6 would pass."""
    first = tiny_graph.operators[0]
    index = first.outputs[0]
    wide = replace(tiny_graph.tensors[index], scale=np.array([0.05], np.float32))
    tensors = tuple(wide if t.index == index else t for t in tiny_graph.tensors)
    model = onnx.load_from_string(transcribe(replace(tiny_graph, tensors=tensors)))
    (clip,) = (node for node in model.graph.node if node.op_type == "Clip")
    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert [round(float(found[name]), 5) for name in clip.input[1:]] == [0.0, 6.0]


def test_a_graph_with_a_foreign_operator_is_not_transcribed(tiny_graph):
    foreign = replace(tiny_graph.operators[0], name="TRANSPOSE")
    with pytest.raises(PackageIncompatibleError, match="TRANSPOSE"):
        transcribe(replace(tiny_graph, operators=(foreign, *tiny_graph.operators)))


def test_a_float_graph_is_not_transcribed(tiny_graph):
    real = replace(tiny_graph.input, dtype="float32")
    with pytest.raises(PackageIncompatibleError, match="int8"):
        transcribe(replace(tiny_graph, input=real))

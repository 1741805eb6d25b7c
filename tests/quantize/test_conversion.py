"""Runs the converters themselves: `pytest -m slow` in an environment with `tflite`."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from plethprint.errors import PackageIncompatibleError
from plethprint_distill.quantization_aware import QuantizationAware
from plethprint_quantize.calibrate import Ranges, real_windows
from plethprint_quantize.flatbuffer import DEPLOY_OPS, read_tflite
from plethprint_quantize.golden import run_tflite_micro
from plethprint_quantize.pipeline import quantize
from plethprint_quantize.tflite import convert_float

os.environ.setdefault("JAX_PLATFORMS", "cpu")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # the converters' import warns about what is none of ours
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module", autouse=True)
def _converters():
    pytest.importorskip("litert_torch", reason="needs the `tflite` extra (2 GB)")
    pytest.importorskip("ai_edge_quantizer", reason="needs the `tflite` extra (2 GB)")


def test_a_student_becomes_an_int8_model_of_deploy_operators(student, windows):
    model = quantize(student, windows)
    assert set(model.graph.ops) == DEPLOY_OPS
    assert model.candidates[model.method]["centred_cosine"] > 0.98
    assert model.onnx_max_lsb <= 2


def test_the_committed_model_is_what_the_converter_makes(student, windows, tiny_graph):
    made = read_tflite(quantize(student, windows, method="min-max").tflite)
    assert made.ops == tiny_graph.ops
    for ours, theirs in zip(made.operators, tiny_graph.operators, strict=True):
        if ours.name == "MEAN":
            continue
        weights, committed = (
            graph.tensors[op.inputs[1]].constant().astype(int)
            for graph, op in ((made, ours), (tiny_graph, theirs))
        )
        assert abs(weights - committed).max() <= 1


def test_a_dead_channel_survives_quantisation(student, windows):
    norm = student.layers[4][1]
    with torch.no_grad():
        norm.weight[3], norm.bias[3] = 0.0, 0.7
    model = quantize(student, windows, method="min-max")
    assert model.candidates["min-max"]["centred_cosine"] > 0.98


def test_a_graph_that_needs_padding_operators_is_refused_after_conversion(deploy):
    first = deploy.convolutions[0]
    deploy.convolutions[0] = nn.Conv2d(1, 8, (1, 11), (1, 4), (0, 5))
    assert first.stride == (1, 4)
    with pytest.raises(PackageIncompatibleError, match="PAD"):
        convert_float(deploy.eval())


def test_learned_ranges_become_the_scales_of_the_model(student, windows):
    trained = QuantizationAware(student)
    with torch.no_grad():
        trained.train()(real_windows(windows))
    learned = Ranges("learned", tuple(trained.ranges()), 0)
    model = quantize(student, windows, learned=learned)
    assert (model.method, model.calibration_windows) == ("learned", 0)
    for operator, (low, high) in zip(model.graph.operators, learned.steps, strict=True):
        scale, zero_point = model.graph.tensors[operator.outputs[0]].one_scale()
        if low < 0:
            assert (float(scale), zero_point) == (pytest.approx(high / 127, rel=1e-4), 0)
        else:
            assert (float(scale), zero_point) == (pytest.approx(high / 255, rel=1e-4), -128)
    with torch.no_grad():
        pretended = trained.eval()(real_windows(windows)).numpy() / model.output_scale
    difference = np.abs(np.rint(pretended) - run_tflite_micro(model.tflite, windows))
    assert difference.max() <= 2


def test_equalisation_and_bias_correction_go_through_the_converter(student, windows):
    model = quantize(student, windows, method="mse", equalize=True, correct_bias=True)
    assert (model.equalized, model.bias_corrected) == (True, True)
    assert model.candidates["mse"]["centred_cosine"] > 0.98

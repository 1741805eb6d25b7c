import numpy as np
import pytest
import torch

from plethprint.agreement import agreement
from plethprint_distill.quantization_aware import QuantizationAware
from plethprint_quantize.bias_correction import bias_corrected, rounded_fingerprints
from plethprint_quantize.calibrate import (
    Ranges,
    float_fingerprints,
    measure_ranges,
    real_windows,
)
from plethprint_quantize.golden import run_tflite_micro


def ranges_of(graph):
    """Real ranges that the scales of a .tflite stand for."""
    steps = []
    for operator in graph.operators:
        scale, zero_point = graph.tensors[operator.outputs[0]].one_scale()
        low = 0.0 if zero_point == -128 else -127 * scale
        steps.append((low, (127 - zero_point) * scale))
    return Ranges("min-max", tuple(steps), 0)


def test_pretended_int8_is_within_two_steps_of_tflite_micro(
    tiny_model, tiny_graph, deploy, windows
):
    pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")
    true = run_tflite_micro(tiny_model, windows).astype(int)
    pretended = rounded_fingerprints(deploy, ranges_of(tiny_graph), windows)
    difference = np.abs(pretended - true)
    assert difference.max() <= 2
    assert agreement(pretended, true)["centred_cosine"] > 0.99


def test_what_distillation_trains_is_what_is_pretended_here(student, deploy, windows):
    trained = QuantizationAware(student)
    with torch.no_grad():
        trained.train()(real_windows(windows))
        vectors = trained.eval()(real_windows(windows)).numpy()
    ranges = Ranges("learned", tuple(trained.ranges()), 0)
    step = ranges.steps[-1][1] / 127
    pretended = rounded_fingerprints(deploy, ranges, windows)
    difference = np.abs(np.rint(vectors / step) - pretended)
    # Folding in another order of operations moves a value across an edge now and then.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.05


def test_corrected_biases_take_the_mean_shift_away(deploy, windows):
    with torch.no_grad():  # one weight that makes the rest of its channel coarse
        for layer in deploy.layers():
            layer.weight.view(layer.out_channels, -1)[:, 0] *= 6.0
    ranges = measure_ranges(deploy, windows)
    exact = float_fingerprints(deploy, windows)
    step = ranges.steps[-1][1] / 127
    plain, corrected = (
        rounded_fingerprints(d, ranges, windows) * step - exact
        for d in (deploy, bias_corrected(deploy, ranges, windows))
    )
    shift = [np.abs(error.mean(axis=0)).mean() for error in (plain, corrected)]
    assert shift[1] < 0.5 * shift[0]


def test_bias_correction_changes_biases_alone_and_of_its_copy_only(deploy, windows):
    before = {k: v.clone() for k, v in deploy.state_dict().items()}
    made = bias_corrected(deploy, measure_ranges(deploy, windows), windows)
    for name, value in deploy.state_dict().items():
        assert torch.equal(value, before[name]), name
        changed = not torch.equal(made.state_dict()[name], value)
        assert changed == name.endswith("bias"), name

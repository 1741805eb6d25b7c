from dataclasses import replace

import pytest

from plethprint.errors import PackageIncompatibleError
from plethprint.package import ModelPackage
from plethprint_quantize.export import layer_costs
from plethprint_quantize.flatbuffer import read_tflite
from plethprint_quantize.graph_cost import graph_cost


def test_the_graph_costs_what_the_network_it_was_made_of_costs(deploy, tiny_graph):
    layers = layer_costs(deploy)
    steps = [step for step in graph_cost(tiny_graph).steps if step.name != "MEAN"]
    assert [step.macs for step in steps] == [layer.macs for layer in layers]
    assert [step.parameters for step in steps] == [layer.parameters for layer in layers]


def test_the_first_step_is_counted_by_hand(tiny_graph):
    stem = graph_cost(tiny_graph).steps[0]
    kernel = tiny_graph.tensors[tiny_graph.operators[0].inputs[1]].shape[2]
    assert stem.macs == 160 * 8 * kernel
    assert stem.parameters == 8 * (kernel + 1)
    assert stem.constant_bytes == 8 * kernel + 4 * 8  # int8 weights, int32 biases
    assert stem.live_bytes == 640 + 160 * 8


def test_the_shipped_package_says_what_is_counted():
    package = ModelPackage.load()
    cost = graph_cost(read_tflite(package.read_bytes("encoder.tflite")))
    assert cost.macs == package.manifest.macs
    assert cost.parameters == package.manifest.parameters
    assert cost.activation_bytes == max(step.live_bytes for step in cost.steps)


def test_an_operator_that_is_not_known_is_refused_rather_than_left_out(tiny_graph):
    foreign = replace(tiny_graph.operators[1], name="HARD_SWISH")
    graph = replace(tiny_graph, operators=(*tiny_graph.operators[:1], foreign))
    with pytest.raises(PackageIncompatibleError, match="HARD_SWISH"):
        graph_cost(graph)


def test_weights_that_are_no_constant_are_refused(tiny_graph):
    first = tiny_graph.operators[0]
    graph = replace(tiny_graph, operators=(replace(first, inputs=(first.inputs[0],)),))
    with pytest.raises(PackageIncompatibleError, match="no constant weights"):
        graph_cost(graph)

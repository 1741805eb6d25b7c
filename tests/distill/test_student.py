"""The student: its size, and a graph that an exporter can take as it is."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")

from plethprint_distill.student import PRESETS, Student  # noqa: E402


@pytest.mark.parametrize(
    ("preset", "most_macs", "most_parameters"), [("micro", 2e6, 150e3), ("mini", 10e6, 1e6)]
)
def test_a_preset_stays_within_its_budget(
    preset: str, most_macs: float, most_parameters: float
) -> None:
    student = Student(PRESETS[preset])
    assert student.macs() <= most_macs
    assert student.parameters_deployed() <= most_parameters


def test_every_padding_is_what_same_padding_would_be() -> None:
    # TFLite's SAME: total = (ceil(n / s) - 1) * s + k - n, split evenly or a PAD appears.
    samples = 640
    for triple in Student().layers:
        convolution = triple[0]
        kernel, stride = convolution.kernel_size[1], convolution.stride[1]
        out = -(-samples // stride)
        total = max(0, (out - 1) * stride + kernel - samples)
        assert total % 2 == 0
        assert convolution.padding[1] == total // 2
        samples = out


def test_macs_are_those_of_the_layers_really_run() -> None:
    student = Student().eval()
    counted = 0

    def count(module: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal counted
        per_output = module.weight[0].numel()
        counted += out[0].numel() * per_output

    for module in student.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    student(torch.zeros(1, 1, 1, 640))
    assert counted == student.macs()

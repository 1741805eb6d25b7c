import copy

import numpy as np
import pytest
import torch
from torch import nn

from plethprint.errors import PackageIncompatibleError
from plethprint.signal import PPG
from plethprint_distill.student import PRESETS, Student, StudentConfig
from plethprint_quantize.export import fold, layer_costs


def some_windows(windows):
    return torch.from_numpy(windows[:16, None, None].astype(np.float32) * 4 / 127)


def test_folding_keeps_the_output(student, windows):
    with torch.no_grad():
        expected = student(some_windows(windows))
        actual = fold(student)(some_windows(windows))
    assert float((actual - expected).abs().max()) < 1e-5 * float(expected.abs().max())


def test_folding_keeps_the_output_of_the_default_student(windows):
    torch.manual_seed(3)
    student = Student()
    for _ in range(3):
        student.train()(some_windows(windows))
    student.eval()
    with torch.no_grad():
        difference = fold(student)(some_windows(windows)) - student(some_windows(windows))
    assert float(difference.abs().max()) < 1e-5


def test_folding_leaves_the_student_alone(student):
    before = copy.deepcopy(student.state_dict())
    student.train()
    fold(student)
    assert student.training
    for name, value in student.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_nothing_but_convolutions_mean_and_linear_remain(deploy):
    kinds = {type(m) for m in deploy.modules() if not list(m.children())}
    assert kinds == {nn.Conv2d, nn.ReLU6, nn.Linear}
    assert all(convolution.bias is not None for convolution in deploy.layers())


def test_another_activation_is_refused(student):
    student.layers[2][2] = nn.Hardswish()
    with pytest.raises(PackageIncompatibleError, match=r"layer 2 .*Hardswish"):
        fold(student)


def test_a_kernel_that_would_need_padding_operators_is_refused(student):
    student.layers[3][0] = nn.Conv2d(8, 8, (1, 9), (1, 2), (0, 4), groups=8, bias=False)
    with pytest.raises(PackageIncompatibleError, match=r"layer 3 .*SAME"):
        fold(student)


def test_a_forward_pass_that_does_more_than_its_layers_is_refused():
    class Doubling(Student):
        def forward(self, windows):
            return 2 * super().forward(windows)

    with pytest.raises(PackageIncompatibleError, match="differs from the student"):
        fold(Doubling(StudentConfig(stem_channels=8, blocks=((8, 1),), dim=4)))


def test_costs_match_a_count_by_hand(deploy):
    costs = [(cost.name, cost.parameters, cost.macs) for cost in layer_costs(deploy)]
    assert costs == [
        ("depthwise 1x12 /4", 8 * 13, 160 * 8 * 12),
        ("depthwise 1x9", 8 * 10, 160 * 8 * 9),
        ("conv 1x1", 8 * 9, 160 * 8 * 8),
        ("depthwise 1x8 /2", 8 * 9, 80 * 8 * 8),
        ("conv 1x1", 16 * 9, 80 * 16 * 8),
        ("depthwise 1x9", 16 * 10, 80 * 16 * 9),
        ("conv 1x1", 16 * 17, 80 * 16 * 16),
        ("linear", 16 * 17, 16 * 16),
    ]


@pytest.mark.parametrize("preset", PRESETS)
def test_costs_agree_with_what_the_student_says_of_itself(preset):
    student = Student(PRESETS[preset])
    costs = layer_costs(fold(student))
    assert sum(cost.macs for cost in costs) == student.macs(PPG.window_samples)
    assert sum(cost.parameters for cost in costs) == student.parameters_deployed()


def test_the_default_student_stays_within_two_million_multiplications():
    assert sum(cost.macs for cost in layer_costs(fold(Student()))) <= 2_000_000

"""Costs are counted from shapes; here they are held against what torch counts."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from plethprint_distill.flops import (  # noqa: E402
    activation_bytes,
    look_flops,
    parameters,
    teacher_cost,
)
from plethprint_distill.objective import draw_mask, look  # noqa: E402
from plethprint_distill.physiology import TARGETS  # noqa: E402
from plethprint_distill.pretrain_config import PretrainConfig  # noqa: E402
from plethprint_distill.teacher import M2AE, PRESETS, TeacherConfig  # noqa: E402
from plethprint_distill.teacher_batch import TeacherBatch  # noqa: E402

WINDOWS = 2
SHAPES = {
    "small": PRESETS["small"],
    "a slice of base": TeacherConfig(384, 6, 2, 1, 1, 0.25, 64),
}


def step(
    shape: TeacherConfig, kind: str, teacher: M2AE | None = None
) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    teacher = teacher or M2AE(shape)
    ppg, ecg = torch.randn(WINDOWS, 640), torch.randn(WINDOWS, 1280)
    has_ppg, has_ecg = kind != "ecg alone", kind != "ppg alone"
    batch = TeacherBatch(
        ppg=ppg if has_ppg else None,
        ecg=ecg if has_ecg else None,
        clean_ppg=ppg if has_ppg else None,
        clean_ecg=ecg if has_ecg else None,
        moved_ppg=ppg if has_ppg else None,
        moved_ecg=ecg if has_ecg else None,
        targets=torch.zeros(WINDOWS, len(TARGETS)),
        rhythm=torch.zeros(WINDOWS, dtype=torch.long),
        person=torch.arange(WINDOWS),
    )
    masks = None
    if kind != "cross":
        masks = draw_mask(teacher, WINDOWS, 0.5, torch.Generator().manual_seed(0))
    return look(teacher, batch, masks)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kind", ["cross", "masked", "ppg alone", "ecg alone"])
def test_operations_are_those_that_torch_counts(name: str, kind: str) -> None:
    # torch counts attention only where it is made of plain products.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        step(SHAPES[name], kind)
    counted = counter.get_total_flops() / WINDOWS
    assert look_flops(SHAPES[name], kind) == pytest.approx(counted, rel=0.01)


def test_training_takes_three_times_the_forward_pass() -> None:
    shape = SHAPES["small"]
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        seen = step(shape, "cross")
        sum(v.sum() for k, v in seen.items() if k.startswith(("raw", "error"))).backward()
    cost = teacher_cost(shape, PretrainConfig(cross_share=1.0, unpaired_share=0.0))
    counted = counter.get_total_flops() / WINDOWS
    assert cost.flops_per_window == pytest.approx(counted, rel=0.05)


@pytest.mark.parametrize("name", SHAPES)
def test_memory_of_activations_is_what_autograd_keeps(name: str) -> None:
    teacher, kept = M2AE(SHAPES[name]), {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step(SHAPES[name], "cross", teacher)
    weights = {p.untyped_storage().data_ptr() for p in teacher.parameters()}
    measured = sum(
        t.untyped_storage().nbytes() for p, t in kept.items() if p not in weights
    )
    assert activation_bytes(SHAPES[name]) == pytest.approx(measured / WINDOWS, rel=0.1)


def test_parameters_are_counted_without_making_them() -> None:
    shape = PRESETS["small"]
    assert parameters(shape) == sum(p.numel() for p in M2AE(shape).parameters())
    assert 300e6 < parameters(PRESETS["large"]) < 500e6

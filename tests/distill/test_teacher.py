"""The teacher: what it takes, what it gives, and that its full size learns."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")

from plethprint_distill.losses import patch_error  # noqa: E402
from plethprint_distill.objective import (  # noqa: E402
    Learned,
    draw_mask,
    step_losses,
    total_loss,
)
from plethprint_distill.physiology import TARGETS  # noqa: E402
from plethprint_distill.pretrain_config import PretrainConfig  # noqa: E402
from plethprint_distill.teacher import M2AE, PRESETS, TeacherConfig  # noqa: E402
from plethprint_distill.teacher_batch import TeacherBatch  # noqa: E402

TINY = TeacherConfig(
    width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
)


@pytest.fixture
def teacher() -> M2AE:
    torch.manual_seed(0)
    return M2AE(TINY).eval()


def pair(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(count, 640, generator=generator),
        torch.randn(count, 1280, generator=generator),
    )


@torch.inference_mode()
def test_any_of_ecg_ppg_or_both_gives_a_unit_fingerprint(teacher: M2AE) -> None:
    ppg, ecg = pair(3)
    for given in ({"ppg": ppg}, {"ecg": ecg}, {"ppg": ppg, "ecg": ecg}):
        vectors = teacher.fingerprint(**given)
        assert vectors.shape == (3, 64)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


@torch.inference_mode()
def test_the_one_graph_with_flags_equals_the_separate_ways(teacher: M2AE) -> None:
    ppg, ecg = pair(3)
    for flags, given in (
        ([1.0, 1.0], {"ppg": ppg, "ecg": ecg}),
        ([1.0, 0.0], {"ppg": ppg}),
        ([0.0, 1.0], {"ecg": ecg}),
    ):
        present = torch.tensor(flags).expand(3, 2)
        whole = teacher(ppg, ecg, present)
        torch.testing.assert_close(
            whole, teacher.fingerprint(**given), rtol=1e-4, atol=1e-5
        )


@torch.inference_mode()
def test_an_absent_modality_has_no_influence(teacher: M2AE) -> None:
    ppg, ecg = pair(2)
    present = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(
        teacher(ppg, ecg, present), teacher(ppg, 100.0 * torch.ones_like(ecg), present)
    )


@torch.inference_mode()
def test_a_hidden_patch_has_no_influence_on_what_is_encoded(teacher: M2AE) -> None:
    ppg, _ = pair(2)
    shown, hidden = draw_mask(teacher, 2, 0.5, torch.Generator().manual_seed(3))
    changed = teacher.patches("ppg", ppg).clone()
    changed.scatter_(
        1,
        hidden[:, :, None].expand(-1, -1, changed.shape[-1]),
        1e3 * torch.ones_like(changed),
    )
    torch.testing.assert_close(
        teacher.encode("ppg", ppg, shown),
        teacher.encode("ppg", changed.reshape(2, -1), shown),
    )


def test_the_two_masks_are_complementary(teacher: M2AE) -> None:
    shown, hidden = draw_mask(teacher, 5, 0.5, torch.Generator().manual_seed(3))
    both = torch.cat([shown, hidden], dim=1).sort(dim=1).values
    assert (both == torch.arange(teacher.tokens)).all()
    assert shown.shape == hidden.shape == (5, teacher.tokens // 2)


def test_reconstruction_counts_hidden_patches_only() -> None:
    painted, patches = torch.zeros(1, 2, 3), torch.tensor([[[0.0] * 3, [2.0] * 3]])
    assert patch_error(painted, patches, torch.tensor([[0.0, 1.0]])).item() == 4.0
    assert patch_error(painted, patches, torch.tensor([[1.0, 0.0]])).item() == 0.0


@pytest.mark.parametrize("preset", ["small", "base"])
def test_a_preset_takes_a_training_step_on_the_cpu(preset: str) -> None:
    torch.manual_seed(0)
    teacher = M2AE(PRESETS[preset])
    ppg, ecg = pair(2)
    targets, code = torch.zeros(2, len(TARGETS)), torch.tensor([0, 1])
    batch = TeacherBatch(ppg, ecg, ppg, ecg, ppg, ecg, targets, code, code)
    learned = Learned(torch.tensor(2.3), torch.zeros(len(TARGETS)))
    config = PretrainConfig(preset=preset, cross_share=1.0)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=1e-5)
    losses = []
    for _ in range(3):
        parts = step_losses(
            teacher, batch, config, learned, torch.Generator().manual_seed(0)
        )
        loss = total_loss(parts, config)
        optimizer.zero_grad()
        loss.backward()
        gradients = [p.grad for p in teacher.parameters() if p.grad is not None]
        assert all(torch.isfinite(g).all() for g in gradients)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_the_base_teacher_is_of_full_size() -> None:
    assert sum(p.numel() for p in M2AE(PRESETS["base"]).parameters()) > 40e6

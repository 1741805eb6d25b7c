"""Losses say what they are for: near zero when it is reached, larger when it is not."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")

from torch.nn import functional as fn  # noqa: E402

from plethprint_distill.losses import (  # noqa: E402
    contrast,
    disagreement,
    masked_regression,
    same_person,
)


def unit_rows(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return fn.normalize(torch.randn(count, 16, generator=generator), dim=-1)


def test_contrast_is_low_for_partners_and_high_for_strangers() -> None:
    a = unit_rows(12)
    assert contrast(a, a, 20.0) < 0.1
    assert contrast(a, a.roll(1, 0), 20.0) > 5.0


def test_without_kin_soft_positives_are_the_plain_contrast() -> None:
    a, b = unit_rows(8), unit_rows(8, seed=1)
    kin = same_person(torch.arange(8), 0.3)
    torch.testing.assert_close(contrast(a, b, 10.0, kin), contrast(a, b, 10.0))


def test_the_weight_of_a_persons_other_windows_is_shared_among_them() -> None:
    kin = same_person(torch.tensor([7, 7, 7, 9]), 0.2)
    expected = torch.tensor([0.8, 0.1, 0.1, 0.0])
    torch.testing.assert_close(kin[0], expected)
    torch.testing.assert_close(kin[3], torch.tensor([0.0, 0.0, 0.0, 1.0]))
    torch.testing.assert_close(kin.sum(dim=1), torch.ones(4))


def test_kin_may_be_near_at_little_cost() -> None:
    a = unit_rows(4)
    near = torch.stack([a[0], a[0], a[2], a[3]])  # two windows of one person coincide
    kin = same_person(torch.tensor([0, 0, 1, 2]), 0.5)
    assert contrast(near, near, 20.0, kin) < contrast(near, near, 20.0) + 1e-6


def test_disagreement_looks_past_the_mean() -> None:
    a = unit_rows(10)
    assert disagreement(a, a + 5.0) < 1e-3
    assert disagreement(a + 5.0, a.roll(1, 0) + 5.0) > 0.5


def test_unknown_targets_cost_nothing() -> None:
    target = torch.tensor([[1.0, float("nan")], [2.0, float("nan")]])
    predicted = torch.tensor([[1.0, 50.0], [2.0, -50.0]], requires_grad=True)
    loss = masked_regression(predicted, target, torch.zeros(2))
    loss.backward()
    assert loss.item() == 0.0
    assert predicted.grad is not None
    assert not predicted.grad.any()


def test_the_learned_variance_settles_at_the_error_it_describes() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.tensor([0.05, 1.0]) * torch.randn(4000, 2, generator=generator)
    log_variance = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([log_variance], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        masked_regression(torch.zeros_like(noise), noise, log_variance).backward()
        optimizer.step()
    exact, vague = log_variance.detach().tolist()
    assert exact == pytest.approx(2 * math.log(0.05), abs=0.8)
    assert vague == pytest.approx(0.0, abs=0.8)

"""What the teacher's steps ask of recordings that come without their pair."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint_distill.objective import (  # noqa: E402
    Learned,
    compare,
    draw_masks,
    look,
    total_loss,
)
from plethprint_distill.physiology import TARGETS  # noqa: E402
from plethprint_distill.pretrain_config import PretrainConfig  # noqa: E402
from plethprint_distill.teacher import M2AE, TeacherConfig  # noqa: E402
from plethprint_distill.teacher_batch import (  # noqa: E402
    Pools,
    TeacherBatch,
    draw_batch,
)
from plethprint_distill.virtual import virtual_windows  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

CONFIG = PretrainConfig(batch=32, unpaired_share=1.0, disturbance=0.0)


@pytest.fixture(scope="module")
def longer() -> WindowSet:
    return virtual_windows(48, seed=3, context_s=0.5)


def batch_of(windows: WindowSet, modality: str) -> TeacherBatch:
    none = np.zeros(len(windows), dtype=np.bool_)
    hidden = {"ppg": "has_ecg", "ecg": "has_ppg"}[modality]
    alone = dataclasses.replace(windows, **{hidden: none})
    return draw_batch(Pools({"alone": alone}, CONFIG), CONFIG, step=0)


def losses_of(teacher: M2AE, batch: TeacherBatch) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    masks = draw_masks(teacher, len(batch), CONFIG, generator, paired=False)
    learned = Learned(torch.tensor(2.0), torch.zeros(len(TARGETS)))
    return compare(teacher, look(teacher, batch, masks), CONFIG, learned)


@pytest.fixture
def teacher() -> M2AE:
    torch.manual_seed(0)
    return M2AE(TeacherConfig(width=16, heads=2, encoder_layers=1, decoder_layers=1))


def alike(a: np.ndarray, b: np.ndarray, lag: int) -> float:  # type: ignore[type-arg]
    """Correlation of two windows where the second begins `lag` samples later."""
    if lag < 0:
        a, b, lag = b, a, -lag
    return float(np.corrcoef(a[lag:], b[: len(b) - lag])[0, 1])


def test_a_pulse_without_its_ecg_is_seen_twice_a_moment_apart(longer: WindowSet) -> None:
    batch = batch_of(longer, "ppg")
    assert batch.ecg is None
    assert batch.moved_ecg is None
    here, there = batch.ppg.numpy(), batch.moved_ppg.numpy()
    pairs = list(zip(here, there, strict=True))
    best = [max(alike(a, b, lag) for lag in range(-64, 65)) for a, b in pairs]
    assert np.median(best) > 0.99  # the same pulse
    at_once = [alike(a, b, 0) for a, b in pairs]
    assert np.median(at_once) < 0.9  # begun at another moment


@pytest.mark.parametrize("modality", ["ppg", "ecg"])
def test_its_two_views_are_each_others_partners(
    longer: WindowSet, teacher: M2AE, modality: str
) -> None:
    batch = batch_of(longer, modality)
    apart = losses_of(teacher, batch)
    one = {f"moved_{modality}": getattr(batch, modality)}
    same = losses_of(teacher, dataclasses.replace(batch, **one))
    assert same["agreement_views"].item() == pytest.approx(0.0, abs=1e-5)
    assert apart["agreement_views"].item() > 0.01
    others = torch.roll(getattr(batch, modality), 1, dims=0)
    wrong = losses_of(teacher, dataclasses.replace(batch, **{f"moved_{modality}": others}))
    assert same["contrast_views"].item() < wrong["contrast_views"].item()


def test_views_are_weighted_as_their_share_says(longer: WindowSet, teacher: M2AE) -> None:
    losses = losses_of(teacher, batch_of(longer, "ppg"))
    asked = losses["contrast_views"] + losses["agreement_views"]
    without, half = (
        total_loss(losses, dataclasses.replace(CONFIG, views=share)).item()
        for share in (0.0, 0.5)
    )
    assert half - without == pytest.approx(0.25 * asked.item(), rel=1e-4)

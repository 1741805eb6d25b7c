"""What the teacher is trained for: masked painting, contrast, agreement, physiology.

Two kinds of paired step alternate by chance. A *cross* step sees each modality whole and
alone: it paints the other one, contrasts the two, and reads physiology from each. A
*masked* step shows complementary halves, PPG where ECG is hidden and ECG where PPG is
hidden, and paints what is hidden. Recordings of one modality take steps of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as fn

from plethprint_distill.losses import (
    contrast,
    decorrelation,
    disagreement,
    masked_regression,
    patch_error,
    same_person,
)
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.teacher import M2AE
from plethprint_distill.teacher_batch import TeacherBatch

__all__ = ["Learned", "draw_mask", "step_losses", "total_loss"]


def draw_mask(
    teacher: M2AE, size: int, ratio: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Places (N, K) that the PPG shows, and those it hides, at random in each window."""
    order = torch.rand(size, teacher.tokens, generator=generator).argsort(dim=1)
    shown = round((1.0 - ratio) * teacher.tokens)
    return order[:, :shown], order[:, shown:]


@dataclass(frozen=True)
class Learned:
    """What is learned along with the teacher and belongs to the loss alone."""

    log_scale: torch.Tensor
    """Logarithm of one over the contrast's temperature."""
    log_variance: torch.Tensor
    """(len(TARGETS),): how exactly each target can be read."""

    @property
    def scale(self) -> torch.Tensor:
        """One over the temperature, which is at least 0.02."""
        return self.log_scale.exp().clamp(max=50.0)


def step_losses(
    teacher: M2AE,
    batch: TeacherBatch,
    config: PretrainConfig,
    learned: Learned,
    generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    """Losses of one step, unweighted, by name."""
    if batch.ppg is None or batch.ecg is None:
        losses, raws = _alone(teacher, batch, config, generator)
    elif torch.rand((), generator=generator).item() < config.cross_share:
        losses, raws = _cross(teacher, batch, config, learned)
    else:
        losses, raws = _masked(teacher, batch, config, generator)
    losses["decorrelation"] = torch.stack([decorrelation(r) for r in raws.values()]).mean()
    losses["physiology"] = torch.stack(
        [_physiology(teacher, raw, batch, learned) for raw in raws.values()]
    ).mean()
    return losses


def _cross(
    teacher: M2AE, batch: TeacherBatch, config: PretrainConfig, learned: Learned
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Each modality whole and alone: it paints the other, and is told from others."""
    assert batch.ppg is not None
    assert batch.ecg is not None
    assert batch.clean_ppg is not None
    assert batch.clean_ecg is not None
    tokens = {
        "ppg": teacher.encode("ppg", batch.ppg),
        "ecg": teacher.encode("ecg", batch.ecg),
    }
    shared = {m: teacher.share(t) for m, t in tokens.items()}
    shared["both"] = teacher.share(torch.cat(list(tokens.values()), dim=1))
    raws = {m: teacher.pool(s) for m, s in shared.items()}
    unit = {m: teacher.finish(raw) for m, raw in raws.items()}
    kin, scale = same_person(batch.person, config.kin_share), learned.scale
    losses = {
        "ecg_from_ppg": patch_error(
            teacher.decode("ecg", shared["ppg"]), teacher.patches("ecg", batch.clean_ecg)
        ),
        "ppg_from_ecg": patch_error(
            teacher.decode("ppg", shared["ecg"]), teacher.patches("ppg", batch.clean_ppg)
        ),
        "contrast": contrast(unit["ppg"], unit["ecg"], scale, kin)
        + 0.5 * contrast(unit["both"], unit["ppg"], scale, kin)
        + 0.5 * contrast(unit["both"], unit["ecg"], scale, kin),
        "agreement": disagreement(unit["ppg"], unit["both"]),
    }
    return losses, raws


def _masked(
    teacher: M2AE,
    batch: TeacherBatch,
    config: PretrainConfig,
    generator: torch.Generator,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Complementary halves: the ECG shows what the PPG hides; the hidden is painted."""
    assert batch.ppg is not None
    assert batch.ecg is not None
    assert batch.clean_ppg is not None
    assert batch.clean_ecg is not None
    shown, hidden = _mask(teacher, batch.ppg, config.mask_ratio, generator)
    seen = [
        teacher.encode("ppg", batch.ppg, shown),
        teacher.encode("ecg", batch.ecg, hidden),
    ]
    memory = teacher.share(torch.cat(seen, dim=1))
    unseen = torch.zeros(len(batch.ppg), teacher.tokens, device=hidden.device)
    unseen = unseen.scatter(1, hidden, 1.0)
    losses = {
        "ppg_masked": patch_error(
            teacher.decode("ppg", memory), teacher.patches("ppg", batch.clean_ppg), unseen
        ),
        "ecg_masked": patch_error(
            teacher.decode("ecg", memory),
            teacher.patches("ecg", batch.clean_ecg),
            1.0 - unseen,
        ),
    }
    return losses, {"masked": teacher.pool(memory)}


def _alone(
    teacher: M2AE,
    batch: TeacherBatch,
    config: PretrainConfig,
    generator: torch.Generator,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """One modality: half of it paints the rest; its fingerprint is of all of it."""
    name = "ppg" if batch.ppg is not None else "ecg"
    seen = batch.ppg if batch.ppg is not None else batch.ecg
    clean = batch.clean_ppg if batch.ppg is not None else batch.clean_ecg
    assert seen is not None
    assert clean is not None
    shown, hidden = _mask(teacher, seen, config.mask_ratio, generator)
    memory = teacher.share(teacher.encode(name, seen, shown))
    unseen = torch.zeros(len(seen), teacher.tokens, device=hidden.device)
    unseen = unseen.scatter(1, hidden, 1.0)
    painted = patch_error(
        teacher.decode(name, memory), teacher.patches(name, clean), unseen
    )
    whole = teacher.pool(teacher.share(teacher.encode(name, seen)))
    return {f"{name}_alone": painted}, {"alone": whole}


def _mask(
    teacher: M2AE, windows: torch.Tensor, ratio: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    shown, hidden = draw_mask(teacher, len(windows), ratio, generator)
    return shown.to(windows.device), hidden.to(windows.device)


def _physiology(
    teacher: M2AE, raw: torch.Tensor, batch: TeacherBatch, learned: Learned
) -> torch.Tensor:
    """Linear read-outs from the unit fingerprint: regression, and rhythm where known."""
    unit = 8.0 * teacher.finish(raw)
    loss = masked_regression(teacher.read_out(unit), batch.targets, learned.log_variance)
    known = batch.rhythm >= 0
    if known.any():
        rhythm = fn.cross_entropy(teacher.read_rhythm(unit[known]), batch.rhythm[known])
        loss = loss + 0.3 * rhythm
    return loss


def total_loss(losses: dict[str, torch.Tensor], config: PretrainConfig) -> torch.Tensor:
    """The weighted sum that is minimised."""
    weights = {
        "contrast": config.contrast,
        "agreement": config.agreement,
        "decorrelation": config.decorrelation,
        "physiology": config.physiology,
    }
    parts = [weights.get(k, config.reconstruction) * v for k, v in losses.items()]
    return torch.stack(parts).sum()

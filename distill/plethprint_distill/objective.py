"""What the teacher is trained for: masked painting, contrast, agreement, physiology.

Two kinds of paired step alternate by chance. A *cross* step sees each modality whole and
alone: it paints the other one, contrasts the two, and reads physiology from each. A
*masked* step shows complementary halves, PPG where ECG is hidden and ECG where PPG is
hidden, and paints what is hidden. Recordings of one modality take steps of their own: half
of a window paints the rest, and two views of it, a moment apart, are each other's partner.

A step has two halves. `look` is the heavy one and treats every window by itself: it gives
raw fingerprints and the error of each painted token. `compare` makes the losses of them
and needs the *whole* batch at once, since contrast, agreement and decorrelation are not
means over windows. Between the two a batch that lies on many devices, or came in
micro-batches, is brought together (`plethprint_distill.parallel`).
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
    mean_error,
    same_person,
    token_error,
)
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.teacher import M2AE
from plethprint_distill.teacher_batch import TeacherBatch

__all__ = [
    "Learned",
    "Masks",
    "PerWindow",
    "compare",
    "draw_mask",
    "draw_masks",
    "look",
    "step_losses",
    "total_loss",
]

Masks = tuple[torch.Tensor, torch.Tensor] | None
"""Places (N, K) that the PPG shows and those it hides; None in a cross step."""

PerWindow = dict[str, torch.Tensor]
"""Tensors whose first dimension is the windows: ``raw.NAME`` (N, dim) fingerprints,
``error.NAME`` (N, K) of painted tokens, ``hidden.NAME`` (N, K) those that count; targets,
rhythm and person of the batch."""


def draw_mask(
    teacher: M2AE, size: int, ratio: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Places (N, K) that the PPG shows, and those it hides, at random in each window."""
    order = torch.rand(size, teacher.tokens, generator=generator).argsort(dim=1)
    shown = round((1.0 - ratio) * teacher.tokens)
    return order[:, :shown], order[:, shown:]


def draw_masks(
    teacher: M2AE,
    size: int,
    config: PretrainConfig,
    generator: torch.Generator,
    *,
    paired: bool,
) -> Masks:
    """The kind of a step by chance, and with it the masks of a whole batch of `size`."""
    if paired and torch.rand((), generator=generator).item() < config.cross_share:
        return None
    return draw_mask(teacher, size, config.mask_ratio, generator)


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
    """Losses of one step on one device, unweighted, by name."""
    paired = batch.ppg is not None and batch.ecg is not None
    masks = draw_masks(teacher, len(batch), config, generator, paired=paired)
    return compare(teacher, look(teacher, batch, masks), config, learned)


def look(teacher: M2AE, batch: TeacherBatch, masks: Masks) -> PerWindow:
    """Fingerprints and painting errors, each window by itself; nothing between windows."""
    if masks is not None:
        device = batch.targets.device
        masks = masks[0].to(device), masks[1].to(device)
    if batch.ppg is None or batch.ecg is None:
        assert masks is not None
        seen = _alone(teacher, batch, masks)
    elif masks is None:
        seen = _cross(teacher, batch)
    else:
        seen = _masked(teacher, batch, masks)
    known = {"targets": batch.targets, "rhythm": batch.rhythm, "person": batch.person}
    return {**seen, **known}


def compare(
    teacher: M2AE,
    seen: PerWindow,
    config: PretrainConfig,
    learned: Learned,
    *,
    read_outs_learn: bool = True,
) -> dict[str, torch.Tensor]:
    """Losses of a whole batch, unweighted, by name.

    With `read_outs_learn` off, gradients reach the fingerprints alone.
    """
    # Cosines of thousands of windows, and their exponentials, are no matter for bf16.
    with torch.autocast(seen["targets"].device.type, enabled=False):
        raws = _named(seen, "raw")
        hidden = _named(seen, "hidden")
        told_apart = "both" in raws or "again" in raws
        unit = {m: teacher.finish(raw) for m, raw in raws.items()} if told_apart else {}
        losses = {k: mean_error(e, hidden.get(k)) for k, e in _named(seen, "error").items()}
        kin, scale = same_person(seen["person"], config.kin_share), learned.scale
        if "again" in unit:
            losses["contrast_views"] = contrast(unit["alone"], unit["again"], scale, kin)
            losses["agreement_views"] = disagreement(unit["alone"], unit["again"])
        elif unit:
            # Not both against ECG: these two begin together, and would tell by the phase.
            losses["contrast"] = contrast(unit["ppg"], unit["ecg"], scale, kin)
            losses["contrast"] += contrast(unit["both"], unit["ppg"], scale, kin)
            losses["agreement"] = disagreement(unit["ppg"], unit["both"])
        losses["decorrelation"] = torch.stack(
            [decorrelation(raw) for raw in raws.values()]
        ).mean()
        losses["physiology"] = torch.stack(
            [
                _physiology(teacher, raw, seen, learned, read_outs_learn)
                for raw in raws.values()
            ]
        ).mean()
    return losses


def _named(seen: PerWindow, kind: str) -> dict[str, torch.Tensor]:
    start = kind + "."
    return {k.removeprefix(start): v for k, v in seen.items() if k.startswith(start)}


def _cross(teacher: M2AE, batch: TeacherBatch) -> PerWindow:
    """Each modality whole and alone: it paints the other, and is told from others.

    The PPG that is contrasted begins a moment before or after the ECG and the pair of
    both: what they have in common is then the wearer, not where the beats fall.
    """
    assert batch.ppg is not None
    assert batch.ecg is not None
    assert batch.clean_ppg is not None
    assert batch.moved_ppg is not None
    assert batch.moved_ecg is not None
    beside = teacher.encode("ppg", batch.ppg)
    heart = teacher.encode("ecg", batch.ecg)
    shared = {
        "ppg": teacher.share(teacher.encode("ppg", batch.moved_ppg)),
        "ecg": teacher.share(heart),
        "both": teacher.share(torch.cat([beside, heart], dim=1)),
    }
    return {
        **{f"raw.{m}": _pool(teacher, s) for m, s in shared.items()},
        "error.ecg_from_ppg": token_error(
            teacher.decode("ecg", shared["ppg"]), teacher.patches("ecg", batch.moved_ecg)
        ),
        "error.ppg_from_ecg": token_error(
            teacher.decode("ppg", shared["ecg"]), teacher.patches("ppg", batch.clean_ppg)
        ),
    }


def _masked(
    teacher: M2AE, batch: TeacherBatch, masks: tuple[torch.Tensor, torch.Tensor]
) -> PerWindow:
    """Complementary halves: the ECG shows what the PPG hides; the hidden is painted."""
    assert batch.ppg is not None
    assert batch.ecg is not None
    assert batch.clean_ppg is not None
    assert batch.clean_ecg is not None
    shown, hidden = masks
    seen = [
        teacher.encode("ppg", batch.ppg, shown),
        teacher.encode("ecg", batch.ecg, hidden),
    ]
    memory = teacher.share(torch.cat(seen, dim=1))
    unseen = _unseen(teacher, hidden)
    return {
        "error.ppg_masked": token_error(
            teacher.decode("ppg", memory), teacher.patches("ppg", batch.clean_ppg)
        ),
        "error.ecg_masked": token_error(
            teacher.decode("ecg", memory), teacher.patches("ecg", batch.clean_ecg)
        ),
        "hidden.ppg_masked": unseen,
        "hidden.ecg_masked": 1.0 - unseen,
        "raw.masked": _pool(teacher, memory),
    }


def _alone(
    teacher: M2AE, batch: TeacherBatch, masks: tuple[torch.Tensor, torch.Tensor]
) -> PerWindow:
    """One modality: half of it paints the rest; its fingerprints are of two whole views."""
    name = "ppg" if batch.ppg is not None else "ecg"
    windows = batch.ppg if batch.ppg is not None else batch.ecg
    clean = batch.clean_ppg if batch.ppg is not None else batch.clean_ecg
    moved = batch.moved_ppg if batch.ppg is not None else batch.moved_ecg
    assert windows is not None
    assert clean is not None
    assert moved is not None
    shown, hidden = masks
    memory = teacher.share(teacher.encode(name, windows, shown))
    return {
        f"error.{name}_alone": token_error(
            teacher.decode(name, memory), teacher.patches(name, clean)
        ),
        f"hidden.{name}_alone": _unseen(teacher, hidden),
        "raw.alone": _pool(teacher, teacher.share(teacher.encode(name, windows))),
        "raw.again": _pool(teacher, teacher.share(teacher.encode(name, moved))),
    }


def _pool(teacher: M2AE, shared: torch.Tensor) -> torch.Tensor:
    with torch.autocast(shared.device.type, enabled=False):
        return teacher.pool(shared.float())


def _unseen(teacher: M2AE, hidden: torch.Tensor) -> torch.Tensor:
    """(N, K) of 1 where a place is hidden and 0 where it is shown."""
    zeros = torch.zeros(len(hidden), teacher.tokens, device=hidden.device)
    return zeros.scatter(1, hidden, 1.0)


def _physiology(
    teacher: M2AE,
    raw: torch.Tensor,
    seen: PerWindow,
    learned: Learned,
    read_outs_learn: bool,
) -> torch.Tensor:
    """Linear read-outs from the unit fingerprint: regression, and rhythm where known."""
    unit = 8.0 * teacher.finish(raw)
    read = _read if read_outs_learn else _read_only
    loss = masked_regression(
        read(teacher.read_out, unit), seen["targets"], learned.log_variance
    )
    rhythm = seen["rhythm"]
    known = rhythm >= 0
    if known.any():
        told = fn.cross_entropy(read(teacher.read_rhythm, unit[known]), rhythm[known])
        loss = loss + 0.3 * told
    return loss


def _read(layer: torch.nn.Linear, unit: torch.Tensor) -> torch.Tensor:
    return fn.linear(unit, layer.weight, layer.bias)


def _read_only(layer: torch.nn.Linear, unit: torch.Tensor) -> torch.Tensor:
    return fn.linear(unit, layer.weight.detach(), layer.bias.detach())


def total_loss(losses: dict[str, torch.Tensor], config: PretrainConfig) -> torch.Tensor:
    """The weighted sum that is minimised."""
    weights = {
        "contrast": config.contrast,
        "contrast_views": config.views * config.contrast,
        "agreement": config.agreement,
        "agreement_views": config.views * config.agreement,
        "decorrelation": config.decorrelation,
        "physiology": config.physiology,
    }
    parts = [weights.get(k, config.reconstruction) * v for k, v in losses.items()]
    return torch.stack(parts).sum()

"""What a training step of a teacher costs: operations, parameters, memory.

Counted from the shapes of the layers, as `torch.utils.flop_counter` counts: a product of
(a, b) by (b, c) is 2abc operations, and everything that is no matrix product is left out.
The backward pass of a product is two products, so that training takes three times the
forward pass; with micro-batches, which look at every window twice, four times.

What compares windows with each other (contrast, decorrelation, read-outs) is not counted:
with a batch of 8192 it is below 1 % of a `base` teacher's step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from plethprint.signal import ECG, PPG
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.teacher import M2AE, TeacherConfig

__all__ = ["TeacherCost", "activation_bytes", "look_flops", "parameters", "teacher_cost"]

_SAMPLES = {"ppg": PPG.window_samples, "ecg": ECG.window_samples}
_OPTIMISER_BYTES = 16
"""A parameter in fp32, its gradient and AdamW's two moments."""


@dataclass(frozen=True)
class TeacherCost:
    """Of one teacher under one recipe."""

    parameters: int
    flops_per_window: float
    """Of training, forward and backward, over the kinds of step in their shares."""
    state_bytes: int
    """Weights, gradients and AdamW's moments in fp32, of a process that holds them all."""
    activation_bytes_per_window: dict[str, int]
    """By precision; of the dearest kind of step, the cross step."""


def teacher_cost(
    shape: TeacherConfig,
    config: PretrainConfig | None = None,
    *,
    micro_batches: bool = False,
) -> TeacherCost:
    """What training a teacher costs.

    Parameters
    ----------
    shape
        The teacher, for example ``PRESETS["base"]``.
    config
        The recipe: its shares of the kinds of step, and its mask ratio.
    micro_batches
        Whether steps come in micro-batches (`ComputeConfig.accumulate` above 1).

    Examples
    --------
    >>> from plethprint_distill.teacher import PRESETS
    >>> round(teacher_cost(PRESETS["small"]).flops_per_window / 1e6)
    182
    """
    config = config or PretrainConfig()
    paired = 1.0 - config.unpaired_share
    shares = {
        "cross": paired * config.cross_share,
        "masked": paired * (1.0 - config.cross_share),
        "ppg alone": 0.5 * config.unpaired_share,
        "ecg alone": 0.5 * config.unpaired_share,
    }
    forward = sum(
        share * look_flops(shape, kind, config.mask_ratio) for kind, share in shares.items()
    )
    count = parameters(shape)
    return TeacherCost(
        parameters=count,
        flops_per_window=forward * (4.0 if micro_batches else 3.0),
        state_bytes=_OPTIMISER_BYTES * count,
        activation_bytes_per_window={
            name: activation_bytes(shape, half=name == "bf16-mixed")
            for name in ("32-true", "bf16-mixed")
        },
    )


def parameters(shape: TeacherConfig) -> int:
    """Numbers that are learned."""
    with torch.device("meta"):
        return sum(p.numel() for p in M2AE(shape).parameters())


def look_flops(shape: TeacherConfig, kind: str, mask_ratio: float = 0.5) -> int:
    """Operations of the forward pass on one window in a step of a kind.

    `kind` is cross, masked, ppg alone or ecg alone, as in `plethprint_distill.objective`.
    """
    tokens, shown = _tokens(shape, mask_ratio)
    pool = 2 * 2 * shape.width * shape.dim
    if kind == "cross":
        return (
            2 * _encode(shape, "ppg", tokens)
            + _encode(shape, "ecg", tokens)
            + 2 * _share(shape, tokens)
            + _share(shape, 2 * tokens)
            + _decode(shape, "ppg", tokens)
            + _decode(shape, "ecg", tokens)
            + 3 * pool
        )
    if kind == "masked":
        return (
            _encode(shape, "ppg", shown)
            + _encode(shape, "ecg", tokens - shown)
            + _share(shape, tokens)
            + _decode(shape, "ppg", tokens)
            + _decode(shape, "ecg", tokens)
            + pool
        )
    name = kind.split()[0]
    return (
        _encode(shape, name, shown)
        + _share(shape, shown)
        + _decode(shape, name, shown)
        + 2 * _encode(shape, name, tokens)
        + 2 * _share(shape, tokens)
        + 2 * pool
    )


def activation_bytes(shape: TeacherConfig, *, half: bool = False) -> int:
    """Bytes that one window of a cross step keeps for the backward pass, about.

    A layer over n tokens that attends to m keeps 14 n + 2 m rows of its width: what goes
    into its norms, its products, its attention and its GELU. With `half` the rows that go
    into products are of two bytes, those of the residual sum and the norms of four.
    """
    tokens, _ = _tokens(shape, 0.5)
    width = shape.width
    rows = 0.0
    for count, own, other in (
        (3 * shape.encoder_layers, tokens, tokens),
        (2 * shape.bottleneck_layers, tokens, tokens),
        (shape.bottleneck_layers, 2 * tokens, 2 * tokens),
        (2 * shape.decoder_layers, tokens, tokens),
    ):
        exact, rough = 2 * own, 12 * own + 2 * other
        rows += count * (4 * exact + (2 if half else 4) * rough)
    # Norms behind the bottleneck, spreads over time and paintings stay in fp32.
    rows += 4 * 6 * 4 * tokens
    return int(rows * width)


def _tokens(shape: TeacherConfig, mask_ratio: float) -> tuple[int, int]:
    tokens = round(PPG.window_s / shape.patch_s)
    return tokens, round((1.0 - mask_ratio) * tokens)


def _layer(width: int, own: int, other: int) -> int:
    """`own` tokens that attend to `other`: query, key, value, out, twice attention, MLP."""
    linear = (4 * own + 4 * other + 16 * own) * width * width
    return linear + 4 * own * other * width


def _encode(shape: TeacherConfig, name: str, tokens: int) -> int:
    # All patches are embedded, and then those kept that are shown.
    embed = 2 * _SAMPLES[name] * shape.width
    return embed + shape.encoder_layers * _layer(shape.width, tokens, tokens)


def _share(shape: TeacherConfig, tokens: int) -> int:
    return shape.bottleneck_layers * _layer(shape.width, tokens, tokens)


def _decode(shape: TeacherConfig, name: str, memory: int) -> int:
    tokens, _ = _tokens(shape, 0.5)
    paint = 2 * _SAMPLES[name] * shape.width
    return paint + shape.decoder_layers * _layer(shape.width, tokens, memory)

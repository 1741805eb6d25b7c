"""Losses of the teacher and of the student, each on plain tensors."""

from __future__ import annotations

import torch
from torch.nn import functional as fn

__all__ = ["contrast", "decorrelation", "masked_regression", "patch_error", "relation"]


def contrast(a: torch.Tensor, b: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
    """Symmetric InfoNCE of unit vectors (N, D): row i of `a` belongs to row i of `b`.

    `scale` is one over the temperature (Oord et al. 2018; symmetric as in CLIP).
    """
    logits = scale * a @ b.T
    own = torch.arange(len(a), device=a.device)
    return 0.5 * (fn.cross_entropy(logits, own) + fn.cross_entropy(logits.T, own))


def patch_error(
    painted: torch.Tensor, patches: torch.Tensor, hidden: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean squared error of patches (N, K, P); over the hidden (N, K) ones where given."""
    error = (painted - patches).square().mean(dim=-1)
    if hidden is None:
        return error.mean()
    return (error * hidden).sum() / hidden.sum().clamp(min=1.0)


def masked_regression(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Huber loss over the targets (N, K) that are known (not NaN)."""
    known = torch.isfinite(target)
    error = fn.smooth_l1_loss(
        predicted, torch.where(known, target, predicted.detach()), reduction="none"
    )
    return error.sum() / known.sum().clamp(min=1)


def decorrelation(raw: torch.Tensor) -> torch.Tensor:
    """Off-diagonal correlation and missing spread of (N, D), after VICReg (2022).

    Without it a fingerprint collapses onto a handful of directions.
    """
    centred = raw - raw.mean(dim=0)
    spread = torch.sqrt(centred.square().mean(dim=0) + 1e-4)
    scaled = centred / spread
    correlation = scaled.T @ scaled / len(raw)
    off = correlation - torch.diag(torch.diagonal(correlation))
    return off.square().sum() / raw.shape[1] + fn.relu(1.0 - spread).mean()


def relation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the similarity matrices of unit vectors (N, D)."""
    return (a @ a.T - b @ b.T).square().mean()

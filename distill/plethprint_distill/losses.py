"""Losses of the teacher and of the student, each on plain tensors."""

from __future__ import annotations

import torch
from torch.nn import functional as fn

__all__ = [
    "contrast",
    "decorrelation",
    "disagreement",
    "masked_regression",
    "mean_error",
    "patch_error",
    "relation",
    "same_person",
    "token_error",
]


def contrast(
    a: torch.Tensor,
    b: torch.Tensor,
    scale: torch.Tensor | float,
    kin: torch.Tensor | None = None,
) -> torch.Tensor:
    """Symmetric InfoNCE of unit vectors (N, D): row i of `a` belongs to row i of `b`.

    `scale` is one over the temperature (Oord et al. 2018; symmetric as in CLIP). `kin`
    (N, N), rows summing to one, says which rows of the other side belong to a row, and how
    much; by default its partner alone.
    """
    logits = scale * a @ b.T
    if kin is None:
        own = torch.arange(len(a), device=a.device)
        return 0.5 * (fn.cross_entropy(logits, own) + fn.cross_entropy(logits.T, own))
    return 0.5 * (fn.cross_entropy(logits, kin) + fn.cross_entropy(logits.T, kin))


def same_person(person: torch.Tensor, share: float) -> torch.Tensor:
    """Positives (N, N) of `contrast`: a row's partner, and its person at other times.

    Other windows of the person of a row (N,) share `share` of its weight; a person with
    one window keeps all of it there.
    """
    own = torch.eye(len(person), device=person.device)
    others = (person[:, None] == person[None, :]).to(own.dtype) - own
    count = others.sum(dim=1, keepdim=True)
    given = torch.where(count > 0, share, 0.0)
    return own * (1.0 - given) + others * given / count.clamp(min=1.0)


def disagreement(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """One minus the mean cosine of rows (N, D), each side's mean taken off first."""
    a, b = a - a.mean(dim=0), b - b.mean(dim=0)
    return 1.0 - fn.cosine_similarity(a, b, dim=-1).mean()


def patch_error(
    painted: torch.Tensor, patches: torch.Tensor, hidden: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean squared error of patches (N, K, P); over the hidden (N, K) ones where given."""
    return mean_error(token_error(painted, patches), hidden)


def token_error(painted: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """Squared error of patches (N, K, P), (N, K)."""
    return (painted - patches).square().mean(dim=-1)


def mean_error(error: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
    """Mean of errors (N, K); over the hidden (N, K) ones where given."""
    if hidden is None:
        return error.mean()
    return (error * hidden).sum() / hidden.sum().clamp(min=1.0)


def masked_regression(
    predicted: torch.Tensor,
    target: torch.Tensor,
    log_variance: torch.Tensor | None = None,
) -> torch.Tensor:
    """Huber loss over the targets (N, K) that are known (not NaN).

    With `log_variance` (K,), learned along, the loss is a negative log-likelihood: a
    target that can be read exactly, such as heart rate, goes on being read more exactly,
    where a plain mean would be all about those that cannot (Kendall, Gal, Cipolla 2018).
    """
    known = torch.isfinite(target)
    error = torch.where(known, target, predicted.detach()) - predicted
    if log_variance is None:
        loss = fn.smooth_l1_loss(error, torch.zeros_like(error), reduction="none")
    else:
        bound = log_variance.clamp(-8.0, 2.0)
        scaled = error * torch.exp(-0.5 * bound)
        loss = fn.smooth_l1_loss(scaled, torch.zeros_like(scaled), reduction="none")
        loss = torch.where(known, loss + 0.5 * bound, 0.0)
    return loss.sum() / known.sum().clamp(min=1)


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

"""The fingerprint space: what the trained teacher's numbers are turned into at the end.

An affine map, found once on training windows, takes the mean off and weighs each
principal direction by

    g = r^2        r = 1 - n / v

where v is the direction's variance and n that part of it in which PPG alone and ECG with
PPG disagree: the reliability r keeps a fingerprint from being about what no PPG can tell.
On training people r^2 was the best of the powers tried for agreement, neighbours and
retrieval alike. Whitening on top of it, g = v^(-1/4) r^2, gave version 2's fingerprints a
higher rank and no probe anything, and students follow it less closely (docs/training.md).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from plethprint.signal import ECG, PPG
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet, concatenate

__all__ = ["effective_rank", "fingerprints", "mixed_pairs", "settle_space"]

Float32Array = npt.NDArray[np.float32]


@torch.inference_mode()
def fingerprints(
    teacher: M2AE,
    windows: WindowSet,
    modalities: tuple[str, ...],
    *,
    batch: int = 512,
    raw: bool = False,
) -> Float32Array:
    """Fingerprints (N, dim) from the named modalities; `raw`: before they are settled."""
    teacher.eval()
    device = next(teacher.parameters()).device
    parts = []
    for first in range(0, len(windows), batch):
        tokens = []
        for name, spec in (("ppg", PPG), ("ecg", ECG)):
            if name in modalities:
                steps = np.asarray(getattr(windows, name)[first : first + batch])
                values = torch.from_numpy(steps.astype(np.float32) * spec.input_scale)
                tokens.append(teacher.encode(name, values.float().to(device)))
        pooled = teacher.pool(teacher.share(torch.cat(tokens, dim=1)))
        parts.append((pooled if raw else teacher.finish(pooled)).cpu().numpy())
    return np.concatenate(parts).astype(np.float32)


def mixed_pairs(sets: dict[str, WindowSet], each: int) -> WindowSet:
    """Paired windows of every set in equal number: what the space is settled on."""
    rng = np.random.default_rng(0)
    rows = {k: np.flatnonzero(np.asarray(s.has_ecg & s.has_ppg)) for k, s in sets.items()}
    return concatenate(
        sets[k].take(np.sort(rng.permutation(paired)[:each]))
        for k, paired in rows.items()
        if len(paired)
    )


def settle_space(teacher: M2AE, windows: WindowSet) -> None:
    """Set the teacher's centre and weights of directions from paired training windows."""
    alone, both = (
        fingerprints(teacher, windows, m, raw=True).astype(np.float64)
        for m in (("ppg",), ("ppg", "ecg"))
    )
    stacked = np.concatenate([alone, both])
    centre = stacked.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(stacked - centre, rowvar=False))
    # Two views of one window differ by twice the noise that each carries.
    apart = alone - both
    noise = 0.5 * ((apart - apart.mean(axis=0)) @ vectors).var(axis=0)
    reliability = np.clip(1.0 - noise / np.maximum(values, 1e-12), 0.05, 1.0)
    spread = vectors @ np.diag(reliability**2) @ vectors.T
    teacher.centre.copy_(torch.from_numpy(centre))
    teacher.spread.copy_(torch.from_numpy(spread))


def effective_rank(vectors: npt.NDArray[np.floating]) -> float:
    """Exponential of the entropy of the covariance's eigenvalues (Roy, Vetterli 2007).

    Examples
    --------
    >>> round(effective_rank(np.eye(4)[[0, 1, 2, 3] * 50]), 1)
    3.0
    """
    values = np.linalg.eigvalsh(np.cov(vectors, rowvar=False))
    share = np.maximum(values, 0) / max(values.sum(), 1e-30)
    share = share[share > 1e-12]
    return float(np.exp(-(share * np.log(share)).sum()))

"""Batches of the teacher: which windows a step sees, and in which views.

Paired windows come from every set in its share, with other windows of the same people
among them; recordings of PPG alone or ECG alone make batches of their own. Every random
choice is drawn from (seed, step), so that a resumed run sees what an uninterrupted one
would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from plethprint.signal import ECG, PPG
from plethprint_distill.augment import disturb, disturb_ecg, other_lead
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.windows import WindowSet

__all__ = ["Pools", "TeacherBatch", "draw_batch"]


@dataclass(frozen=True)
class TeacherBatch:
    """What one step sees and what it should paint, on the device; None where absent."""

    ppg: torch.Tensor | None
    ecg: torch.Tensor | None
    clean_ppg: torch.Tensor | None
    clean_ecg: torch.Tensor | None
    targets: torch.Tensor
    rhythm: torch.Tensor
    person: torch.Tensor
    """(N,) a number for each person."""

    def to(self, device: torch.device) -> TeacherBatch:
        """The same on another device."""
        fields: dict[str, Any] = {
            k: None if v is None else v.to(device) for k, v in vars(self).items()
        }
        return TeacherBatch(**fields)


class Pools:
    """Window sets a batch is drawn from, with the shares of each."""

    def __init__(self, sets: dict[str, WindowSet], config: PretrainConfig) -> None:
        self.sets = sets
        ppg = {k: np.asarray(s.has_ppg) for k, s in sets.items()}
        ecg = {k: np.asarray(s.has_ecg) for k, s in sets.items()}
        self.kinds = {
            "paired": _rows({k: ppg[k] & ecg[k] for k in sets}),
            "ppg": _rows({k: ppg[k] & ~ecg[k] for k in sets}),
            "ecg": _rows({k: ecg[k] & ~ppg[k] for k in sets}),
        }
        self.shares = {
            kind: _shares(rows, config.virtual_share) for kind, rows in self.kinds.items()
        }
        self.people, self.families, first = {}, {}, 0
        for name, windows in sets.items():
            names, codes = np.unique(np.asarray(windows.person), return_inverse=True)
            self.people[name] = codes.astype(np.int64) + first
            first += len(names)
            if len(names) < len(windows):
                self.families[name] = _Families(codes)
        stacked = np.concatenate([np.asarray(s.targets) for s in sets.values()])
        known = np.ma.masked_invalid(stacked)
        # A target that no set knows stays as it is: it costs no loss anyhow.
        self.centre = np.asarray(known.mean(axis=0).filled(0.0), np.float32)
        self.spread = np.asarray(known.std(axis=0).filled(1.0) + 1e-3, np.float32)


class _Families:
    """Finds another window of the same person, of the same kind or not."""

    def __init__(self, codes: npt.NDArray[np.integer[Any]]) -> None:
        self.codes = codes
        self.order = np.argsort(codes, kind="stable")
        self.count = np.bincount(codes)
        self.start = np.cumsum(self.count) - self.count

    def kin(
        self, rows: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        whose = self.codes[rows]
        pick = (rng.random(len(rows)) * self.count[whose]).astype(np.int64)
        found: npt.NDArray[np.int64] = self.order[self.start[whose] + pick]
        return found


def _rows(masks: dict[str, npt.NDArray[np.bool_]]) -> dict[str, npt.NDArray[np.int64]]:
    return {k: np.flatnonzero(mask) for k, mask in masks.items() if mask.any()}


def _shares(
    rows: dict[str, npt.NDArray[np.int64]], virtual_share: float
) -> dict[str, float]:
    """Share of each set in a batch: real ones by their size, virtual ones as told."""
    real = {k: len(v) for k, v in rows.items() if k != "virtual"}
    total = sum(real.values())
    share = virtual_share if total and "virtual" in rows else float(not total)
    shares = {k: (1.0 - share) * n / total for k, n in real.items()}
    return {**shares, "virtual": share} if "virtual" in rows else shares


def draw_batch(pools: Pools, config: PretrainConfig, step: int) -> TeacherBatch:
    """The windows of one step: a function of (seed, step) alone."""
    rng = np.random.default_rng([config.seed, step])
    alone = [kind for kind in ("ppg", "ecg") if pools.kinds[kind]]
    kind = "paired"
    if alone and (rng.random() < config.unpaired_share or not pools.kinds["paired"]):
        kind = alone[int(rng.integers(len(alone)))]
    shares = pools.shares[kind]
    counts = rng.multinomial(config.batch, list(shares.values()))
    parts = []
    for name, count in zip(shares, counts.tolist(), strict=True):
        if count:
            rows = pools.kinds[kind][name]
            index = rng.choice(rows, count)
            if name in pools.families:
                # A quarter of the windows bring their person's window of another time.
                most = count // 4
                kin = pools.families[name].kin(index[:most], rng)
                fits = np.isin(kin, rows)
                index[most : 2 * most][fits] = kin[fits]
            parts.append((name, np.sort(index)))
    clean: dict[str, npt.NDArray[np.float32] | None] = {"ppg": None, "ecg": None}
    for spec in (PPG, ECG):
        if kind in ("paired", spec.name):
            steps = [getattr(pools.sets[k], spec.name)[i] for k, i in parts]
            clean[spec.name] = np.concatenate(steps).astype(np.float32) * np.float32(
                spec.input_scale
            )
    if kind == "ecg" and clean["ecg"] is not None:
        clean["ecg"] = other_lead(clean["ecg"], rng)
    ppg, ecg = clean["ppg"], clean["ecg"]
    targets = np.concatenate([pools.sets[k].targets[i] for k, i in parts])
    rhythm = np.concatenate([pools.sets[k].rhythm[i] for k, i in parts])
    return TeacherBatch(
        ppg=_tensor(None if ppg is None else disturb(ppg, rng, config.disturbance)),
        ecg=_tensor(None if ecg is None else disturb_ecg(ecg, rng)),
        clean_ppg=_tensor(ppg),
        clean_ecg=_tensor(ecg),
        targets=torch.from_numpy((targets - pools.centre) / pools.spread),
        rhythm=torch.from_numpy(rhythm.astype(np.int64)),
        person=torch.from_numpy(np.concatenate([pools.people[k][i] for k, i in parts])),
    )


def _tensor(rows: npt.NDArray[np.float32] | None) -> torch.Tensor | None:
    return None if rows is None else torch.from_numpy(rows)

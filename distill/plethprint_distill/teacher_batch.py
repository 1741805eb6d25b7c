"""Batches of the teacher: which windows a step sees, and in which views.

Paired windows come from every set in its share, with other windows of the same people
among them; recordings of PPG alone or ECG alone make batches of their own. Every random
choice is drawn from (seed, step), so that a resumed run sees what an uninterrupted one
would have seen, and many processes together see what one would have seen: each takes its
slice of the same global batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from plethprint.signal import ECG, PPG, SignalSpec
from plethprint_distill.augment import disturb, disturb_ecg, other_lead
from plethprint_distill.crops import crop, room_samples
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.windows import WindowSet

__all__ = ["BatchSource", "Pools", "TeacherBatch", "WindowSetSource", "draw_batch"]

_BLOCK = 256
"""Windows whose views are drawn together: a process draws the blocks it needs alone."""

Parts = list[tuple[str, npt.NDArray[np.int64]]]
Rows = npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class TeacherBatch:
    """What one step sees and what it should paint, on the device; None where absent."""

    ppg: torch.Tensor | None
    ecg: torch.Tensor | None
    clean_ppg: torch.Tensor | None
    clean_ecg: torch.Tensor | None
    moved_ppg: torch.Tensor | None
    """The PPG from a moment earlier or later on, disturbed anew."""
    moved_ecg: torch.Tensor | None
    """The ECG at that moment: of pairs clean, alone disturbed anew, as another lead."""
    targets: torch.Tensor
    rhythm: torch.Tensor
    person: torch.Tensor
    """(N,) a number for each person."""

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, which: slice) -> TeacherBatch:
        """Some of its windows."""
        fields: dict[str, Any] = {
            k: None if v is None else v[which] for k, v in vars(self).items()
        }
        return TeacherBatch(**fields)

    def to(self, device: torch.device) -> TeacherBatch:
        """The same on another device."""
        fields: dict[str, Any] = {
            k: None if v is None else v.to(device) for k, v in vars(self).items()
        }
        return TeacherBatch(**fields)


class BatchSource(Protocol):
    """What feeds a training; whatever streams windows can stand in the place of Pools."""

    centre: npt.NDArray[np.float32]
    """(len(TARGETS),) mean of each target over the training windows."""
    spread: npt.NDArray[np.float32]
    """(len(TARGETS),) their standard deviation."""

    def draw(self, step: int, rank: int = 0, world: int = 1) -> TeacherBatch:
        """The windows of a step that fall to one of `world` ranks, with their views.

        Ranks get equally many, of the same modalities. The same arguments always give the
        same windows: a resumed run asks for the step it stands at, not for the first.
        Ranks together need to give what one rank alone gives only where the loss curve is
        to be the same for any number of processes.
        """


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


class WindowSetSource:
    """Window sets in memory, or mapped into it from files: every window is at hand."""

    def __init__(self, sets: dict[str, WindowSet], config: PretrainConfig) -> None:
        self.pools, self.config = Pools(sets, config), config
        self.centre, self.spread = self.pools.centre, self.pools.spread

    def draw(self, step: int, rank: int = 0, world: int = 1) -> TeacherBatch:
        """The rank's slice of the global batch of (seed, step)."""
        size = self.config.batch // world
        return draw_batch(
            self.pools, self.config, step, range(rank * size, (rank + 1) * size)
        )


def draw_batch(
    pools: Pools, config: PretrainConfig, step: int, part: range | None = None
) -> TeacherBatch:
    """The windows of one step, or a part of them: a function of (seed, step) alone."""
    rng = np.random.default_rng([config.seed, step])
    kind, parts = _choose(pools, config, rng)
    part = part or range(config.batch)
    blocks = []
    for first in range(part.start - part.start % _BLOCK, part.stop, _BLOCK):
        last = min(first + _BLOCK, config.batch)
        if config.batch > _BLOCK:
            # Not [seed, step, 0]: a generator takes that for [seed, step].
            rng = np.random.default_rng([config.seed, step, 1 + first // _BLOCK])
        block = _views(pools, config, kind, _between(parts, first, last), rng)
        kept = slice(max(0, part.start - first), part.stop - first)
        blocks.append({k: None if v is None else v[kept] for k, v in block.items()})
    rows = {k: _joined([block[k] for block in blocks]) for k in blocks[0]}
    mine = _between(parts, part.start, part.stop)
    targets = np.concatenate([pools.sets[k].targets[i] for k, i in mine])
    rhythm = np.concatenate([pools.sets[k].rhythm[i] for k, i in mine])
    return TeacherBatch(
        **rows,
        targets=torch.from_numpy((targets - pools.centre) / pools.spread),
        rhythm=torch.from_numpy(rhythm.astype(np.int64)),
        person=torch.from_numpy(np.concatenate([pools.people[k][i] for k, i in mine])),
    )


def _choose(
    pools: Pools, config: PretrainConfig, rng: np.random.Generator
) -> tuple[str, Parts]:
    """Which modalities a step is of, and the rows of each set that make its batch."""
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
    return kind, parts


def _between(parts: Parts, first: int, last: int) -> Parts:
    """Rows `first` to `last` of the batch that the parts make one after the other."""
    found, start = [], 0
    for name, index in parts:
        cut = index[max(0, first - start) : max(0, last - start)]
        if len(cut):
            found.append((name, cut))
        start += len(index)
    return found


def _views(
    pools: Pools,
    config: PretrainConfig,
    kind: str,
    parts: Parts,
    rng: np.random.Generator,
) -> dict[str, Rows]:
    """Crops in standard deviations, clean and disturbed, and second, moved ones."""
    count = sum(len(index) for _, index in parts)
    rows = {
        spec.name: np.concatenate([getattr(pools.sets[k], spec.name)[i] for k, i in parts])
        if kind in ("paired", spec.name)
        else None
        for spec in (PPG, ECG)
    }
    here, there = rng.random(count), rng.random(count)
    ppg, ecg = (_cut(rows[spec.name], spec, here) for spec in (PPG, ECG))
    if kind == "ecg" and ecg is not None:
        ecg = other_lead(ecg, rng)
    views = {
        "ppg": None if ppg is None else disturb(ppg, rng, config.disturbance),
        "ecg": None if ecg is None else disturb_ecg(ecg, rng),
        "clean_ppg": ppg,
        "clean_ecg": ecg,
        "moved_ppg": None,
        "moved_ecg": None,
    }
    moved_ppg, moved_ecg = (_cut(rows[spec.name], spec, there) for spec in (PPG, ECG))
    if moved_ppg is not None:
        views["moved_ppg"] = disturb(moved_ppg, rng, config.disturbance)
    if moved_ecg is not None and kind == "ecg":
        moved_ecg = disturb_ecg(other_lead(moved_ecg, rng), rng)
    views["moved_ecg"] = moved_ecg
    return views


def _cut(
    rows: npt.NDArray[np.int8] | None, spec: SignalSpec, where: npt.NDArray[np.float64]
) -> Rows:
    """Crops that begin at a share (N,) of the room that the context gives."""
    if rows is None:
        return None
    return crop(rows, spec, (where * (room_samples(rows, spec) + 1)).astype(np.int64))


def _joined(blocks: list[Rows]) -> torch.Tensor | None:
    rows = [block for block in blocks if block is not None]
    return torch.from_numpy(np.concatenate(rows)) if rows else None

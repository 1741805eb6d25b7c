"""Shards unpacked into window sets that are mapped into memory, once on each machine.

A teacher's batch mixes all people and brings people's other windows with them, and a run
that goes on must find the windows it would have seen: both want any window at any time. A
window is 2 kB, so that even millions fit a machine's disk and page cache; all its ranks
share the one mapping.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint_distill.shard_files import Shard, read_shard
from plethprint_distill.shards import rank_shards
from plethprint_distill.splits import training_mask
from plethprint_distill.windows import WindowSet

__all__ = ["mapped_sets", "unpack_shards"]


_HELD_OUT = 0.1


def unpack_shards(
    shards: Path,
    out: Path,
    *,
    train_on: Collection[str] = (),
    progress: bool = True,
) -> dict[str, int]:
    """Write the windows of shards that may train into `out`, a window set a corpus.

    A set that is finished stays as it is; one that was stopped is begun again.

    Parameters
    ----------
    shards
        Folder that `prepare_shards` wrote.
    out
        Folder on this machine, best on a local disk.
    train_on
        Corpora that the shipped models never see (`plethprint_distill.splits` holds all of
        their people out) and this training shall: nine in ten of their people, by the
        hash of the name. Of all others the splits say who trains.

    Returns
    -------
    dict
        Windows by corpus.

    Raises
    ------
    RecordingError
        If the shards have no finished index, or one is torn; if no window may train.
    """
    every = sorted(rank_shards(shards), key=lambda shard: shard.name)
    counts = {}
    with tqdm(total=2 * len(every), unit="shard", disable=not progress) as bar:
        for corpus in sorted({shard.corpus for shard in every}):
            own = [shard for shard in every if shard.corpus == corpus]
            counts[corpus] = _unpack(shards, own, out / corpus, corpus in train_on, bar)
    if not any(counts.values()):
        raise RecordingError(f"{shards} holds no window that may train")
    return counts


def mapped_sets(folder: Path) -> dict[str, WindowSet]:
    """The sets that `unpack_shards` wrote, mapped, in an order that all ranks share.

    Sets prepared otherwise may lie beside them, such as the virtual wearers. Where some
    have context for crops and others have none, it is left out.

    Raises
    ------
    RecordingError
        If there are none.
    """
    names = sorted(p.parent.name for p in folder.glob("*/about.json"))
    sets = {name: WindowSet.load(folder / name) for name in names}
    if not sets:
        raise RecordingError(f"{folder} holds no unpacked shards: unpack them first")
    if len({windows.ppg.shape[1] for windows in sets.values()}) > 1:
        sets = {name: windows.centred() for name, windows in sets.items()}
    return sets


def _trains(block: WindowSet, by_hash: bool) -> npt.NDArray[np.bool_]:
    if not by_hash:
        return training_mask(block.person, block.record)
    people, whose = np.unique(block.person, return_inverse=True)
    digests = [hashlib.sha256(f"plethprint/{p}".encode()).digest() for p in people]
    shares = np.array([int.from_bytes(d[:4], "big") / 2**32 for d in digests])
    mask: npt.NDArray[np.bool_] = shares[whose] >= _HELD_OUT
    return mask


def _unpack(shards: Path, own: list[Shard], out: Path, by_hash: bool, bar: Any) -> int:
    about = out / "about.json"
    if about.is_file():
        bar.update(2 * len(own))
        return int(json.loads(about.read_text())["windows"])
    # An array's size and the width of its strings must be known before it is mapped.
    shapes: dict[str, tuple[int, ...]] = {}
    types: dict[str, np.dtype[Any]] = {}
    total = 0
    people: set[str] = set()
    for shard in own:
        for block in read_shard(shards, shard):
            kept = block.take(_trains(block, by_hash))
            total += len(kept)
            people.update(kept.person.tolist())
            for name, values in vars(kept).items():
                shapes[name] = values.shape[1:]
                wider = types.get(name, values.dtype)
                types[name] = np.promote_types(wider, values.dtype)
        bar.update()
    if not total:
        bar.update(len(own))
        return 0
    out.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: np.lib.format.open_memmap(
            out / f"{name}.npy", mode="w+", dtype=types[name], shape=(total, *shape)
        )
        for name, shape in shapes.items()
    }
    first = 0
    for shard in own:
        for block in read_shard(shards, shard):
            kept = block.take(_trains(block, by_hash))
            for name, values in vars(kept).items():
                arrays[name][first : first + len(kept)] = values
            first += len(kept)
        bar.update()
    for array in arrays.values():
        array.flush()
    # Last, and whole: a set without it is not finished.
    part = about.with_suffix(".part")
    facts = {"windows": total, "people": len(people), "shards": [s.name for s in own]}
    part.write_text(json.dumps(facts, indent=2) + "\n")
    part.replace(about)
    return total

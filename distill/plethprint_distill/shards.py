"""Corpora to WebDataset shards, for training past one machine; and the shards read back.

A corpus is cut into tasks of some sources each. A task reads its sources, makes windows,
leaves out those of low quality and writes its shards; last it writes a note of what it did.
So tasks run anywhere in any order and always give the same bytes, and a run that was
stopped goes on with the tasks that have no note. `shards.json`, written when all are done,
names every shard with its digest, and every corpus with its people and its licence.

Tasks go through joblib: on one machine as processes, over a cluster with
``joblib.parallel_config(backend="dask")`` or ``"ray"`` around the call. The folders must be
the same on all machines.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint.signal import ECG, PPG
from plethprint_distill.corpora import CORPORA, Corpus
from plethprint_distill.physiology import TARGETS
from plethprint_distill.shard_files import Shard, read_shard
from plethprint_distill.shard_tasks import (
    FORMAT,
    ShardConfig,
    Task,
    is_finished,
    note_of,
    read_json,
    run,
    tasks_of,
    write_json,
)
from plethprint_distill.windows import WindowSet

__all__ = ["ShardConfig", "prepare_shards", "rank_shards", "read_shards"]

_LOGGER = logging.getLogger(__name__)
_INDEX = "shards.json"
_MIXED = 4


def prepare_shards(
    data: Path,
    out: Path,
    corpora: Sequence[str] | None = None,
    config: ShardConfig | None = None,
    *,
    jobs: int | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Write shards of corpora and their index; go on where an earlier run was stopped.

    Parameters
    ----------
    data
        Folder that holds the corpora's folders.
    out
        Where the shards go; one folder for one choice of settings.
    corpora
        Names of `CORPORA`; by default those that may train and have a folder in `data`.
    config
        Windows, quality and sizes.
    jobs
        Processes; None leaves it to `joblib.parallel_config`, and is one outside of it.

    Returns
    -------
    dict
        The index, as written to `out/shards.json`.

    Raises
    ------
    RecordingError
        If a corpus is unknown, missing or damaged, gives no window at all, or `out` holds
        shards of other settings.
    """
    config = config or ShardConfig()
    chosen = _chosen(data, corpora)
    out.mkdir(parents=True, exist_ok=True)
    tasks = [task for corpus in chosen for task in tasks_of(corpus, data, config)]
    pending = [task for task in tasks if not is_finished(out, task)]
    # The index of an earlier, smaller run would pass for this one's.
    if pending:
        (out / _INDEX).unlink(missing_ok=True)
    work = (delayed(run)(task, out, config) for task in pending)
    done = Parallel(n_jobs=jobs, return_as="generator")(work)
    for _ in tqdm(done, total=len(pending), desc="shards", disable=not progress):
        pass
    index = _index(out, tasks, chosen, config)
    if not index["windows"]:
        raise RecordingError(f"{data} gives no window: {index['corpora']}")
    write_json(out / _INDEX, index)
    return index


def _chosen(data: Path, names: Sequence[str] | None) -> list[Corpus]:
    unknown = sorted(set(names or ()) - set(CORPORA))
    if unknown:
        raise RecordingError(
            f"no reader for {', '.join(unknown)}; there are {', '.join(sorted(CORPORA))}"
        )
    chosen = [
        corpus
        for corpus in CORPORA.values()
        if (corpus.name in names if names else corpus.may_train)
        and (data / corpus.name).is_dir()
    ]
    absent = [name for name in names or () if not (data / name).is_dir()]
    if absent or not chosen:
        raise RecordingError(f"{data} has no folder {', '.join(absent) or 'of a corpus'}")
    for corpus in chosen:
        if not corpus.may_train:
            _LOGGER.warning(
                "%s: weights that ship may not train on it (%s)", corpus.name, corpus.reason
            )
    return chosen


def _index(
    out: Path, tasks: Sequence[Task], chosen: Sequence[Corpus], config: ShardConfig
) -> dict[str, Any]:
    notes: dict[str, list[Mapping[str, Any]]] = {corpus.name: [] for corpus in chosen}
    for task in tasks:
        written = note_of(out, task)
        if written is None:
            raise RecordingError(f"{out} lost the note of {task.name}: prepare once more")
        notes[task.corpus].append(written)
    corpora = []
    for corpus in chosen:
        counts: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        for note in notes[corpus.name]:
            counts.update(note["counts"])
            rejected.update(note["rejected"])
        corpora.append(
            {
                "name": corpus.name,
                "licence": corpus.licence,
                "may_train": corpus.may_train,
                "url": corpus.url,
                "citation": corpus.citation,
                "people": len({p for note in notes[corpus.name] for p in note["people"]}),
                **dict(sorted(counts.items())),
                "rejected": dict(sorted(rejected.items())),
            }
        )
    shards = [shard for c in chosen for note in notes[c.name] for shard in note["shards"]]
    return {
        "format": FORMAT,
        "settings": asdict(config),
        "ppg": asdict(PPG),
        "ecg": asdict(ECG),
        "targets": list(TARGETS),
        "windows": sum(shard["windows"] for shard in shards),
        "people": sum(corpus["people"] for corpus in corpora),
        "corpora": corpora,
        "shards": shards,
    }


def rank_shards(
    folder: Path, *, rank: int = 0, world: int = 1, seed: int = 0
) -> list[Shard]:
    """The shards of one rank, in the order in which it reads them.

    All ranks together have every shard once. They hold unequal numbers of windows: where
    ranks must make equal numbers of steps, stop at the smallest, which every rank can work
    out from here.

    Raises
    ------
    RecordingError
        If there is no finished index, or there are fewer shards than ranks.
    """
    if not (folder / _INDEX).is_file():
        raise RecordingError(f"{folder} holds no finished shards: there is no {_INDEX}")
    index = read_json(folder / _INDEX)
    if index.get("format") != FORMAT or index.get("targets") != list(TARGETS):
        raise RecordingError(f"{folder / _INDEX} was made for other windows or targets")
    try:
        shards = [Shard(**shard) for shard in index["shards"]]
    except (KeyError, TypeError) as error:
        raise RecordingError(f"{folder / _INDEX} is damaged: {error!r}") from error
    if not 0 <= rank < world or world > len(shards):
        raise RecordingError(
            f"rank {rank} of {world} cannot be fed from {len(shards)} shards"
        )
    order = np.random.default_rng(seed).permutation(len(shards)).tolist()
    return [shards[position] for position in order[rank::world]]


def read_shards(
    folder: Path, *, rank: int = 0, world: int = 1, seed: int = 0
) -> Iterator[WindowSet]:
    """Stream the windows of a rank once, in batches of `ShardConfig.block_windows`.

    Batches of several shards alternate by chance; another `seed` gives another order, so
    each epoch takes its own. No more than a few shards are in memory. People who are held
    out are in the shards: `plethprint_distill.splits.training_mask` leaves them out.

    Raises
    ------
    RecordingError
        As `rank_shards`; and if a shard is missing, torn or changed.
    """
    rng = np.random.default_rng([seed, rank, 1])
    queue = iter(rank_shards(folder, rank=rank, world=world, seed=seed))
    streams: list[Iterator[WindowSet]] = []
    while True:
        while len(streams) < _MIXED and (shard := next(queue, None)) is not None:
            streams.append(read_shard(folder, shard))
        if not streams:
            return
        position = int(rng.integers(len(streams)))
        windows = next(streams[position], None)
        if windows is None:
            del streams[position]
        else:
            yield windows

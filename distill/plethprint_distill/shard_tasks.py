"""One task of shard preparation: some sources of a corpus to shards and a note.

A task reads its sources, makes windows, leaves out those of low quality and writes its
shards; last it writes the note that says what it did. It runs anywhere and always gives
the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError, SampleRateError
from plethprint.quality import LOW_QUALITY, assess
from plethprint.signal import ECG, PPG
from plethprint_distill.common_rate import at_common_rate
from plethprint_distill.corpora import CORPORA, Corpus, CorpusRecording
from plethprint_distill.physiology import TARGETS
from plethprint_distill.shard_files import Shard, write_shard
from plethprint_distill.windows import WindowSet, concatenate, windows_of_recording

__all__ = [
    "FORMAT",
    "ShardConfig",
    "Task",
    "is_finished",
    "note_of",
    "read_json",
    "run",
    "tasks_of",
    "write_json",
]

FORMAT = "plethprint-shards/1"

_FEW_TASKS = 16
"""A corpus is cut into at least so many tasks where it has as many sources."""


@dataclass(frozen=True)
class ShardConfig:
    """How recordings become shards."""

    hop_s: float = 2.5
    """Seconds between the starts of windows."""
    cold_share: float = 0.3
    """Share of the PPG windows that are filtered from a cold start."""
    context_s: float = 0.0
    """Seconds kept before and behind a window for crops in time; a teacher wants 0.5."""
    min_quality: float = LOW_QUALITY
    """Windows whose PPG scores below are left out; 0 keeps all."""
    shard_windows: int = 8192
    """Windows of a full shard, about 18 MB."""
    block_windows: int = 128
    """Windows of a sample; a batch when read."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.hop_s > 0 or not 0 <= self.min_quality <= 1 or self.seed < 0:
            raise RecordingError(
                "hop_s must be above 0, min_quality 0 to 1, seed not below 0"
            )
        if not 0 <= self.context_s <= PPG.window_s:
            raise RecordingError("context_s must be 0 to the length of a window")
        if not 1 <= self.block_windows <= self.shard_windows:
            raise RecordingError("block_windows must be 1 to shard_windows")


@dataclass(frozen=True)
class Task:
    """Some sources of one corpus."""

    corpus: str
    folder: Path
    index: int
    sources: tuple[str, ...]
    settings: str
    """Digest of all that shapes its shards, but for the content of the sources."""

    @property
    def name(self) -> str:
        """What its files begin with."""
        return f"{self.corpus}-{self.index:06d}"


def tasks_of(corpus: Corpus, data: Path, config: ShardConfig) -> list[Task]:
    """The tasks of a corpus, in the order of its sources."""
    folder = data / corpus.name
    names = corpus.sources(folder)
    # Few sources are large ones: they are shared out singly.
    step = min(corpus.sources_per_task, -(-len(names) // _FEW_TASKS))
    tasks = []
    for index, first in enumerate(range(0, len(names), step)):
        sources = names[first : first + step]
        shaping = [FORMAT, asdict(config), asdict(PPG), asdict(ECG), TARGETS, sources]
        digest = hashlib.sha256(json.dumps(shaping).encode()).hexdigest()
        tasks.append(Task(corpus.name, folder, index, tuple(sources), digest))
    return tasks


def is_finished(out: Path, task: Task) -> bool:
    """Whether the task's note is there and so are all shards that it names."""
    note = note_of(out, task)
    if note is None:
        return False
    if note["settings"] != task.settings:
        raise RecordingError(
            f"{out} holds shards of {task.corpus} made with other settings or of other "
            "files: choose another folder"
        )
    return all(
        (out / shard["name"]).is_file()
        and (out / shard["name"]).stat().st_size == shard["bytes"]
        for shard in note["shards"]
    )


def note_of(out: Path, task: Task) -> dict[str, Any] | None:
    """What a task wrote last, or None where it did not come to that."""
    path = out / f"{task.name}.json"
    return read_json(path) if path.is_file() else None


def run(task: Task, out: Path, config: ShardConfig) -> None:
    """Read the sources of one task and write its shards, and last its note."""
    rejected: Counter[str] = Counter()
    people: set[str] = set()
    counts: Counter[str] = Counter()
    shards: list[Shard] = []
    waiting: list[tuple[WindowSet, npt.NDArray[np.float32]]] = []

    def write(windows: WindowSet, quality: npt.NDArray[np.float32]) -> None:
        path = out / f"{task.name}-{len(shards):02d}.tar"
        shards.append(
            write_shard(
                path,
                task.corpus,
                windows,
                quality,
                block_windows=config.block_windows,
                seed=config.seed,
            )
        )

    for recording in CORPORA[task.corpus].read(task.folder, task.sources):
        counts["recordings"] += 1
        part = _windows(recording, config, rejected)
        if part is None:
            continue
        windows = part[0]
        people.update(str(person) for person in np.unique(windows.person))
        has_ppg, has_ecg = np.asarray(windows.has_ppg), np.asarray(windows.has_ecg)
        counts["windows"] += len(windows)
        counts["paired"] += int((has_ppg & has_ecg).sum())
        counts["ppg_alone"] += int((has_ppg & ~has_ecg).sum())
        counts["ecg_alone"] += int((~has_ppg & has_ecg).sum())
        waiting.append(part)
        while sum(len(w) for w, _ in waiting) >= config.shard_windows:
            windows, quality = _joined(waiting)
            full, rest = np.split(np.arange(len(windows)), [config.shard_windows])
            write(windows.take(full), quality[full])
            waiting = [(windows.take(rest), quality[rest])] if rest.size else []
    if waiting:
        write(*_joined(waiting))
    note = {
        "settings": task.settings,
        "shards": [asdict(shard) for shard in shards],
        "people": sorted(people),
        "counts": dict(counts),
        "rejected": dict(rejected),
    }
    write_json(out / f"{task.name}.json", note)


def _joined(
    parts: list[tuple[WindowSet, npt.NDArray[np.float32]]],
) -> tuple[WindowSet, npt.NDArray[np.float32]]:
    return concatenate(w for w, _ in parts), np.concatenate([q for _, q in parts])


def _windows(
    recording: CorpusRecording, config: ShardConfig, rejected: Counter[str]
) -> tuple[WindowSet, npt.NDArray[np.float32]] | None:
    """Windows of a recording that pass the gate, and their quality; counts the others."""
    length_s = min(
        signal.size / rate_hz
        for signal, rate_hz in (
            (recording.ppg, recording.ppg_rate_hz),
            (recording.ecg, recording.ecg_rate_hz),
        )
        if signal is not None
    )
    whole_s = PPG.window_s + 2.0 * config.context_s
    if length_s < whole_s - 1e-6:
        rejected["recording_too_short"] += 1
        return None
    try:
        windows = windows_of_recording(
            at_common_rate(recording),
            hop_s=config.hop_s,
            cold_share=config.cold_share,
            seed=config.seed,
            context_s=config.context_s,
        )
    except SampleRateError:
        rejected["recording_below_20_hz"] += 1
        return None
    # As many as the length allows; bringing a pair to its lag costs a second or less.
    possible = int((length_s - whole_s) / config.hop_s + 1e-6) + 1
    found = 0 if windows is None else len(windows)
    if found < possible:
        rejected["missing_or_flat"] += possible - found
    if windows is None:
        return None
    quality = np.full(len(windows), np.nan, np.float32)
    has_ppg = np.asarray(windows.has_ppg)
    if has_ppg.any():
        quality[has_ppg] = assess(windows.take(has_ppg).centred().ppg)
    keep = ~has_ppg | (quality >= config.min_quality)
    if not keep.all():
        rejected["low_quality"] += int((~keep).sum())
    return (windows.take(keep), quality[keep]) if keep.any() else None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; anything else is a `RecordingError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} is not readable: {error}") from error
    if not isinstance(content, dict):
        raise RecordingError(f"{path} is no JSON object")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that is there whole or not at all."""
    half = path.with_suffix(".json.part")
    half.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    half.replace(path)

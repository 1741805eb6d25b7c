"""Windows with labels for evaluation, one set a corpus, kept on disk once made.

Windows come from the SDK's preprocessing and do not overlap. Sets are made when a task
first asks for them; what has no folder is told as missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint.signal import ECG, PPG
from plethprint_distill.corpora import CORPORA
from plethprint_distill.physiology import TARGETS
from plethprint_distill.windows import WindowSet, concatenate

__all__ = ["LabelledWindows", "Library", "corpus_folders", "joined", "ppg_windows"]

_LOGGER = logging.getLogger(__name__)

_FORMAT = 2
"""Raised when a set's content changes, so that sets on disk are made anew."""

Column = npt.NDArray[Any]


@dataclass(frozen=True)
class LabelledWindows:
    """N windows, and columns of labels for them."""

    windows: WindowSet
    labels: dict[str, Column]
    """(N,) each; numbers with NaN, or words with "", where unknown."""

    def __len__(self) -> int:
        return len(self.windows)

    def number(self, name: str) -> npt.NDArray[np.float64]:
        """A column of labels as numbers, (N,)."""
        return np.asarray(self.labels[name], np.float64)

    def word(self, name: str) -> npt.NDArray[np.str_]:
        """A column of labels as words, (N,)."""
        return np.asarray(self.labels[name]).astype(str)

    def take(self, index: npt.NDArray[Any]) -> LabelledWindows:
        """The windows at `index` with their labels."""
        return LabelledWindows(
            self.windows.take(index), {k: v[index] for k, v in self.labels.items()}
        )

    def save(self, folder: Path, stamp: str) -> None:
        """Write the set; it is whole only once its `about.json` stands."""
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        columns: dict[str, Any] = dict(self.labels)
        np.savez(folder / "labels.npz", **columns)
        self.windows.save(folder, about={"stamp": stamp})

    @classmethod
    def load(cls, folder: Path, stamp: str) -> LabelledWindows | None:
        """The set, or None where there is none with this stamp."""
        try:
            if json.loads((folder / "about.json").read_text())["stamp"] != stamp:
                return None
            with np.load(folder / "labels.npz", allow_pickle=False) as archive:
                labels = {key: archive[key] for key in archive.files}
            return cls(WindowSet.load(folder), labels)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def joined(parts: Iterable[LabelledWindows]) -> LabelledWindows:
    """One set of several with the same columns."""
    every = list(parts)
    if not every:
        raise RecordingError("the folder gives no window")
    return LabelledWindows(
        concatenate(part.windows for part in every),
        {k: np.concatenate([p.labels[k] for p in every]) for k in every[0].labels},
    )


def ppg_windows(
    ppg: npt.NDArray[np.int8], person: str, record: str, start_s: npt.ArrayLike = 0.0
) -> WindowSet:
    """A window set of PPG rows (N, T) of one person and recording, nothing else known."""
    n = len(ppg)
    return WindowSet(
        ppg=ppg,
        ecg=np.zeros((n, ECG.window_samples), np.int8),
        has_ppg=np.ones(n, np.bool_),
        has_ecg=np.zeros(n, np.bool_),
        targets=np.full((n, len(TARGETS)), np.nan, np.float32),
        rhythm=np.full(n, -1, np.int8),
        person=np.full(n, person),
        record=np.full(n, record),
        start_s=np.broadcast_to(np.asarray(start_s, np.float32), n).copy(),
    )


Maker = Callable[[Path], LabelledWindows]


class Library:
    """Every labelled set that tasks ask for, by name.

    Parameters
    ----------
    folders
        Corpus folder by corpus name; see `corpus_folders`.
    makers
        For each set the corpus it is made of ("" for none) and the function that makes
        it of the corpus's folder.
    cache
        Where sets are kept; None keeps them in memory alone.
    beside
        For each set what it is made of beside its corpus, such as a user's outcomes: a
        set on disk is made anew when that changes. JSON values.
    """

    def __init__(
        self,
        folders: dict[str, Path],
        makers: dict[str, tuple[str, Maker]],
        cache: Path | None = None,
        beside: Mapping[str, Any] | None = None,
    ) -> None:
        self.folders = folders
        self._makers = makers
        self._cache = cache
        self._beside = dict(beside or {})
        self._sets: dict[str, LabelledWindows] = {}

    def missing(self, name: str) -> str:
        """Why a set cannot be made, or "" if it can."""
        if name not in self._makers:
            return f"no data for {name} were given"
        corpus = self._makers[name][0]
        if corpus and corpus not in self.folders:
            return f"no folder of the corpus {corpus} was given"
        return ""

    def get(self, name: str) -> LabelledWindows:
        """The set, from memory, from disk or made now.

        Raises
        ------
        RecordingError
            If it cannot be made.
        """
        if name not in self._sets:
            reason = self.missing(name)
            if reason:
                raise RecordingError(reason)
            self._sets[name] = self._fetch(name)
        return self._sets[name]

    def forget(self, name: str) -> None:
        """Let go of a set in memory; on disk it stays."""
        self._sets.pop(name, None)

    def _fetch(self, name: str) -> LabelledWindows:
        corpus, make = self._makers[name]
        folder = self.folders.get(corpus, Path())
        stamp = _stamp(name, folder if corpus else None, self._beside.get(name))
        if self._cache is not None:
            kept = LabelledWindows.load(self._cache / name, stamp)
            if kept is not None:
                return kept
        _LOGGER.info("preparing the windows of %s", name)
        try:
            made = make(folder)
        except (OSError, LookupError, ValueError) as error:
            if isinstance(error, RecordingError):
                raise
            reason = str(error) if isinstance(error, OSError) else repr(error)
            raise RecordingError(
                f"{folder} does not hold the corpus {corpus} as expected: {reason}"
            ) from error
        if self._cache is not None:
            made.save(self._cache / name, stamp)
        return made


def corpus_folders(given: Sequence[Path]) -> dict[str, Path]:
    """Corpus folders by name: each path is one, or holds some.

    Raises
    ------
    RecordingError
        If a path is no folder, or neither is nor holds a corpus.
    """
    found: dict[str, Path] = {}
    for path in given:
        if not path.is_dir():
            raise RecordingError(f"{path} is not a folder")
        names = [path] if path.resolve().name in CORPORA else sorted(path.iterdir())
        here = {p.resolve().name: p for p in names if p.is_dir()}
        here = {name: p for name, p in here.items() if name in CORPORA}
        if not here:
            raise RecordingError(
                f"{path} neither is nor holds the folder of a corpus; known are "
                f"{', '.join(CORPORA)}"
            )
        found.update(here)
    return found


def _stamp(name: str, folder: Path | None, beside: Any = None) -> str:
    """Changes with the preprocessing, the corpus's files and what is given beside them."""
    facts: list[Any] = [_FORMAT, name, PPG.to_dict(), ECG.to_dict()]
    if beside is not None:
        facts.append(beside)
    if folder is not None:
        facts += [
            [p.name, p.stat().st_size, int(p.stat().st_mtime)]
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

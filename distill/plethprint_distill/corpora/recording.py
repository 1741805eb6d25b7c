"""What every corpus becomes: recordings of one person, and a `Corpus` that reads them.

A corpus is read source by source: a source is the smallest thing that is read alone (a
file, a record, a row of a table). So memory holds one source at a time, and a corpus can
be cut among processes or machines without anyone reading what is another's.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import PlethprintError, RecordingError

__all__ = ["Corpus", "CorpusRecording", "FloatArray", "first_form", "moving", "stretches"]

FloatArray = npt.NDArray[np.float32]

# What reading a table, or a row of it, that is not as the layout says can raise.
_FOREIGN = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    SyntaxError,
    csv.Error,
)

STRETCH_S = 1800.0
"""Longer recordings come in stretches of this many seconds: memory stays bounded."""


@dataclass(frozen=True)
class CorpusRecording:
    """One stretch of signal of one person; NaN where the source had none."""

    corpus: str
    person: str
    """Unique in the corpus; what splits go by."""
    record: str
    ppg: FloatArray | None = None
    ppg_rate_hz: float = 0.0
    ecg: FloatArray | None = None
    ecg_rate_hz: float = 0.0
    labels: dict[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Corpus:
    """A corpus: where it comes from, what it may be used for and how it is read.

    Examples
    --------
    >>> from plethprint_distill.corpora import CORPORA
    >>> CORPORA["cinc2017"].modalities, CORPORA["vitaldb"].may_train
    (('ecg',), False)
    """

    name: str
    licence: str
    may_train: bool
    """Whether weights that ship may be trained on it."""
    list_sources: Callable[[Path], list[str]]
    """Names of the sources in a folder, sorted; see `sources`."""
    read_sources: Callable[[Path, Sequence[str]], Iterator[CorpusRecording]]
    """Recordings of some sources of a folder; see `read`."""
    rates_hz: Mapping[str, float]
    """Sample rate of each modality ("ppg", "ecg") in the original files, Hz."""
    url: str
    citation: str
    reason: str = ""
    """Why it may not train; empty where it may."""
    sources_per_task: int = 16
    """How many sources are prepared together: many where a source is a few seconds."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of "ppg" and "ecg" that its recordings hold."""
        return tuple(self.rates_hz)

    def sources(self, folder: Path) -> list[str]:
        """Names of what can be read alone in `folder`, in a fixed order.

        Raises
        ------
        RecordingError
            If the folder does not hold the corpus in a form that is known.
        """
        try:
            return self.list_sources(folder)
        except _FOREIGN as error:
            raise self._told(folder, error) from error

    def read(
        self, folder: Path, sources: Sequence[str] | None = None
    ) -> Iterator[CorpusRecording]:
        """Recordings of the corpus in `folder`, one after the other.

        Parameters
        ----------
        folder
            The corpus's folder.
        sources
            Some of `sources(folder)`; all of them by default.

        Raises
        ------
        RecordingError
            If a file is damaged or is not what the corpus's layout says.
        MissingExtraError
            If the package that reads this form is not installed.
        """
        try:
            wanted = self.list_sources(folder) if sources is None else sources
            yield from self.read_sources(folder, wanted)
        except _FOREIGN as error:
            raise self._told(folder, error) from error

    def _told(self, folder: Path, error: Exception) -> PlethprintError:
        if isinstance(error, PlethprintError):
            return error
        reason = str(error) if isinstance(error, OSError) else repr(error)
        return RecordingError(
            f"{folder} does not hold the corpus {self.name} as expected: {reason}"
        )


def first_form(folder: Path, *patterns: str) -> list[str]:
    """Names, relative to `folder`, of the files of the first pattern that finds any.

    Raises
    ------
    RecordingError
        If none of the patterns finds a file.
    """
    for pattern in patterns:
        names = sorted(p.relative_to(folder).as_posix() for p in folder.glob(pattern))
        if names:
            return names
    raise RecordingError(f"no {' nor '.join(patterns)} in {folder}")


def moving(signal: npt.ArrayLike | None) -> FloatArray | None:
    """The signal as float32; None where it is absent or has nothing but missing samples."""
    if signal is None:
        return None
    samples = np.asarray(signal, dtype=np.float32)
    return samples if np.isfinite(samples).any() else None


def stretches(recording: CorpusRecording) -> Iterator[CorpusRecording]:
    """A long recording in stretches of `STRETCH_S`; "record/3" is the fourth.

    Stretches without a sample are left out, and so is a modality that has none in one.
    """
    length_s = max(
        signal.size / rate_hz
        for signal, rate_hz in (
            (recording.ppg, recording.ppg_rate_hz),
            (recording.ecg, recording.ecg_rate_hz),
        )
        if signal is not None
    )
    count = max(1, int(np.ceil(length_s / STRETCH_S - 1e-6)))
    for index in range(count):
        parts = [
            None
            if signal is None
            else moving(signal[slice(*_edges(index, rate_hz, signal.size))])
            for signal, rate_hz in (
                (recording.ppg, recording.ppg_rate_hz),
                (recording.ecg, recording.ecg_rate_hz),
            )
        ]
        if all(part is None for part in parts):
            continue
        yield CorpusRecording(
            recording.corpus,
            recording.person,
            recording.record if count == 1 else f"{recording.record}/{index}",
            parts[0],
            recording.ppg_rate_hz,
            parts[1],
            recording.ecg_rate_hz,
            recording.labels,
        )


def _edges(index: int, rate_hz: float, size: int) -> tuple[int, int]:
    first, last = (round((index + step) * STRETCH_S * rate_hz) for step in (0, 1))
    return min(first, size), min(last, size)

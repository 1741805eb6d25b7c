"""Wrist PPG during exercise: three people on a bike or walking; compact npz only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from plethprint_distill.corpora.compact import decode, rate, signal
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form

__all__ = ["WRIST_EXERCISE"]


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "s*.npz")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        arrays = decode(folder / name)
        yield CorpusRecording(
            "wrist_exercise",
            str(arrays["subject"]),
            Path(name).stem,
            signal(arrays, "ppg"),
            rate(arrays, "ppg"),
            signal(arrays, "ecg"),
            rate(arrays, "ecg"),
            {"activity": str(arrays["activity"])},
        )


WRIST_EXERCISE = Corpus(
    "wrist_exercise",
    "ODC-By 1.0",
    True,
    _sources,
    _read,
    {"ppg": 256.0, "ecg": 256.0},
    "https://physionet.org/content/wrist/1.0.0/",
    "Jarchi and Casson, Data 2(1):1, 2017",
)

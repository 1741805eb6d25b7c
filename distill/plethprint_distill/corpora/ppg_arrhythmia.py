"""PPG of six rhythms: the validation patients of Liu et al. 2022; compact npz only.

No licence is stated: for evaluation only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from plethprint_distill.corpora.compact import decode, rate, signal
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form

__all__ = ["PPG_ARRHYTHMIA_VALID"]


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "MPA_*.npz")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        arrays, person = decode(folder / name), Path(name).stem
        ppg = signal(arrays, "ppg")
        for row, label in enumerate(arrays["label"].astype(int)):
            yield CorpusRecording(
                "ppg_arrhythmia_valid",
                person,
                f"{person}/{row}",
                ppg[row],
                rate(arrays, "ppg"),
                labels={"rhythm": float(label)},
            )


PPG_ARRHYTHMIA_VALID = Corpus(
    "ppg_arrhythmia_valid",
    "none stated",
    False,
    _sources,
    _read,
    {"ppg": 100.0},
    "https://github.com/zdzdliu/PPGArrhythmiaDetection",
    "Liu et al., JAHA 11(7):e023555, 2022",
    "no licence is stated: evaluation only",
)

"""Stress-Predict: 35 volunteers with an Empatica E4 on the wrist, about an hour each.

Forms: compact npz `S01.npz`; the original `Raw_data/S01/BVP.csv` of the Empatica, whose
first line is the start (Unix time), the second the rate in Hz, then one sample a line.
The tasks' times are not read from the original.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plethprint.errors import RecordingError
from plethprint_distill.corpora.column_files import read_numbers
from plethprint_distill.corpora.compact import decode, rate, signal
from plethprint_distill.corpora.recording import (
    Corpus,
    CorpusRecording,
    first_form,
    moving,
)

__all__ = ["STRESS_PREDICT"]


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "S*.npz", "**/S[0-9][0-9]/BVP.csv")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        path = folder / name
        if path.suffix == ".npz":
            arrays = decode(path)
            person, ppg, rate_hz = path.stem, signal(arrays, "ppg"), rate(arrays, "ppg")
            labels: dict[str, str | float] = {}
        else:
            person, (start, rate_hz, samples) = path.parent.name, _empatica(path)
            ppg, labels = samples, {"start_unix_s": start}
        yield CorpusRecording(
            "stress_predict", person, person, moving(ppg), rate_hz, labels=labels
        )


def _empatica(
    path: Path,
) -> tuple[float, float, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    numbers = read_numbers(path)
    if numbers.size < 3 or not 1.0 <= numbers[1] <= 1024.0:
        raise RecordingError(f"{path} does not begin with a start time and a rate in Hz")
    return float(numbers[0]), float(numbers[1]), numbers[2:].astype(np.float32)


STRESS_PREDICT = Corpus(
    "stress_predict",
    "MIT",
    True,
    _sources,
    _read,
    {"ppg": 64.0},
    "https://github.com/italha-d/Stress-Predict-Dataset",
    "Iqbal et al., Sensors 22(21):8135, 2022",
    sources_per_task=4,
)

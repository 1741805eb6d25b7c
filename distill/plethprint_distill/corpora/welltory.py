"""Welltory PPG: phone-camera pulse with the intervals of a chest strap, 21 records.

Forms: compact npz `record_*.npz`; the original `data/subject_01/PPG.csv` (time in ms, R, G,
B: means of a frame) with `RR.txt`. Frames come unevenly: the green channel is laid on an
even grid. A camera's counts fall when the vessel fills: the channel is negated, so that
the pulse stands upright. The 21 records are of 13 people, and who is behind which is not
told, whatever the folders are called: all are one "person".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint_distill.corpora.column_files import even_rate_hz, read_columns, read_numbers
from plethprint_distill.corpora.compact import decode, rate, signal
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form

__all__ = ["WELLTORY"]


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "record_*.npz", "**/subject_*/PPG.csv")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        path = folder / name
        if path.suffix == ".npz":
            arrays = decode(path)
            times_ms = arrays["time_ms"].astype(np.float64)
            green = signal(arrays, "ppg")[1].astype(np.float64)
            rate_hz, rr_ms = rate(arrays, "ppg"), arrays["rr_ms"].astype(np.float64)
            record = path.stem
        else:
            columns = read_columns(path, ["time", "G"])
            times_ms, green = columns["time"], columns["G"]
            rate_hz = even_rate_hz(times_ms / 1000.0, path)
            rr_ms = read_numbers(path.with_name("RR.txt"))
            record = path.parent.name
        yield _recording(record, times_ms, green, rate_hz, rr_ms)


def _recording(
    record: str,
    times_ms: npt.NDArray[np.float64],
    green: npt.NDArray[np.float64],
    rate_hz: float,
    rr_ms: npt.NDArray[np.float64],
) -> CorpusRecording:
    even_ms = np.arange(times_ms[0], times_ms[-1], 1000.0 / rate_hz)
    return CorpusRecording(
        "welltory",
        "unknown",
        record,
        np.interp(even_ms, times_ms, -green).astype(np.float32),
        rate_hz,
        labels={"rr_ms": " ".join(f"{x:.0f}" for x in rr_ms)},
    )


WELLTORY = Corpus(
    "welltory",
    "CC0 1.0",
    True,
    _sources,
    _read,
    {"ppg": 30.0},
    "https://github.com/Welltory/welltory-ppg-dataset",
    "Neshitov et al., Sensors 21:6798, 2021",
)

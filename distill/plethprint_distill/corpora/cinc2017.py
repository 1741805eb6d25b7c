"""PhysioNet/CinC Challenge 2017: 8,528 hand-held single-lead ECGs with a rhythm label.

Forms: compact npz `cinc2017_*.npz`; the original A00001.mat and A00001.hea with a
REFERENCE CSV (record, label; the highest version that is there counts). There are no
person ids: every record is a person of its own, which is all that is known.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from plethprint.errors import RecordingError
from plethprint_distill.corpora.compact import decode, rate, signal
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form, moving
from plethprint_distill.corpora.wfdb_records import ECG_LEADS, channels

__all__ = ["CINC2017"]


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "cinc2017_*.npz", "**/A[0-9][0-9][0-9][0-9][0-9].hea")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    if sources and sources[0].endswith(".npz"):
        for name in sources:
            yield from _compact(folder / name)
        return
    labels = _reference(folder)
    for name in sources:
        path = folder / name
        (lead,) = channels(path, ECG_LEADS)
        if lead is None:
            raise RecordingError(f"{path} has no channel ECG")
        yield CorpusRecording(
            "cinc2017",
            path.stem,
            path.stem,
            ecg=moving(lead.samples),
            ecg_rate_hz=lead.rate_hz,
            labels={"rhythm": labels[path.stem]},
        )


def _reference(folder: Path) -> dict[str, str]:
    # REFERENCE.csv, REFERENCE-v1.csv ... REFERENCE-v3.csv: labels were corrected twice.
    files = sorted(folder.glob("**/REFERENCE*.csv"), key=lambda p: (p.stem, str(p)))
    if not files:
        raise RecordingError(f"no REFERENCE*.csv in {folder}")
    with files[-1].open(newline="", encoding="utf-8-sig") as lines:
        return {row[0]: row[1].strip() for row in csv.reader(lines) if len(row) > 1}


def _compact(path: Path) -> Iterator[CorpusRecording]:
    arrays = decode(path)
    ecg, lengths = signal(arrays, "ecg"), arrays["length"].astype(int)
    records = arrays["record"].astype(str)
    for row, label in enumerate(arrays["label"].astype(str)):
        yield CorpusRecording(
            "cinc2017",
            records[row],
            records[row],
            ecg=ecg[row, : lengths[row]],
            ecg_rate_hz=rate(arrays, "ecg"),
            labels={"rhythm": str(label)},
        )


CINC2017 = Corpus(
    "cinc2017",
    "ODC-By 1.0",
    True,
    _sources,
    _read,
    {"ecg": 300.0},
    "https://physionet.org/content/challenge-2017/1.0.0/",
    "Clifford et al., Computing in Cardiology 2017, doi 10.22489/CinC.2017.065-469",
    sources_per_task=1000,
)

"""BIDMC PPG and Respiration: 53 ICU recordings of 8 minutes, of 46 people.

Forms: compact npz; `bidmc_NN_Signals.csv` with `_Numerics.csv` and `_Fix.txt`; WFDB
`bidmcNN.hea`. A folder that holds several is read in the first of them.

The person is the MIMIC-II id, "s" and five digits, which the original gives in the Fix
files and in the header's comments. The exact wording there could not be confirmed, so the
id, age and sex are found by pattern; a file without an id is refused, because 53 records
of 46 people cannot be split without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plethprint.errors import RecordingError
from plethprint_distill.corpora.column_files import even_rate_hz, read_columns
from plethprint_distill.corpora.compact import decode, rate, signal, table
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form, moving
from plethprint_distill.corpora.wfdb_records import (
    ECG_LEADS,
    PPG_NAMES,
    channels,
    comments,
)

__all__ = ["BIDMC"]


def _sources(folder: Path) -> list[str]:
    return first_form(
        folder, "bidmc*.npz", "**/bidmc_*_Signals.csv", "**/bidmc[0-9][0-9].hea"
    )


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        path = folder / name
        if path.suffix == ".npz":
            yield _compact(path)
        elif path.suffix == ".csv":
            yield _csv(path)
        else:
            yield _wfdb(path)


def _compact(path: Path) -> CorpusRecording:
    arrays, row = decode(path), table(path.with_name("labels.csv"), "subject")[path.stem]
    # 53 records come from 46 people: the person is the mimic_id.
    return CorpusRecording(
        "bidmc",
        row["mimic_id"],
        path.stem,
        signal(arrays, "ppg"),
        rate(arrays, "ppg"),
        signal(arrays, "ecg"),
        rate(arrays, "ecg"),
        {"age": row["age"], "sex": row["sex"]},
    )


def _csv(path: Path) -> CorpusRecording:
    number = path.stem.split("_")[1]
    columns = read_columns(path, ["Time [s]", "PLETH"], optional=["II", "V", "AVR"])
    lead = next((name for name in ("II", "V", "AVR") if name in columns), None)
    rate_hz = even_rate_hz(columns["Time [s]"], path)
    facts = path.with_name(f"bidmc_{number}_Fix.txt")
    person, labels = _who(facts.read_text(encoding="utf-8-sig"), facts)
    numerics = path.with_name(f"bidmc_{number}_Numerics.csv")
    if numerics.is_file():
        seconds = read_columns(numerics, ["HR"], optional=["SpO2"])
        labels |= {
            key: float(np.nanmean(seconds[name]))
            for key, name in (("hr", "HR"), ("spo2", "SpO2"))
            if name in seconds and np.isfinite(seconds[name]).any()
        }
    return CorpusRecording(
        "bidmc",
        person,
        f"bidmc{number}",
        moving(columns["PLETH"]),
        rate_hz,
        moving(columns[lead]) if lead else None,
        rate_hz if lead else 0.0,
        labels,
    )


def _wfdb(path: Path) -> CorpusRecording:
    person, labels = _who("\n".join(comments(path)), path)
    ppg, ecg = channels(path, PPG_NAMES, (*ECG_LEADS, "AVR"))
    if ppg is None:
        raise RecordingError(f"{path} has no channel PLETH")
    return CorpusRecording(
        "bidmc",
        person,
        path.stem,
        moving(ppg.samples),
        ppg.rate_hz,
        moving(ecg.samples) if ecg else None,
        ecg.rate_hz if ecg else 0.0,
        labels,
    )


def _who(words: str, path: Path) -> tuple[str, dict[str, str | float]]:
    person = re.search(r"\bs\d{5}\b", words)
    if person is None:
        raise RecordingError(f"{path} names no MIMIC-II person (s and five digits)")
    age = re.search(r"\bage\b\W+(\d+\+?)", words, re.IGNORECASE)
    sex = re.search(r"\b(?:sex|gender)\b\W+([MF])\b", words, re.IGNORECASE)
    labels: dict[str, str | float] = {}
    if age:
        labels["age"] = age[1]
    if sex:
        labels["sex"] = sex[1].upper()
    return person[0], labels


BIDMC = Corpus(
    "bidmc",
    "ODC-By 1.0",
    True,
    _sources,
    _read,
    {"ppg": 125.0, "ecg": 125.0},
    "https://physionet.org/content/bidmc/1.0.0/",
    "Pimentel et al., IEEE TBME 64(8):1914, 2017; Goldberger et al., Circulation 2000",
)

"""MIMIC PERform: ICU recordings of 10 or 20 minutes, some of atrial fibrillation.

Forms: compact npz; the CSV distribution (`mimic_perform_..._NNN_data.csv` with columns
Time, PPG, ECG and a `..._fix.txt` beside each); the MATLAB files `mimic_perform_..._data
.mat`, whose `data` is an array of structs with ppg.v, ppg.fs, ekg.v, ekg.fs and fix.

The person is `fix.subj_id` or, in CSV, the MIMIC-III id ("p" and digits) of the fix file.
How that text file words it could not be confirmed; where no id is found in it, the file is
taken to be one person, as the corpus's description says within each of its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plethprint.errors import RecordingError
from plethprint_distill.corpora.column_files import even_rate_hz, read_columns
from plethprint_distill.corpora.compact import decode, rate, signal
from plethprint_distill.corpora.mat_files import load_mat
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form, moving

__all__ = ["MIMIC_PERFORM"]


def _sources(folder: Path) -> list[str]:
    return first_form(
        folder, "*.npz", "**/mimic_perform_*_data.csv", "**/mimic_perform_*.mat"
    )


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        path = folder / name
        if path.suffix == ".mat":
            yield from _mat(path)
        else:
            yield _compact(path) if path.suffix == ".npz" else _csv(path)


def _compact(path: Path) -> CorpusRecording:
    arrays = decode(path)
    return CorpusRecording(
        "mimic_perform",
        path.stem,
        path.stem,
        signal(arrays, "ppg"),
        rate(arrays, "ppg"),
        signal(arrays, "ecg"),
        rate(arrays, "ecg"),
    )


def _csv(path: Path) -> CorpusRecording:
    columns = read_columns(path, ["Time", "PPG"], optional=["ECG"])
    rate_hz = even_rate_hz(columns["Time"], path)
    record = path.stem.removesuffix("_data")
    fix = path.with_name(f"{record}_fix.txt")
    words = fix.read_text(encoding="utf-8-sig") if fix.is_file() else ""
    person = re.search(r"\bp\d{6}\b", words) or re.search(
        r"subj(?:ect)?[\s_]*id\W+(\w+)", words, re.IGNORECASE
    )
    ecg = moving(columns.get("ECG"))
    return CorpusRecording(
        "mimic_perform",
        person[person.lastindex or 0] if person else record,
        record,
        moving(columns["PPG"]),
        rate_hz,
        ecg,
        0.0 if ecg is None else rate_hz,
        _rhythm(record),
    )


def _mat(path: Path) -> Iterator[CorpusRecording]:
    data = load_mat(path, "data")
    name = path.stem.removesuffix("_data")
    for index, entry in enumerate([data] if isinstance(data, dict) else data):
        try:
            ppg, ecg, fix = entry["ppg"], entry.get("ekg"), entry.get("fix", {})
            record = f"{name}_{index + 1:03d}"
            person = fix.get("subj_id", record) if isinstance(fix, dict) else record
            yield CorpusRecording(
                "mimic_perform",
                str(person),
                record,
                moving(np.ravel(ppg["v"])),
                float(ppg["fs"]),
                moving(np.ravel(ecg["v"])) if ecg else None,
                float(ecg["fs"]) if ecg else 0.0,
                _rhythm(name),
            )
        except (LookupError, TypeError, AttributeError, IndexError) as error:
            raise RecordingError(
                f"{path}: entry {index} is no recording with ppg.v and ppg.fs: {error!r}"
            ) from error


def _rhythm(name: str) -> dict[str, str | float]:
    if "_non_af" in name:
        return {"rhythm": "N"}
    return {"rhythm": "AF"} if "_af" in name else {}


MIMIC_PERFORM = Corpus(
    "mimic_perform",
    "ODbL 1.0",
    False,
    _sources,
    _read,
    {"ppg": 125.0, "ecg": 125.0},
    "https://doi.org/10.5281/zenodo.6807402",
    "Charlton et al., Physiol. Meas. 43:085007, 2022",
    "the ODbL asks that what is made of the data be shared alike",
)

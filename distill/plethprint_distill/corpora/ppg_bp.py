"""PPG-BP (Guilin): 219 people, three finger PPGs of 2.1 s each, hypertension and more.

Forms: compact npz `ppg_bp.npz` with a labels.csv; the original `0_subject/2_1.txt` (2100
numbers between tabs, 1000 Hz) with `PPG-BP dataset.xlsx`, or the same table as a CSV: a
title line, then the names of the columns. Segments 23_3 and 24_1 are one recording under
two people and are left out in both forms.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from plethprint.errors import MissingExtraError, RecordingError
from plethprint_distill.corpora.column_files import read_numbers
from plethprint_distill.corpora.compact import decode, rate, signal, table
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form, moving

__all__ = ["PPG_BP"]

_RATE_HZ = 1000.0
_SAMPLES = 2100
_TWICE = frozenset({("23", "3"), ("24", "1")})
_COLUMNS = {
    "sex": "Sex(M/F)",
    "age": "Age(year)",
    "height": "Height(cm)",
    "weight": "Weight(kg)",
    "sbp": "Systolic Blood Pressure(mmHg)",
    "dbp": "Diastolic Blood Pressure(mmHg)",
    "hr": "Heart Rate(b/m)",
    "bmi": "BMI(kg/m^2)",
    "hypertension": "Hypertension",
    "diabetes": "Diabetes",
    "cerebral_infarction": "cerebral infarction",
    "cerebrovascular_disease": "cerebrovascular disease",
}


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "ppg_bp.npz", "**/0_subject/*_[123].txt")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    if list(sources) == ["ppg_bp.npz"]:
        yield from _compact(folder)
        return
    people = _people(folder)
    for name in sources:
        path = folder / name
        subject, segment = path.stem.split("_")
        if (subject, segment) in _TWICE:
            continue
        samples = read_numbers(path, "\t")
        if samples.size < _SAMPLES:
            raise RecordingError(f"{path} holds {samples.size} of {_SAMPLES} samples")
        yield CorpusRecording(
            "ppg_bp",
            subject,
            path.stem,
            moving(samples[:_SAMPLES]),  # 231_1 and 231_2 hold twice as many
            _RATE_HZ,
            labels=dict(people[subject]),
        )


def _people(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / first_form(folder, "**/PPG-BP dataset.xlsx", "**/PPG-BP*.csv")[0]
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows: list[Sequence[Any]] = list(csv.reader(lines))
    else:
        rows = _sheet(path)
    header = next((i for i, row in enumerate(rows) if "subject_ID" in row), None)
    if header is None:
        raise RecordingError(f"{path} has no column subject_ID")
    names = [str(name).strip() for name in rows[header]]
    index = {key: names.index(name) for key, name in _COLUMNS.items() if name in names}
    subject = names.index("subject_ID")
    return {
        str(row[subject]): {
            key: "" if row[column] is None else str(row[column])
            for key, column in index.items()
        }
        for row in rows[header + 1 :]
        if row[subject] not in (None, "")
    }


def _sheet(path: Path) -> list[Sequence[Any]]:
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtraError("corpora", "Reading an .xlsx table") from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            return [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
        finally:
            book.close()
    except Exception as error:  # zipfile, XML, KeyError
        raise RecordingError(f"{path} is not a readable .xlsx table: {error}") from error


def _compact(folder: Path) -> Iterator[CorpusRecording]:
    arrays = decode(folder / "ppg_bp.npz")
    labels = table(folder / "labels.csv", "subject")
    ppg = signal(arrays, "ppg")
    for row, (subject, segment) in enumerate(
        zip(arrays["subject"].astype(int), arrays["segment"].astype(int), strict=True)
    ):
        if (str(subject), str(segment)) in _TWICE:
            continue
        yield CorpusRecording(
            "ppg_bp",
            str(subject),
            f"{subject}_{segment}",
            ppg[row],
            rate(arrays, "ppg"),
            labels=dict(labels[str(subject)]),
        )


PPG_BP = Corpus(
    "ppg_bp",
    "CC BY 4.0",
    True,
    _sources,
    _read,
    {"ppg": _RATE_HZ},
    "https://doi.org/10.6084/m9.figshare.5459299",
    "Liang et al., Sci. Data 5:180020, 2018",
    sources_per_task=1000,
)

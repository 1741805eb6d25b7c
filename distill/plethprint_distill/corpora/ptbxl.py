"""PTB-XL: 21,799 twelve-lead ECGs of 10 s with diagnostic statements; lead II is read.

Forms: compact npz `ptbxl500.npz` (the first 500 records at 100 Hz) with a labels.csv; the
original `ptbxl_database.csv` and `scp_statements.csv` with `records500` (or, where that is
not there, `records100`). The superclass of a record joins every diagnostic statement it
has, also those of likelihood 0, by `scp_statements.csv`: NORM, MI, STTC, CD, HYP, several
with "|" between. Age is 300 where the person is over 89, as in the original.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from plethprint.errors import RecordingError
from plethprint_distill.corpora.compact import decode, rate, signal, table
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, moving
from plethprint_distill.corpora.wfdb_records import channels

__all__ = ["PTBXL", "PTBXL500"]

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")


def _sources(folder: Path) -> list[str]:
    if (folder / "ptbxl500.npz").is_file():
        return ["ptbxl500.npz"]
    if not (folder / "ptbxl_database.csv").is_file():
        raise RecordingError(f"no ptbxl500.npz nor ptbxl_database.csv in {folder}")
    return sorted(table(folder / "ptbxl_database.csv", "ecg_id"), key=int)


def _read(corpus: str, folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    if list(sources) == ["ptbxl500.npz"]:
        yield from _compact(corpus, folder)
        return
    rows = table(folder / "ptbxl_database.csv", "ecg_id")
    superclass_of = _superclasses(folder / "scp_statements.csv")
    for ecg_id in sources:
        row = rows[ecg_id]
        path = folder / row["filename_hr"]
        if not path.with_suffix(".hea").is_file():
            path = folder / row["filename_lr"]
        (lead,) = channels(path, ["II"])
        if lead is None:
            raise RecordingError(f"{path} has no lead II")
        statements = ast.literal_eval(row["scp_codes"])
        found = sorted({superclass_of[s] for s in statements if s in superclass_of})
        yield CorpusRecording(
            corpus,
            str(int(float(row["patient_id"]))),
            ecg_id,
            ecg=moving(lead.samples),
            ecg_rate_hz=lead.rate_hz,
            labels={
                "age": row["age"],
                "sex": {"0": "M", "1": "F"}.get(row["sex"], ""),
                "superclass": "|".join(found),
                "scp_codes": ";".join(f"{k}:{v:g}" for k, v in statements.items()),
                "strat_fold": row["strat_fold"],
            },
        )


def _superclasses(path: Path) -> dict[str, str]:
    """Superclass of each diagnostic statement; the first column holds the statement."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        key = (reader.fieldnames or [""])[0]
        return {
            row[key]: row["diagnostic_class"]
            for row in reader
            if row["diagnostic_class"] in SUPERCLASSES
        }


def _compact(corpus: str, folder: Path) -> Iterator[CorpusRecording]:
    arrays = decode(folder / "ptbxl500.npz")
    labels = table(folder / "labels.csv", "ecg_id")
    lead_ii = signal(arrays, "ecg")[:, list(arrays["leads"].astype(str)).index("II")]
    for row, ecg_id in enumerate(arrays["ecg_id"].astype(int)):
        yield CorpusRecording(
            corpus,
            labels[str(ecg_id)]["patient_id"],
            str(ecg_id),
            ecg=lead_ii[row],
            ecg_rate_hz=rate(arrays, "ecg"),
            labels=dict(labels[str(ecg_id)]),
        )


def _corpus(name: str, rate_hz: float) -> Corpus:
    return Corpus(
        name,
        "CC BY 4.0",
        True,
        _sources,
        partial(_read, name),
        {"ecg": rate_hz},
        "https://physionet.org/content/ptb-xl/1.0.3/",
        "Wagner et al., Sci. Data 7:154, 2020; doi 10.13026/kfzx-aw45",
        sources_per_task=1000,
    )


PTBXL = _corpus("ptbxl", 500.0)
PTBXL500 = _corpus("ptbxl500", 100.0)
"""The first 500 records in the compact form; never count both in one figure."""

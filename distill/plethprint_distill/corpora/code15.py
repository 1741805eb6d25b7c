"""CODE-15 %: 345,779 twelve-lead ECGs of Brazilian primary care at 400 Hz; lead II.

Form: `exams_part0.hdf5` ... `exams_part17.hdf5` with `exam_id` (N) and `tracings` (N, 4096,
12; leads DI, DII, DIII, aVR, aVL, aVF, V1-V6), and `exams.csv` with exam_id, patient_id,
age, is_male, six rhythm and conduction labels and trace_file. Exams of seven seconds are
padded with zeros on both sides to 4096 samples: the padding is cut off. Rows of a part
that exams.csv does not name (each part ends in an empty one) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plethprint_distill.corpora.compact import table
from plethprint_distill.corpora.mat_files import hdf5
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form

__all__ = ["CODE15"]

_RATE_HZ = 400.0
_LEAD_II = 1
_FINDINGS = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF", "normal_ecg")
_BLOCK = 256


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "**/exams_part*.hdf5")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    exams = table(folder / "exams.csv", "exam_id")
    for name in sources:
        with hdf5(folder / name) as file:
            ids, tracings = file["exam_id"], file["tracings"]
            for first in range(0, len(ids), _BLOCK):
                block = tracings[first : first + _BLOCK, :, _LEAD_II]
                names = ids[first : first + _BLOCK].tolist()
                for exam_id, lead in zip(names, block, strict=True):
                    row = exams.get(str(exam_id))
                    inside = np.flatnonzero(lead)
                    if row is None or not inside.size:
                        continue
                    yield CorpusRecording(
                        "code15",
                        row["patient_id"],
                        str(exam_id),
                        ecg=lead[inside[0] : inside[-1] + 1].astype(np.float32),
                        ecg_rate_hz=_RATE_HZ,
                        labels=_labels(row),
                    )


def _labels(row: dict[str, str]) -> dict[str, str | float]:
    return {
        "age": row["age"],
        "sex": "M" if row["is_male"].strip().lower() in ("true", "1") else "F",
        **{
            key: float(row[key].strip().lower() in ("true", "1"))
            for key in _FINDINGS
            if row.get(key)
        },
    }


CODE15 = Corpus(
    "code15",
    "CC BY 4.0",
    True,
    _sources,
    _read,
    {"ecg": _RATE_HZ},
    "https://doi.org/10.5281/zenodo.4916206",
    "Ribeiro et al., Nat. Commun. 11:1760, 2020; Lima et al., Nat. Commun. 12:5117, 2021",
    sources_per_task=1,
)

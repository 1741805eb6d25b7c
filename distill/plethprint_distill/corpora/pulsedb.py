"""PulseDB: 5.2 million ten-second segments with blood pressure, of MIMIC-III and VitalDB.

Form: one MATLAB 7.3 file a subject, `PulseDB_MIMIC/p000160.mat`, `PulseDB_Vital/p000001
.mat`, whose `Subj_Wins` is an array of structs, one a segment of 1250 samples at 125 Hz,
with the fields SubjectID, CaseID, SegmentID, ECG_Raw, PPG_Raw, ABP_Raw, ECG_F, PPG_F,
ABP_F, SegSBP, SegDBP, Age, Gender, IncludeFlag and, since version 2, T (seconds of each
sample in the clip), ECG_Record and PPG_Record (amplitudes as recorded). That is its
documentation's list; the Info and Subset files are not read.

Version 2 is read from PPG_Record and ECG_Record, and segments that follow each other in
their clip are joined to recordings of up to five minutes. Version 1 has no T and scales
each segment by itself (Raw, or else F): there every segment is a recording of its own.

A pair of exactly ten seconds gives no training window: bringing it to the physiological lag
costs some of it. So version 1, and the lone segments of version 2, serve tasks that
read recordings, and the runs of version 2 serve training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plethprint.errors import RecordingError
from plethprint_distill.corpora.mat_files import cells, hdf5, number, row, text
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, moving

__all__ = ["PULSEDB"]

_RATE_HZ = 125.0
_MAX_JOINED = 30


def _sources(folder: Path) -> list[str]:
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in folder.glob("**/*.mat")
        if "Info" not in p.name and "Subset" not in p.name
    )
    if not names:
        raise RecordingError(f"no subject's .mat file in {folder}")
    return names


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        yield from _subject(folder / name)


def _subject(path: Path) -> Iterator[CorpusRecording]:
    with hdf5(path) as file:
        fields = {key: list(cells(file, value)) for key, value in file["Subj_Wins"].items()}
        if not fields.get("SubjectID"):
            raise RecordingError(f"{path} has no SubjectID in Subj_Wins")
        # The two halves number their people alike and share none.
        half = "vital" if "vital" in path.parent.name.lower() else "mimic"
        person = f"{half}/{text(fields['SubjectID'][0])}"
        count = len(fields["SubjectID"])
        keep = [
            index
            for index in range(count)
            if "IncludeFlag" not in fields or number(fields["IncludeFlag"][index]) == 1.0
        ]
        signals = _names(fields, path)
        for run in _runs(fields, keep):
            ppg, ecg = (
                None if key is None else np.concatenate([row(fields[key][i]) for i in run])
                for key in signals
            )
            pulse, heart = moving(ppg), moving(ecg)
            if pulse is None and heart is None:
                continue
            yield CorpusRecording(
                "pulsedb",
                person,
                f"{person}/{run[0]}",
                pulse,
                0.0 if pulse is None else _RATE_HZ,
                heart,
                0.0 if heart is None else _RATE_HZ,
                _labels(fields, run),
            )


def _names(fields: dict[str, Any], path: Path) -> tuple[str | None, str | None]:
    """Fields of the PPG and the ECG: as recorded, scaled, or filtered."""
    ends = ("Record", "Raw", "F") if "T" in fields else ("Raw", "F")
    ppg, ecg = (
        next((f"{kind}_{end}" for end in ends if f"{kind}_{end}" in fields), None)
        for kind in ("PPG", "ECG")
    )
    if ppg is None and ecg is None:
        raise RecordingError(f"{path} has neither PPG nor ECG in Subj_Wins")
    return ppg, ecg


def _runs(fields: dict[str, Any], keep: list[int]) -> Iterator[list[int]]:
    """Segments that follow each other without a gap; each alone where times are absent."""
    if "T" not in fields or "PPG_Record" not in fields:
        yield from ([index] for index in keep)
        return
    run: list[int] = []
    ended: tuple[str, float] | None = None
    for index in keep:
        times = row64(fields["T"][index])
        case = text(fields["CaseID"][index]) if "CaseID" in fields else ""
        follows = ended == (case, round(float(times[0]) * _RATE_HZ))
        if run and (not follows or len(run) == _MAX_JOINED):
            yield run
            run = []
        run.append(index)
        ended = (case, round(float(times[-1]) * _RATE_HZ) + 1)
    if run:
        yield run


def row64(dataset: Any) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Times need all their digits: a clip lasts for days."""
    return np.ravel(dataset[()]).astype(np.float64)


def _labels(fields: dict[str, Any], run: list[int]) -> dict[str, str | float]:
    labels: dict[str, str | float] = {}
    for key, field in (("sbp", "SegSBP"), ("dbp", "SegDBP")):
        if field in fields:
            labels[key] = round(float(np.mean([number(fields[field][i]) for i in run])), 2)
    if "Age" in fields:
        labels["age"] = number(fields["Age"][run[0]])
    if "Gender" in fields:
        labels["sex"] = text(fields["Gender"][run[0]])[:1].upper()
    return labels


PULSEDB = Corpus(
    "pulsedb",
    "ODbL 1.0 (MIMIC-III part), CC BY-NC-SA 4.0 (VitalDB part)",
    False,
    _sources,
    _read,
    {"ppg": 125.0, "ecg": 125.0},
    "https://github.com/pulselabteam/PulseDB",
    "Wang et al., Front. Digit. Health 4:1090854, 2023",
    "one half is share-alike, the other non-commercial as well",
    sources_per_task=4,
)

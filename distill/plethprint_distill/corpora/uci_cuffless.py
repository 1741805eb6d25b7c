"""UCI cuff-less blood pressure: ICU recordings with arterial pressure, 125 Hz.

Forms: compact npz `partK.npz` with a labels.csv; the original `Part_K.mat` (MATLAB 7.3),
each a cell array of matrices with the rows PPG, ABP and ECG.

The original has no person ids at all. One part (file) is therefore one "person": parts
never mix, and a split by person is a split by file. The compact form adds guesses of who
is who inside a file. Rows are numbered as in each form: "part1/7" of the compact form and
"Part_1/7" of the original are different recordings. The older `part_K.mat` (12 files,
before MATLAB 7.3) is not read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plethprint.errors import RecordingError
from plethprint_distill.corpora.compact import decode, rate, signal
from plethprint_distill.corpora.mat_files import cells, hdf5
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form, moving

__all__ = ["UCI_CUFFLESS"]

_RATE_HZ = 125.0


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "part*.npz", "**/Part_*.mat")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        path = folder / name
        yield from _compact(path) if path.suffix == ".npz" else _mat(path)


def _compact(path: Path) -> Iterator[CorpusRecording]:
    with path.with_name("labels.csv").open(newline="") as lines:
        labels = {(row["part"], row["row"]): row for row in csv.DictReader(lines)}
    arrays = decode(path)
    ppg, ecg = signal(arrays, "ppg"), signal(arrays, "ecg")
    lengths = arrays["length"].astype(int)
    for row, guess in enumerate(arrays["person_guess"].astype(str)):
        # A guess is no identity: the file is the only split that holds.
        yield CorpusRecording(
            "uci_cuffless",
            f"{path.stem}/{guess}",
            f"{path.stem}/{row}",
            ppg[row, : lengths[row]],
            rate(arrays, "ppg"),
            ecg[row, : lengths[row]],
            rate(arrays, "ecg"),
            {
                "part": path.stem,
                **{
                    key: float(value)
                    for key, value in labels.get(
                        (path.stem.removeprefix("part"), str(row)), {}
                    ).items()
                    if key in ("sbp", "dbp", "hr")
                },
            },
        )


def _mat(path: Path) -> Iterator[CorpusRecording]:
    part = f"part{path.stem.removeprefix('Part_')}"
    with hdf5(path) as file:
        for row, cell in enumerate(cells(file, file[path.stem])):
            matrix = np.asarray(cell[()], dtype=np.float32)
            if matrix.ndim != 2 or 3 not in matrix.shape:
                raise RecordingError(
                    f"{path}: cell {row} is {matrix.shape}, not PPG, ABP and ECG rows"
                )
            # HDF5 shows MATLAB's matrices turned over: samples first.
            ppg, abp, ecg = matrix.T if matrix.shape[1] == 3 else matrix
            yield CorpusRecording(
                "uci_cuffless",
                f"{part}/all",
                f"{path.stem}/{row}",
                moving(ppg),
                _RATE_HZ,
                moving(ecg),
                _RATE_HZ,
                {"part": part, **_pressure(abp)},
            )


def _pressure(abp: np.ndarray[tuple[int], np.dtype[np.float32]]) -> dict[str, float]:
    """97th and 3rd percentile of the arterial pressure, as in the compact form."""
    if not np.isfinite(abp).any():
        return {}
    low, high = np.nanpercentile(abp, [3.0, 97.0])
    return {"sbp": round(float(high), 1), "dbp": round(float(low), 1)}


UCI_CUFFLESS = Corpus(
    "uci_cuffless",
    "CC BY 4.0",
    True,
    _sources,
    _read,
    {"ppg": 125.0, "ecg": 125.0},
    "https://archive.ics.uci.edu/dataset/340/cuff+less+blood+pressure+estimation",
    "Kachuee et al., ISCAS 2015; IEEE TBME 64(4):859, 2017",
    sources_per_task=1,
)

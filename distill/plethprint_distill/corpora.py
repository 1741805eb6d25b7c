"""Readers of open recordings: every corpus becomes a stream of `CorpusRecording`.

The folders are those of `../shared/data`: npz files with int16 codes, a gain and an
offset for each signal, and a labels.csv. Licences and person ids travel along, so that
splits are by person and a model card can name what trained it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError

__all__ = ["CORPORA", "Corpus", "CorpusRecording", "decode"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CorpusRecording:
    """One stretch of signal of one person; NaN where the source had none."""

    corpus: str
    person: str
    """Unique in the corpus; what splits go by."""
    record: str
    ppg: FloatArray | None = None
    ppg_rate_hz: float = 0.0
    ecg: FloatArray | None = None
    ecg_rate_hz: float = 0.0
    labels: dict[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Corpus:
    """A corpus: where it comes from and how its folder is read."""

    name: str
    licence: str
    may_train: bool
    """Whether weights that ship may be trained on it."""
    read: Callable[[Path], Iterator[CorpusRecording]]


def decode(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of one npz; codes become float32, the code for "missing" becomes NaN.

    Raises
    ------
    RecordingError
        If the file is not there or not a readable npz.
    """
    try:
        # Opened here: numpy leaves a file open that turns out to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            raw = {key: archive[key] for key in archive.files}
    except Exception as error:  # zipfile, zlib, tokenize: numpy lets them all through
        raise RecordingError(f"{path} is not a readable npz: {error}") from error
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for key, codes in raw.items():
        if key.endswith(("_gain", "_offset")):
            continue
        if f"{key}_gain" in raw:
            values = codes.astype(np.float32) * np.float32(raw[f"{key}_gain"])
            values += np.float32(raw[f"{key}_offset"])
            if codes.dtype == np.int16 and key != "acc":
                values[codes == -32768] = np.nan
            arrays[key] = values
        else:
            arrays[key] = codes
    return arrays


def _labels(folder: Path, key: str) -> dict[str, dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as lines:
        return {row[key]: dict(row) for row in csv.DictReader(lines)}


def _files(folder: Path, pattern: str) -> list[Path]:
    files = sorted(folder.glob(pattern))
    if not files:
        raise RecordingError(f"no {pattern} in {folder}")
    return files


def _signal(arrays: dict[str, npt.NDArray[np.generic]], key: str) -> FloatArray:
    return arrays[key].astype(np.float32)


def _rate(arrays: dict[str, npt.NDArray[np.generic]], key: str) -> float:
    return float(arrays[f"fs_{key}"].item())


def _bidmc(folder: Path) -> Iterator[CorpusRecording]:
    labels = _labels(folder, "subject")
    for path in _files(folder, "bidmc*.npz"):
        arrays, row = decode(path), labels[path.stem]
        # 53 records come from 46 people: the person is the mimic_id.
        yield CorpusRecording(
            "bidmc",
            row["mimic_id"],
            path.stem,
            _signal(arrays, "ppg"),
            _rate(arrays, "ppg"),
            _signal(arrays, "ecg"),
            _rate(arrays, "ecg"),
            {"age": row["age"], "sex": row["sex"]},
        )


def _uci_cuffless(folder: Path) -> Iterator[CorpusRecording]:
    files = _files(folder, "part*.npz")
    with (folder / "labels.csv").open(newline="") as lines:
        labels = {(row["part"], row["row"]): row for row in csv.DictReader(lines)}
    for path in files:
        arrays = decode(path)
        ppg, ecg = _signal(arrays, "ppg"), _signal(arrays, "ecg")
        lengths = arrays["length"].astype(int)
        for row, guess in enumerate(arrays["person_guess"].astype(str)):
            # A guess is no identity: the file is the only split that holds.
            yield CorpusRecording(
                "uci_cuffless",
                f"{path.stem}/{guess}",
                f"{path.stem}/{row}",
                ppg[row, : lengths[row]],
                _rate(arrays, "ppg"),
                ecg[row, : lengths[row]],
                _rate(arrays, "ecg"),
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


def _stress_predict(folder: Path) -> Iterator[CorpusRecording]:
    for path in _files(folder, "S*.npz"):
        arrays = decode(path)
        yield CorpusRecording(
            "stress_predict",
            path.stem,
            path.stem,
            _signal(arrays, "ppg"),
            _rate(arrays, "ppg"),
        )


def _mimic_perform(folder: Path) -> Iterator[CorpusRecording]:
    for path in _files(folder, "*.npz"):
        arrays = decode(path)
        yield CorpusRecording(
            "mimic_perform",
            path.stem,
            path.stem,
            _signal(arrays, "ppg"),
            _rate(arrays, "ppg"),
            _signal(arrays, "ecg"),
            _rate(arrays, "ecg"),
        )


def _wrist_exercise(folder: Path) -> Iterator[CorpusRecording]:
    for path in _files(folder, "s*.npz"):
        arrays = decode(path)
        yield CorpusRecording(
            "wrist_exercise",
            str(arrays["subject"]),
            path.stem,
            _signal(arrays, "ppg"),
            _rate(arrays, "ppg"),
            _signal(arrays, "ecg"),
            _rate(arrays, "ecg"),
            {"activity": str(arrays["activity"])},
        )


def _welltory(folder: Path) -> Iterator[CorpusRecording]:
    for path in _files(folder, "record_*.npz"):
        arrays = decode(path)
        frames_ms = arrays["time_ms"].astype(np.float64)
        rate_hz = _rate(arrays, "ppg")
        # Camera frames come unevenly: the green channel is laid on an even grid.
        even_ms = np.arange(frames_ms[0], frames_ms[-1], 1000.0 / rate_hz)
        green = np.interp(even_ms, frames_ms, _signal(arrays, "ppg")[1])
        # Who stands behind a record is not known: all of them are one "person".
        yield CorpusRecording(
            "welltory",
            "unknown",
            path.stem,
            green.astype(np.float32),
            rate_hz,
            labels={"rr_ms": " ".join(f"{x:.0f}" for x in arrays["rr_ms"])},
        )


def _ppg_bp(folder: Path) -> Iterator[CorpusRecording]:
    arrays = decode(folder / "ppg_bp.npz")
    labels = _labels(folder, "subject")
    ppg = _signal(arrays, "ppg")
    for row, (subject, segment) in enumerate(
        zip(arrays["subject"].astype(int), arrays["segment"].astype(int), strict=True)
    ):
        if (subject, segment) in {(23, 3), (24, 1)}:  # one recording under two people
            continue
        yield CorpusRecording(
            "ppg_bp",
            str(subject),
            f"{subject}_{segment}",
            ppg[row],
            _rate(arrays, "ppg"),
            labels=dict(labels[str(subject)]),
        )


def _ppg_arrhythmia(folder: Path) -> Iterator[CorpusRecording]:
    for path in _files(folder, "MPA_*.npz"):
        arrays = decode(path)
        ppg = _signal(arrays, "ppg")
        for row, label in enumerate(arrays["label"].astype(int)):
            yield CorpusRecording(
                "ppg_arrhythmia_valid",
                path.stem,
                f"{path.stem}/{row}",
                ppg[row],
                _rate(arrays, "ppg"),
                labels={"rhythm": float(label)},
            )


def _cinc2017(folder: Path) -> Iterator[CorpusRecording]:
    for path in _files(folder, "cinc2017_*.npz"):
        arrays = decode(path)
        ecg, lengths = _signal(arrays, "ecg"), arrays["length"].astype(int)
        records = arrays["record"].astype(str)
        for row, label in enumerate(arrays["label"].astype(str)):
            yield CorpusRecording(
                "cinc2017",
                records[row],
                records[row],
                ecg=ecg[row, : lengths[row]],
                ecg_rate_hz=_rate(arrays, "ecg"),
                labels={"rhythm": str(label)},
            )


def _ptbxl(folder: Path) -> Iterator[CorpusRecording]:
    arrays = decode(folder / "ptbxl500.npz")
    labels = _labels(folder, "ecg_id")
    lead_ii = _signal(arrays, "ecg")[:, list(arrays["leads"].astype(str)).index("II")]
    for row, ecg_id in enumerate(arrays["ecg_id"].astype(int)):
        yield CorpusRecording(
            "ptbxl500",
            labels[str(ecg_id)]["patient_id"],
            str(ecg_id),
            ecg=lead_ii[row],
            ecg_rate_hz=_rate(arrays, "ecg"),
            labels=dict(labels[str(ecg_id)]),
        )


CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus("bidmc", "ODC-By 1.0", True, _bidmc),
        Corpus("uci_cuffless", "CC BY 4.0", True, _uci_cuffless),
        Corpus("stress_predict", "MIT", True, _stress_predict),
        Corpus("mimic_perform", "ODbL 1.0", False, _mimic_perform),
        Corpus("wrist_exercise", "ODC-By 1.0", True, _wrist_exercise),
        Corpus("welltory", "CC0 1.0", True, _welltory),
        Corpus("ppg_bp", "CC BY 4.0", True, _ppg_bp),
        Corpus("ppg_arrhythmia_valid", "none stated", False, _ppg_arrhythmia),
        Corpus("cinc2017", "ODC-By 1.0", True, _cinc2017),
        Corpus("ptbxl500", "CC BY 4.0", True, _ptbxl),
    )
}
"""Every corpus by its folder's name."""

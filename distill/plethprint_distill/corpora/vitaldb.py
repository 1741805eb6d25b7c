"""VitalDB: whole operations with finger PPG, ECG II and arterial pressure at 500 Hz.

Forms: `.vital` files named by their case, read with the `vitaldb` package; CSV exports of
the same tracks (a column a track, at 500 Hz, or with a `Time` column in seconds); npz
exports with the tracks' names as keys. Tracks: SNUADC/PLETH, SNUADC/ECG_II, SNUADC/ART.

Some people were operated on more than once, so the table of cases has to lie beside the
recordings: a CSV with the columns caseid and subjectid (`clinical_data.csv`, or what the
site gives as `cases`). Without it cases cannot be split by person and are refused.
"""

from __future__ import annotations

import csv
import gzip
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import MissingExtraError, RecordingError
from plethprint_distill.corpora.column_files import even_rate_hz, read_columns
from plethprint_distill.corpora.compact import decode
from plethprint_distill.corpora.recording import (
    Corpus,
    CorpusRecording,
    first_form,
    moving,
    stretches,
)

__all__ = ["VITALDB"]

_RATE_HZ = 500.0
_PPG, _ECG, _ART = TRACKS = ("SNUADC/PLETH", "SNUADC/ECG_II", "SNUADC/ART")
_TABLES = ("clinical_data.csv", "clinical_info.csv", "cases.csv", "cases")


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "**/*.vital", "**/[0-9]*.csv", "**/[0-9]*.npz")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    cases = _cases(folder)
    for name in sources:
        path = folder / name
        case = cases.get(path.stem.lstrip("0"))
        if case is None:
            raise RecordingError(f"{path} is no case of the table of cases in {folder}")
        tracks, rate_hz = _tracks(path)
        ppg, ecg = (moving(tracks.get(track)) for track in (_PPG, _ECG))
        if ppg is None and ecg is None:
            continue
        whole = CorpusRecording(
            "vitaldb",
            case["subjectid"],
            path.stem,
            ppg,
            0.0 if ppg is None else rate_hz,
            ecg,
            0.0 if ecg is None else rate_hz,
            {
                **{key: case[key] for key in ("age", "sex") if case.get(key)},
                **_pressure(tracks.get(_ART)),
            },
        )
        yield from stretches(whole)


def _cases(folder: Path) -> dict[str, dict[str, str]]:
    path = next((folder / name for name in _TABLES if (folder / name).is_file()), None)
    if path is None:
        raise RecordingError(
            f"{folder} has no table of cases (clinical_data.csv with caseid and subjectid)"
        )
    with path.open(newline="", encoding="utf-8-sig") as lines:
        return {row["caseid"].strip(): dict(row) for row in csv.DictReader(lines)}


def _tracks(path: Path) -> tuple[Mapping[str, npt.NDArray[np.float32]], float]:
    if path.suffix == ".vital":
        return _vital(path), _RATE_HZ
    if path.suffix == ".npz":
        arrays = decode(path)
        found = {k: np.ravel(arrays[k]).astype(np.float32) for k in TRACKS if k in arrays}
        if not found:
            raise RecordingError(f"{path} has none of the tracks {', '.join(TRACKS)}")
        return found, _RATE_HZ
    columns = read_columns(path, [], optional=["Time", *TRACKS])
    rate_hz = even_rate_hz(columns["Time"], path) if "Time" in columns else _RATE_HZ
    return {k: v.astype(np.float32) for k, v in columns.items() if k != "Time"}, rate_hz


def _vital(path: Path) -> Mapping[str, npt.NDArray[np.float32]]:
    try:
        import vitaldb
    except ImportError as error:
        raise MissingExtraError("corpora", "Reading .vital files") from error
    try:
        with gzip.open(path) as archive:
            if archive.read(4) != b"VITA":
                raise ValueError("it does not begin with VITA")
        with warnings.catch_warnings():
            # The package leaves its file to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            file = vitaldb.VitalFile(str(path), list(TRACKS))
        present = [track for track in TRACKS if track in file.get_track_names()]
        samples = file.to_numpy(present, 1.0 / _RATE_HZ) if present else np.empty((0, 0))
        columns = np.asarray(samples, dtype=np.float32).T
    except Exception as error:  # the package lets through what its parsing meets
        raise RecordingError(f"{path} is not a readable .vital file: {error!r}") from error
    if not present or not columns.size:
        raise RecordingError(f"{path} has none of the tracks {', '.join(TRACKS)}")
    return dict(zip(present, columns, strict=True))


def _pressure(art: npt.NDArray[np.float32] | None) -> dict[str, str | float]:
    """97th and 3rd percentile of the arterial line while it shows a pressure, mmHg."""
    if art is None:
        return {}
    shown = art[np.isfinite(art) & (art > 20.0) & (art < 300.0)]
    if shown.size < 10 * _RATE_HZ:
        return {}
    low, high = np.percentile(shown, [3.0, 97.0])
    return {"sbp": round(float(high), 1), "dbp": round(float(low), 1)}


VITALDB = Corpus(
    "vitaldb",
    "CC BY-NC-SA 4.0",
    False,
    _sources,
    _read,
    {"ppg": 500.0, "ecg": 500.0},
    "https://vitaldb.net/dataset/",
    "Lee et al., Sci. Data 9:279, 2022",
    "non-commercial and share-alike",
    sources_per_task=1,
)

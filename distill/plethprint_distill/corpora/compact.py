"""The compact form of a corpus: npz with int16 codes, a gain and an offset a signal.

Beside the npz files lies a labels.csv. The readers of the single corpora take this form
wherever it is found, and the corpus's original files else.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint_distill.corpora.recording import FloatArray

__all__ = ["decode", "rate", "signal", "table"]

Arrays = dict[str, npt.NDArray[np.generic]]


def decode(path: Path) -> Arrays:
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
    arrays: Arrays = {}
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


def table(path: Path, key: str) -> dict[str, dict[str, str]]:
    """Rows of a CSV with a header line, by the value in column `key`."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        return {row[key]: dict(row) for row in csv.DictReader(lines)}


def signal(arrays: Arrays, key: str) -> FloatArray:
    """One signal of a decoded npz."""
    return arrays[key].astype(np.float32)


def rate(arrays: Arrays, key: str) -> float:
    """Sample rate of one signal of a decoded npz, Hz."""
    return float(arrays[f"fs_{key}"].item())

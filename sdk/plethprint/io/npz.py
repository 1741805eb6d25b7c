"""Recordings in numpy archives.

An archive holds an array ``ppg`` and its rate ``fs_ppg``; optionally ``ecg`` with
``fs_ecg``, ``subject`` and ``start``, the Unix time of the first sample in s. An array with
``<name>_gain`` holds codes, and the value is ``code * <name>_gain + <name>_offset``; int16
codes of -32768 are missing samples. Of an array of rows, (N, T), one row is read:
``column="ppg[3]"``; of one that has but one row or column, that one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint.io.recording import Recording, agreed_rate_hz, as_float32

__all__ = ["read_npz"]

_COLUMN = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<row>\d+)\])?")
_RATE_KEYS = ("fs_{name}", "{name}_rate_hz", "sample_rate_hz", "fs")
_MISSING_CODE = -32768


def read_npz(path: Path, sample_rate_hz: float | None, column: str | None) -> Recording:
    """Read one recording from a numpy archive; see `read_recording`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib, tokenize: numpy lets them all through
        raise RecordingError(f"{path} is not a numpy archive: {error}") from error
    match = _COLUMN.fullmatch(column or "ppg")
    if match is None:
        raise RecordingError(f"column must be a name or name[row], not {column!r}")
    name, row = match["name"], match["row"]
    number = None if row is None else int(row)
    ppg = _signal(arrays, name, number, path)
    ecg = ecg_rate_hz = None
    if "ecg" in arrays and name != "ecg":
        same_rows = arrays["ecg"].ndim == arrays[name].ndim
        ecg_rate_hz = _rate_hz(arrays, "ecg", path)
        if same_rows and ecg_rate_hz is not None:
            ecg = _signal(arrays, "ecg", number, path)
            if not np.isfinite(ecg).any():
                ecg = None
    subject = arrays.get("subject", np.empty(0))
    return Recording(
        ppg=ppg,
        sample_rate_hz=agreed_rate_hz(
            _rate_hz(arrays, name, path), sample_rate_hz, str(path)
        ),
        name=str(subject) if subject.ndim == 0 else path.stem,
        ecg=ecg,
        ecg_rate_hz=None if ecg is None else ecg_rate_hz,
        start=_start(arrays),
    )


def _signal(
    arrays: Mapping[str, npt.NDArray[Any]], name: str, row: int | None, path: Path
) -> npt.NDArray[np.float32]:
    if name not in arrays:
        listed = ", ".join(key for key, array in arrays.items() if array.ndim)
        raise RecordingError(f"{path} has no array {name!r}; it has {listed or 'none'}")
    codes = arrays[name]
    if codes.dtype.kind not in "iuf" or codes.ndim not in (1, 2):
        raise RecordingError(
            f"{name} in {path} is no signal: {codes.dtype} of shape {codes.shape}"
        )
    if row is None and 1 in codes.shape:  # (1, T) or (T, 1), as other languages write it
        codes = codes.reshape(-1)
    elif codes.ndim == 2:
        if not len(codes):
            raise RecordingError(f"{name} in {path} has no rows")
        if row is None:
            raise RecordingError(
                f"{name} in {path} has {len(codes)} rows of {codes.shape[1]} samples; "
                f"choose one with column '{name}[0]' to '{name}[{len(codes) - 1}]'"
            )
        if row >= len(codes):
            raise RecordingError(f"{name} in {path} has {len(codes)} rows, no row {row}")
        codes = codes[row]
    elif row is not None:
        raise RecordingError(f"{name} in {path} is one signal, without rows")
    if f"{name}_gain" not in arrays:
        return _trimmed(as_float32(codes))
    gain = _number(arrays, f"{name}_gain", path)
    offset = _number(arrays, f"{name}_offset", path) if f"{name}_offset" in arrays else 0.0
    # In double precision: an offset of 2^24 counts would swallow the pulse in float32.
    values = codes.astype(np.float64) * gain + offset
    if codes.dtype == np.int16:
        values[codes == _MISSING_CODE] = np.nan
    return _trimmed(as_float32(values))


def _start(arrays: Mapping[str, npt.NDArray[Any]]) -> float:
    # An archive of another maker may call something else so.
    start = arrays.get("start", np.zeros(()))
    is_time = start.shape == () and start.dtype.kind in "iuf" and np.isfinite(start)
    return float(start) if is_time else 0.0


def _trimmed(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cut the missing tail off: rows of a matrix are padded to one length."""
    present = np.flatnonzero(~np.isnan(values))
    return values[: present[-1] + 1] if present.size else values


def _rate_hz(arrays: Mapping[str, npt.NDArray[Any]], name: str, path: Path) -> float | None:
    for pattern in _RATE_KEYS:
        key = pattern.format(name=name)
        if key in arrays:
            return _number(arrays, key, path)
    return None


def _number(arrays: Mapping[str, npt.NDArray[Any]], key: str, path: Path) -> float:
    array = arrays[key]
    if array.size != 1 or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise RecordingError(f"{key} in {path} must be one number, not {array!r}")
    return float(array.reshape(()))

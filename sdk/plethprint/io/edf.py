"""Recordings in EDF+, the exchange format of sleep and EEG laboratories (16 bits a sample).

EDF+ knows no missing sample. Here such samples keep the value before them, and an
annotation ``missing`` with onset and duration says where they are; reading makes them NaN
again. Values are rounded to 1/65535 of the recording's own range. The last second is
filled up with missing samples, because EDF+ is made of whole records.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import MissingExtraError, RecordingError
from plethprint.io.recording import Recording, agreed_rate_hz, as_float32

__all__ = ["read_edf", "write_edf"]

_MISSING = "missing"
_PPG_WORDS = ("ppg", "pleth", "bvp")
_UNIX_TIME_FROM = datetime(1985, 1, 2)  # EDF's own "unknown" is 1985-01-01
_EPOCH = datetime(1970, 1, 1)
_LARGEST = 9_999_999  # the header has eight characters for a number


def write_edf(
    path: str | Path,
    ppg: npt.ArrayLike,
    sample_rate_hz: float,
    *,
    start: float = 0.0,
    name: str = "",
) -> None:
    """Write one recording of PPG.

    Parameters
    ----------
    path : path-like
        The .edf to write.
    ppg : array_like, shape (T,)
        Counts, NaN where missing; magnitudes up to 9,999,999.
    sample_rate_hz : float
        Rate, Hz; a whole number of samples in some whole number of seconds up to 60.
    start : float, optional
        Unix time of the first sample, s; 0 when unknown.
    name : str, optional
        Name of the wearable.

    Raises
    ------
    RecordingError
        If there is no sample, or the rate or the values do not fit the format.
    MissingExtraError
        Without the ``io`` extra.
    """
    edfio = _library()
    values = as_float32(np.asarray(ppg)).astype(np.float64)
    present = np.isfinite(values)
    if values.ndim != 1 or not present.any():
        raise RecordingError("there is no sample to write as EDF+")
    if np.abs(values[present]).max() > _LARGEST:
        raise RecordingError(f"EDF+ holds values up to {_LARGEST:,}; write .npz instead")
    record_s = _record_s(sample_rate_hz)
    whole = math.ceil(values.size / (sample_rate_hz * record_s)) * sample_rate_hz * record_s
    values = np.concatenate([values, np.full(round(whole) - values.size, np.nan)])
    annotations = [
        edfio.EdfAnnotation(
            first / sample_rate_hz, (last - first) / sample_rate_hz, _MISSING
        )
        for first, last in _runs(np.isnan(values))
    ]
    held = _held(values)
    low, high = math.floor(held.min()), math.ceil(held.max())
    began = _EPOCH + timedelta(seconds=start) if start > 0 else None
    signal = edfio.EdfSignal(
        held,
        sample_rate_hz,
        label="PPG",
        transducer_type="photoplethysmograph",
        physical_range=(low, max(high, low + 1)),
    )
    edfio.Edf(
        [signal],
        recording=edfio.Recording(
            startdate=None if began is None else began.date(),
            equipment_code=_code(name),
        ),
        starttime=None if began is None else began.time(),
        data_record_duration=record_s,
        annotations=annotations,
    ).write(path)


def read_edf(path: Path, sample_rate_hz: float | None, column: str | None) -> Recording:
    """Read one recording from EDF or EDF+; see `read_recording`."""
    edfio = _library()
    try:
        file = edfio.read_edf(path)
        labels = [signal.label for signal in file.signals]
        signal = file.signals[_chosen(labels, column, path)]
        values = np.array(signal.data, np.float64)  # a copy: the data are read-only
        rate_hz = float(signal.sampling_frequency)
        for note in file.annotations:
            if note.text == _MISSING:
                first = round(note.onset * rate_hz)
                values[first : first + round((note.duration or 0.0) * rate_hz)] = np.nan
        start = _start_s(file)
    except RecordingError:
        raise
    except Exception as error:  # the library checks little: whatever a damaged file does
        raise RecordingError(f"{path} cannot be read as EDF: {error}") from error
    present = np.flatnonzero(np.isfinite(values))
    values = values[: present[-1] + 1] if present.size else values
    return Recording(
        ppg=as_float32(values),
        sample_rate_hz=agreed_rate_hz(rate_hz, sample_rate_hz, str(path)),
        name=path.stem,
        start=start,
    )


def _library() -> Any:
    try:
        import edfio
    except ImportError as error:
        raise MissingExtraError("io", "EDF+") from error
    return edfio


def _chosen(labels: list[str], column: str | None, path: Path) -> int:
    if column is not None:
        if column in labels:
            return labels.index(column)
    else:
        for index, label in enumerate(labels):
            if any(word in label.lower() for word in _PPG_WORDS):
                return index
        if len(labels) == 1:
            return 0
    listed = ", ".join(labels) or "none"
    raise RecordingError(
        f"{path} has no signal {column!r}; it has {listed}"
        if column is not None
        else f"{path} does not say which signal is the PPG; choose a column of {listed}"
    )


def _start_s(file: Any) -> float:
    try:
        began = datetime.combine(file.startdate, file.starttime)
    except Exception:  # an anonymised date: nobody knows when
        return 0.0
    if began < _UNIX_TIME_FROM:
        return 0.0
    return began.replace(tzinfo=timezone.utc).timestamp()


def _record_s(rate_hz: float) -> int:
    """Seconds of a record: the fewest that hold a whole number of samples."""
    for seconds in range(1, 61):
        samples = rate_hz * seconds
        if samples >= 1 and abs(samples - round(samples)) < 1e-6:
            return seconds
    raise RecordingError(
        f"EDF+ needs whole samples in whole seconds, which {rate_hz:g} Hz does not give; "
        "write .npz instead"
    )


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _held(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each missing value as the one before it; those at the beginning as the first."""
    place = np.where(np.isfinite(values), np.arange(values.size), -1)
    first = int(np.flatnonzero(place >= 0)[0])
    return values[np.maximum(np.maximum.accumulate(place), first)]


def _code(name: str) -> str:
    """A name as the header takes it: ASCII without blanks, X for none."""
    plain = "".join(c if c.isascii() and c.isprintable() else "_" for c in name)
    return "_".join(plain.split())[:30] or "X"

"""Recordings in text tables, as phones, loggers and spreadsheets write them.

Taken as they come: cells parted by commas, semicolons, tabs or blanks; a decimal comma
where cells are not parted by commas; a header or none; ``#`` comments; empty cells (and
empty lines amid a single column) and words such as ``NaN`` for missing samples.

The PPG is the column called ``ppg``, ``pleth``, ``bvp``, ``green``, ``ir`` or ``red``
(in this order, with or without a unit), or the only one left besides time and ECG. A
time column (``t``, ``time``, ``timestamp``, with a unit such as ``_ms`` or without, or
ISO 8601; without a header, a first column that always rises) gives the rate. Where it
jumps, the missing samples are filled in as NaN and counted; where it is uneven, as of a
phone's camera, the signal is read off its own time (`plethprint.io.time_stamps`).

A single column of an Empatica E4 begins with its Unix time and rate, and is read so.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint.io.recording import Recording, agreed_rate_hz, as_float32
from plethprint.io.table import Table, words_of
from plethprint.io.time_stamps import (
    UNIX_TIME_FROM,
    even_times,
    guess_unit_s,
    start_of,
)
from plethprint.resample import MAX_RATE_HZ, MIN_RATE_HZ

__all__ = ["read_csv"]

_PPG_WORDS = ("ppg", "pleth", "bvp", "green", "ir", "red")
_ECG_NAMES = (["ii"], ["mlii"], ["i"])
_TIME_WORDS = (
    "t",
    "time",
    "timestamp",
    "timestamps",
    "ts",
    "datetime",
    "seconds",
    "zeit",
    "elapsed",
)
_CLOCK_WORDS = frozenset({"timestamp", "timestamps", "datetime"})
_NO_TIME = "none"
_UNITS_S = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_ABOUT_WORDS = frozenset({*_TIME_WORDS[1:], "quality", "sqi", "valid", "status", "flag"})
"""A column with one of these in its name tells about a signal but is none."""


def read_csv(
    path: Path,
    sample_rate_hz: float | None,
    column: str | None,
    time_column: str | None = None,
) -> Recording:
    """Read one recording from a text table; see `read_recording`."""
    table = Table.read(path)
    empatica = _empatica_head(table) if time_column is None else None
    if empatica is not None:
        start, stated_hz = empatica
        return Recording(
            ppg=as_float32(table.numbers(0)[2:]),
            sample_rate_hz=agreed_rate_hz(stated_hz, sample_rate_hz, str(path)),
            name=path.stem,
            start=start,
        )
    if time_column is None:
        time = _time_column(table)
    else:
        time = None if time_column == _NO_TIME else table.index(time_column)
    ecg = table.find(lambda words: words[:1] in (["ecg"], ["ekg"]) or words in _ECG_NAMES)
    ppg = _ppg_column(table, time, ecg) if column is None else table.index(column)
    ecg = None if ecg in (ppg, time) else ecg
    signals = {index: table.numbers(index) for index in (ppg, ecg) if index is not None}
    start, gap_samples = 0.0, 0
    shown_hz: float | None = None
    if time is not None:
        stamps_s = table.moments(time)
        stamps_s = stamps_s * _unit_s(table.names[time], stamps_s)
        even = even_times(
            stamps_s, str(path), lambda index: f"line {table.line_numbers[index]}"
        )
        shown_hz, gap_samples = even.rate_hz, even.gap_samples
        signals = {index: even.of(values) for index, values in signals.items()}
        start = start_of(stamps_s)
    rate_hz = agreed_rate_hz(shown_hz, sample_rate_hz, str(path))
    has_ecg = ecg is not None and bool(np.isfinite(signals[ecg]).any())
    return Recording(
        ppg=as_float32(signals[ppg]),
        sample_rate_hz=rate_hz,
        name=path.stem,
        ecg=as_float32(signals[ecg]) if has_ecg and ecg is not None else None,
        ecg_rate_hz=rate_hz if has_ecg else None,
        start=start,
        gap_samples=gap_samples,
    )


def _empatica_head(table: Table) -> tuple[float, float] | None:
    """Unix time and rate in Hz at the top of an Empatica E4's single column, if it is one.

    Taken for samples they would be a step of a billion, which outlasts seconds of filter.
    """
    if table.has_header or len(table.names) != 1 or len(table) < 3:
        return None
    start, rate_hz = table.numbers(0)[:2].tolist()
    whole = float(start).is_integer() and float(rate_hz).is_integer()
    is_head = whole and start >= UNIX_TIME_FROM and MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ
    return (start, rate_hz) if is_head else None


def _time_column(table: Table) -> int | None:
    if table.has_header:
        return table.find(_is_time)
    if len(table.names) < 2 or len(table) < 2:
        return None
    try:
        steps = np.diff(table.moments(0))
    except RecordingError:
        return None
    # Steps of one are a counter of lines: as a time they would fit no rate that is taken.
    return 0 if (steps > 0).all() and not (steps == 1).all() else None


def _is_time(words: list[str]) -> bool:
    """Whether a name is one of time, such as ``Time [ms]`` or ``unix_timestamp_ms``."""
    if not words:
        return False
    return words[0] in _TIME_WORDS or not _CLOCK_WORDS.isdisjoint(words)


def _ppg_column(table: Table, time: int | None, ecg: int | None) -> int:
    for word in _PPG_WORDS:
        for index, name in enumerate(table.names):
            words = words_of(name)
            about = not _ABOUT_WORDS.isdisjoint(words)
            if words and words[0].rstrip("0123456789") == word and not about:
                return index  # also ppg1, ppg_green
    left = [index for index in range(len(table.names)) if index not in (time, ecg)]
    for word in _PPG_WORDS:  # raw_ppg, led_green: where there is but one
        named = [index for index in left if word in words_of(table.names[index])]
        named = [i for i in named if _ABOUT_WORDS.isdisjoint(words_of(table.names[i]))]
        if len(named) == 1:
            return named[0]
    if len(left) == 1:
        return left[0]
    raise RecordingError(
        f"{table.path} does not say which column is the PPG; choose one with column: "
        f"it has {table.listed()}"
    )


def _unit_s(name: str, stamps: npt.NDArray[np.float64]) -> float:
    words = words_of(name)
    unit = _UNITS_S.get(words[-1]) if words else None
    return guess_unit_s(stamps) if unit is None else unit

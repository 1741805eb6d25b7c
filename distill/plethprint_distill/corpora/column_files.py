"""Columns of numbers in text files: CSV with a header line, or one column without."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError

__all__ = ["even_rate_hz", "read_columns", "read_numbers"]


def read_columns(
    path: Path, names: Sequence[str], *, optional: Sequence[str] = ()
) -> dict[str, npt.NDArray[np.float64]]:
    """Named columns of a CSV, (T,) each; NaN where a cell is empty or says NaN.

    Blanks around the names in the header line do not count.

    Raises
    ------
    RecordingError
        If a column is missing, a row is short or a cell is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            header = [name.strip() for name in next(csv.reader(lines), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path} is not a readable CSV: {error}") from error
    missing = [name for name in names if name not in header]
    if missing:
        raise RecordingError(f"{path} has no column {', '.join(missing)}")
    wanted = [*names, *(name for name in optional if name in header)]
    try:
        cells = np.loadtxt(
            path,
            delimiter=",",
            skiprows=1,
            usecols=[header.index(name) for name in wanted],
            converters=lambda cell: float(cell) if cell.strip() else np.nan,
            encoding="utf-8-sig",
            ndmin=2,
        )
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} is not a table of numbers: {error}") from error
    if not cells.size:
        raise RecordingError(f"{path} has a header line and nothing more")
    return dict(zip(wanted, cells.T, strict=True))


def read_numbers(path: Path, separator: str | None = None) -> npt.NDArray[np.float64]:
    """All numbers of a text file in their order; blank cells at line ends do not count.

    Raises
    ------
    RecordingError
        If the file is missing or holds anything but numbers.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        cells = text.replace("\n", separator or " ").split(separator)
        return np.array([float(cell) for cell in cells if cell.strip()])
    except (OSError, ValueError) as error:  # a UnicodeDecodeError is a ValueError
        raise RecordingError(f"{path} is not a file of numbers: {error}") from error


def even_rate_hz(times_s: npt.NDArray[np.float64], path: Path) -> float:
    """Rate of evenly spaced samples from their times, Hz, rounded to 0.001 Hz.

    Raises
    ------
    RecordingError
        If the times do not rise.
    """
    if times_s.size < 2 or not times_s[-1] > times_s[0]:
        raise RecordingError(f"{path}: the time column does not rise")
    return round(float((times_s.size - 1) / (times_s[-1] - times_s[0])), 3)

"""Recordings from files: ``.npz``, ``.csv``, EDF+ and WFDB (``.hea``), by their suffix."""

from __future__ import annotations

from pathlib import Path

from plethprint.errors import RecordingError
from plethprint.io.recording import Recording

__all__ = ["Recording", "read_recording"]


def read_recording(
    path: str | Path,
    *,
    sample_rate_hz: float | None = None,
    column: str | None = None,
    time_column: str | None = None,
) -> Recording:
    """Read PPG, and ECG where there is some, from a file.

    Parameters
    ----------
    path : path-like
        ``.npz`` (see `plethprint.io.npz`), ``.csv``, ``.tsv`` or ``.txt`` (see
        `plethprint.io.csv`), ``.edf`` (see `plethprint.io.edf`), or the ``.hea`` of a
        WFDB record (see `plethprint.io.wfdb`).
    sample_rate_hz : float, optional
        Rate of the PPG, for files that do not say it. Must not contradict the file.
    column : str, optional
        Which array, column or channel is the PPG, if its name does not tell; for an array
        of rows, which row, as in ``ppg[3]``.
    time_column : str, optional
        Which column of a text table is the time, if its name does not tell; ``none`` to
        pass over the times and go by `sample_rate_hz`.

    Returns
    -------
    Recording

    Raises
    ------
    RecordingError
        If the file is missing, cannot be read, or lacks the column or the rate.
    SampleRateError
        If the rate is outside 20..500 Hz.
    MissingExtraError
        For EDF+ or a WFDB record without the ``io`` extra.

    Examples
    --------
    >>> recording = read_recording("walk.csv", sample_rate_hz=64)  # doctest: +SKIP
    """
    path = Path(path)
    suffix = path.suffix.lower()
    header = Path(f"{path}.hea")
    if not path.exists() and header.exists():  # a WFDB record by its bare name
        path, suffix = header, ".hea"
    if not path.is_file():
        raise RecordingError(f"{path} is not a file")
    if suffix in (".csv", ".tsv", ".txt"):
        from plethprint.io.csv import read_csv

        return read_csv(path, sample_rate_hz, column, time_column)
    if time_column is not None:
        raise RecordingError(f"{path} is no text table: it has no time column")
    if suffix == ".npz":
        from plethprint.io.npz import read_npz

        return read_npz(path, sample_rate_hz, column)
    if suffix in (".hea", ".dat"):
        from plethprint.io.wfdb import read_wfdb

        return read_wfdb(path, sample_rate_hz, column)
    if suffix == ".edf":
        from plethprint.io.edf import read_edf

        return read_edf(path, sample_rate_hz, column)
    raise RecordingError(
        f"{path} has a suffix that is not known; it must be .npz, .csv, .tsv, .txt, .edf "
        "or .hea"
    )

"""WFDB records (PhysioNet), one- and multi-segment, through the `wfdb` package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plethprint.errors import MissingExtraError, RecordingError
from plethprint_distill.corpora.recording import STRETCH_S, FloatArray

__all__ = ["ECG_LEADS", "PPG_NAMES", "Channel", "channels", "comments", "segments", "wfdb"]

PPG_NAMES = ("PLETH", "Pleth")
ECG_LEADS = ("II", "MLII", "I", "III", "V", "V1", "V2", "V5", "aVF", "AVF", "MCL1", "ECG")
"""Leads in the order in which one is taken; II first, what most monitors show."""


@dataclass(frozen=True)
class Channel:
    """One signal of a record; NaN where the record has none."""

    name: str
    rate_hz: float
    samples: FloatArray


def wfdb() -> Any:
    """The `wfdb` package.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import wfdb
    except ImportError as error:
        raise MissingExtraError("corpora", "Reading WFDB records") from error
    return wfdb


def comments(path: Path) -> list[str]:
    """Comment lines of a record's header; `path` with or without the suffix .hea."""
    return list(_header(path).comments or [])


def channels(
    path: Path, *wanted: Sequence[str], first: int = 0, last: int | None = None
) -> list[Channel | None]:
    """For each list of names the first channel that the record has; None where none.

    Parameters
    ----------
    path
        Record of one segment, with or without the suffix .hea.
    wanted
        Names in the order of preference, a list for each channel asked for.
    first, last
        Frames to read, from `first` up to `last`.

    Raises
    ------
    RecordingError
        If the record cannot be read.
    """
    names = [str(name).strip(" ,") for name in _header(path).sig_name or []]
    found = [next((n for n in options if n in names), None) for options in wanted]
    index = [names.index(name) for name in found if name is not None]
    if not index:
        return [None] * len(wanted)
    reader = wfdb()
    try:
        # Frames stay unsmoothed: a PPG and an ECG of one record may differ in rate.
        record = reader.rdrecord(
            str(path.with_suffix("")),
            sampfrom=first,
            sampto=last,
            channels=index,
            smooth_frames=False,
        )
        signals = [np.asarray(signal, dtype=np.float32) for signal in record.e_p_signal]
        rates = [float(record.fs) * n for n in record.samps_per_frame]
    except Exception as error:  # wfdb lets through what its parsing meets
        raise RecordingError(f"{path} is not a readable WFDB record: {error}") from error
    read = {names[i]: (rates[k], signals[k]) for k, i in enumerate(index)}
    return [None if name is None else Channel(name, *read[name]) for name in found]


def segments(path: Path) -> Iterator[tuple[str, Path, int, int]]:
    """Stretches with signal of a record: (name, segment's record, first, last frame).

    A multi-segment record gives its segments without the empty ones, a plain record
    itself; each in stretches of at most `STRETCH_S`.
    """
    header = _header(path)
    lengths = getattr(header, "seg_len", None)
    parts = (
        [(path.with_suffix(""), header.sig_len)]
        if lengths is None
        else [
            (path.with_name(name), length)
            for name, length in zip(header.seg_name, lengths, strict=True)
            if name != "~" and length  # "~" is a gap, a length of 0 the layout
        ]
    )
    for segment, length in parts:
        step = max(1, round(STRETCH_S * float(header.fs)))
        for index, first in enumerate(range(0, int(length), step)):
            last = min(first + step, int(length))
            yield f"{segment.name}/{index}", segment, first, last


def _header(path: Path) -> Any:
    reader = wfdb()
    name = path.with_suffix("") if path.suffix == ".hea" else path
    try:
        return reader.rdheader(str(name))
    except Exception as error:
        raise RecordingError(f"{path} is not a readable WFDB header: {error}") from error

"""From a journal to the .npz or .edf that it was to become, in little memory."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError, RecordingWriteError
from plethprint.recording.journal import journal_path, opened_journal, sync_folder
from plethprint.recording.journal_codec import (
    JournalBlock,
    JournalEnd,
    JournalHead,
    JournalReader,
    JournalStatistics,
)

__all__ = ["BLOCKS", "RecordingSummary", "finish_recording", "read_summary"]

BLOCKS = np.dtype(
    [
        ("sample", "<i8"),  # where it begins in ``ppg``
        ("epoch", "<i8"),
        ("index", "<i8"),
        ("samples", "<i4"),
        ("host_time_s", "<f8"),
        ("host_period_s", "<f8"),
        ("device_time_us", "<i8"),  # -1: the device tells no time
        ("gap_cause", "S8"),  # empty: no gap before it
        ("gap_samples", "<i8"),
        ("on_skin", "?"),
    ]
)
"""Row of the array ``blocks``: when and from where each stretch of samples came."""

_LOGGER = logging.getLogger(__name__)

_LONGEST_FILL_S = 86400.0  # a device may claim any index: 2^40 NaN would be its doing


@dataclass(frozen=True)
class RecordingSummary:
    """What a journal holds."""

    journal: Path
    head: JournalHead | None
    """None where not even that was written."""
    samples: int
    """Length of the recording with what is absent, samples."""
    received: int
    """Samples that came."""
    blocks: int
    epochs: int
    """Times that the wearable's counting began, 1 where it never began anew."""
    start: float
    """Host time of the first sample, Unix s; 0 where there is none."""
    statistics: dict[str, Any] | None
    """The newest counts of the stream, at most some ten seconds before the end."""
    ended: str | None
    """Why the stream ended; None when the recording was cut off."""
    unread_bytes: int
    """Bytes at the end that are no whole record: what was being written."""

    @property
    def duration_s(self) -> float:
        """Length, seconds."""
        return 0.0 if self.head is None else self.samples / self.head.sample_rate_hz


def read_summary(path: str | Path) -> RecordingSummary:
    """Read a journal through, and say what it holds.

    Parameters
    ----------
    path : path-like
        The journal, or the recording that it is to become.

    Raises
    ------
    RecordingError
        There is none, it is none, or another program is writing it.
    """
    journal = journal_path(path)
    with opened_journal(journal) as file:
        return _summary(journal, file)


def finish_recording(
    path: str | Path, out: str | Path | None = None
) -> tuple[Path, RecordingSummary]:
    """Make the recording of its journal, then remove the journal.

    A journal that cannot be removed, as on a card that is read only, is left with a
    warning.

    Parameters
    ----------
    path : path-like
        The journal, or the recording that it is to become.
    out : path-like, optional
        Another .npz or .edf to write.

    Returns
    -------
    Path, RecordingSummary
        What was written, readable by its owner alone, and what is in it.

    Raises
    ------
    RecordingError
        There is no journal, it holds no sample, is being written, or does not fit EDF+.
    RecordingWriteError
        The file is there already or cannot be written. The journal stays as it was.
    MissingExtraError
        For .edf without the ``io`` extra.
    """
    journal = journal_path(path)
    target = journal.with_suffix("") if out is None else Path(out)
    suffix = target.suffix.lower()
    if suffix not in (".npz", ".edf"):
        raise RecordingError(
            f"a recording is written as .npz or .edf, not {target.name}; name one with "
            "out (`plethprint recover JOURNAL --out NAME.npz`)"
        )
    with opened_journal(journal) as file:
        summary = _summary(journal, file)
        if summary.head is None or not summary.samples:
            raise RecordingError(f"{journal} holds no sample; remove it")
        extra = target.with_name(target.name + ".blocks.npz") if suffix == ".edf" else None
        for wanted in (target, *([extra] if extra else [])):
            if wanted.exists():
                raise RecordingWriteError(f"{wanted} is there already: name another file")
        try:
            if extra is None:
                with _put(target) as part:
                    _write_npz(part, file, summary, with_ppg=True)
            else:
                with _put(extra) as part:
                    _write_npz(part, file, summary, with_ppg=False)
                with _put(target) as part:
                    _write_edf(part, file, summary)
        except OSError as error:
            raise RecordingWriteError(
                f"cannot write {target}: {error.strerror or error}; what was recorded "
                f"stays in {journal}"
            ) from error
        finally:
            if extra is not None and not target.exists():
                extra.unlink(missing_ok=True)
        sync_folder(target.parent)
        if os.name == "posix":
            _remove(journal)  # while it is locked
    if os.name != "posix":
        _remove(journal)
    return target, summary


def _remove(journal: Path) -> None:
    try:
        journal.unlink()
    except OSError as error:  # the recording is whole: that is not to look like a failure
        _LOGGER.warning(
            "%s cannot be removed: %s; the recording is whole, remove it yourself",
            journal,
            error.strerror or error,
        )


def _records(
    file: BinaryIO,
) -> Iterator[tuple[int, JournalBlock] | JournalHead | JournalStatistics | JournalEnd]:
    """Records; a block with the number of absent samples to put before it."""
    file.seek(0)
    last: JournalBlock | None = None
    rate_hz = 1.0
    for record in JournalReader(file):
        if isinstance(record, JournalHead):
            rate_hz = record.sample_rate_hz
        if not isinstance(record, JournalBlock):
            yield record
            continue
        absent = 0
        if last is not None:
            absent = record.index - (last.index + last.counts.size)
            # After a reset nobody knows how much is absent: say one sample.
            if record.epoch != last.epoch or not 0 <= absent <= _LONGEST_FILL_S * rate_hz:
                absent = 1
        yield absent, record
        last = record


def _summary(journal: Path, file: BinaryIO) -> RecordingSummary:
    head: JournalHead | None = None
    statistics: dict[str, Any] | None = None
    ended: str | None = None
    samples = received = blocks = 0
    start, epochs, epoch = 0.0, 0, -1
    for record in _records(file):
        if isinstance(record, JournalHead):
            head = record
        elif isinstance(record, JournalStatistics):
            statistics = record.counts
        elif isinstance(record, JournalEnd):
            ended = record.reason
        else:
            absent, block = record
            start = start if blocks else block.start_s
            epochs += block.epoch != epoch
            epoch = block.epoch
            blocks += 1
            received += block.counts.size
            samples += absent + block.counts.size
    file.seek(0)
    reader = JournalReader(file)
    for _ in reader:
        pass
    unread = file.seek(0, os.SEEK_END) - reader.whole_bytes
    return RecordingSummary(
        journal, head, samples, received, blocks, epochs, start, statistics, ended, unread
    )


def _ppg(file: BinaryIO, head: JournalHead) -> Iterator[npt.NDArray[np.float32]]:
    for record in _records(file):
        if isinstance(record, tuple):
            absent, block = record
            if absent:
                yield np.full(absent, np.nan, dtype=np.float32)
            yield block.counts.astype(np.float32) * np.float32(head.polarity or 1)


def _rows(file: BinaryIO) -> Iterator[npt.NDArray[Any]]:
    at = 0
    for record in _records(file):
        if isinstance(record, tuple):
            absent, block = record
            at += absent
            row = (
                at,
                block.epoch,
                block.index,
                block.counts.size,
                block.start_s,
                block.host_period_s,
                -1 if block.device_time_us is None else block.device_time_us,
                b"" if block.gap is None else block.gap.cause.value.encode("ascii"),
                0 if block.gap is None else block.gap.samples,
                block.on_skin,
            )
            yield np.array([row], dtype=BLOCKS)
            at += block.counts.size


def _write_npz(
    part: Path, file: BinaryIO, summary: RecordingSummary, *, with_ppg: bool
) -> None:
    head = summary.head
    assert head is not None
    facts = {
        "fs_ppg": np.array(head.sample_rate_hz),
        "start": np.array(summary.start),
        "subject": np.array(head.name),
        "address": np.array(head.address),
        "channel": np.array(head.channel),
        "polarity": np.array(head.polarity),
        "statistics": np.array(json.dumps(summary.statistics or {})),
        "ended": np.array(summary.ended or ""),
    }
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        if with_ppg:
            _stream(archive, "ppg", np.dtype("<f4"), summary.samples, _ppg(file, head))
        _stream(archive, "blocks", BLOCKS, summary.blocks, _rows(file))
        for name, value in facts.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, value, allow_pickle=False)


def _stream(
    archive: zipfile.ZipFile,
    name: str,
    kind: np.dtype[Any],
    length: int,
    pieces: Iterator[npt.NDArray[Any]],
) -> None:
    """Write an array of known length piece by piece: a night need not fit in memory."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(
            member,
            {
                "descr": np.lib.format.dtype_to_descr(kind),
                "fortran_order": False,
                "shape": (length,),
            },
        )
        for piece in pieces:
            member.write(piece.tobytes())


def _write_edf(part: Path, file: BinaryIO, summary: RecordingSummary) -> None:
    from plethprint.io.edf import write_edf

    head = summary.head
    assert head is not None
    ppg = np.concatenate(list(_ppg(file, head)))
    try:
        write_edf(part, ppg, head.sample_rate_hz, start=summary.start, name=head.name)
    except RecordingError as error:
        raise RecordingError(
            f"{error}; `plethprint recover {summary.journal} --out NAME.npz` does"
        ) from error


@contextlib.contextmanager
def _put(target: Path) -> Iterator[Path]:
    """A file to write that takes its name when it is whole and on the disk."""
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)

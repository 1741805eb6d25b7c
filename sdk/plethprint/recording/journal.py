"""The journal of a recording under way: a file beside the one it is to become."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from plethprint.errors import (
    RecordingError,
    RecordingWriteError,
    UnfinishedRecordingError,
)
from plethprint.recording.journal_codec import MAGIC, JournalHead, JournalRecord

__all__ = ["JournalWriter", "demand_no_journal", "journal_path", "opened_journal"]

_SUFFIX = ".journal"
# On Windows a file that somebody has open is not removed anyway.
_FCNTL: Any = importlib.import_module("fcntl") if os.name == "posix" else None


def journal_path(path: str | Path) -> Path:
    """The journal of a recording; of a journal, itself.

    Raises
    ------
    RecordingError
        The path has no name, as ``.`` and ``/`` have none.

    Examples
    --------
    >>> journal_path("walk.npz").name, journal_path("walk.npz.journal").name
    ('walk.npz.journal', 'walk.npz.journal')
    """
    path = Path(path)
    if not path.name:
        raise RecordingError(f"{path} is a folder; name a recording or its .journal")
    return path if path.suffix == _SUFFIX else path.with_name(path.name + _SUFFIX)


def demand_no_journal(path: Path) -> None:
    """Refuse to record over what an earlier recording left.

    Raises
    ------
    UnfinishedRecordingError
        There is a journal; the message says how it becomes a recording.
    RecordingError
        Another program is writing it.
    """
    journal = journal_path(path)
    if not journal.exists():
        return
    with opened_journal(journal):  # raises where somebody is writing it
        pass
    raise UnfinishedRecordingError(
        f"{journal} holds a recording that was not finished; `plethprint recover "
        f"{journal}` makes {path.name} of it, or remove it, or record under another name",
        path=str(journal),
    )


@contextlib.contextmanager
def opened_journal(journal: Path) -> Iterator[BinaryIO]:
    """Open a journal to read it, while nobody writes it.

    Raises
    ------
    RecordingError
        There is none, it cannot be read, or another program is writing it.
    """
    try:
        file = journal.open("rb")
    except OSError as error:
        raise RecordingError(f"cannot read {journal}: {error.strerror}") from error
    with file:
        if not _locked(file):
            raise RecordingError(f"{journal} is being written by another program")
        yield file


class JournalWriter:
    """Appends records; safe to use from threads.

    What `append` wrote survives the process being killed; what `sync` returned from
    survives a power cut.

    Parameters
    ----------
    journal : Path
        Made anew, readable by its owner alone.
    head : JournalHead
        Written and synced at once.

    Raises
    ------
    UnfinishedRecordingError
        There is one already.
    RecordingWriteError
        It cannot be made or written.
    """

    def __init__(self, journal: Path, head: JournalHead) -> None:
        self.path = journal
        self._lock = threading.Lock()
        self._dirty = False
        try:
            descriptor = os.open(
                journal,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
                0o600,
            )
        except FileExistsError as error:
            raise UnfinishedRecordingError(
                f"{journal} appeared meanwhile: somebody else records here",
                path=str(journal),
            ) from error
        except OSError as error:
            raise _cannot_write(journal, error) from error
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        try:
            _locked(self._file)
            self._write(MAGIC + head.to_bytes())
            self.sync()
            sync_folder(journal.parent)
        except BaseException:
            self._file.close()
            journal.unlink(missing_ok=True)  # it holds nothing, and would be in the way
            raise

    def append(self, record: JournalRecord) -> None:
        """Hand one record to the operating system; nothing waits in this process.

        Raises
        ------
        RecordingWriteError
            If it cannot be written: the disk is full, gone or broken.
        """
        self._write(record.to_bytes())

    def sync(self) -> None:
        """Have everything on the disk before returning.

        Raises
        ------
        RecordingWriteError
            See `append`.
        """
        with self._lock:
            if self._dirty and not self._file.closed:
                try:
                    os.fsync(self._file.fileno())
                except OSError as error:
                    raise _cannot_write(self.path, error) from error
                self._dirty = False

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._file.close()

    def _write(self, content: bytes) -> None:
        with self._lock:
            if self._file.closed:
                return  # a thread that was under way when the recording ended
            rest = memoryview(content)
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                raise _cannot_write(self.path, error) from error
            self._dirty = True


def sync_folder(folder: Path) -> None:
    """Have a file's name on the disk; its content alone would not be found again."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some file systems cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _locked(file: BinaryIO) -> bool:
    """Lock until the file is closed, by whatever end of the process; False: taken."""
    if _FCNTL is None:
        return True
    try:
        _FCNTL.flock(file.fileno(), _FCNTL.LOCK_EX | _FCNTL.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _cannot_write(journal: Path, error: OSError) -> RecordingWriteError:
    return RecordingWriteError(f"cannot write {journal}: {error.strerror or error}")

"""The append-only log: one SQLite file, one row a fingerprint.

Every `append` is one transaction of a write-ahead log that is synced before it returns:
a process killed in mid-write, or a power cut, loses the row that was being written and no
other. A row is named by a digest of its content, so appending it again changes nothing.
Rows are numbered without a hole; what `prune` takes out is noted, and `verify` finds any
other hole. Not found: rows cut off at the very end, which nothing after them remembers.

In the open, even in an encrypted log, stand a row's number, its time, and a tag that is
the same for all rows of one wearer; see `plethprint.store.seal`.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from plethprint.errors import StoreError, StoreIntegrityError, StoreKeyError
from plethprint.store.row import StoredFingerprint
from plethprint.store.seal import KeyedSeal, OpenSeal, Seal, row_facts

__all__ = ["FingerprintStore", "StoreSummary"]

_APPLICATION_ID = 0x504C4650  # "PLFP"
_FORMAT_VERSION = 1
_BUSY_S = 10.0
_PAGE_ROWS = 512
_CHECK = b"plethprint store"
_LEAST_S, _MOST_S = -1e300, 1e300

_SCHEMA = """
CREATE TABLE log (id BLOB NOT NULL, encrypted INTEGER NOT NULL, key_check BLOB NOT NULL);
CREATE TABLE fingerprints (
    sequence INTEGER PRIMARY KEY,
    start_s REAL NOT NULL,
    wearer BLOB NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    content BLOB NOT NULL
);
CREATE INDEX by_time ON fingerprints (start_s, sequence);
CREATE INDEX by_wearer ON fingerprints (wearer, start_s, sequence);
CREATE TABLE removed (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, note BLOB NOT NULL);
CREATE TRIGGER only_appended BEFORE UPDATE ON fingerprints
BEGIN SELECT RAISE(ABORT, 'rows of this log are never changed'); END;
CREATE TRIGGER only_pruned BEFORE DELETE ON fingerprints
WHEN NOT EXISTS (SELECT 1 FROM removed WHERE OLD.sequence BETWEEN first AND last)
BEGIN SELECT RAISE(ABORT, 'rows of this log are taken out by prune alone'); END;
"""


@dataclass(frozen=True)
class StoreSummary:
    """What a log holds, in figures."""

    rows: int
    wearers: tuple[str, ...]
    """Labels, sorted."""
    first_start_s: float | None
    """Start of the earliest window, Unix s; None when the log is empty."""
    last_start_s: float | None
    """Start of the latest window, Unix s; None when the log is empty."""
    encrypted: bool
    removed_rows: int
    """Rows that were pruned."""


class FingerprintStore:
    """An append-only log of fingerprints; a context manager, safe to use from threads.

    Parameters
    ----------
    path : path-like
        The file; SQLite keeps ``-wal`` and ``-shm`` beside it while it is open.
    key : bytes, optional
        At least 16 random bytes. A new log is encrypted with it; a log that is encrypted
        opens with the same key only.
    create : bool, optional
        Whether a file that is not there is made, readable by its owner alone.

    Raises
    ------
    StoreKeyError
        If the log is encrypted and the key is missing or another one, or if a key is
        given for a log that is not.
    StoreError
        If there is no such file, it is no log, or SQLite cannot use it.

    Examples
    --------
    See `plethprint.store`.
    """

    def __init__(
        self, path: str | Path, *, key: bytes | None = None, create: bool = True
    ) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._prepare_file(create)
        with self._told():
            self._database = sqlite3.connect(
                self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        # A forger may put text where bytes belong: it is to fail at the seal.
        self._database.text_factory = bytes
        try:
            with self._told():
                self._seal, self.encrypted = self._open(key)
        except BaseException:
            self._database.close()
            raise

    def append(self, row: StoredFingerprint) -> bool:
        """Write one row and have it on the disk before returning.

        Returns
        -------
        bool
            False when the log has this very row already.

        Raises
        ------
        StoreError
            If it cannot be written: disk full, file read-only, another writer that holds
            it for more than 10 s.
        """
        return self.append_many([row]) == 1

    def append_many(self, rows: Iterable[StoredFingerprint]) -> int:
        """Write rows in one transaction, all or none; return how many were new.

        Raises
        ------
        StoreError
            See `append`.
        """
        added = 0
        # Outside the transaction: a generator may be slow, or fail.
        encoded = [
            (row.fingerprint.start, row.wearer.encode("utf-8"), row.to_bytes())
            for row in rows
        ]
        with self._transaction() as database:
            sequence = self._last_sequence()
            for start_s, wearer, content in encoded:
                digest = self._seal.tag(b"row", content)
                if database.execute(
                    "SELECT 1 FROM fingerprints WHERE digest = ?", (digest,)
                ).fetchone():
                    continue
                sequence += 1
                tag = self._seal.tag(b"wearer", wearer)
                facts = row_facts(sequence, start_s, tag, digest)
                database.execute(
                    "INSERT INTO fingerprints VALUES (?, ?, ?, ?, ?)",
                    (sequence, start_s, tag, digest, self._seal.close(content, facts)),
                )
                added += 1
        return added

    def query(
        self,
        *,
        wearer: str | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        model: str | None = None,
        min_quality: float = 0.0,
    ) -> Iterator[StoredFingerprint]:
        """Give rows in order of time.

        Rows come a page at a time: a log of years needs little memory, and what is
        appended meanwhile, later in time than what was given, is given too.

        Parameters
        ----------
        wearer : str, optional
            Whose; everybody's when None.
        from_s, to_s : float, optional
            Windows that start at or after the one and before the other, Unix s.
        model : str, optional
            Identity of the model; any when None.
        min_quality : float, optional
            Least quality, 0..1.

        Raises
        ------
        StoreIntegrityError
            If a row was damaged, changed or moved; `sequence` tells which.
        StoreError
            If the log cannot be read.
        """
        bounds = (
            _LEAST_S if from_s is None else float(from_s),
            _MOST_S if to_s is None else float(to_s),
        )
        tag = None if wearer is None else self._seal.tag(b"wearer", wearer.encode("utf-8"))
        after: tuple[float, int] = (bounds[0], -1)
        condition, tags = ("wearer = ? AND ", (tag,)) if tag is not None else ("", ())
        text = (
            "SELECT sequence, start_s, wearer, digest, content FROM fingerprints WHERE "
            f"{condition}(start_s, sequence) > (?, ?) AND start_s < ? "
            f"ORDER BY start_s, sequence LIMIT {_PAGE_ROWS}"
        )
        while True:
            with self._lock, self._told():
                page = self._database.execute(text, (*tags, *after, bounds[1])).fetchall()
            for values in page:
                row = self._read(*values)
                if model is not None and row.fingerprint.model != model:
                    continue
                if row.fingerprint.quality >= min_quality:
                    yield row
            if len(page) < _PAGE_ROWS:
                return
            after = (page[-1][1], page[-1][0])

    def prune(self, *, before_s: float | None = None, wearer: str | None = None) -> int:
        """Take rows out for good: the old ones, one wearer's, or one wearer's old ones.

        The bytes are overwritten in the file (not on the disk below it, which may keep
        copies). That rows were taken out is noted, so that `verify` still holds.

        Parameters
        ----------
        before_s : float, optional
            Windows that start before this, Unix s.
        wearer : str, optional
            Whose; everybody's when None.

        Returns
        -------
        int
            Rows taken out.

        Raises
        ------
        StoreError
            If neither is given, or the log cannot be written.
        """
        conditions, values = [], []
        if before_s is not None:
            conditions.append("start_s < ?")
            values.append(float(before_s))
        if wearer is not None:
            conditions.append("wearer = ?")
            values.append(self._seal.tag(b"wearer", wearer.encode("utf-8")))  # type: ignore[arg-type]
        if not conditions:
            raise StoreError("say what to take out: before_s, wearer or both")
        where = " AND ".join(conditions)
        with self._transaction() as database:
            found = database.execute(
                f"SELECT sequence FROM fingerprints WHERE {where}", values
            ).fetchall()
            gone = sorted(row[0] for row in found)
            if gone:
                self._note_removed(gone)
                database.executemany(
                    "DELETE FROM fingerprints WHERE sequence = ?", [(s,) for s in gone]
                )
        if gone:
            with self._lock, self._told():
                # Until then the rows are still to be read in the write-ahead log.
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return len(gone)

    def verify(self) -> int:
        """Read every row and look for holes; return how many rows hold.

        Raises
        ------
        StoreIntegrityError
            At the first row that was damaged, changed, moved or taken out but by `prune`.
        """
        with self._lock, self._told():
            for (told,) in self._database.execute("PRAGMA integrity_check(1)").fetchall():
                if told != b"ok":
                    raise StoreIntegrityError(f"{self.path} is damaged: {told!r}")
        # Ranges never touch, so after one there is a row or the end.
        removed = dict(self._removed())
        expected, count, after = 1, 0, 0
        while True:
            with self._lock, self._told():
                page = self._database.execute(
                    "SELECT sequence, start_s, wearer, digest, content FROM fingerprints "
                    f"WHERE sequence > ? ORDER BY sequence LIMIT {_PAGE_ROWS}",
                    (after,),
                ).fetchall()
            for values in page:
                expected = removed.get(expected, expected - 1) + 1
                if values[0] != expected:
                    raise StoreIntegrityError(
                        f"row {expected} of {self.path} is missing", sequence=expected
                    )
                self._read(*values)
                expected, count, after = expected + 1, count + 1, values[0]
            if len(page) < _PAGE_ROWS:
                return count

    def summary(self) -> StoreSummary:
        """Count rows, wearers and time.

        Raises
        ------
        StoreIntegrityError, StoreError
            See `query`.
        """
        with self._lock, self._told():
            rows, first, last = self._database.execute(
                "SELECT count(*), min(start_s), max(start_s) FROM fingerprints"
            ).fetchone()
            # A tag cannot be read back: one row of each wearer tells the name.
            samples = self._database.execute(
                "SELECT sequence, start_s, wearer, digest, content FROM fingerprints "
                "WHERE sequence IN (SELECT min(sequence) FROM fingerprints GROUP BY wearer)"
            ).fetchall()
        removed = sum(last - first + 1 for first, last in self._removed())
        wearers = tuple(sorted(self._read(*values).wearer for values in samples))
        return StoreSummary(rows, wearers, first, last, self.encrypted, removed)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> FingerprintStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _prepare_file(self, create: bool) -> None:
        if self.path.exists():
            if not self.path.is_file():
                raise StoreError(f"{self.path} is no regular file")
            return
        if not create:
            raise StoreError(f"there is no log {self.path}")
        try:
            # SQLite gives its -wal and -shm the permissions of the file.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return  # another writer was quicker
        except OSError as error:
            raise StoreError(f"cannot make {self.path}: {error.strerror}") from error

    def _open(self, key: bytes | None) -> tuple[Seal, bool]:
        database = self._database
        for pragma in ("trusted_schema = OFF", "secure_delete = ON", "synchronous = FULL"):
            database.execute(f"PRAGMA {pragma}")
        identity = database.execute("PRAGMA application_id").fetchone()[0]
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if identity != _APPLICATION_ID and tables:
            raise StoreError(f"{self.path} is a database, but no log of fingerprints")
        database.execute("PRAGMA journal_mode = WAL").fetchall()
        if identity != _APPLICATION_ID:
            self._create(key)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version != _FORMAT_VERSION:
            raise StoreError(
                f"{self.path} has format version {version}; this release reads "
                f"{_FORMAT_VERSION}"
            )
        found = database.execute("SELECT id, encrypted, key_check FROM log").fetchall()
        if len(found) != 1:
            raise StoreIntegrityError(f"the head of {self.path} is damaged")
        log_id, encrypted, check = found[0]
        if not encrypted:
            if key is not None:
                raise StoreKeyError(f"{self.path} is not encrypted: leave the key out")
            return OpenSeal(), False
        if key is None:
            raise StoreKeyError(f"{self.path} is encrypted: give the key it was made with")
        seal = KeyedSeal(key, log_id)
        try:
            seal.open(check, log_id)
        except StoreIntegrityError as error:
            raise StoreKeyError(
                f"this is not the key that {self.path} was made with"
            ) from error
        return seal, True

    def _create(self, key: bytes | None) -> None:
        log_id = os.urandom(16)
        seal: Seal = OpenSeal() if key is None else KeyedSeal(key, log_id)
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            # Two processes may find the file empty; the second one finds a log here.
            if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _statements(_SCHEMA):
                    database.execute(statement)
                database.execute(
                    "INSERT INTO log VALUES (?, ?, ?)",
                    (log_id, int(key is not None), seal.close(_CHECK, log_id)),
                )
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {_FORMAT_VERSION}")
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise

    def _read(
        self, sequence: int, start_s: float, wearer: bytes, digest: bytes, content: bytes
    ) -> StoredFingerprint:
        try:
            facts = row_facts(sequence, start_s, wearer, digest)
            row = StoredFingerprint.from_bytes(self._seal.open(content, facts))
        except (StoreIntegrityError, TypeError, ValueError, struct.error) as error:
            # SQLite gives whatever type a forger put into a column.
            raise StoreIntegrityError(
                f"row {sequence} of {self.path}: {error}", sequence=sequence
            ) from error
        return row

    def _last_sequence(self) -> int:
        row = self._database.execute(
            "SELECT max(coalesce((SELECT max(sequence) FROM fingerprints), 0), "
            "coalesce((SELECT max(last) FROM removed), 0))"
        ).fetchone()
        return int(row[0])

    def _removed(self) -> list[tuple[int, int]]:
        """Ranges that were pruned, in order; each note is checked."""
        with self._lock, self._told():
            found = self._database.execute(
                "SELECT first, last, note FROM removed ORDER BY first"
            ).fetchall()
        for first, last, note in found:
            try:
                self._seal.open(note, row_facts(first, float(last), b"", b"removed"))
            except StoreIntegrityError as error:
                raise StoreIntegrityError(
                    f"the note that rows {first} to {last} of {self.path} were taken out "
                    "is not genuine",
                    sequence=first,
                ) from error
        return [(first, last) for first, last, _ in found]

    def _note_removed(self, gone: list[int]) -> None:
        """Note numbers as taken out, joined with the ranges noted before."""
        ranges: list[tuple[int, int]] = []
        for first, last in sorted([*self._removed(), *((s, s) for s in gone)]):
            if ranges and first <= ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
            else:
                ranges.append((first, last))
        self._database.execute("DELETE FROM removed")
        self._database.executemany(
            "INSERT INTO removed VALUES (?, ?, ?)",
            [
                (
                    first,
                    last,
                    self._seal.close(b"", row_facts(first, float(last), b"", b"removed")),
                )
                for first, last in ranges
            ],
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.ProgrammingError as error:
            raise StoreError(f"{self.path} is closed") from error
        except sqlite3.DatabaseError as error:
            reason = str(error)
            if "locked" in reason:
                reason = f"another program has been writing it for {_BUSY_S:g} s"
            raise StoreError(f"cannot use {self.path}: {reason}") from error


def _statements(script: str) -> Iterator[str]:
    """Statements of a script, whole: a trigger holds semicolons of its own."""
    so_far = ""
    for line in script.splitlines(keepends=True):
        so_far += line
        if sqlite3.complete_statement(so_far):
            yield so_far
            so_far = ""

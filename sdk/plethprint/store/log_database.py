"""The SQLite file of a log: made, opened, locked, and its errors told as ours."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plethprint.errors import StoreError, StoreIntegrityError, StoreKeyError
from plethprint.store.seal import KeyedSeal, OpenSeal, Seal

__all__ = ["LogDatabase"]

_APPLICATION_ID = 0x504C4650  # "PLFP"
_FORMAT_VERSION = 1
_BUSY_S = 10.0
_CHECK = b"plethprint store"

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


class LogDatabase:
    """The file below a `FingerprintStore`, safe to use from threads.

    The arguments are the store's. ``seal`` closes and opens rows; ``encrypted`` tells
    whether by a key.
    """

    def __init__(self, path: Path, key: bytes | None, *, create: bool) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._prepare_file(create)
        with self.told():
            self._database = sqlite3.connect(
                self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        # A forger may put text where bytes belong: it is to fail at the seal.
        self._database.text_factory = bytes
        try:
            with self.told():
                self.seal, self.encrypted = self._open(key)
        except BaseException:
            self._database.close()
            raise

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one statement and give all its rows.

        Raises
        ------
        StoreError
            SQLite refused.
        """
        with self.held() as database:
            return database.execute(statement, values).fetchall()

    @contextmanager
    def held(self) -> Iterator[sqlite3.Connection]:
        """Keep the other threads out between several statements."""
        with self._lock, self.told():
            yield self._database

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the writer's place; all of it is written, or nothing."""
        with self._lock, self.told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def told(self) -> Iterator[None]:
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


def _statements(script: str) -> Iterator[str]:
    """Statements of a script, whole: a trigger holds semicolons of its own."""
    so_far = ""
    for line in script.splitlines(keepends=True):
        so_far += line
        if sqlite3.complete_statement(so_far):
            yield so_far
            so_far = ""

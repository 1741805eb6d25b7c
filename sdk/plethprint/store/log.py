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

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from plethprint.errors import StoreError, StoreIntegrityError
from plethprint.store.log_database import LogDatabase
from plethprint.store.removed_rows import last_sequence, note_removed, removed_ranges
from plethprint.store.row import StoredFingerprint
from plethprint.store.seal import row_facts
from plethprint.store.summary import StoreSummary

__all__ = ["FingerprintStore", "StoreSummary"]

_PAGE_ROWS = 512
_LEAST_S, _MOST_S = -1e300, 1e300


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
        self._database = LogDatabase(self.path, key, create=create)
        self._seal, self.encrypted = self._database.seal, self._database.encrypted

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
        rows = list(rows)
        for row in rows:
            if not isinstance(row, StoredFingerprint):
                raise StoreError(
                    "a log takes StoredFingerprint(fingerprint, wearer=..., wearable=...), "
                    f"not {type(row).__name__}"
                )
        # Outside the transaction: a generator may be slow, or fail.
        encoded = [
            (row.fingerprint.start, row.wearer.encode("utf-8"), row.to_bytes())
            for row in rows
        ]
        with self._database.transaction() as database:
            sequence = last_sequence(database)
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
            page = self._database.fetch(text, (*tags, *after, bounds[1]))
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
        with self._database.transaction() as database:
            found = database.execute(
                f"SELECT sequence FROM fingerprints WHERE {where}", values
            ).fetchall()
            gone = sorted(row[0] for row in found)
            if gone:
                note_removed(self._database, database, gone)
                database.executemany(
                    "DELETE FROM fingerprints WHERE sequence = ?", [(s,) for s in gone]
                )
        if gone:
            # Until then the rows are still to be read in the write-ahead log.
            self._database.fetch("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(gone)

    def verify(self) -> int:
        """Read every row and look for holes; return how many rows hold.

        Raises
        ------
        StoreIntegrityError
            At the first row that was damaged, changed, moved or taken out but by `prune`.
        """
        for (told,) in self._database.fetch("PRAGMA integrity_check(1)"):
            if told != b"ok":
                raise StoreIntegrityError(f"{self.path} is damaged: {told!r}")
        # Ranges never touch, so after one there is a row or the end.
        removed = dict(removed_ranges(self._database))
        expected, count, after = 1, 0, 0
        while True:
            page = self._database.fetch(
                "SELECT sequence, start_s, wearer, digest, content FROM fingerprints "
                f"WHERE sequence > ? ORDER BY sequence LIMIT {_PAGE_ROWS}",
                (after,),
            )
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
        with self._database.held() as database:
            rows, first, last = database.execute(
                "SELECT count(*), min(start_s), max(start_s) FROM fingerprints"
            ).fetchone()
            # A tag cannot be read back: one row of each wearer tells the name.
            samples = database.execute(
                "SELECT sequence, start_s, wearer, digest, content FROM fingerprints "
                "WHERE sequence IN (SELECT min(sequence) FROM fingerprints GROUP BY wearer)"
            ).fetchall()
        removed = sum(last - first + 1 for first, last in removed_ranges(self._database))
        wearers = tuple(sorted(self._read(*values).wearer for values in samples))
        return StoreSummary(rows, wearers, first, last, self.encrypted, removed)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
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

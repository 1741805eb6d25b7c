"""Which rows of a log were pruned: ranges of numbers, each with a note that is sealed."""

from __future__ import annotations

import sqlite3

from plethprint.errors import StoreIntegrityError
from plethprint.store.log_database import LogDatabase
from plethprint.store.seal import row_facts

__all__ = ["last_sequence", "note_removed", "removed_ranges"]


def removed_ranges(log: LogDatabase) -> list[tuple[int, int]]:
    """Ranges that were pruned, in order; each note is checked."""
    found = log.fetch("SELECT first, last, note FROM removed ORDER BY first")
    for first, last, note in found:
        try:
            log.seal.open(note, row_facts(first, float(last), b"", b"removed"))
        except StoreIntegrityError as error:
            raise StoreIntegrityError(
                f"the note that rows {first} to {last} of {log.path} were taken out "
                "is not genuine",
                sequence=first,
            ) from error
    return [(first, last) for first, last, _ in found]


def note_removed(log: LogDatabase, database: sqlite3.Connection, gone: list[int]) -> None:
    """Note numbers as taken out, joined with the ranges noted before."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted([*removed_ranges(log), *((s, s) for s in gone)]):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
        else:
            ranges.append((first, last))
    database.execute("DELETE FROM removed")
    database.executemany(
        "INSERT INTO removed VALUES (?, ?, ?)",
        [
            (
                first,
                last,
                log.seal.close(b"", row_facts(first, float(last), b"", b"removed")),
            )
            for first, last in ranges
        ],
    )


def last_sequence(database: sqlite3.Connection) -> int:
    """Newest number that was ever given, to rows that were pruned as well."""
    row = database.execute(
        "SELECT max(coalesce((SELECT max(sequence) FROM fingerprints), 0), "
        "coalesce((SELECT max(last) FROM removed), 0))"
    ).fetchone()
    return int(row[0])

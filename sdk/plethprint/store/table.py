"""Rows as a table: CSV with the standard library, Parquet with pyarrow.

One line a fingerprint, columns as `COLUMNS`. In CSV what is unknown is empty, and the
vector is one cell of numbers parted by blanks, so that rows of models of different size
stand in one file; in Parquet it is a list of int8.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TextIO

from plethprint.errors import MissingExtraError
from plethprint.store.row import StoredFingerprint

__all__ = ["COLUMNS", "utc_text", "write_csv", "write_parquet"]

COLUMNS = (
    "start_s",
    "start_utc",
    "duration_s",
    "wearer",
    "wearable",
    "device_time_s",
    "model",
    "quality",
    "quality_reason",
    "flagged",
    "missing",
    "gap_fraction",
    "heart_rate_bpm",
    "inverted",
    "scale",
    "vector",
)
"""Names of the columns, in order; times in s, the heart rate in beats a minute."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CHUNK_ROWS = 4096
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def utc_text(moment_s: float) -> str:
    """Unix time as ISO 8601 in UTC, to the microsecond; empty beyond the calendar.

    Examples
    --------
    >>> utc_text(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    try:
        moment = _EPOCH + timedelta(seconds=moment_s)
    except OverflowError:
        return ""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def write_csv(rows: Iterable[StoredFingerprint], file: TextIO) -> int:
    """Write rows as CSV with a header; return how many.

    Labels that a spreadsheet would run as a formula get a ``'`` before them.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for values in _records(rows):
        values["vector"] = " ".join(map(str, values["vector"]))
        for name in ("wearer", "wearable"):
            if values[name].startswith(_FORMULA_SIGNS):
                values[name] = "'" + values[name]
        writer.writerow(["" if values[name] is None else values[name] for name in COLUMNS])
        count += 1
    return count


def write_parquet(rows: Iterable[StoredFingerprint], path: str | Path) -> int:
    """Write rows as Parquet; return how many.

    Raises
    ------
    MissingExtraError
        Without the ``store`` extra.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("store", "Writing Parquet") from error
    texts = ("start_utc", "wearer", "wearable", "model", "quality_reason")
    kinds: dict[str, Any] = {
        **dict.fromkeys(texts, pa.string()),
        "start_s": pa.float64(),
        "device_time_s": pa.float64(),
        "flagged": pa.bool_(),
        "vector": pa.list_(pa.int8()),
    }
    schema = pa.schema([(name, kinds.get(name, pa.float32())) for name in COLUMNS])
    count, waiting = 0, []
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for values in _records(rows):
            waiting.append(values)
            if len(waiting) == _CHUNK_ROWS:
                writer.write_table(pa.Table.from_pylist(waiting, schema))
                count, waiting = count + len(waiting), []
        # Also when it is empty: a file without a row still has its columns.
        writer.write_table(pa.Table.from_pylist(waiting, schema))
    return count + len(waiting)


def _records(rows: Iterable[StoredFingerprint]) -> Iterator[dict[str, Any]]:
    for row in rows:
        values = row.to_dict()
        values["start_s"] = values.pop("start")
        values["start_utc"] = utc_text(values["start_s"])
        yield {name: values[name] for name in COLUMNS}

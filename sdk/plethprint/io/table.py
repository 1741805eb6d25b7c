"""A text table with named columns of numbers, whatever wrote it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError

__all__ = ["Table", "words_of"]

FloatArray = npt.NDArray[np.float64]

_MISSING = frozenset(
    {"", "nan", "na", "n/a", "null", "none", "-", "inf", "-inf", "+inf"}
    | {"#n/a", "#num!", "#value!", "#div/0!", "#ref!", "#name?", "#null!"}
)
_COMMENT = re.compile(r"\s*#(?!(N/A|NUM!|VALUE!|DIV/0!|REF!|NAME\?|NULL!))", re.IGNORECASE)
_ISO_TIME = re.compile(
    r"(?P<second>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)([.,](?P<fraction>\d{1,9}))?"
    r" ?(?P<zone>[zZ]|[+-]\d\d:?\d\d)?"
)
_SHOWN_NAMES = 20
_SEARCHED_LINES = 1000  # for the two that tell what the table is like


@dataclass(frozen=True, eq=False)
class Table:
    """Cells of a text table; comments are left out.

    So are empty lines, but in the middle of a single column: there they are empty cells.
    Lines are kept as they are and cells made when asked for: those of a day at 100 Hz would
    need gigabytes.
    """

    path: Path
    names: tuple[str, ...]
    """Column names; ``"0"``, ``"1"``, ... when the file has no header."""
    has_header: bool
    decimal_comma: bool
    line_numbers: npt.NDArray[np.int64]
    """Line of each row in the file, from 1."""
    lines: Sequence[str]
    """Text of each row."""
    delimiter: str | None
    """What parts cells; None for blanks."""

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a table: cells parted by tabs, semicolons, commas or blanks.

        Raises
        ------
        RecordingError
            If it is not text, is empty, or rows differ in length.
        """
        numbers, lines = _content_lines(path)
        delimiter = next((mark for mark in "\t;," if mark in lines[0]), None)
        top = [line for line in lines[:_SEARCHED_LINES] if line.strip()][:2]
        try:
            cells = list(_split(top, delimiter))
        except csv.Error as error:
            raise RecordingError(f"{path} is not a text table: {error}") from error
        head = cells[0]
        if delimiter is None and len(cells) > 1 and len(head) > 1 and len(cells[1]) == 1:
            head = [top[0].strip().strip('"')]  # one column, whose name has blanks in it
        decimal_comma = delimiter != ","
        has_header = not all(
            _is_value(cell, decimal_comma) or _is_moment(cell) for cell in head
        )
        width = len(head)
        if has_header:
            numbers, lines = numbers[1:], lines[1:]
        if not any(line.strip() for line in lines):
            raise RecordingError(f"{path} has a header but no samples")
        if width == 1:
            first = next(place for place, line in enumerate(lines) if line.strip())
            numbers, lines = numbers[first:], lines[first:]
        elif not all(map(str.strip, lines)):
            kept = [place for place, line in enumerate(lines) if line.strip()]
            numbers, lines = numbers[kept], [lines[place] for place in kept]
        names = head if has_header else [str(number) for number in range(width)]
        table = cls(
            path=path,
            names=tuple(names),
            has_header=has_header,
            decimal_comma=decimal_comma,
            line_numbers=numbers,
            lines=lines,
            delimiter=delimiter,
        )
        for _ in table.rows():
            pass
        return table

    def __len__(self) -> int:
        return len(self.lines)

    def rows(self) -> Iterator[list[str]]:
        """Give the cells of each row in turn, as many as there are names.

        Raises
        ------
        RecordingError
            If a row has another number of cells, or a quotation mark is never closed.
        """
        width, row = len(self.names), -1
        try:
            for row, cells in enumerate(_split(self.lines, self.delimiter)):
                if not cells:
                    cells = [""]
                if len(cells) == width + 1 and not cells[-1]:
                    cells.pop()  # a delimiter at the end of the line
                if len(cells) != width:
                    raise RecordingError(
                        f"line {self.line_numbers[row]} of {self.path} has {len(cells)} "
                        f"cells, not {width}"
                    )
                yield cells
        except csv.Error as error:
            raise RecordingError(f"{self.path} is not a text table: {error}") from error
        if row + 1 != len(self.lines):
            raise RecordingError(f"{self.path} has a quotation mark that is never closed")

    def find(self, matches: Callable[[list[str]], bool]) -> int | None:
        """Return the first column whose name, as `words_of` it, matches."""
        for index, name in enumerate(self.names):
            if matches(words_of(name)):
                return index
        return None

    def index(self, name: str) -> int:
        """Return the column called `name`, whatever its case.

        Raises
        ------
        RecordingError
            If there is none; the message lists the columns there are.
        """
        wanted = name.strip().lower()
        for index, known in enumerate(self.names):
            if known.lower() == wanted:
                return index
        raise RecordingError(f"{self.path} has no column {name!r}; it has {self.listed()}")

    def listed(self) -> str:
        """Return the column names for a message."""
        if not self.has_header:
            return f"no header and {len(self.names)} columns, counted from 0"
        shown = ", ".join(repr(name) for name in self.names[:_SHOWN_NAMES])
        return shown + (", ..." if len(self.names) > _SHOWN_NAMES else "")

    def numbers(self, column: int) -> FloatArray:
        """Return a column as numbers, shape (T,), NaN where the cell says missing.

        Raises
        ------
        RecordingError
            If a cell holds something else; the message names its line.
        """
        return self._column(
            column, lambda cell: _number(cell, self.decimal_comma), "a number"
        )

    def moments(self, column: int) -> FloatArray:
        """Return a column of numbers or ISO 8601 times (as Unix time, UTC), shape (T,).

        Raises
        ------
        RecordingError
            If a cell holds something else; the message names its line.
        """

        def moment(cell: str) -> float:
            try:
                return _number(cell, self.decimal_comma)
            except ValueError:
                return _unix_time(cell)

        return self._column(
            column, moment, "a number, or a time such as 2026-01-31T12:00:00.250,"
        )

    def _column(
        self, column: int, parse: Callable[[str], float], wanted: str
    ) -> FloatArray:
        values = np.empty(len(self))
        for row, cells in enumerate(self.rows()):
            try:
                values[row] = parse(cells[column])
            except ValueError as error:
                raise RecordingError(
                    f"line {self.line_numbers[row]} of {self.path} has "
                    f"{cells[column][:40]!r} in column {self.names[column]!r}, "
                    f"where {wanted} is expected"
                ) from error
        values[~np.isfinite(values)] = np.nan
        return values


def words_of(name: str) -> list[str]:
    """Return the words of a column name: ``"Time [ms]"`` gives ``["time", "ms"]``."""
    return re.findall(r"[a-z]+[0-9]*", name.lower())


def _content_lines(path: Path) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Numbers and texts of the lines from the first to the last that says something."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # a spreadsheet's "Unicode text"
        data = data.decode("utf-16", errors="replace").encode()
    if b"\0" in data:
        raise RecordingError(f"{path} is not a text table but binary")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # units such as µV from older spreadsheets
    del data
    lines = re.split(r"\r*\n|\r", text)
    numbers = np.arange(1, len(lines) + 1)
    if "#" in text:
        kept = [place for place, line in enumerate(lines) if not _COMMENT.match(line)]
        numbers, lines = numbers[kept], [lines[place] for place in kept]
    del text
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    if first == last:
        raise RecordingError(f"{path} is empty")
    return numbers[first:last], lines[first:last]


def _split(lines: Sequence[str], delimiter: str | None) -> Iterator[list[str]]:
    if delimiter is None:
        for line in lines:
            yield [cell.strip('"') for cell in line.split()]
    else:
        for row in csv.reader(lines, delimiter=delimiter):
            yield [cell.strip() for cell in row]


def _number(cell: str, decimal_comma: bool) -> float:
    if cell.lower() in _MISSING:
        return np.nan
    if "_" in cell:  # which Python would take as digits in groups
        raise ValueError(f"{cell!r} is no number")
    return float(cell.replace(",", ".") if decimal_comma else cell)


def _unix_time(cell: str) -> float:
    # Python 3.10 reads no "Z", no "+0000" and only fractions of three or six digits.
    match = _ISO_TIME.fullmatch(cell)
    if match is None:
        raise ValueError(f"{cell!r} is no time")
    fraction = (match["fraction"] or "").ljust(6, "0")[:6]
    zone = re.sub(r"[zZ]", "+00:00", match["zone"] or "")
    zone = re.sub(r"^([+-]\d\d):?(\d\d)$", r"\1:\2", zone)
    moment = datetime.fromisoformat(f"{match['second']}.{fraction}{zone}")
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _is_value(cell: str, decimal_comma: bool) -> bool:
    try:
        _number(cell, decimal_comma)
    except ValueError:
        return False
    return True


def _is_moment(cell: str) -> bool:
    try:
        _unix_time(cell)
    except (ValueError, OverflowError):
        return False
    return True

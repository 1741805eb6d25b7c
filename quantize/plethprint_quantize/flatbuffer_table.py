"""One table of a flatbuffer, read field by field with :mod:`struct` and numpy."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

__all__ = ["Table"]


class Table:
    """One flatbuffer table; every accessor takes a field number of schema.fbs."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._vtable = position - self._unpack("<i", position)
        self._vtable_bytes = self._unpack("<H", self._vtable)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """Return the root table of a file."""
        return cls(data, int(struct.unpack_from("<I", data, 0)[0]))

    def _unpack(self, form: str, position: int) -> int:
        if position < 0:
            raise IndexError("an offset points before the file")
        return int(struct.unpack_from(form, self._data, position)[0])

    def _at(self, field: int) -> int:
        """Position of a field's value, 0 when the file leaves it at its default."""
        entry = 4 + 2 * field
        if entry >= self._vtable_bytes:
            return 0
        offset = self._unpack("<H", self._vtable + entry)
        return self._position + offset if offset else 0

    def _follow(self, position: int) -> int:
        return position + self._unpack("<I", position)

    def number(self, field: int, form: str, default: int = 0) -> int:
        """Return a scalar of :mod:`struct` format `form`."""
        at = self._at(field)
        return self._unpack("<" + form, at) if at else default

    def table(self, field: int) -> Table | None:
        """Return a sub-table, None when the file has none."""
        at = self._at(field)
        return Table(self._data, self._follow(at)) if at else None

    def tables(self, field: int) -> list[Table]:
        """Return a vector of tables."""
        at = self._at(field)
        if not at:
            return []
        start = self._follow(at)
        first = start + 4
        return [
            Table(self._data, self._follow(first + 4 * i))
            for i in range(self._unpack("<I", start))
        ]

    def array(self, field: int, dtype: str) -> npt.NDArray[np.generic]:
        """Return a vector of numbers without copying it."""
        at = self._at(field)
        if not at:
            return np.zeros(0, dtype)
        start = self._follow(at)
        return np.frombuffer(self._data, dtype, self._unpack("<I", start), start + 4)

    def text(self, field: int) -> str:
        """Return a string."""
        return self.array(field, "u1").tobytes().decode()

    def integers(self, field: int) -> tuple[int, ...]:
        """Return a vector of int32."""
        return tuple(int(x) for x in self.array(field, "<i4"))

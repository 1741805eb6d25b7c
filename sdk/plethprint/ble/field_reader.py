"""Takes typed fields off the front of a characteristic's value."""

from __future__ import annotations

import struct
from typing import Any

from plethprint.errors import ProtocolError

__all__ = ["MAX_TEXT_BYTES", "FieldReader"]

MAX_TEXT_BYTES = 64
"""Longest text in any characteristic."""


class FieldReader:
    """Takes fields off the front of a byte string; running out is a ProtocolError."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self._what = data, 0, what

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self._data) - self._at

    def raw(self, n: int) -> bytes:
        """Take `n` bytes."""
        if self.left < n:
            raise ProtocolError(
                f"the {self._what} characteristic ends at byte {len(self._data)}, "
                f"expected at least {self._at + n}"
            )
        self._at += n
        return self._data[self._at - n : self._at]

    def take(self, layout: struct.Struct) -> tuple[Any, ...]:
        """Take the fields of one struct."""
        return layout.unpack(self.raw(layout.size))

    def text(self) -> str:
        """Take a text: one length byte, then UTF-8."""
        size = self.raw(1)[0]
        if size > MAX_TEXT_BYTES:
            raise ProtocolError(
                f"{self._what} texts are at most {MAX_TEXT_BYTES} bytes long"
            )
        raw = self.raw(size)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise ProtocolError(f"the {self._what} holds text that is not UTF-8") from None

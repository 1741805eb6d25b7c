"""Files that hold the key of a log: 64 hex digits, or raw bytes."""

from __future__ import annotations

import logging
import os
import re
import secrets
import stat
from pathlib import Path

from plethprint.errors import StoreKeyError
from plethprint.store.seal import MIN_KEY_BYTES

__all__ = ["create_key_file", "read_key_file"]

_LOGGER = logging.getLogger(__name__)

_MAX_BYTES = 4096
_HEX = re.compile(rb"\s*([0-9a-fA-F]{2})+\s*")


def create_key_file(path: str | Path) -> bytes:
    """Make a new random key of 32 bytes, write it as hex and return it.

    The file is readable by its owner alone. A copy belongs in another place than the log:
    what is lost with the key is lost.

    Raises
    ------
    StoreKeyError
        If there is a file already, or it cannot be written.
    """
    key = secrets.token_bytes(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise StoreKeyError(f"cannot make the key file {path}: {error.strerror}") from error
    with os.fdopen(handle, "w") as file:
        file.write(key.hex() + "\n")
    return key


def read_key_file(path: str | Path) -> bytes:
    """Read the key of a log from a file.

    Hex digits are taken as such, an even number of them with nothing but blanks around
    them; any other content is the key itself, byte for byte.

    Raises
    ------
    StoreKeyError
        If the file cannot be read or holds fewer than 16 bytes of key.
    """
    file = Path(path)
    try:
        if file.exists() and not file.is_file():
            raise StoreKeyError(f"{file} is no regular file")
        with file.open("rb") as handle:
            content = handle.read(_MAX_BYTES + 1)
        mode = file.stat().st_mode
    except OSError as error:
        raise StoreKeyError(f"cannot read the key file {file}: {error.strerror}") from error
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        _LOGGER.warning("%s can be read by others than its owner: chmod 600 it", file)
    if _HEX.fullmatch(content):
        content = bytes.fromhex(content.decode("ascii").strip())
    if not MIN_KEY_BYTES <= len(content) <= _MAX_BYTES:
        raise StoreKeyError(
            f"{file} holds {len(content)} bytes; a key has {MIN_KEY_BYTES} to {_MAX_BYTES}"
        )
    return content

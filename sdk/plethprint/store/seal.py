"""How rows rest: sealed with a key, or open with a checksum.

Sealed, version 1. HKDF-SHA256 of the key, with the log's random 16-byte identity as salt,
gives two keys of 32 bytes: one for AES-256-GCM, which hides and authenticates the row, one
for HMAC-SHA256, which turns the wearer's label and the row's content into tags that can be
looked up but not read. Each row has a random 12-byte nonce of its own (never one derived
from its number: a log restored from a backup would use it twice). Number, time and tags of
a row are its associated data, so that a row that was moved, renumbered or taken from
another log is found out.

Open rows carry SHA-256 of their content: that finds damage, not intent.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from typing import Protocol

from plethprint.errors import StoreIntegrityError, StoreKeyError

__all__ = ["MIN_KEY_BYTES", "KeyedSeal", "OpenSeal", "Seal", "row_facts"]

MIN_KEY_BYTES = 16
"""Shortest key. A key is random (`secrets.token_bytes(32)`), never a password."""

_NONCE_BYTES = 12
_TAG_BYTES = 16
_INFO = b"plethprint store 1"


class Seal(Protocol):
    """What the log does to a row before it is written, and after it is read."""

    def tag(self, purpose: bytes, content: bytes) -> bytes:
        """Sixteen bytes that stand for a content in an index."""

    def close(self, content: bytes, facts: bytes) -> bytes:
        """The bytes to write; `facts` are bound to them and not in them."""

    def open(self, resting: bytes, facts: bytes) -> bytes:
        """The content again.

        Raises
        ------
        StoreIntegrityError
            If the bytes or the facts are not those that were written.
        """


def row_facts(sequence: int, start_s: float, wearer: bytes, digest: bytes) -> bytes:
    """What stands beside a row in the open and is bound to it."""
    return struct.pack("<qd", sequence, start_s) + wearer + digest


class OpenSeal:
    """Rows in the open: whoever has the file reads them."""

    def tag(self, purpose: bytes, content: bytes) -> bytes:
        """Sixteen bytes of SHA-256."""
        return hashlib.sha256(purpose + b"\0" + content).digest()[:_TAG_BYTES]

    def close(self, content: bytes, facts: bytes) -> bytes:
        """The content, after a checksum over it and the facts."""
        return self.tag(b"row", facts + content) + content

    def open(self, resting: bytes, facts: bytes) -> bytes:
        """The content, if the checksum holds."""
        content = resting[_TAG_BYTES:]
        if resting[:_TAG_BYTES] != self.tag(b"row", facts + content):
            raise StoreIntegrityError("a row's checksum does not hold: it was damaged")
        return content


class KeyedSeal:
    """Rows that only the key opens; see the module.

    Parameters
    ----------
    key : bytes
        At least `MIN_KEY_BYTES` random bytes.
    log_id : bytes
        The log's own 16 random bytes.

    Raises
    ------
    StoreKeyError
        If the key is no bytes, or too short.
    """

    def __init__(self, key: bytes, log_id: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        if not isinstance(key, (bytes, bytearray)) or len(key) < MIN_KEY_BYTES:
            # Neither the key nor a part of it belongs into a message.
            raise StoreKeyError(
                f"a key is at least {MIN_KEY_BYTES} random bytes, such as "
                "secrets.token_bytes(32) gives"
            )
        derived = HKDF(SHA256(), length=64, salt=log_id, info=_INFO).derive(bytes(key))
        self._cipher = AESGCM(derived[:32])
        self._tag_key = derived[32:]

    def tag(self, purpose: bytes, content: bytes) -> bytes:
        """Sixteen bytes of HMAC-SHA256, which the key alone can make."""
        message = purpose + b"\0" + content
        return hmac.digest(self._tag_key, message, "sha256")[:_TAG_BYTES]

    def close(self, content: bytes, facts: bytes) -> bytes:
        """Nonce, ciphertext and authentication tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, facts)

    def open(self, resting: bytes, facts: bytes) -> bytes:
        """The content, if row and facts are those that were sealed."""
        from cryptography.exceptions import InvalidTag

        nonce = resting[:_NONCE_BYTES]
        try:
            return self._cipher.decrypt(nonce, resting[_NONCE_BYTES:], facts)
        except (InvalidTag, ValueError) as error:  # ValueError: a nonce cut short
            raise StoreIntegrityError(
                "a row does not open: it was damaged, changed or moved"
            ) from error

"""Signing and checking manifests with Ed25519 keys.

What is signed is the whole manifest but its ``signature`` field, as canonical JSON:
keys sorted, no spaces, ASCII, no NaN. A prefix keeps the signature from meaning
anything in another place. The manifest lists the SHA-256 of each file, so the signature
covers every byte of the package.

Trusted public keys are hex strings of 32 bytes. They come from the list that ships
beside the models (``models/trusted_keys.json``) and from the JSON file that the
environment variable ``PLETHPRINT_TRUSTED_KEYS`` names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plethprint.errors import PackageSignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "TRUSTED_KEYS_ENV",
    "canonical_bytes",
    "load_or_create_signing_key",
    "public_key_hex",
    "sign_fields",
    "trusted_public_keys",
    "verify_fields",
]

TRUSTED_KEYS_ENV = "PLETHPRINT_TRUSTED_KEYS"
DEFAULT_SIGNING_KEY = Path("~/.config/plethprint/signing_key.pem")

_PREFIX = b"plethprint manifest v1\n"
_SHIPPED_KEYS = Path(__file__).parent / "models" / "trusted_keys.json"


def canonical_bytes(fields: Mapping[str, Any]) -> bytes:
    """Return the bytes that a manifest's signature is made over.

    Parameters
    ----------
    fields : mapping
        The manifest; a ``signature`` field is left out.

    Raises
    ------
    PackageSignatureError
        If a value cannot be written as JSON.
    """
    unsigned = {key: value for key, value in fields.items() if key != "signature"}
    try:
        text = json.dumps(
            unsigned,
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=True,
            allow_nan=False,
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise PackageSignatureError(
            f"the manifest cannot be written as JSON: {error}"
        ) from error
    return _PREFIX + text.encode("ascii")


def public_key_hex(private_key: Ed25519PrivateKey) -> str:
    """Return the public half of a signing key as 64 hex digits."""
    return private_key.public_key().public_bytes_raw().hex()


def sign_fields(
    fields: Mapping[str, Any], private_key: Ed25519PrivateKey
) -> dict[str, Any]:
    """Return the manifest with ``public_key`` and ``signature`` filled in."""
    signed = {**fields, "public_key": public_key_hex(private_key)}
    signed["signature"] = private_key.sign(canonical_bytes(signed)).hex()
    return signed


def verify_fields(fields: Mapping[str, Any], trusted_keys: Collection[str]) -> None:
    """Check that a trusted key signed the manifest as it stands.

    Parameters
    ----------
    fields : mapping
        The manifest with ``public_key`` and ``signature`` as hex.
    trusted_keys : collection of str
        Public keys that may sign, hex.

    Raises
    ------
    PackageSignatureError
        If the signature is missing, was made by a key that is not trusted, or does not
        fit the manifest.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public_key = _hex_field(fields, "public_key", 32)
    signature = _hex_field(fields, "signature", 64)
    if public_key.hex() not in {key.lower() for key in trusted_keys}:
        raise PackageSignatureError(
            f"manifest.json is signed by key {public_key.hex()}, which is not trusted; "
            f"if you trust its maker, list it in the file that {TRUSTED_KEYS_ENV} names"
        )
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            signature, canonical_bytes(fields)
        )
    except (InvalidSignature, ValueError) as error:
        raise PackageSignatureError(
            "the signature does not fit manifest.json: it was changed after signing; "
            "install the package again"
        ) from error


def trusted_public_keys(extra: Collection[str] | None = None) -> frozenset[str]:
    """Return the public keys whose packages may be loaded.

    Parameters
    ----------
    extra : collection of str, optional
        Trust exactly these keys (hex), instead of the shipped ones and those of the file
        that ``PLETHPRINT_TRUSTED_KEYS`` names.

    Raises
    ------
    PackageSignatureError
        If a key list cannot be read or holds something other than keys.
    """
    if extra is not None:
        return _checked_keys(list(extra), "trusted_keys")
    keys: frozenset[str] = frozenset()
    if _SHIPPED_KEYS.is_file():
        keys |= _read_keys(_SHIPPED_KEYS)
    named = os.environ.get(TRUSTED_KEYS_ENV)
    if named:
        keys |= _read_keys(Path(named))
    return keys


def load_or_create_signing_key(path: str | Path | None = None) -> Ed25519PrivateKey:
    """Return the signing key kept at `path`; make one there if there is none.

    Parameters
    ----------
    path : path-like, optional
        PEM file (PKCS #8, not encrypted, readable by its owner alone); default
        ``~/.config/plethprint/signing_key.pem``.

    Raises
    ------
    PackageSignatureError
        If the file exists but is no Ed25519 key, or cannot be read or written.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    where = Path(path or DEFAULT_SIGNING_KEY).expanduser()
    try:
        if where.exists():
            key = serialization.load_pem_private_key(where.read_bytes(), password=None)
            if not isinstance(key, Ed25519PrivateKey):
                raise PackageSignatureError(f"{where} holds a key, but no Ed25519 key")
            return key
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The mode is given when the file is made: chmod after writing would leave a
        # moment in which others can read the key.
        where.touch(mode=0o600, exist_ok=False)
        where.write_bytes(pem)
        return key
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if isinstance(error, PackageSignatureError):
            raise
        raise PackageSignatureError(f"{where} is not an Ed25519 key in PEM form") from error
    except OSError as error:
        raise PackageSignatureError(
            f"the signing key {where} cannot be read or written: {error.strerror}"
        ) from error


def _read_keys(path: Path) -> frozenset[str]:
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PackageSignatureError(
            f"the list of trusted keys {path} cannot be read: {error}"
        ) from error
    return _checked_keys(keys, str(path))


def _checked_keys(keys: object, where: str) -> frozenset[str]:
    if not isinstance(keys, list) or not all(_is_hex(key, 32) for key in keys):
        raise PackageSignatureError(
            f"{where} must be a list of public keys of 64 hex digits each"
        )
    return frozenset(key.lower() for key in keys)


def _hex_field(fields: Mapping[str, Any], name: str, n_bytes: int) -> bytes:
    value = fields.get(name)
    if not _is_hex(value, n_bytes):
        raise PackageSignatureError(
            f"manifest.json is not signed: {name} must be {2 * n_bytes} hex digits"
        )
    return bytes.fromhex(str(value))


def _is_hex(value: object, n_bytes: int) -> bool:
    if not isinstance(value, str) or len(value) != 2 * n_bytes or not value.isascii():
        return False
    return all(digit in "0123456789abcdefABCDEF" for digit in value)

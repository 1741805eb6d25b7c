"""A folder whose every byte is covered by one signature: reading and writing it.

Files in the folder that the manifest does not list are never opened. Files are read once:
the bytes that were hashed are the bytes that a runtime gets.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import PackageIncompatibleError, PackageIntegrityError
from plethprint.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    read_manifest_fields,
    read_regular_file,
)
from plethprint.signature import sign_fields, trusted_public_keys, verify_fields

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["SignedFolder", "write_package"]


class SignedFolder:
    """A folder whose signature and hashes hold; the base of both kinds of package.

    Parameters
    ----------
    path : path-like
        The folder.
    kind : {"student", "teacher"}
        What it must be.
    required : iterable of str
        Files it must list.
    trusted_keys : collection of str, optional
        Trust exactly these public keys (hex); see `signature.trusted_public_keys`.

    Raises
    ------
    PackageIntegrityError
        If a file is missing or differs from the manifest; `file` names it.
    PackageSignatureError
        If the manifest is not signed by a trusted key.
    PackageIncompatibleError
        If it is of another kind or format.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        kind: str,
        required: Iterable[str],
        trusted_keys: Collection[str] | None = None,
    ) -> None:
        self.path = Path(path)
        raw = read_manifest_fields(self.path / MANIFEST_NAME)
        verify_fields(raw, trusted_public_keys(trusted_keys))
        self.manifest = Manifest.from_fields(raw)
        if self.manifest.kind != kind:
            raise PackageIncompatibleError(
                f"{self.path} is a {self.manifest.kind} package, not a {kind} package"
            )
        for name in required:
            if name not in self.manifest.files:
                raise PackageIncompatibleError(
                    f"manifest.json does not list {name}, which a {kind} package needs"
                )
        for name in self.manifest.files:
            self.read_bytes(name)

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a listed file, checked against the manifest.

        Parameters
        ----------
        name : str
            File name as in the manifest.

        Raises
        ------
        PackageIntegrityError
            If the manifest does not list the file, or it is missing or changed.
        """
        entry = self.manifest.files.get(name)
        if entry is None:
            raise PackageIntegrityError(
                f"{name} is not part of package {self.path}", file=name
            )
        try:
            # never more than was promised
            data = read_regular_file(self.path / name, entry.bytes + 1)
        except OSError as error:
            raise PackageIntegrityError(
                f"{name} is listed in the manifest of {self.path} but cannot be read: "
                f"{error.strerror}",
                file=name,
            ) from error
        if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise PackageIntegrityError(
                f"{name} in {self.path} is not the file the package was signed with "
                f"(wrong {'size' if len(data) != entry.bytes else 'SHA-256'}); "
                "install the package again",
                file=name,
            )
        return data

    def identity(self, weights: Iterable[str]) -> str:
        """Return ``name@version+hash8``, the hash being of the files named."""
        digest = hashlib.sha256()
        for name in weights:
            digest.update(bytes.fromhex(self.manifest.files[name].sha256))
        return f"{self.manifest.name}@{self.manifest.version}+{digest.hexdigest()[:8]}"

    def arrays(
        self, name: str, expected: Mapping[str, npt.DTypeLike]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the named arrays of a listed .npz file, with the types expected.

        Raises
        ------
        PackageIncompatibleError
            If an array is missing or of another type.
        """
        try:
            with np.load(io.BytesIO(self.read_bytes(name)), allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in expected if key in archive.files}
        except PackageIntegrityError:
            raise
        except Exception as error:  # zipfile, zlib, tokenize: numpy lets them all through
            raise PackageIncompatibleError(f"{name} is not a numpy archive") from error
        for key, dtype in expected.items():
            if key not in arrays:
                raise PackageIncompatibleError(f"{name} lacks the array {key}")
            if arrays[key].dtype != dtype:
                raise PackageIncompatibleError(
                    f"{key} in {name} must be {np.dtype(dtype)}, not {arrays[key].dtype}"
                )
        return arrays


def write_package(
    folder: str | Path,
    manifest_fields: Mapping[str, Any],
    private_key: Ed25519PrivateKey,
) -> dict[str, Any]:
    """List, hash and sign the files of a folder: write its ``manifest.json``.

    Every file in the folder but the manifest and hidden ones is listed, subfolders too.

    Parameters
    ----------
    folder : path-like
        Folder that already holds all files of the package.
    manifest_fields : mapping
        Fields of `Manifest`; ``files``, ``public_key`` and ``signature`` are filled in
        here, ``kind`` is ``"student"`` and ``format_version`` current unless given.
    private_key : Ed25519PrivateKey
        See `signature.load_or_create_signing_key`.

    Returns
    -------
    dict
        The manifest as written.

    Raises
    ------
    PackageIncompatibleError
        If the fields would not be accepted by a reader.
    """
    root = Path(folder)
    files = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and not hidden and name != MANIFEST_NAME:
            data = path.read_bytes()
            entry = FileEntry(hashlib.sha256(data).hexdigest(), len(data))
            files[name] = {"sha256": entry.sha256, "bytes": entry.bytes}
    fields = {
        "kind": "student",
        "format_version": FORMAT_VERSION,
        **manifest_fields,
        "files": files,
    }
    # What is signed must be what a reader sees: tuples become lists before signing.
    signed = sign_fields(_as_json(fields), private_key)
    Manifest.from_fields(signed)
    temporary = root / f".{MANIFEST_NAME}.tmp"
    temporary.write_text(json.dumps(signed, indent=2) + "\n", encoding="utf-8")
    temporary.replace(root / MANIFEST_NAME)
    return signed


def _as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(fields, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise PackageIncompatibleError(
            f"the manifest's fields cannot be written as JSON: {error}"
        ) from error
    return plain

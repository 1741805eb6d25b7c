"""What a model package says about itself: ``manifest.json``, read strictly.

Unknown keys are refused rather than skipped: a key this release does not know may change
what the others mean.
"""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from plethprint.errors import PackageIncompatibleError, PackageIntegrityError

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "FileEntry",
    "Manifest",
    "read_manifest_fields",
    "read_regular_file",
]

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """One file of the package, pinned to its content."""

    sha256: str
    """64 lower-case hex digits."""
    bytes: int
    """Size."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The checked contents of ``manifest.json``."""

    kind: str
    """``student`` (PPG only, int8, for the device) or ``teacher`` (ECG and PPG, float)."""
    format_version: int
    """Version of this layout, 1."""
    name: str
    """Name of the model, such as ``plethprint-micro``."""
    version: str
    """Version of the model, such as ``1``; fingerprints of versions do not mix."""
    dim: int
    """Length of a fingerprint, D."""
    preprocessing: Mapping[str, Any]
    """Student: `SignalSpec.to_dict` of the PPG. Teacher: ``{"ppg": ..., "ecg": ...}``."""
    parameters: int
    """Trainable parameters."""
    files: Mapping[str, FileEntry]
    """Every file of the package but the manifest itself, by name."""
    training_data: tuple[Mapping[str, Any], ...]
    """Per corpus: ``name``, ``licence``, ``windows``, ``people``."""
    public_key: str
    """Ed25519 public key of the signer, hex."""
    signature: str
    """Ed25519 signature over all other fields, hex."""
    input_scale: float = 1.0
    """Standard deviations per int8 step of the input."""
    output_scale: float = 1.0
    """Student output units per int8 step of the output."""
    macs: int = 0
    """Multiply-accumulates per window."""
    ops: tuple[str, ...] = ()
    """Operators in encoder.tflite, one entry each kind."""
    teacher: str = ""
    """Student: identity of the teacher it was distilled from, ``name@version+hash8``."""
    parity: Mapping[str, Any] = field(default_factory=dict)
    """Agreement measured when the package was made, by level and runtime."""
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    """``golden_max_lsb`` by runtime; least values for ``quantisation`` and ``teacher``."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Other measured figures for the card, such as those on held-out people."""

    @classmethod
    def from_fields(cls, raw: Mapping[str, Any]) -> Manifest:
        """Check the fields of a manifest and give them types.

        Raises
        ------
        PackageIncompatibleError
            If a key is unknown or missing, or a value has the wrong type or range.
        """
        known = {f.name: f for f in fields(cls)}
        version = raw.get("format_version")
        if version != FORMAT_VERSION:
            raise PackageIncompatibleError(
                f"manifest.json has format version {version!r}, but this release reads "
                f"version {FORMAT_VERSION}"
            )
        if unknown := sorted(raw.keys() - known.keys()):
            raise PackageIncompatibleError(
                f"manifest.json has keys this release does not know: {', '.join(unknown)}"
            )
        required = {
            name
            for name, f in known.items()
            if f.default is MISSING and f.default_factory is MISSING
        }
        if missing := sorted(required - raw.keys()):
            raise PackageIncompatibleError(f"manifest.json lacks {', '.join(missing)}")
        values = dict(raw)
        _check(raw.get("kind") in ("student", "teacher"), raw, "kind", "student or teacher")
        for name in ("name", "version"):
            _check(_matches(_NAME, raw[name]), raw, name, "lower-case letters and digits")
        for name in ("dim", "parameters", "macs"):
            _check(_is_count(raw.get(name, 0)), raw, name, "a whole number")
        _check(1 <= raw["dim"] <= 4096, raw, "dim", "1 to 4096")
        for name in ("input_scale", "output_scale"):
            _check(_is_positive(raw.get(name, 1.0)), raw, name, "a positive number")
            values[name] = float(raw.get(name, 1.0))
        for name in ("preprocessing", "parity", "thresholds", "figures", "files"):
            _check(isinstance(raw.get(name, {}), dict), raw, name, "an object")
        for name in ("public_key", "signature", "teacher"):
            _check(isinstance(raw.get(name, ""), str), raw, name, "a string")
        values["files"] = {
            name: _file_entry(name, entry) for name, entry in raw["files"].items()
        }
        data, ops = raw["training_data"], raw.get("ops", [])
        _check(_is_list_of(data, dict), raw, "training_data", "a list of objects")
        _check(_is_list_of(ops, str), raw, "ops", "a list of operator names")
        values.update(training_data=tuple(data), ops=tuple(ops))
        return cls(**values)


def read_manifest_fields(path: Path) -> dict[str, Any]:
    """Read ``manifest.json`` as plain values, before anything in it is believed.

    Raises
    ------
    PackageIntegrityError
        If the file is missing, too large, or not one JSON object with distinct keys.
    """
    try:
        data = read_regular_file(path, MAX_MANIFEST_BYTES + 1)
        if len(data) > MAX_MANIFEST_BYTES:
            raise PackageIntegrityError(
                f"{path} is larger than {MAX_MANIFEST_BYTES} bytes", file=MANIFEST_NAME
            )
        text = data.decode("utf-8")
    except FileNotFoundError as error:
        raise PackageIntegrityError(
            f"{path.parent} is not a model package: it has no {MANIFEST_NAME}",
            file=MANIFEST_NAME,
        ) from error
    except PackageIntegrityError:
        raise
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path at all
        raise PackageIntegrityError(
            f"{path} cannot be read: {error}", file=MANIFEST_NAME
        ) from error
    try:
        raw = json.loads(
            text, object_pairs_hook=_distinct_keys, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise PackageIntegrityError(
            f"{path} is not valid JSON ({error}); install the package again",
            file=MANIFEST_NAME,
        ) from error
    if not isinstance(raw, dict):
        raise PackageIntegrityError(f"{path} holds no JSON object", file=MANIFEST_NAME)
    return raw


def read_regular_file(path: Path, at_most: int) -> bytes:
    """Return the first `at_most` bytes of a file, never of a pipe or a device.

    A pipe in the place of a file would hang its reader, a device never end.

    Raises
    ------
    OSError
        If it cannot be read or is no regular file.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with path.open("rb") as file:
        return file.read(at_most)


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers may take different ones of two equal keys; then a signature means little.
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _file_entry(name: str, entry: object) -> FileEntry:
    if not (_matches(_FILE_NAME, name) and name != MANIFEST_NAME):
        raise PackageIncompatibleError(
            f"manifest.json lists {name!r}, which is no file inside the package"
        )
    if (
        not isinstance(entry, dict)
        or entry.keys() != {"sha256", "bytes"}
        or not _matches(_SHA256, entry["sha256"])
        or not _is_count(entry["bytes"])
    ):
        raise PackageIncompatibleError(
            f"manifest.json must give sha256 and bytes for {name!r}, not {entry!r}"
        )
    return FileEntry(entry["sha256"], entry["bytes"])


def _check(good: bool, raw: Mapping[str, Any], name: str, expected: str) -> None:
    if not good:
        raise PackageIncompatibleError(
            f"in manifest.json, {name} must be {expected}, not {raw.get(name)!r}"
        )


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and value > 0


def _is_list_of(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)

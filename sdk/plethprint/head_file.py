"""The JSON of a head, read strictly: what it says of itself, apart from its numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from plethprint.errors import HeadError
from plethprint.manifest import read_regular_file

__all__ = ["read_head_fields"]

_MAX_BYTES = 16 << 20
_KINDS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "model": str,
    "unit": str,
    "labels": list,
    "confidence": (int, float),
    "min_quality": (int, float),
    "people": int,
    "rows": int,
    "figures": dict,
    "parameters": dict,
}


def read_head_fields(path: Path) -> dict[str, Any]:
    """Read and check the fields of a head but ``format`` and its numbers.

    Raises
    ------
    HeadError
        If the file cannot be read, is no JSON, or a field is missing, unknown or of
        another type.
    """
    try:
        data = read_regular_file(path, _MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: no path at all
        raise HeadError(f"cannot read the head {path}: {error}") from error
    if len(data) > _MAX_BYTES:
        raise HeadError(f"{path} is larger than {_MAX_BYTES} bytes")
    try:
        fields = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise HeadError(f"{path} is no head: {error}") from error
    if not isinstance(fields, dict) or fields.pop("format", None) != "plethprint head":
        raise HeadError(f"{path} is no head of plethprint")
    version = fields.pop("format_version", None)
    if version != 1:
        raise HeadError(f"{path} has format version {version!r}; this release reads 1")
    if fields.keys() != _KINDS.keys():
        wrong = ", ".join(sorted(fields.keys() ^ _KINDS.keys()))
        raise HeadError(f"{path} is no head: missing or unknown are {wrong}")
    for name, kind in _KINDS.items():
        value = fields[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise HeadError(f"{path} is no head: {name} cannot be {value!r:.80}")
    for name in ("confidence", "min_quality"):
        # A number of JSON may be larger than any float.
        if not 0.0 <= fields[name] <= 1.0 or not math.isfinite(fields[name]):
            raise HeadError(f"{path} is no head: {name} must lie in 0..1")
        fields[name] = float(fields[name])
    if not all(isinstance(label, str) for label in fields["labels"]):
        raise HeadError(f"{path} is no head: labels must be texts")
    if len(fields["labels"]) == 1 or len(set(fields["labels"])) != len(fields["labels"]):
        raise HeadError(f"{path} is no head: labels must be two or more, all different")
    fields["labels"] = tuple(fields["labels"])
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

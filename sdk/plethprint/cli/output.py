"""What the verbs share in how they speak: the ``--json`` option, JSON and sparklines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

if TYPE_CHECKING:
    from plethprint.polarity import Polarity

__all__ = [
    "JsonOption",
    "PackageOption",
    "PolarityName",
    "plain",
    "polarity_named",
    "print_json",
    "sparkline",
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Machine-readable JSON on stdout, nothing else.")
]
PackageOption = Annotated[
    Path | None,
    typer.Option("--package", help="A model package: folder, or name of a shipped one."),
]


class PolarityName(str, Enum):
    """How a polarity is said on the command line."""

    UP = "up"
    DOWN = "down"
    AUTO = "auto"


def polarity_named(name: PolarityName) -> Polarity:
    """The polarity as `plethprint.Fingerprinter` takes it."""
    if name is PolarityName.AUTO:
        return "auto"
    return 1 if name is PolarityName.UP else -1


_BLOCKS = "▁▂▃▄▅▆▇█"


def plain(value: Any) -> Any:
    """The same value in JSON's types; what is not finite becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value


def print_json(value: Any, *, one_line: bool = False) -> None:
    """Print one JSON value to stdout; ``one_line`` for one object per line (NDJSON)."""
    text = json.dumps(plain(value), indent=None if one_line else 2, ensure_ascii=False)
    print(text, flush=True)  # noqa: T201


def sparkline(vector: npt.ArrayLike, width: int = 32) -> str:
    """Block characters that show the shape of a vector.

    Parameters
    ----------
    vector : array_like, shape (D,)
        Any real numbers; neighbours are averaged when D is more than `width`.
    width : int, default 32
        Characters at most.

    Returns
    -------
    str
        ``min(D, width)`` characters; the vector's own range fills their height.

    Examples
    --------
    >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7])
    '▁▂▃▄▅▆▇█'
    """
    values = np.asarray(vector, dtype=np.float64).reshape(-1)
    if values.size == 0:
        return ""
    parts = np.array_split(values, min(width, values.size))
    heights = np.array([part.mean() for part in parts])
    low, high = heights.min(), heights.max()
    span = high - low if high > low else 1.0
    steps = np.rint((heights - low) / span * (len(_BLOCKS) - 1)).astype(int)
    return "".join(_BLOCKS[step] for step in steps)

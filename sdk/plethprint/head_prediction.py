"""What goes into a head, as unit vectors, and what it says of each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import FingerprintMismatchError, HeadError
from plethprint.fingerprint import Fingerprint

__all__ = ["HeadPrediction", "checked_fingerprints", "unit_rows"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeadPrediction:
    """What a head says of one fingerprint."""

    value: float | str
    """The number, in the head's unit, or the most probable class."""
    low: float | None = None
    """Lower end of the interval; None for classes."""
    high: float | None = None
    """Upper end of the interval; None for classes."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Probability of each class, summing to one; empty for a number."""
    classes: tuple[str, ...] = ()
    """Classes that cannot be ruled out; empty for a number."""
    abstained: str = ""
    """Why the value is better not used; empty when nothing speaks against it."""

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain Python values, ready for JSON."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "probabilities": dict(self.probabilities),
            "classes": list(self.classes),
            "abstained": self.abstained,
        }


def unit_rows(fingerprints: Sequence[Fingerprint], model: str) -> FloatArray:
    """Fingerprints as unit vectors (N, D); the zero fingerprint stays zero.

    Raises
    ------
    HeadError
        If something among them is no fingerprint.
    FingerprintMismatchError
        If one is not of `model`, or of another length.
    """
    checked_fingerprints(fingerprints)
    dim = fingerprints[0].dim if fingerprints else 0
    for fp in fingerprints:
        if fp.model != model or fp.dim != dim:
            raise FingerprintMismatchError(
                f"a head takes fingerprints of one model, but these come from {model!r} "
                f"({dim}) and {fp.model!r} ({fp.dim})"
            )
    if not fingerprints:
        return np.empty((0, dim))
    vectors = np.stack([fp.vector for fp in fingerprints]).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, math.inf)


def checked_fingerprints(fingerprints: Sequence[object]) -> None:
    """Refuse, with `HeadError`, what is no fingerprint."""
    for kind in {type(one) for one in fingerprints}:
        if not issubclass(kind, Fingerprint):
            given = f"a head takes fingerprints, not {kind.__name__}"
            raise HeadError(f"{given}: bare vectors do not say their model")

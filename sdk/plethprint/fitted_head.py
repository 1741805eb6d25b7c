"""The numbers that a head consists of, and what they say of a fingerprint."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import HeadError

__all__ = ["FittedHead", "platt_probabilities"]

FloatArray = npt.NDArray[np.float64]

_LARGEST_LOG = 700.0  # exp of more is no float


@dataclass(frozen=True, eq=False)
class FittedHead:
    """The numbers of a head; C is 1 for a number, else the count of classes, K of folds."""

    weights: FloatArray
    """(C, D) on fingerprints of unit length."""
    bias: FloatArray
    """(C,)."""
    centre: FloatArray
    """(D,) mean of the fingerprints fitted on."""
    whitening: FloatArray
    """(D, D), lower triangle: of a fingerprint less the centre it gives unit variances."""
    far_from: float
    """Distance beyond which a fingerprint is unlike those fitted on."""
    log: bool = False
    """Whether the number is the exponential of the linear model."""
    fold_weights: FloatArray | None = None
    """(K, D) of each fold's model, for the interval of a number."""
    fold_bias: FloatArray | None = None
    """(K,)."""
    fold_share: FloatArray | None = None
    """(K,) people held out of it / (people + 1)."""
    residuals: FloatArray | None = None
    """(K, knots) absolute residuals of the people held out, each of equal weight."""
    platt: FloatArray | None = None
    """(C, 2) slope and offset of each class's curve."""
    threshold: float | None = None
    """Least probability of a class of the set."""

    @property
    def dim(self) -> int:
        """Length of the fingerprints, D."""
        return int(self.weights.shape[1])

    @property
    def classes(self) -> int:
        """Classes; 0 for a number."""
        return 0 if self.platt is None else len(self.platt)

    def distance(self, vectors: FloatArray) -> FloatArray:
        """Mahalanobis distance of (N, D) from those fitted on, over the root of D, (N,)."""
        white = applied(self.whitening, vectors - self.centre)
        distance: FloatArray = np.sqrt(np.mean(white * white, axis=1))
        return distance

    def numbers(
        self, vectors: FloatArray, confidence: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Value, lower and upper end for (N, D), each (N,)."""
        value = applied(self.weights, vectors)[:, 0] + self.bias[0]
        low, high = self._ends(vectors, confidence)
        if not self.log:
            return value, low, high
        value, low, high = (
            np.exp(np.minimum(end, _LARGEST_LOG)) for end in (value, low, high)
        )
        return value, low, high

    def probabilities(self, vectors: FloatArray) -> FloatArray:
        """Probability of each class for (N, D), (N, C), rows summing to one."""
        assert self.platt is not None
        return platt_probabilities(applied(self.weights, vectors) + self.bias, self.platt)

    def _ends(
        self, vectors: FloatArray, confidence: float
    ) -> tuple[FloatArray, FloatArray]:
        assert self.fold_weights is not None
        assert self.fold_bias is not None
        assert self.fold_share is not None
        assert self.residuals is not None
        knots = self.residuals.shape[1]
        said = applied(self.fold_weights, vectors) + self.fold_bias
        share = np.repeat(self.fold_share / knots, knots)
        ends = []
        for sign in (-1.0, 1.0):
            # From the outside in for the lower end as for the upper one.
            reach = (sign * said[:, :, None] + self.residuals).reshape(len(said), -1)
            order = np.argsort(reach, axis=1)
            mass = np.cumsum(share[order], axis=1)
            at = np.minimum((mass < confidence - 1e-9).sum(axis=1), mass.shape[1] - 1)
            end = np.take_along_axis(reach, order, axis=1)[np.arange(len(at)), at]
            ends.append(sign * end)
        return ends[0], ends[1]

    def to_fields(self) -> dict[str, Any]:
        """Plain values for JSON; the whitening as the rows of its triangle."""
        plain: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            plain[f.name] = value.tolist() if isinstance(value, np.ndarray) else value
        plain["whitening"] = [
            row[: place + 1] for place, row in enumerate(plain["whitening"])
        ]
        return plain

    @classmethod
    def from_fields(cls, raw: dict[str, Any], where: str) -> FittedHead:
        """Check plain values and give them shapes.

        Raises
        ------
        HeadError
            If one is missing, unknown, of another shape or not finite.
        """
        names = [f.name for f in fields(cls)]
        if raw.keys() != set(names):
            wrong = ", ".join(sorted(raw.keys() ^ set(names)))
            raise HeadError(f"{where} is no head: missing or unknown are {wrong}")
        try:
            rows = raw["whitening"]
            square = np.zeros((len(rows), len(rows)))
            for place, row in enumerate(rows):
                square[place, : place + 1] = row
            values: dict[str, Any] = {"whitening": square, "log": bool(raw["log"])}
            for name in names:
                if name not in values and raw[name] is not None:
                    number = np.asarray(raw[name], np.float64)
                    values[name] = number if number.ndim else float(number)
                    if not np.isfinite(number).all():
                        raise ValueError(f"{name} is not finite")
            head = cls(**values)
            dim, many = len(rows), len(head.weights)
            expected: dict[str, tuple[int, ...]] = {
                "weights": (many, dim),
                "bias": (many,),
                "centre": (dim,),
                "far_from": (),
            }
            if head.threshold is None:
                folds, knots = values["residuals"].shape
                expected |= {"fold_weights": (folds, dim), "fold_bias": (folds,)}
                expected |= {"fold_share": (folds,), "residuals": (folds, knots)}
                if many != 1 or not folds * knots:
                    raise ValueError("a number has one row of weights and some folds")
            else:
                expected |= {"platt": (many, 2), "threshold": ()}
            for name, shape in expected.items():
                if np.shape(getattr(head, name)) != shape or dim < 1:
                    raise ValueError(f"{name} should have shape {shape}")
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            raise HeadError(f"{where} is no head: {error}") from error
        return head


def platt_probabilities(scores: FloatArray, platt: FloatArray) -> FloatArray:
    """Scores (N, C) as probabilities (N, C) that sum to one."""
    logits = np.clip(scores * platt[:, 0] + platt[:, 1], -30.0, 30.0)
    each = 1.0 / (1.0 + np.exp(-logits))
    probabilities: FloatArray = each / each.sum(axis=1, keepdims=True)
    return probabilities


def applied(weights: FloatArray, vectors: FloatArray) -> FloatArray:
    """(C, D) on (N, D) -> (N, C); a row gives the same bits whatever its neighbours are."""
    # A matrix product sums in another order for one row than for many.
    product: FloatArray = (vectors[:, None, :] * weights).sum(axis=2)
    return product

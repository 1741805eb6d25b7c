"""Heads: what a fingerprint says about one thing, with how sure it is.

A head is a small linear model on fingerprints of one model. It gives a number (ridge
regression) or a class (logistic regression), and always says how far it may be off, or that
it does not know.

How it is fitted. Fingerprints at unit length are standardised; every person weighs the
same, however many fingerprints are there. The penalty is the one of a grid that does best
on people held out, in folds that no person crosses; what else needs held-out rows
(probabilities, intervals, distances) uses those of the same folds.

* **Probabilities** are Platt's logistic curve (1999) over the held-out scores, a curve a
  class, made to sum to one.
* **Intervals** of a number are CV+ (Barber et al., Annals of Statistics 49:486, 2021):
  every fold's model with its own held-out residuals. People, not fingerprints, are the
  sample: each person's residuals share the weight 1 / (people + 1) (the pooled
  distribution of Dunn, Wasserman and Ramdas, JASA 118:2491, 2023). Promised, for people
  like those it was fitted on, is coverage of 1 - 2 * (1 - confidence); usual is
  `confidence` itself.
* **Sets** of classes hold every class whose probability is at least what the truth of a
  share `confidence` of people had when held out.
* **Abstention**, `HeadPrediction.abstained`: ``no_signal`` (the zero fingerprint),
  ``low_quality`` (below the quality that was fitted on), ``far`` (Mahalanobis distance
  beyond that of 99 % of held-out people's fingerprints), ``uncertain`` (no class, or more
  than one, in the set). The value is told all the same.

A head belongs to one model and refuses fingerprints of another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from plethprint.errors import FingerprintMismatchError, HeadError
from plethprint.fingerprint import LOW_QUALITY, Fingerprint
from plethprint.head_file import read_head_fields
from plethprint.head_fit import FittedHead, fit_classes, fit_number
from plethprint.head_prediction import (
    HeadPrediction,
    checked_fingerprints,
    unit_rows,
)

__all__ = ["HEADS_FOLDER", "Head", "HeadPrediction"]

FloatArray = npt.NDArray[np.float64]

HEADS_FOLDER = Path(__file__).parent / "heads"
"""Heads that ship, a folder for each model."""

_CHUNK_ROWS = 256


@dataclass(frozen=True, eq=False)
class Head:
    """A linear model on the fingerprints of one model; made by `fit`, `load` or `shipped`.

    Examples
    --------
    >>> import numpy as np
    >>> from plethprint.fingerprint import Fingerprint, unit_scale
    >>> rng = np.random.default_rng(0)
    >>> def toy(vector):
    ...     return Fingerprint(vector, unit_scale(vector), start=0.0, duration_s=10.0,
    ...                        quality=0.9, model="toy@1+00000000")
    >>> prints = [toy(v) for v in rng.integers(-99, 99, (120, 4)).astype(np.int8)]
    >>> truth = [60.0 + 10.0 * fp.unit()[0] for fp in prints]
    >>> people = np.repeat(np.arange(12), 10)
    >>> head = Head.fit(prints, truth, people, name="toy rate", unit="bpm")
    >>> told = head.predict(prints[0])
    >>> bool(abs(told.value - truth[0]) < 0.1), told.low < told.value < told.high
    (True, True)
    """

    name: str
    """What it tells, such as ``heart_rate``."""
    model: str
    """Identity of the model whose fingerprints it takes."""
    unit: str
    """Unit of the number, such as ``bpm``; empty for classes."""
    labels: tuple[str, ...]
    """Classes in order; empty for a number."""
    confidence: float
    """Nominal coverage of intervals and sets, 0..1."""
    min_quality: float
    """Least quality that was fitted on; below it a head abstains."""
    people: int
    """People it was fitted on."""
    rows: int
    """Fingerprints it was fitted on."""
    figures: Mapping[str, Any]
    """What was measured when it was made: ``held_out`` from its own folds, and whatever
    its maker adds."""
    parameters: FittedHead
    """The numbers."""

    @classmethod
    def fit(
        cls,
        fingerprints: Sequence[Fingerprint],
        labels: npt.ArrayLike,
        people: npt.ArrayLike | None = None,
        *,
        name: str = "head",
        unit: str = "",
        log: bool = False,
        confidence: float = 0.9,
        min_quality: float = LOW_QUALITY,
        seed: int = 0,
    ) -> Head:
        """Fit a head.

        Parameters
        ----------
        fingerprints : sequence of Fingerprint
            Of one model; those of lower quality than `min_quality` and zero ones are
            left out.
        labels : array_like, shape (N,)
            Floating-point numbers for a number; text, whole numbers or truth values for
            classes (told as text, in sorted order).
        people : array_like, shape (N,), optional
            Whose each fingerprint is. Without it each stands for itself, which promises
            too much where fingerprints of one person, or overlapping windows, are there.
        name, unit : str, optional
            What it tells, and in which unit.
        log : bool, optional
            Fit the logarithm of a number, for what is positive and varies by its size.
        confidence : float, optional
            Nominal coverage, 0.5..0.99.
        min_quality : float, optional
            0..1.
        seed : int, optional
            Of the folds.

        Raises
        ------
        FingerprintMismatchError
            If the fingerprints come from several models.
        HeadError
            If lengths differ, a label is not finite (or not positive with `log`), a class
            is in one person only, or there are too few people for the confidence.
        """
        if not 0.5 <= confidence <= 0.99:
            raise HeadError(f"confidence must lie in 0.5..0.99, not {confidence}")
        if not len(fingerprints):
            raise HeadError("a head needs fingerprints to be fitted on")
        checked_fingerprints(fingerprints)
        model = fingerprints[0].model
        vectors = unit_rows(fingerprints, model)
        answers = np.asarray(labels)
        whose = np.arange(len(vectors)) if people is None else np.asarray(people)
        for what, column in (("labels", answers), ("people", whose)):
            if column.shape != (len(vectors),):
                raise HeadError(
                    f"{what} must be one for each of {len(vectors)} fingerprints, "
                    f"not of shape {column.shape}"
                )
        quality = np.array([fp.quality for fp in fingerprints])
        kept = (quality >= min_quality) & vectors.any(axis=1)
        vectors, answers = vectors[kept], answers[kept]
        names, owner = np.unique(whose[kept].astype(str), return_inverse=True)
        if len(names) < 2:
            raise HeadError(
                f"a head needs two people or more; {kept.sum()} of {len(kept)} "
                f"fingerprints can be used, of {len(names)}"
            )
        if answers.dtype.kind == "f":
            parameters, held_out = fit_number(
                vectors, answers, owner, log=log, confidence=confidence, seed=seed
            )
            classes: tuple[str, ...] = ()
        else:
            words = np.array([str(answer) for answer in answers.tolist()])
            kinds, index = np.unique(words, return_inverse=True)
            classes = tuple(kinds.tolist())
            parameters, held_out = fit_classes(
                vectors, index, owner, classes, confidence=confidence, seed=seed
            )
        return cls(
            name=name,
            model=model,
            unit=unit,
            labels=classes,
            confidence=confidence,
            min_quality=min_quality,
            people=len(names),
            rows=len(vectors),
            figures={"held_out": held_out},
            parameters=parameters,
        )

    @overload
    def predict(self, fingerprints: Fingerprint) -> HeadPrediction: ...

    @overload
    def predict(self, fingerprints: Sequence[Fingerprint]) -> list[HeadPrediction]: ...

    def predict(
        self, fingerprints: Fingerprint | Sequence[Fingerprint]
    ) -> HeadPrediction | list[HeadPrediction]:
        """Tell what the head sees in one fingerprint, or in each of several.

        Raises
        ------
        FingerprintMismatchError
            If a fingerprint comes from another model, or is protected.
        """
        if isinstance(fingerprints, Fingerprint):
            return self.predict([fingerprints])[0]
        told = []
        for first in range(0, len(fingerprints), _CHUNK_ROWS):
            told += self._predict(fingerprints[first : first + _CHUNK_ROWS])
        return told

    def save(self, path: str | Path) -> None:
        """Write the head as JSON, whole or not at all.

        Raises
        ------
        HeadError
            If a figure cannot be written as JSON.
        OSError
            If the file cannot be written.
        """
        try:
            text = json.dumps(self._fields(), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise HeadError(f"the head cannot be written as JSON: {error}") from error
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(target)

    @classmethod
    def load(cls, path: str | Path, *, model: str | None = None) -> Head:
        """Read a head; with `model`, only if it belongs to that model.

        Raises
        ------
        FingerprintMismatchError
            If it belongs to another model.
        HeadError
            If the file cannot be read or is no head.
        """
        fields = read_head_fields(Path(path))
        parameters = FittedHead.from_fields(fields.pop("parameters"), str(path))
        if bool(fields["labels"]) != (parameters.threshold is not None):
            raise HeadError(f"{path} is no head: its classes do not fit its numbers")
        head = cls(parameters=parameters, **fields)
        if parameters.classes != len(head.labels):
            raise HeadError(f"{path} is no head: it has {parameters.classes} classes")
        if model is not None and head.model != model:
            raise FingerprintMismatchError(
                f"{path} belongs to {head.model}, not to {model}"
            )
        return head

    @classmethod
    def shipped(cls, name: str, model: str) -> Head:
        """Open a head that ships with plethprint, such as ``heart_rate``.

        Parameters
        ----------
        name : str
            Its name.
        model : str
            Identity of the model, as `Fingerprinter.model` or `Fingerprint.model` has it.

        Raises
        ------
        HeadError
            If none ships under that name for that model.
        FingerprintMismatchError
            If the model has the name and version of a shipped one, but other weights.
        """
        folder = model.partition("+")[0].replace("@", "_v")
        path = HEADS_FOLDER / folder / f"{name}.json"
        if not all(p not in ("", ".", "..") and "/" not in p for p in (folder, name)):
            raise HeadError(f"there is no head {name!r} for {model!r}")
        if not path.is_file():
            ships = sorted(p.stem for p in path.parent.glob("*.json"))
            raise HeadError(
                f"no head {name!r} ships for {model}; there is {', '.join(ships) or 'none'}"
            )
        return cls.load(path, model=model)

    def _predict(self, fingerprints: Sequence[Fingerprint]) -> list[HeadPrediction]:
        vectors = unit_rows(fingerprints, self.model)
        if vectors.shape[1] != self.parameters.dim:
            raise FingerprintMismatchError(
                f"this head takes {self.parameters.dim} numbers, not {vectors.shape[1]}"
            )
        far = self.parameters.distance(vectors) > self.parameters.far_from
        reasons = [
            "no_signal"
            if not fp.vector.any()
            else "low_quality"
            if fp.quality < self.min_quality
            else "far"
            if beyond
            else ""
            for fp, beyond in zip(fingerprints, far.tolist(), strict=True)
        ]
        if not self.labels:
            values, lows, highs = self.parameters.numbers(vectors, self.confidence)
            return [
                HeadPrediction(value=value, low=low, high=high, abstained=reason)
                for value, low, high, reason in zip(
                    values.tolist(), lows.tolist(), highs.tolist(), reasons, strict=True
                )
            ]
        told = []
        threshold = self.parameters.threshold or 0.0
        for row, reason in zip(
            self.parameters.probabilities(vectors).tolist(), reasons, strict=True
        ):
            kept = tuple(
                name for name, p in zip(self.labels, row, strict=True) if p >= threshold
            )
            told.append(
                HeadPrediction(
                    value=self.labels[int(np.argmax(row))],
                    probabilities=dict(zip(self.labels, row, strict=True)),
                    classes=kept,
                    abstained=reason or ("uncertain" if len(kept) != 1 else ""),
                )
            )
        return told

    def _fields(self) -> dict[str, Any]:
        return {
            "format": "plethprint head",
            "format_version": 1,
            "name": self.name,
            "model": self.model,
            "unit": self.unit,
            "labels": list(self.labels),
            "confidence": self.confidence,
            "min_quality": self.min_quality,
            "people": self.people,
            "rows": self.rows,
            "figures": dict(self.figures),
            "parameters": self.parameters.to_fields(),
        }

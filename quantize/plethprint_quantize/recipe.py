"""One way to quantise a student, and what builds it, converting no more than it must."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.errors import PackageIncompatibleError
from plethprint_quantize.bias_correction import bias_corrected, rounded_fingerprints
from plethprint_quantize.calibrate import METHODS, Ranges, measure_ranges
from plethprint_quantize.equalize import equalized
from plethprint_quantize.export import DeployNet
from plethprint_quantize.golden import run_tflite_micro
from plethprint_quantize.tflite import (
    convert_float,
    quantize_int8,
    with_representable_biases,
)

__all__ = ["Recipe", "RecipeBuilder"]

Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Recipe:
    """One way to quantise a student.

    Examples
    --------
    >>> Recipe.parse("mse+bias")
    Recipe(ranges='mse', equalize=False, correct_bias=True)
    """

    ranges: str
    """``"learned"`` or one of `METHODS`."""
    equalize: bool = False
    correct_bias: bool = False

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Read ``RANGES[+equalize][+bias]``.

        Raises
        ------
        PackageIncompatibleError
            If a word is not known, or learned ranges are to be equalised.
        """
        ranges, *more = text.split("+")
        if ranges not in ("learned", *METHODS) or not set(more) <= {"equalize", "bias"}:
            raise PackageIncompatibleError(
                f"recipe {text!r} is not learned, {', '.join(METHODS)}, with +equalize and "
                "+bias where wanted"
            )
        if ranges == "learned" and "equalize" in more:
            raise PackageIncompatibleError(
                "learned ranges are those of the channels as they were trained: to "
                "equalise them, calibrate"
            )
        return cls(ranges, "equalize" in more, "bias" in more)


@dataclass
class RecipeBuilder:
    """Builds recipes, converting a float graph once for all that share it."""

    deploy: DeployNet
    learned: Ranges | None
    setters: Int8Array
    pretend: bool

    def __post_init__(self) -> None:
        self._converted: dict[bool, bytes] = {}

    def build(self, recipe: Recipe) -> Callable[[Int8Array], Int8Array]:
        """What turns int8 windows (N, T) into fingerprints (N, D) by a recipe."""
        source = equalized(self.deploy, self.setters) if recipe.equalize else self.deploy
        if recipe.ranges == "learned":
            assert self.learned is not None
            ranges = self.learned
        else:
            ranges = measure_ranges(source, self.setters, method=recipe.ranges)
        source = with_representable_biases(source, ranges)
        if recipe.correct_bias:
            source = bias_corrected(source, ranges, self.setters)
        if self.pretend:
            return lambda windows: rounded_fingerprints(source, ranges, windows)
        if recipe.correct_bias:
            floats = convert_float(source)
        elif recipe.equalize in self._converted:
            floats = self._converted[recipe.equalize]
        else:
            floats = self._converted[recipe.equalize] = convert_float(source)
        model = quantize_int8(floats, ranges)
        return lambda windows: run_tflite_micro(model, windows)

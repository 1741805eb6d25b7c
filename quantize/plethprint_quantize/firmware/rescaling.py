"""Integer multipliers that carry a layer's sums to its output's steps, as TFLite has them.

A real factor between 0 and 0.5 is written ``q / 2**31 / 2**halvings`` with
``2**30 <= q < 2**31``; applying it rounds twice, once after the product and once after the
halvings, which the C code repeats bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from plethprint.errors import PackageIncompatibleError
from plethprint_quantize.flatbuffer import Activation

__all__ = ["Multiplier", "activation_range", "mean_multiplier", "multiplier"]


@dataclass(frozen=True)
class Multiplier:
    """One factor in fixed point: ``value / 2**31 / 2**halvings``."""

    value: int
    """Q31 mantissa, below 2**31."""
    halvings: int
    """1 to 31."""


def multiplier(factor: float) -> Multiplier:
    """Write a factor in fixed point.

    Parameters
    ----------
    factor : float
        Input scale times weight scale over output scale.

    Raises
    ------
    PackageIncompatibleError
        The factor is not between 0 and 0.5. Trained layers lie near 0.005; the kernels
        save a register and an instruction per output by expecting that.

    Examples
    --------
    >>> multiplier(0.375)
    Multiplier(value=1610612736, halvings=1)
    """
    return _checked(*_mantissa(factor), factor)


def mean_multiplier(factor: float, count: int) -> Multiplier:
    """Fold the division by `count` into a factor, rounding as QuantizedMeanOrSum does.

    Examples
    --------
    >>> mean_multiplier(0.75, 4)  # 0.75 / 4 exactly
    Multiplier(value=1610612736, halvings=2)
    """
    value, exponent = _mantissa(factor)
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return _checked((value << shift) // count, exponent - shift, factor / count)


def _mantissa(factor: float) -> tuple[int, int]:
    """(q, e) of ``q * 2**(e - 31)``, rounded half up."""
    if not (math.isfinite(factor) and factor > 0.0):
        raise PackageIncompatibleError(
            f"the firmware cannot run this model: a layer rescales by {factor!r}"
        )
    mantissa, exponent = math.frexp(factor)
    value = math.floor(mantissa * (1 << 31) + 0.5)
    return (value // 2, exponent + 1) if value == 1 << 31 else (value, exponent)


def _checked(value: int, exponent: int, factor: float) -> Multiplier:
    if exponent < -31:  # the reference kernels call this 0
        return Multiplier(0, 31)
    if exponent > -1:
        raise PackageIncompatibleError(
            f"the firmware cannot run this model: a layer rescales by {factor:g}, "
            "its kernels expect less than 0.5"
        )
    return Multiplier(value, -exponent)


def activation_range(
    activation: Activation, scale: np.float32, zero_point: int
) -> tuple[int, int]:
    """Return the lowest and highest int8 that an activation function lets through.

    Examples
    --------
    >>> activation_range("RELU6", np.float32(0.05), -128)
    (-128, -8)
    """
    low, high = -128, 127
    if activation != "NONE":
        low = max(low, zero_point)
    if activation == "RELU6":
        # float32, half away from zero: the quotient is positive
        high = min(high, zero_point + math.floor(float(np.float32(6.0) / scale) + 0.5))
    return low, high

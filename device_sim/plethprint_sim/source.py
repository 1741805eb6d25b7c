"""What a virtual wearable can wear: anything that gives samples by their index."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from plethprint.errors import SampleRateError, SignalError
from plethprint_sim.deposit import Float32Array

FULL_SCALE_COUNTS = 2**23 - 1
"""Largest count of the 24-bit signed converter."""

MIN_SAMPLE_RATE_HZ = 20.0
MAX_SAMPLE_RATE_HZ = 500.0

BoolArray = npt.NDArray[np.bool_]


class SignalSource(Protocol):
    """Paired signals by absolute sample index; the same index, always the same sample."""

    sample_rate_hz: float
    """Samples a second of both signals."""

    @property
    def length(self) -> int | None:
        """Number of samples, or None when there is no end."""

    def read(
        self, start_index: int, count: int
    ) -> tuple[Float32Array, Float32Array | None]:
        """PPG and ECG (None without one), float32 (count,) each; fewer at the end."""

    def counts(self, start_index: int, count: int) -> npt.NDArray[np.int32]:
        """PPG as 24-bit signed counts, int32 (count,); fewer at the end."""

    def contact(self, start_index: int, count: int) -> BoolArray:
        """Whether the sensor touches the skin, for each sample."""

    def motion(self, start_index: int, count: int) -> BoolArray:
        """Whether the wearer moves, for each sample."""


def check_rate(sample_rate_hz: float) -> None:
    """Refuse a sample rate outside 20..500 Hz."""
    if not MIN_SAMPLE_RATE_HZ <= sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        raise SampleRateError(
            f"expected a sample rate of {MIN_SAMPLE_RATE_HZ:g} to "
            f"{MAX_SAMPLE_RATE_HZ:g} Hz, got {sample_rate_hz}"
        )


def check_range(start_index: int, count: int) -> None:
    """Refuse a negative index or count."""
    if start_index < 0 or count < 0:
        raise SignalError(
            "expected a start index and a count that are not negative, "
            f"got {start_index} and {count}"
        )

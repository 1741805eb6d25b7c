"""Streaming resampler: any rate from 20 to 500 Hz to the model's rate.

A Kaiser-windowed sinc, stored as a table of phases, is laid over the input at each
output instant. The sums run tap by tap in a fixed order, so that the output does not
depend on how the input was cut into chunks.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_RATE_HZ", "MIN_RATE_HZ", "Resampler", "resample_rows"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_RATE_HZ = 20.0
MAX_RATE_HZ = 500.0

_ZERO_CROSSINGS = 8
_KAISER_BETA = 6.0
_PASS_BAND = 0.92
"""Cut-off as a share of the lower Nyquist frequency."""
_MAX_PHASES = 512


class _Kernel:
    """Taps (phases, 2 * half) for one pair of rates, and where each output falls."""

    def __init__(self, in_hz: float, out_hz: float) -> None:
        # Input samples per output sample as a fraction: positions never drift.
        step = Fraction(in_hz).limit_denominator(100_000) / Fraction(
            out_hz
        ).limit_denominator(100_000)
        self.step = step
        self.identity = step == 1
        self.phases = min(step.denominator, _MAX_PHASES)
        cutoff = _PASS_BAND * min(1.0, out_hz / in_hz)
        self.half = int(np.ceil(_ZERO_CROSSINGS / cutoff))
        offsets = np.arange(-self.half + 1, self.half + 1)
        distance = np.arange(self.phases)[:, None] / self.phases - offsets
        window = np.i0(
            _KAISER_BETA * np.sqrt(np.clip(1.0 - (distance / self.half) ** 2, 0.0, None))
        )
        taps = np.sinc(cutoff * distance) * window
        # Unit gain at every phase: a large constant offset leaves no ripple behind.
        self.taps: FloatArray = taps / taps.sum(axis=1, keepdims=True)

    def positions(self, first: int, count: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Input index at or before outputs first..first+count, and their taps."""
        numerator = np.arange(first, first + count, dtype=np.int64) * self.step.numerator
        index = numerator // self.step.denominator
        remainder = numerator - index * self.step.denominator
        if self.phases == self.step.denominator:
            return index, self.taps[remainder]
        phase = (remainder * self.phases + self.step.denominator // 2) // (
            self.step.denominator
        )
        return index + phase // self.phases, self.taps[phase % self.phases]

    def ready(self, samples: int) -> int:
        """How many outputs need no more than the first `samples` inputs."""
        last = samples - 1 - (0 if self.identity else self.half + 1)
        return max(0, last * self.step.denominator // self.step.numerator + 1)

    def within(self, samples: int) -> int:
        """How many output instants lie before the end of `samples` inputs."""
        return -((-samples * self.step.denominator) // self.step.numerator)

    def apply(
        self, padded: FloatArray, first_index: int, first: int, count: int
    ) -> FloatArray:
        """Outputs first..first+count from (..., n) inputs that begin at `first_index`."""
        index, taps = self.positions(first, count)
        base = index - first_index - self.half + 1
        total = np.zeros((*padded.shape[:-1], count))
        if padded.ndim == 1:  # a stream in small pieces: few calls count more than memory
            spread = padded[base + np.arange(2 * self.half)[:, None]] * taps.T
            for products in spread:  # one after the other: the order makes the last bit
                total += products
            return total
        for tap in range(2 * self.half):
            total += padded[..., base + tap] * taps[:, tap]
        return total


@lru_cache(maxsize=32)
def _kernel(in_hz: float, out_hz: float) -> _Kernel:
    return _Kernel(in_hz, out_hz)


class Resampler:
    """One stream from `in_hz` to `out_hz`; output k is the signal at k / out_hz seconds.

    Before the first sample and after the last one the signal is taken to hold its value.

    Examples
    --------
    >>> resampler = Resampler(100.0, 64.0)
    >>> head, _ = resampler.push(np.ones(100), np.zeros(100, dtype=bool))
    >>> tail, _ = resampler.flush()
    >>> head.size + tail.size
    64
    """

    def __init__(self, in_hz: float, out_hz: float) -> None:
        self._kernel = _kernel(float(in_hz), float(out_hz))
        self._samples: FloatArray = np.empty(0)
        self._missing: BoolArray = np.empty(0, dtype=np.bool_)
        self._first_index = 0  # input index of the first sample kept
        self._taken = 0
        self._given = 0

    def push(self, samples: FloatArray, missing: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Take samples (n,) with their missing flags; give what is finished."""
        if not samples.size:
            return np.empty(0), np.empty(0, dtype=np.bool_)
        if self._kernel.identity:
            return samples, missing
        if self._taken == 0:
            self._first_index = -self._kernel.half
            self._samples = np.full(self._kernel.half, samples[0])
            self._missing = np.zeros(self._kernel.half, dtype=np.bool_)
        self._samples = np.concatenate([self._samples, samples])
        self._missing = np.concatenate([self._missing, missing])
        self._taken += samples.size
        return self._give(self._kernel.ready(self._taken))

    def flush(self) -> tuple[FloatArray, BoolArray]:
        """What lies before the end of the signal and was held back for look-ahead."""
        if self._kernel.identity or self._taken == 0:
            return np.empty(0), np.empty(0, dtype=np.bool_)
        pad = self._kernel.half + 1
        self._samples = np.concatenate([self._samples, np.full(pad, self._samples[-1])])
        self._missing = np.concatenate([self._missing, np.full(pad, self._missing[-1])])
        return self._give(self._kernel.within(self._taken))

    def _give(self, upto: int) -> tuple[FloatArray, BoolArray]:
        count = upto - self._given
        if count <= 0:
            return np.empty(0), np.empty(0, dtype=np.bool_)
        kernel = self._kernel
        out = kernel.apply(self._samples, self._first_index, self._given, count)
        index, _ = kernel.positions(self._given, count)
        flags = self._missing[index - self._first_index]
        self._given = upto
        next_index = int(kernel.positions(upto, 1)[0][0]) - kernel.half + 1
        drop = min(max(0, next_index - self._first_index), self._samples.size)
        self._samples, self._missing = self._samples[drop:], self._missing[drop:]
        self._first_index += drop
        return out, flags


def resample_rows(rows: FloatArray, in_hz: float, out_hz: float, count: int) -> FloatArray:
    """First `count` outputs of each row (N, T), bit for bit those of a `Resampler`."""
    kernel = _kernel(float(in_hz), float(out_hz))
    if kernel.identity:
        short = max(0, count - rows.shape[1])
        return np.pad(rows, ((0, 0), (0, short)), mode="edge")[:, :count]
    need = int(kernel.positions(count - 1, 1)[0][0]) + kernel.half + 2
    after = max(0, need - rows.shape[1])
    padded = np.pad(rows, ((0, 0), (kernel.half, after)), mode="edge")
    return kernel.apply(padded, -kernel.half, 0, count)

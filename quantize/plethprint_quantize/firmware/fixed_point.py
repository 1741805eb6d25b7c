"""The device's preprocessing in integers: the model that ``pp_signal.c`` must equal.

The stages are those of `plethprint.signal`, each rounded in one stated way
(docs/firmware-signal.md), so that C on any core gives the same bits as this module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.errors import SampleRateError, SignalError, WindowShapeError
from plethprint_quantize.firmware import signal_tables as tables

__all__ = ["FixedPointSignal", "FixedPointWindow", "normalise"]

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Int8Array = npt.NDArray[np.int8]

_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True)
class FixedPointWindow:
    """One window as the device makes it."""

    start: int
    """Samples, at the model's rate, from the (re)start of the signal."""
    samples: Int8Array
    """Shape (640,), steps of `plethprint.signal.SignalSpec.input_scale`."""
    missing: int
    """How many of the samples were missing and filled in."""


class FixedPointSignal:
    """Counts in, int8 windows out, with integers only; chunks of any size are alike.

    Parameters
    ----------
    rate_mhz
        Rate of the samples pushed, 25,000 to 200,000 thousandths of a hertz.
    hop_samples
        Samples, at the model's rate, between the starts of two windows.
    polarity
        -1 for a sensor whose counts fall when the vessel fills, else 1.

    Raises
    ------
    SampleRateError
        If the rate is out of range.
    SignalError
        If the hop or the polarity is.

    Examples
    --------
    >>> counts = np.rint(900 * np.sin(np.arange(3000) * 0.07)).astype(int)
    >>> [window.start for window in FixedPointSignal(100_000).push(counts)]
    [0, 320, 640, 960]
    """

    def __init__(
        self, rate_mhz: int, *, hop_samples: int = tables.HOP, polarity: int = 1
    ) -> None:
        if not tables.MIN_RATE_MHZ <= rate_mhz <= tables.MAX_RATE_MHZ:
            raise SampleRateError(
                f"the firmware takes {tables.MIN_RATE_MHZ} to {tables.MAX_RATE_MHZ} mHz, "
                f"not {rate_mhz}"
            )
        if hop_samples < 1 or polarity not in (1, -1):
            raise SignalError(
                "the hop is at least one sample and the polarity 1 or -1, "
                f"not {hop_samples} and {polarity}"
            )
        self.rate_mhz, self._hop, self._polarity = rate_mhz, hop_samples, polarity
        self._bridged = tables.BRIDGE_MS * rate_mhz // 1_000_000
        self._restart_at = tables.RESTART_MS * rate_mhz // 1_000_000
        self._identity = rate_mhz == tables.MODEL_RATE_MHZ
        self._step = tables.kernel_step_q16(rate_mhz)
        self._end = len(tables.kernel_q14()) << 16
        self._half = -(-(self._end - 0x8000) // self._step)
        self._begin()

    def _begin(self) -> None:
        self._origin: int | None = None
        self._last = 0
        self._run = 0  # missing samples since the last one that came
        self._asleep = False  # after so long a gap that the next sample begins anew
        self._history = np.zeros(self._half, np.int64)
        self._flags = np.zeros(self._half, np.bool_)
        self._base = self._half  # where in the history the next output begins
        self._phase = 0  # and how far behind that sample it lies, of MODEL_RATE_MHZ
        self._state = [[0, 0, 0] for _ in tables.biquads_q28()]
        self._before = 0
        self._filtered = np.empty(0, np.int64)
        self._missing = np.empty(0, np.bool_)
        self._moved = np.empty(0, np.bool_)  # the resampled sample differs from the last
        self._start = 0
        self._skipped = 0  # samples still to come that lie before the next window

    def push(
        self, counts: npt.ArrayLike, missing: npt.ArrayLike | None = None
    ) -> list[FixedPointWindow]:
        """Take samples and give the windows that are finished.

        Parameters
        ----------
        counts
            Shape (n,), integers; what lies beyond 24 bits is taken as the end of them.
        missing
            Shape (n,): True for a sample that did not come.

        Raises
        ------
        WindowShapeError
            If the counts are no integers of one axis, or the flags have another shape.
        """
        values = np.asarray(counts)
        absent = (
            np.zeros(values.shape, np.bool_) if missing is None else np.asarray(missing)
        )
        if values.ndim != 1 or absent.shape != values.shape:
            raise WindowShapeError(
                f"samples come as one axis of time, not as shape {values.shape} "
                f"with flags of shape {absent.shape}"
            )
        if values.size and not np.issubdtype(values.dtype, np.integer):
            raise WindowShapeError(f"counts are integers, not {values.dtype}")
        clipped = np.clip(values.astype(np.int64), tables.COUNT_MIN, tables.COUNT_MAX)
        windows: list[FixedPointWindow] = []
        edges = np.flatnonzero(np.diff(absent)) + 1
        for run in np.split(np.arange(values.size), edges):
            if not run.size:
                continue
            if absent[run[0]]:
                windows += self._gap(run.size)
            else:
                windows += self._arrived(clipped[run] * self._polarity)
        return windows

    def _arrived(self, values: Int64Array) -> list[FixedPointWindow]:
        if self._origin is None:
            # The filter's steady state is a signal that always was at its first sample.
            self._origin = int(values[0])
        scaled = (values - self._origin) << tables.SAMPLE_BITS
        line = np.empty(0, np.int64)
        if self._run and self._run <= self._bridged:
            line = self._line(int(scaled[0]), self._run)
        self._run, self._asleep, self._last = 0, False, int(scaled[-1])
        flags = np.arange(line.size + scaled.size) < line.size
        return self._advance(np.concatenate([line, scaled]), flags)

    def _line(self, after: int, run: int) -> Int64Array:
        rise = np.abs(after - self._last) * np.arange(1, run + 1, dtype=np.int64)
        part = (rise + (run + 1) // 2) // (run + 1)
        line: Int64Array = self._last + (part if after >= self._last else -part)
        return line

    def _gap(self, count: int) -> list[FixedPointWindow]:
        if self._asleep:
            return []
        before = self._run
        # Before the first sample there is nothing to hold, hence nothing to wait for.
        limit = self._bridged if self._origin is None else self._restart_at
        self._run = min(before + count, limit)
        windows: list[FixedPointWindow] = []
        if self._origin is not None and self._run > self._bridged:
            given = self._run - (before if before > self._bridged else 0)
            windows = self._advance(np.full(given, self._last), np.ones(given, np.bool_))
        if before + count > limit:
            self._begin()
            self._asleep = True
        return windows

    def _advance(self, samples: Int64Array, flags: BoolArray) -> list[FixedPointWindow]:
        resampled, missing = self._resample(samples, flags)
        if not resampled.size:
            return []
        moved = np.diff(resampled, prepend=self._before) != 0
        self._before = int(resampled[-1])
        self._filtered = np.concatenate([self._filtered, self._filter(resampled)])
        self._missing = np.concatenate([self._missing, missing])
        self._moved = np.concatenate([self._moved, moved])
        self._skip()
        windows = []
        while self._filtered.size >= tables.WINDOW:
            flat = not self._moved[1 : tables.WINDOW].any()
            steps = normalise(self._filtered[: tables.WINDOW])
            windows.append(
                FixedPointWindow(
                    self._start,
                    np.zeros_like(steps) if flat else steps,
                    int(self._missing[: tables.WINDOW].sum()),
                )
            )
            self._start += self._hop
            self._skipped += self._hop
            self._skip()
        return windows

    def _skip(self) -> None:
        count = min(self._skipped, self._filtered.size)
        self._skipped -= count
        self._filtered = self._filtered[count:]
        self._missing, self._moved = self._missing[count:], self._moved[count:]

    def _resample(
        self, samples: Int64Array, flags: BoolArray
    ) -> tuple[Int64Array, BoolArray]:
        if self._identity:
            return samples << (tables.SIGNAL_BITS - tables.SAMPLE_BITS), flags
        self._history = np.concatenate([self._history, samples])
        self._flags = np.concatenate([self._flags, flags])
        # Output j lies at base + (phase + j * rate) / model rate; the last one that has
        # all its neighbours is the one whose whole part is at most size - half - 1.
        room = self._history.size - self._half - self._base
        count = -((self._phase - room * tables.MODEL_RATE_MHZ) // self.rate_mhz)
        if count <= 0:
            return np.empty(0, np.int64), np.empty(0, np.bool_)
        at = self._phase + np.arange(count + 1, dtype=np.int64) * self.rate_mhz
        whole, phase = np.divmod(at, tables.MODEL_RATE_MHZ)
        base = self._base + whole[:-1]
        out = self._sums(base, phase[:-1])
        missing = self._flags[base]
        self._base, self._phase = self._base + int(whole[-1]), int(phase[-1])
        drop = self._base - self._half
        self._history, self._flags = self._history[drop:], self._flags[drop:]
        self._base -= drop
        return out, missing

    def _sums(self, base: Int64Array, phase: Int64Array) -> Int64Array:
        kernel = tables.kernel_q14()
        inverse = (self._step << 16) // tables.MODEL_RATE_MHZ
        offset = (phase * inverse) >> 16
        centre = self._history[base]
        total = np.zeros(base.size, np.int64)
        for tap in range(self._half):
            for taken, distance in (
                (base - tap, offset + tap * self._step),
                (base + 1 + tap, self._step - offset + tap * self._step),
            ):
                entry = (distance + 0x8000) >> 16
                weight = np.where(
                    entry < kernel.size, kernel[np.minimum(entry, kernel.size - 1)], 0
                )
                total += weight * (self._history[taken] - centre)
        gain = self._step // tables.KERNEL_STEPS
        shift = tables.KERNEL_BITS + 16 + tables.SAMPLE_BITS - tables.SIGNAL_BITS
        rounded = (total * gain + (1 << (shift - 1))) >> shift
        raised = centre << (tables.SIGNAL_BITS - tables.SAMPLE_BITS)
        return np.clip(raised + rounded, _INT32_MIN, _INT32_MAX)

    def _filter(self, samples: Int64Array) -> Int64Array:
        values = samples.tolist()
        bits = tables.COEFFICIENT_BITS
        for state, (b0, a1, a2) in zip(self._state, tables.biquads_q28(), strict=True):
            first, second, carry = state
            out = []
            for x in values:
                total = b0 * x + first + carry
                y = total >> bits
                # What rounding took off goes into the next sample: without that the
                # pole next to 0 Hz would raise the rounding noise fiftyfold.
                carry = total - (y << bits)
                if not _INT32_MIN <= y <= _INT32_MAX:
                    y, carry = (_INT32_MAX if y > 0 else _INT32_MIN), 0
                first = second - a1 * y
                second = -b0 * x - a2 * y
                out.append(y)
            state[:] = first, second, carry
            values = out
        return np.array(values, np.int64)


def normalise(filtered: Int64Array) -> Int8Array:
    """Band-passed window (640,), int32 values -> mean 0, sd 1, clipped, as int8 steps.

    Examples
    --------
    >>> wave = np.rint(5000 * np.sin(np.arange(640) * 0.2)).astype(np.int64)
    >>> int(normalise(wave).max())
    44
    """
    centred = filtered * tables.WINDOW - int(filtered.sum())
    largest = int(np.abs(centred).max())
    mantissas = centred >> max(0, largest.bit_length() - tables.MANTISSA_BITS)
    energy = int((mantissas * mantissas).sum())
    if energy == 0:
        return np.zeros(tables.WINDOW, np.int8)
    raised = (62 - energy.bit_length()) // 2
    scale = tables.SCALE // math.isqrt(energy << (2 * raised))
    shift = tables.SCALE_BITS - raised
    steps = (mantissas * scale + (1 << (shift - 1))) >> shift
    clipped: Int8Array = np.clip(steps, -tables.STEP_MAX, tables.STEP_MAX).astype(np.int8)
    return clipped

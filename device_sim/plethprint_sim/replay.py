"""A real recording as a wearer: the virtual wearable streams it sample by sample."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from plethprint.bridge import GapBridge
from plethprint.errors import RecordingError
from plethprint.resample import Resampler
from plethprint_sim.deposit import Float32Array
from plethprint_sim.source import FULL_SCALE_COUNTS, BoolArray, check_range, check_rate

_HEADROOM = 0.1
"""Share of the converter's range left free below and above the recording."""


class PairedRecording(Protocol):
    """What is needed of a recording; `plethprint.io.Recording` is one."""

    @property
    def ppg(self) -> Float32Array:
        """float32 (T,), any unit, NaN where missing."""

    @property
    def sample_rate_hz(self) -> float:
        """Samples a second of `ppg`."""

    @property
    def ecg(self) -> Float32Array | None:
        """float32 (T2,) from the same start, or None."""

    @property
    def ecg_rate_hz(self) -> float | None:
        """Samples a second of `ecg`."""


class ReplayStream:
    """A recording by sample index, once from its start to its end; a `SignalSource`.

    Counts are scaled so that the whole recording fits the converter with a tenth of its
    range to spare at both ends. Where the recording has no sample, `read` gives NaN,
    `contact` is False, and the counts hold the last sample that there was.

    Parameters
    ----------
    recording
        PPG, and ECG where there is one, each at its own rate.
    sample_rate_hz
        Rate to give it at, for wearables that sample at rates of their own; the
        recording's own by default.

    Raises
    ------
    plethprint.errors.SampleRateError
        The PPG's rate lies outside 20..500 Hz.
    plethprint.errors.RecordingError
        The PPG is not one row of samples, or has none that is finite.

    Examples
    --------
    >>> from plethprint.io import Recording
    >>> import numpy as np
    >>> pulse = np.sin(np.arange(640) / 10).astype(np.float32)
    >>> stream = ReplayStream(Recording(ppg=pulse, sample_rate_hz=64, name="sine"))
    >>> stream.length, stream.counts(630, 100).shape
    (640, (10,))
    """

    def __init__(
        self, recording: PairedRecording, sample_rate_hz: float | None = None
    ) -> None:
        check_rate(recording.sample_rate_hz)
        ppg = np.asarray(recording.ppg, dtype=np.float32)
        present = np.isfinite(ppg)
        if ppg.ndim != 1 or not present.any():
            raise RecordingError(
                "expected a row of PPG with at least one finite sample, "
                f"got shape {ppg.shape} with {int(present.sum())}"
            )
        self.sample_rate_hz = float(recording.sample_rate_hz)
        if sample_rate_hz is not None and sample_rate_hz != self.sample_rate_hz:
            check_rate(sample_rate_hz)
            ppg, present = _resampled(ppg, present, self.sample_rate_hz, sample_rate_hz)
            self.sample_rate_hz = float(sample_rate_hz)
        self._ppg = np.where(present, ppg, np.float32(np.nan))
        self._present = present
        self._ecg = _at_times_of(len(ppg), self.sample_rate_hz, recording)
        self._counts = _as_counts(ppg, present)

    @property
    def length(self) -> int | None:
        """Number of samples."""
        return len(self._ppg)

    def read(
        self, start_index: int, count: int
    ) -> tuple[Float32Array, Float32Array | None]:
        """PPG and ECG (None when there is none) in the recording's units.

        float32 (count,) each, fewer at the end; NaN where missing. An ECG of another
        rate is interpolated to the times of the PPG.
        """
        part = self._part(start_index, count)
        return self._ppg[part].copy(), None if self._ecg is None else self._ecg[part].copy()

    def counts(self, start_index: int, count: int) -> npt.NDArray[np.int32]:
        """PPG as 24-bit signed counts, int32 (count,), fewer at the end."""
        return np.array(self._counts[self._part(start_index, count)])

    def contact(self, start_index: int, count: int) -> BoolArray:
        """Whether the recording has these samples, bool (count,)."""
        return np.array(self._present[self._part(start_index, count)])

    def motion(self, start_index: int, count: int) -> BoolArray:
        """Always False: a recording does not tell."""
        return np.zeros_like(self._present[self._part(start_index, count)])

    def _part(self, start_index: int, count: int) -> slice:
        check_range(start_index, count)
        return slice(start_index, start_index + count)


def _as_counts(ppg: Float32Array, present: BoolArray) -> npt.NDArray[np.int32]:
    # Missing samples hold the one before (at the very start, the first there is): a
    # jump would ring in the receiver's filter long after.
    last = np.maximum.accumulate(np.where(present, np.arange(len(ppg)), -1))
    last = np.where(last < 0, np.argmax(present), last)
    held = ppg[last].astype(np.float64)
    lowest, highest = float(held.min()), float(held.max())
    if highest > lowest:
        share = _HEADROOM + (1 - 2 * _HEADROOM) * (held - lowest) / (highest - lowest)
    else:
        share = np.full(len(held), 0.5)
    return np.rint(share * FULL_SCALE_COUNTS).astype(np.int32)


def _resampled(
    ppg: Float32Array, present: BoolArray, from_hz: float, to_hz: float
) -> tuple[Float32Array, BoolArray]:
    bridge, resampler = GapBridge(from_hz), Resampler(from_hz, to_hz)
    pieces = (
        bridge.push(np.where(present, ppg, np.nan).astype(np.float64)),
        bridge.flush(),
    )
    # Large offsets would be rounding error of the sums otherwise.
    level = float(np.mean(ppg[present], dtype=np.float64))
    given = [resampler.push(values - level, missing) for values, missing in pieces]
    given.append(resampler.flush())
    values = np.concatenate([samples for samples, _ in given]) + level
    missing = np.concatenate([flags for _, flags in given])
    return values.astype(np.float32), ~missing


def _at_times_of(
    count: int, sample_rate_hz: float, recording: PairedRecording
) -> Float32Array | None:
    if recording.ecg is None:
        return None
    ecg = np.asarray(recording.ecg, dtype=np.float32)
    rate_hz = recording.ecg_rate_hz or recording.sample_rate_hz
    position = np.arange(count) * (rate_hz / sample_rate_hz)
    matched = np.interp(position, np.arange(len(ecg)), ecg, right=np.nan)
    return np.asarray(matched, dtype=np.float32)

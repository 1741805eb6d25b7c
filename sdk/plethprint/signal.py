"""Raw optical signal to int8 windows: resample, band-pass, window, normalise.

This is the one preprocessing of the project: training, the host SDK and the tables
in firmware come from here. Every stage is causal and works sample by sample, so that a
microcontroller can run it; a recording cut into chunks of any size gives bit for bit
the windows of the whole recording.

    samples -> gaps bridged -> resampled to the model's rate -> band-pass (biquads)
            -> windows with a hop -> mean 0, sd 1, clipped -> int8
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.biquad import butterworth_band_pass, run_biquads
from plethprint.bridge import GapBridge
from plethprint.errors import SampleRateError, SignalError, WindowShapeError
from plethprint.resample import MAX_RATE_HZ, MIN_RATE_HZ, Resampler, resample_rows

__all__ = [
    "ECG",
    "PPG",
    "Preprocessor",
    "SignalSpec",
    "Window",
    "band_pass",
    "window_rows",
    "windows_of",
]

FloatArray = npt.NDArray[np.float64]
Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class SignalSpec:
    """Constants of one preprocessing; a model package carries them and must match.

    Examples
    --------
    >>> PPG.window_samples, round(PPG.input_scale, 5)
    (640, 0.0315)
    """

    name: str
    rate_hz: float
    """Sample rate of the windows, Hz."""
    window_s: float
    """Length of a window, seconds."""
    band_hz: tuple[float, float]
    """Band edges (-3 dB) of the causal Butterworth band-pass, Hz."""
    order: int
    """Order of the low-pass prototype: the band-pass has this many biquads."""
    clip_sd: float
    """Normalised samples are clipped to this many standard deviations; int8 127."""

    @property
    def window_samples(self) -> int:
        """Samples of one window."""
        return round(self.rate_hz * self.window_s)

    @property
    def input_scale(self) -> float:
        """Standard deviations per int8 step."""
        return self.clip_sd / 127.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, as written into a manifest."""
        return {**asdict(self), "band_hz": list(self.band_hz)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> SignalSpec:
        """Read `to_dict` back; unknown or missing fields raise `SignalError`."""
        try:
            low_hz, high_hz = fields["band_hz"]
            return cls(**{**fields, "band_hz": (float(low_hz), float(high_hz))})
        except (KeyError, TypeError, ValueError) as error:
            raise SignalError(f"not the fields of a preprocessing: {fields!r}") from error


PPG = SignalSpec("ppg", 64.0, 10.0, (0.5, 8.0), 2, 4.0)
"""Pulse signal: what the student and the teacher see. 64 Hz keeps hops of whole seconds."""

ECG = SignalSpec("ecg", 128.0, 10.0, (0.5, 40.0), 2, 6.0)
"""Electrocardiogram, for the teacher only."""


@dataclass(frozen=True)
class Window:
    """One normalised window, the unit of everything that follows."""

    start_s: float
    """Seconds from the first sample pushed (since the last reset) to the window's first."""
    samples: Int8Array
    """Shape (T,), steps of `SignalSpec.input_scale` standard deviations."""
    missing: float
    """Share of the window that was missing and filled in, 0 to 1."""
    spread: float
    """Standard deviation of the band-passed window in input units; 0 when flat."""


@lru_cache(maxsize=8)
def band_pass(spec: SignalSpec) -> FloatArray:
    """Biquads of the band-pass, shape (order, 6): b0 b1 b2 1 a1 a2 each."""
    return butterworth_band_pass(spec.order, spec.band_hz, spec.rate_hz)


def _filter(
    samples: FloatArray, state: FloatArray, spec: SignalSpec
) -> tuple[FloatArray, FloatArray]:
    """Band-pass (..., T); the state is (order, ..., 2), zeros before the first sample."""
    return run_biquads(band_pass(spec), samples, state)


def _normalise(
    filtered: FloatArray, unfiltered: FloatArray, spec: SignalSpec
) -> tuple[Int8Array, FloatArray]:
    """(N, T) band-passed -> int8 (N, T) and the spread (N,) before normalisation.

    A window whose input did not move is flat: what the filter still rings there, however
    little, must not be blown up into a pulse.
    """
    centred = filtered - filtered.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.mean(centred * centred, axis=-1))
    still = np.ptp(unfiltered, axis=-1) <= 1e-12 * np.max(np.abs(unfiltered), axis=-1)
    spread = np.where(still | ~(spread > 0.0), 0.0, spread)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0.0)
    steps = np.rint(centred * (scale[..., None] / spec.input_scale))
    return np.clip(steps, -127, 127).astype(np.int8), spread


class Preprocessor:
    """Samples in, int8 windows out; chunks of any size give the same windows.

    Parameters
    ----------
    sample_rate_hz
        Rate of the samples pushed, 20 to 500 Hz.
    spec
        Constants of the preprocessing, `PPG` by default.
    hop_s
        Seconds between the starts of consecutive windows, above 0.
    polarity
        -1 for a sensor whose counts fall when the vessel fills, else 1.

    Raises
    ------
    SampleRateError
        If the rate is not a number in range.
    SignalError
        If `hop_s` or `polarity` is out of range.

    Examples
    --------
    >>> beat = np.sin(2 * np.pi * 1.2 * np.arange(0, 20, 1 / 100))
    >>> [window.start_s for window in Preprocessor(100.0, hop_s=5.0).push(beat)]
    [0.0, 5.0]
    """

    def __init__(
        self,
        sample_rate_hz: float,
        *,
        spec: SignalSpec = PPG,
        hop_s: float = 5.0,
        polarity: int = 1,
    ) -> None:
        self.sample_rate_hz = _checked_rate(sample_rate_hz)
        self.spec = spec
        self.hop_samples = _hop_samples(hop_s, spec)
        if polarity not in (1, -1):
            raise SignalError(f"polarity is 1 or -1, not {polarity!r}")
        self._polarity = polarity
        self.reset()

    def reset(self) -> None:
        """Start anew after a gap: filter, windows and `start_s` begin again."""
        self._bridge = GapBridge(self.sample_rate_hz)
        self._resampler = Resampler(self.sample_rate_hz, self.spec.rate_hz)
        self._origin: float | None = None
        self._state: FloatArray = np.zeros((self.spec.order, 2))
        self._unfiltered: FloatArray = np.empty(0)
        self._filtered: FloatArray = np.empty(0)
        self._missing: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._kept_from = 0  # index, at the model's rate, of the first sample kept
        self._next_start = 0
        self._ended = False

    def push(self, samples: npt.ArrayLike) -> list[Window]:
        """Take samples (any shape of one axis; NaN is missing), give finished windows.

        Raises
        ------
        WindowShapeError
            If they have another shape.
        SignalError
            After `flush`, which ended the signal: `reset` begins another.
        """
        if self._ended:
            raise SignalError(
                "flush() ended this signal: reset() begins another; flush once, at the end"
            )
        values = np.asarray(samples, dtype=np.float64)
        if values.ndim != 1:
            raise WindowShapeError(
                f"samples come as one axis of time, not as shape {values.shape}"
            )
        values = np.where(np.isfinite(values), values * self._polarity, np.nan)
        if self._origin is not None:
            return self._resample(*self._bridge.push(values))
        # Before its first sample the signal is taken to stand at that sample's level, which
        # the filter does not see: nothing has to wait for it, be it for hours off the skin.
        present = np.flatnonzero(~np.isnan(values))
        first = int(present[0]) if present.size else values.size
        windows = self._advance(
            *self._resampler.push(np.zeros(first), np.ones(first, dtype=np.bool_))
        )
        if present.size:
            # The filter's steady state is a signal that always was at its first sample:
            # taking that sample off does the same, and keeps large offsets out of rounding.
            self._origin = float(values[first])
            windows += self._resample(*self._bridge.push(values[first:]))
        return windows

    def flush(self) -> list[Window]:
        """End of the signal: windows that waited for samples to come."""
        if self._ended:
            return []
        self._ended = True
        held = self._resample(*self._bridge.flush())
        return held + self._advance(*self._resampler.flush())

    def _resample(
        self, samples: FloatArray, missing: npt.NDArray[np.bool_]
    ) -> list[Window]:
        return self._advance(
            *self._resampler.push(samples - (self._origin or 0.0), missing)
        )

    def _advance(self, samples: FloatArray, missing: npt.NDArray[np.bool_]) -> list[Window]:
        if not samples.size:
            return []
        filtered, self._state = _filter(samples, self._state, self.spec)
        self._unfiltered = np.concatenate([self._unfiltered, samples])
        self._filtered = np.concatenate([self._filtered, filtered])
        self._missing = np.concatenate([self._missing, missing])
        windows = []
        length = self.spec.window_samples
        while self._next_start + length <= self._kept_from + self._filtered.size:
            first = self._next_start - self._kept_from
            windows.append(self._window(first, length))
            self._next_start += self.hop_samples
        drop = min(self._next_start - self._kept_from, self._filtered.size)
        self._unfiltered = self._unfiltered[drop:]
        self._filtered = self._filtered[drop:]
        self._missing = self._missing[drop:]
        self._kept_from += drop
        return windows

    def _window(self, first: int, length: int) -> Window:
        cut = slice(first, first + length)
        steps, spread = _normalise(
            self._filtered[None, cut], self._unfiltered[None, cut], self.spec
        )
        return Window(
            start_s=self._next_start / self.spec.rate_hz,
            samples=steps[0],
            missing=float(self._missing[cut].mean()),
            spread=float(spread[0]),
        )


def windows_of(
    signal: npt.ArrayLike,
    sample_rate_hz: float,
    *,
    spec: SignalSpec = PPG,
    hop_s: float = 5.0,
    polarity: int = 1,
) -> list[Window]:
    """All windows of a whole recording; see `Preprocessor` for the arguments.

    Examples
    --------
    >>> len(windows_of(np.zeros(3000), 100.0, hop_s=10.0))
    3
    """
    preprocessor = Preprocessor(sample_rate_hz, spec=spec, hop_s=hop_s, polarity=polarity)
    return preprocessor.push(signal) + preprocessor.flush()


def window_rows(
    rows: npt.ArrayLike,
    sample_rate_hz: float,
    *,
    spec: SignalSpec = PPG,
    warm_up_s: float = 0.0,
) -> tuple[Int8Array, npt.NDArray[np.float32]]:
    """Unrelated rows, one window each: the filter starts from the row's own steady state.

    Parameters
    ----------
    rows
        Shape (N, T), any gain and offset; T samples last one window (2 % less is
        filled by holding the end, more is cut off).
    sample_rate_hz
        Rate of the rows, 20 to 500 Hz.
    warm_up_s
        What comes before the window in each row, for the filter to settle on.

    Returns
    -------
    windows, missing
        int8 (N, spec.window_samples), and the share of each row that was missing, (N,).

    Raises
    ------
    SampleRateError, WindowShapeError
    """
    rate_hz = _checked_rate(sample_rate_hz)
    values = np.asarray(rows, dtype=np.float64)
    if values.ndim != 2:
        raise WindowShapeError(f"rows come as (N, T), not as shape {values.shape}")
    need = (spec.window_s + warm_up_s) * rate_hz
    if values.shape[1] < 0.98 * need:
        raise WindowShapeError(
            f"a row lasts {spec.window_s + warm_up_s:g} s "
            f"({need:.0f} samples at {rate_hz:g} Hz), not {values.shape[1]} samples"
        )
    settle = round(warm_up_s * spec.rate_hz)
    length = settle + spec.window_samples
    filled = np.where(np.isfinite(values), values, np.nan)
    missing = np.isnan(filled)
    for row in np.flatnonzero(missing.any(axis=1)):
        bridge = GapBridge(rate_hz)
        filled[row] = np.concatenate([bridge.push(filled[row])[0], bridge.flush()[0]])
    if not len(filled):
        return np.empty((0, spec.window_samples), np.int8), np.empty(0, np.float32)
    resampled = resample_rows(filled - filled[:, :1], rate_hz, spec.rate_hz, length)
    state = np.zeros((spec.order, len(filled), 2))
    filtered, _ = _filter(resampled, state, spec)
    steps, _ = _normalise(filtered[:, settle:], resampled[:, settle:], spec)
    return steps, missing[:, : max(1, int(need))].mean(axis=1, dtype=np.float32)


def _hop_samples(hop_s: float, spec: SignalSpec) -> int:
    try:
        hop = round(float(hop_s) * spec.rate_hz)
    except (TypeError, ValueError, OverflowError):  # no number, NaN, infinite
        hop = 0
    if hop < 1:
        raise SignalError(
            f"hop_s is at least one sample ({1 / spec.rate_hz:g} s), not {hop_s!r}"
        )
    return hop


def _checked_rate(sample_rate_hz: float) -> float:
    try:
        rate_hz = float(sample_rate_hz)
    except (TypeError, ValueError) as error:
        raise SampleRateError(
            f"the sample rate is a number of Hz, not {sample_rate_hz!r}"
        ) from error
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:  # also refuses NaN
        raise SampleRateError(
            f"the sample rate is {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz, not {rate_hz:g} Hz"
        )
    return rate_hz

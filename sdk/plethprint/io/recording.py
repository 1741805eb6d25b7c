"""What every reader gives: PPG at a known rate, and ECG where the file has some."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError, SampleRateError
from plethprint.io.time_stamps import even_times, start_of
from plethprint.resample import MAX_RATE_HZ, MIN_RATE_HZ
from plethprint.samples import as_samples

__all__ = ["Recording", "agreed_rate_hz", "as_float32"]

_RATE_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording of one person.

    Raises
    ------
    RecordingError
        If a signal is not one-dimensional or has no finite sample.
    SampleRateError
        If a rate is outside 20..500 Hz.
    """

    ppg: npt.NDArray[np.float32]
    """Pulse signal, shape (T,), in whatever unit the file had; NaN where missing."""
    sample_rate_hz: float
    """Rate of `ppg`, 20..500 Hz."""
    name: str
    """What to call it: the subject the file names, or the name of the file."""
    ecg: npt.NDArray[np.float32] | None = None
    """ECG from the same start, shape (T2,); None when the file has none."""
    ecg_rate_hz: float | None = None
    """Rate of `ecg`, Hz."""
    start: float = 0.0
    """Unix time of the first sample, s; 0 when the file does not tell."""
    gap_samples: int = 0
    """Samples that the file's time stamps show to be missing; they are NaN in `ppg`."""

    def __post_init__(self) -> None:
        _check_signal("PPG", self.ppg, self.sample_rate_hz, self.name)
        if self.ecg is not None:
            if self.ecg_rate_hz is None:
                raise RecordingError(f"{self.name} has ECG but no rate for it")
            _check_signal("ECG", self.ecg, self.ecg_rate_hz, self.name)

    @classmethod
    def from_times(
        cls, ppg: npt.ArrayLike, times_s: npt.ArrayLike, *, name: str = "recording"
    ) -> Recording:
        """Make a recording of samples that each have a time, as a phone's camera gives.

        Parameters
        ----------
        ppg : array_like, shape (T,)
            Any unit; NaN where missing.
        times_s : array_like, shape (T,)
            When each sample was taken, s, rising: Unix time, or from any other start; or
            numpy's ``datetime64`` (UTC).
            What arrived in bursts shows no rate: leave the times out then.
        name : str, optional
            What to call it.

        Returns
        -------
        Recording
            At the even rate that the times show; see `plethprint.io.time_stamps`.

        Raises
        ------
        RecordingError
            If the two differ in length, or the times are missing, repeated, out of order
            or too uneven to show a rate.
        SampleRateError
            If the rate is outside 20..500 Hz.
        WindowShapeError
            If either is not an array of numbers.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> times_s = (np.arange(600) + rng.uniform(-0.4, 0.4, 600)) / 30
        >>> recording = Recording.from_times(np.sin(7.5 * times_s), times_s)
        >>> round(recording.sample_rate_hz), round(recording.duration_s)
        (30, 20)
        """
        moments = np.asanyarray(times_s)
        if moments.dtype.kind == "M":
            moments = (moments - np.datetime64(0, "s")) / np.timedelta64(1, "s")
        values, stamps_s = as_samples(ppg), as_samples(moments)
        if values.ndim != 1 or values.shape != stamps_s.shape:
            raise RecordingError(
                f"{name} needs a time for each sample, but has samples of shape "
                f"{values.shape} and times of shape {stamps_s.shape}"
            )
        even = even_times(stamps_s, name)
        return cls(
            ppg=as_float32(even.of(values)),
            sample_rate_hz=even.rate_hz,
            name=name,
            start=start_of(stamps_s),
            gap_samples=even.gap_samples,
        )

    @property
    def duration_s(self) -> float:
        """Length of the PPG in seconds."""
        return self.ppg.size / self.sample_rate_hz

    @property
    def missing(self) -> float:
        """Share of the PPG that is missing, 0..1."""
        return float(np.isnan(self.ppg).mean())


def agreed_rate_hz(stated_hz: float | None, given_hz: float | None, where: str) -> float:
    """Return the rate from what the file states and what the caller gave.

    Raises
    ------
    RecordingError
        If neither is known, or the two differ by more than 2 %.
    SampleRateError
        If the caller's rate is no rate at all.
    """
    if given_hz is not None and not (math.isfinite(given_hz) and given_hz > 0):
        raise SampleRateError(f"sample_rate_hz must be a positive rate, not {given_hz}")
    if stated_hz is None and given_hz is None:
        raise RecordingError(
            f"{where} does not say its sample rate; give it as sample_rate_hz"
        )
    if stated_hz is None or given_hz is None:
        return float(stated_hz or given_hz or 0.0)
    if abs(stated_hz - given_hz) > _RATE_TOLERANCE * stated_hz:
        if not MIN_RATE_HZ <= stated_hz <= MAX_RATE_HZ:
            raise RecordingError(
                f"{where} has a rate of {stated_hz:g} Hz by its times, which is none of a "
                "PPG; pass over them (time_column none) to go by sample_rate_hz"
            )
        raise RecordingError(
            f"{where} has a rate of {stated_hz:g} Hz, but {given_hz:g} Hz was given; "
            "leave sample_rate_hz out to take the file's own"
        )
    return stated_hz


def as_float32(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return samples as float32, NaN where one is missing or a fill value."""
    return as_samples(values).astype(np.float32)


def _check_signal(
    what: str, samples: npt.NDArray[np.float32], rate_hz: float, name: str
) -> None:
    if samples.ndim != 1 or not np.isfinite(samples).any():
        raise RecordingError(f"the {what} of {name} holds no samples")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise SampleRateError(
            f"the {what} of {name} has {rate_hz:g} Hz, but only {MIN_RATE_HZ:g} to "
            f"{MAX_RATE_HZ:g} Hz can be used"
        )

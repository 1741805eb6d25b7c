"""Fingerprints of samples that arrive in pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy.typing as npt

from plethprint.fingerprint import Fingerprint
from plethprint.polarity import PolarityTracker
from plethprint.samples import as_samples, checked_start
from plethprint.signal import Preprocessor, Window

__all__ = ["FingerprintStream"]

Encode = Callable[[Sequence[Window], PolarityTracker], list[Fingerprint]]


class FingerprintStream:
    """Fingerprints of samples that arrive in pieces; made by `Fingerprinter.stream`."""

    def __init__(
        self,
        encode: Encode,
        preprocessor: Preprocessor,
        tracker: PolarityTracker,
        start: float,
    ) -> None:
        self._encode = encode
        self._preprocessor = preprocessor
        self._tracker = tracker
        self._start = start

    @property
    def turned_over(self) -> bool:
        """Whether ``polarity="auto"`` has windows turned over now."""
        return self._tracker.turn < 0

    def push(self, samples: npt.ArrayLike) -> list[Fingerprint]:
        """Take samples, shape (T,), NaN where missing; give the fingerprints now ready.

        Raises
        ------
        WindowShapeError
            If the samples are not one-dimensional, or not numbers.
        SignalError
            After `flush`, until `reset`: what was ahead has been filled in by then.
        EncoderError
            If the runtime fails.
        """
        return self._timed(self._preprocessor.push(as_samples(samples)))

    def flush(self) -> list[Fingerprint]:
        """End the signal: give what is still held back. Only `reset` goes on from here."""
        return self._timed(self._preprocessor.flush())

    def reset(self, start: float = 0.0) -> None:
        """Begin anew after a gap, so that no window spans it.

        What was learned of the polarity stays: it belongs to the sensor.

        Parameters
        ----------
        start : float
            Time of the next sample pushed; `SignalError` if it is no number of seconds.
        """
        checked = checked_start(start)
        self._preprocessor.reset()
        self._start = checked

    def _timed(self, windows: Sequence[Window]) -> list[Fingerprint]:
        return [
            replace(fp, start=self._start + fp.start)
            for fp in self._encode(windows, self._tracker)
        ]

"""Signal in, fingerprints out: whole recordings, unrelated rows or a stream.

All three ways run the same boxes: preprocessing, quality, encoder. A stream cut into
chunks of any size gives bit for bit the fingerprints of the whole recording.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.encoder import Encoder, load_encoder
from plethprint.fingerprint import Fingerprint, unit_scale
from plethprint.fingerprint_rows import row_windows, rows_upright
from plethprint.fingerprint_stream import FingerprintStream
from plethprint.package import ModelPackage
from plethprint.polarity import (
    Polarity,
    PolarityTracker,
    checked_polarity,
    inverted_probability,
    upright_evidence,
)
from plethprint.quality import assess, heart_rate_bpm
from plethprint.samples import as_samples, checked_start
from plethprint.signal import PPG, Preprocessor, Window
from plethprint.signal_quality import judge

__all__ = ["MAX_MISSING", "Fingerprinter"]

_LOGGER = logging.getLogger(__name__)

MAX_MISSING = 0.2
"""Share of missing samples up to which a row of `embed_windows` is trusted."""

_CHUNK_S = 600.0
"""A long recording is fed to the stream in pieces: a day at once would need gigabytes."""


class Fingerprinter:
    """Turns PPG into fingerprints with one model.

    Parameters
    ----------
    package : ModelPackage or path-like, optional
        The model; by default the one that ships with plethprint.
    runtime : str
        ``auto``, ``onnx``, ``litert`` or ``tflm``; see `plethprint.encoder`.

    Raises
    ------
    PackageError
        If the package is missing, changed, not trusted or does not fit.
    EncoderError, MissingExtraError
        If the runtime is not there or refuses the model.

    Examples
    --------
    >>> import numpy as np, plethprint
    >>> t = np.arange(0, 30, 1 / 64)
    >>> pulse = np.exp(np.sin(2 * np.pi * 1.2 * t))
    >>> prints = plethprint.Fingerprinter().embed(pulse, sample_rate_hz=64)
    >>> [fp.start for fp in prints]
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """

    def __init__(
        self, package: ModelPackage | str | Path | None = None, runtime: str = "auto"
    ) -> None:
        if not isinstance(package, ModelPackage):
            package = ModelPackage.load(package)
        self.package = package
        self.encoder: Encoder = load_encoder(package, runtime)
        self.model = package.model_id
        """Identity that every fingerprint carries, ``name@version+hash8``."""
        self.untrusted_rows = 0
        """Rows of `embed_windows` that had too many missing samples, so far."""

    @property
    def dim(self) -> int:
        """Length of a fingerprint, D."""
        return self.encoder.dim

    @property
    def runtime(self) -> str:
        """Runtime in use, such as ``onnx``."""
        return self.encoder.runtime

    def encode(self, window: Window) -> Fingerprint:
        """Give the fingerprint of one window; `start` is the window's own.

        Raises
        ------
        WindowShapeError
            If the window's samples are not int8 of shape (T,).
        EncoderError
            If the runtime fails.

        Examples
        --------
        >>> from plethprint.signal import windows_of
        >>> (window,) = windows_of(np.sin(np.arange(640) / 9.0), 64.0)
        >>> Fingerprinter().encode(window).dim
        64
        """
        return self._encode([window])[0]

    def embed(
        self,
        ppg: npt.ArrayLike,
        sample_rate_hz: float,
        *,
        hop_s: float = 5.0,
        start: float = 0.0,
        polarity: Polarity = 1,
    ) -> list[Fingerprint]:
        """Give the fingerprints of a whole recording.

        Parameters
        ----------
        ppg : array_like, shape (T,)
            Any unit, gain and offset; NaN (or masked) where a sample is missing.
        sample_rate_hz : float
            20..500 Hz.
        hop_s : float
            Seconds from one window to the next.
        start : float
            Time of the first sample: Unix time, or 0 for seconds from the start.
        polarity : {1, -1, "auto"}
            -1 for a sensor whose counts fall when the vessel fills; "auto" to have it
            found out. Then windows go as upright until the evidence of this and earlier
            windows is strong, and stay turned over until it is as strong for the
            opposite (`plethprint.polarity.PolarityTracker`): a clean first window
            decides at once, a window is never changed afterwards, and a stream in chunks
            gives what the whole recording gives.

        Returns
        -------
        list of Fingerprint
            In order of time; empty when the recording is shorter than a window. Windows
            with missing samples say so in `missing`, and their quality falls with it;
            `inverted` tells the suspicion that the pulse stands upside down, which is
            logged once when it grows strong.

        Raises
        ------
        SampleRateError, WindowShapeError, SignalError
            If the rate, the shape, the hop or the start cannot be used.
        EncoderError
            If the runtime fails.
        """
        stream = self.stream(sample_rate_hz, hop_s=hop_s, polarity=polarity, start=start)
        samples = as_samples(ppg)
        if samples.ndim != 1:
            return stream.push(samples)  # which says what is wrong with them
        prints = []
        size = int(_CHUNK_S * float(sample_rate_hz))
        for first in range(0, samples.size, size):
            prints += stream.push(samples[first : first + size])
        return prints + stream.flush()

    def embed_windows(
        self, rows: npt.ArrayLike, sample_rate_hz: float, *, polarity: Polarity = 1
    ) -> npt.NDArray[np.float32]:
        """Give the vectors of unrelated 10-second rows.

        Each row is treated alone: the filter starts from the row's own steady state, so
        neither its neighbours nor its gain and offset matter.

        Parameters
        ----------
        rows : array_like, shape (N, T)
            10 s each; NaN (or masked) where a sample is missing. Of longer rows the
            first 10 s are taken, which is logged: the rate given may be wrong.
        sample_rate_hz : float
            20..500 Hz.
        polarity : {1, -1, "auto"}
            -1 for a sensor whose counts fall when the vessel fills; "auto" decides for
            each row alone, whichever is more likely. Of rows that stand upside down for
            the most part a warning is logged.

        Returns
        -------
        ndarray of float32, shape (N, D)
            Unit length. A row that is flat, or that misses more than `MAX_MISSING` of its
            samples, gives the zero vector, which is like nothing; such rows with missing
            samples are counted in `untrusted_rows` and logged.

        Raises
        ------
        SampleRateError, WindowShapeError, SignalError
            If the rate, the shape or the polarity cannot be used.
        EncoderError
            If the runtime fails.
        """
        wanted = checked_polarity(polarity)
        windows, missing = row_windows(as_samples(rows), sample_rate_hz)
        windows = rows_upright(windows, missing, wanted)
        vectors = self.encoder.run(windows).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        units: npt.NDArray[np.float32] = np.zeros_like(vectors)
        np.divide(vectors, lengths, out=units, where=lengths > 0)
        units[~windows.any(axis=1)] = 0.0
        untrusted = missing > MAX_MISSING
        units[untrusted] = 0.0
        if count := int(untrusted.sum()):
            self.untrusted_rows += count
            _LOGGER.warning(
                "%d of %d rows miss more than %.0f %% of their samples: zero vectors",
                count,
                len(units),
                100 * MAX_MISSING,
            )
        return units

    def stream(
        self,
        sample_rate_hz: float,
        *,
        hop_s: float = 5.0,
        polarity: Polarity = 1,
        start: float = 0.0,
    ) -> FingerprintStream:
        """Open a stream: push samples as they come, take fingerprints as they are ready.

        The arguments are those of `embed`.

        Raises
        ------
        SampleRateError, SignalError
            If the rate, the hop, the polarity or the start cannot be used.

        Examples
        --------
        >>> stream = Fingerprinter().stream(sample_rate_hz=50)
        >>> chunks = np.split(np.sin(np.arange(1000) / 7.0), 10)
        >>> [fp.start for chunk in chunks for fp in stream.push(chunk)]
        [0.0, 5.0]
        >>> [fp.start for fp in stream.flush()]
        [10.0]
        """
        wanted = checked_polarity(polarity)
        # Whether samples or int8 windows are turned over is the same to the bit.
        preprocessor = Preprocessor(
            sample_rate_hz,
            spec=PPG,
            hop_s=hop_s,
            polarity=1 if wanted == "auto" else wanted,
        )
        tracker = PolarityTracker(wanted, hop_s=hop_s)
        return FingerprintStream(self._encode, preprocessor, tracker, checked_start(start))

    def _encode(
        self, windows: Sequence[Window], tracker: PolarityTracker | None = None
    ) -> list[Fingerprint]:
        if not windows:
            return []
        samples = np.stack([window.samples for window in windows])
        missing = np.array([window.missing for window in windows])
        evidence = upright_evidence(samples, assess(samples, missing)).tolist()
        qualities, reasons = judge(samples, missing)
        if tracker is None:
            inverted = [inverted_probability(value) for value in evidence]
        else:
            verdicts = [
                tracker.take(value, window.start_s)
                for value, window in zip(evidence, windows, strict=True)
            ]
            inverted = [probability for _, probability in verdicts]
            samples = samples * np.array([turn for turn, _ in verdicts], np.int8)[:, None]
        vectors = self.encoder.run(samples)
        # What the model makes of nothing means nothing: a flat window gets the zero vector.
        vectors = vectors * samples.any(axis=1, keepdims=True).astype(np.int8)
        rates = heart_rate_bpm(samples)
        return [
            Fingerprint(
                vector=vector,
                scale=unit_scale(vector),
                start=window.start_s,
                duration_s=PPG.window_s,
                quality=float(trust),
                model=self.model,
                missing=window.missing,
                heart_rate_bpm=None if math.isnan(rate) else float(rate),
                inverted=suspicion,
                quality_reason=reason,
            )
            for window, vector, trust, reason, rate, suspicion in zip(
                windows, vectors, qualities, reasons, rates, inverted, strict=True
            )
        ]

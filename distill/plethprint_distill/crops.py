"""Crops in time: one moment of a wearer, begun a little earlier or later.

Training windows are kept with some context before and behind. Each view is a crop of its
own, so that a fingerprint cannot be about where in the window the beats happen to fall:
trained without, a tenth of a second moved it almost as far as another person.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from plethprint.signal import SignalSpec

__all__ = ["CONTEXT_S", "crop", "room_samples", "with_context"]

Float32Array = npt.NDArray[np.float32]

CONTEXT_S = 0.5
"""Seconds kept before and behind a training window."""


def with_context(spec: SignalSpec, context_s: float) -> SignalSpec:
    """The same preprocessing with longer windows."""
    return replace(spec, window_s=spec.window_s + 2.0 * context_s)


def room_samples(rows: npt.NDArray[np.int8], spec: SignalSpec) -> int:
    """How many samples windows (N, L) are longer than the spec's."""
    return int(rows.shape[1]) - spec.window_samples


def crop(
    rows: npt.NDArray[np.int8], spec: SignalSpec, first: npt.NDArray[np.integer]
) -> Float32Array:
    """Cut windows (N, T) out of longer ones (N, L), each from its own sample `first` on.

    Parameters
    ----------
    rows
        Int8 windows as preprocessing gives them, at least `spec.window_samples` long.
    first
        (N,), 0 to `room_samples(rows, spec)`.

    Returns
    -------
    ndarray of float32, shape (N, spec.window_samples)
        In standard deviations: mean 0, sd 1 and clipped, as a window of its own would be.

    Examples
    --------
    >>> from plethprint.signal import PPG
    >>> rows = np.zeros((2, 704), np.int8)
    >>> crop(rows, PPG, np.array([0, 64])).shape
    (2, 640)
    """
    steps = np.arange(spec.window_samples)
    cut = rows[np.arange(len(rows))[:, None], np.asarray(first)[:, None] + steps]
    values: Float32Array = cut.astype(np.float32) * np.float32(spec.input_scale)
    if rows.shape[1] == spec.window_samples:
        return values
    values -= values.mean(axis=1, keepdims=True)
    values /= np.maximum(values.std(axis=1, keepdims=True), np.float32(1e-6))
    return np.clip(values, -spec.clip_sd, spec.clip_sd).astype(np.float32)

"""Adding short waves, one for each beat, into long signals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]


_WAVES_AT_ONCE = 256
"""So many waves stay in the processor's cache."""


def deposit(
    signal: Float32Array,
    wave: Callable[[Float32Array, IndexArray], Float32Array],
    *,
    row: IndexArray,
    start_s: npt.NDArray[np.float64],
    reach_s: npt.NDArray[np.float64],
    sample_rate_hz: float,
) -> None:
    """Add `wave` to `signal` from each `start_s` on, for `reach_s`, in place.

    Parameters
    ----------
    signal
        float32 (N, T), changed in place.
    wave
        Takes seconds since each start, float32 (C, L), and which of the B waves are
        meant, int64 (C,); gives those waves, float32 (C, L).
    row
        int64 (B,): the row of `signal` that each wave belongs to.
    start_s
        float64 (B,): seconds from the row's first sample; may lie outside it.
    reach_s
        float64 (B,): length of each wave; it must have died away by then.
    sample_rate_hz
        Samples a second of `signal`.
    """
    n_samples = signal.shape[1]
    pad = int(np.ceil(float(reach_s.max()) * sample_rate_hz)) + 1
    first = np.ceil(start_s * sample_rate_hz).astype(np.int64)
    offset_s = (first / sample_rate_hz - start_s).astype(np.float32)
    # Waves outside the signal fall wholly into the padding at both ends of a row.
    padded = n_samples + 2 * pad
    flat = np.zeros(len(signal) * padded, dtype=np.float32)
    into = row * padded + pad + first.clip(-pad, n_samples)
    # Waves of like reach go together, so that none is computed far past its end.
    order = np.argsort(reach_s, kind="stable")
    for begin in range(0, len(order), _WAVES_AT_ONCE):
        which = order[begin : begin + _WAVES_AT_ONCE]
        length = int(np.ceil(float(reach_s[which[-1]]) * sample_rate_hz)) + 1
        index = np.arange(length)
        grid_s = (index / sample_rate_hz).astype(np.float32)
        values = wave(offset_s[which, None] + grid_s, which)
        np.add.at(flat, (into[which, None] + index).ravel(), values.ravel())
    signal += flat.reshape(len(signal), padded)[:, pad:-pad]

"""Unrelated rows of samples: each becomes a window of its own, the right way up."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from plethprint.polarity import STRONG, Polarity, upright_evidence
from plethprint.quality import assess
from plethprint.signal import PPG, window_rows

__all__ = ["row_windows", "rows_upright"]

_LOGGER = logging.getLogger(__name__)

_CHUNK_ROWS = 1024
_SUSPECTED_ROWS = 256  # enough to see that rows come upside down, at little cost
_MAX_ROW_S = 1.05 * PPG.window_s


def row_windows(
    rows: npt.NDArray[np.float64], sample_rate_hz: float
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Unrelated rows (N, T) as int8 windows, and what share of each is missing, (N,).

    Raises
    ------
    SampleRateError, WindowShapeError
        If the rate or the shape cannot be used.
    """
    if rows.ndim != 2 or not len(rows):  # nothing to cut: refused, or no rows at all
        return window_rows(rows, sample_rate_hz, spec=PPG)
    parts = [
        window_rows(rows[first : first + _CHUNK_ROWS], sample_rate_hz, spec=PPG)
        for first in range(0, len(rows), _CHUNK_ROWS)
    ]
    length_s = rows.shape[1] / float(sample_rate_hz)
    if length_s > _MAX_ROW_S:
        _LOGGER.warning(
            "rows last %.1f s at %g Hz, of which the first %g s are taken",
            length_s,
            float(sample_rate_hz),
            PPG.window_s,
        )
    windows, missing = zip(*parts, strict=True)
    return np.concatenate(windows), np.concatenate(missing)


def rows_upright(
    windows: npt.NDArray[np.int8], missing: npt.NDArray[np.float32], polarity: Polarity
) -> npt.NDArray[np.int8]:
    """Rows (N, T) after the polarity asked for; says when most seem upside down."""
    if polarity == "auto":
        evidence = upright_evidence(windows, assess(windows, missing))
        turns = np.where(evidence < 0.0, -1, 1).astype(np.int8)
        return np.multiply(windows, turns[:, None], dtype=np.int8)
    given = np.multiply(windows, polarity, dtype=np.int8)
    some = slice(0, _SUSPECTED_ROWS)
    evidence = upright_evidence(given[some], assess(given[some], missing[some]))
    suspicious = int((evidence <= -STRONG).sum())
    if suspicious > len(evidence) / 2:
        _LOGGER.warning(
            "%d of the first %d rows look upside down: give the other polarity, or 'auto'",
            suspicious,
            len(evidence),
        )
    return given

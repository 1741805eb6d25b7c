"""The host's signal quality: a calibrated 0..1, and a word for what is wrong.

The quality of a window is the probability that it is a clean pulse rather than one damaged
in one of five ways, if half of all windows are damaged: a multinomial logistic regression
(`plethprint.quality_weights`) on eleven measures of the int8 window
(`plethprint.quality_measures`) and their products in pairs. The most probable damage is the
`Reason` of a window below `LOW_QUALITY`.

`plethprint.quality.assess` stays what a microcontroller computes (whole numbers, no
template and no spectrum); the first six measures here are its own. The fit never saw a
converter that stands at its end and flickers: rare clicks are so far from all it learned
that it calls four in ten of them clean. Where the on-device index is next to nothing it is
therefore believed: of 2,760 windows of five open recordings that changed one.

What a window cannot show, other evidence may: `lowered` (`plethprint.quality_evidence`)
takes missing samples, acceleration, perfusion and contact into account where they are
known; live sessions do so by themselves (`plethprint.live_fingerprints`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.errors import WindowShapeError
from plethprint.fingerprint import LOW_QUALITY
from plethprint.quality import assess
from plethprint.quality_evidence import lowered, perfusion_index
from plethprint.quality_measures import MEASURES, measures
from plethprint.quality_reason import REASONS, Reason
from plethprint.quality_weights import (
    WEIGHTS_FILE,
    QualityWeights,
    quality_of_measures,
    read_weights,
    regressors,
)
from plethprint.signal import PPG

__all__ = [
    "MEASURES",
    "REASONS",
    "WEIGHTS_FILE",
    "QualityWeights",
    "Reason",
    "judge",
    "lowered",
    "measures",
    "perfusion_index",
    "quality_of_measures",
    "read_weights",
    "regressors",
]

_NO_PULSE = 0.02
"""Of `plethprint.quality.assess`: below it nothing is a pulse."""


def judge(
    windows: npt.NDArray[np.int8], missing: npt.ArrayLike = 0.0
) -> tuple[npt.NDArray[np.float32], list[Reason]]:
    """Rate windows from 0 to 1 and say what is wrong with those that are low.

    Parameters
    ----------
    windows : ndarray of int8, shape (N, T)
        As `plethprint.signal` makes them; either way up.
    missing : array_like of float, shape (N,) or scalar, optional
        Share of each window that was missing and filled in, 0..1.

    Returns
    -------
    qualities : ndarray of float32, shape (N,)
        0 for a flat window.
    reasons : list of str
        One of `REASONS` for each; empty where the quality is `LOW_QUALITY` or more.

    Raises
    ------
    WindowShapeError
        If the windows have another shape or type, or `missing` is no share of each.

    Examples
    --------
    >>> from plethprint.signal import windows_of
    >>> t = np.arange(0, 20, 1 / 64)
    >>> pulse = np.exp(np.sin(2 * np.pi * 1.2 * t))
    >>> noisy = pulse + np.random.default_rng(0).normal(0, 2, t.size)
    >>> rows = np.stack([windows_of(x, 64.0)[-1].samples for x in (pulse, noisy)])
    >>> qualities, reasons = judge(rows)
    >>> bool(qualities[0] > 0.8 > 0.2 > qualities[1]), reasons
    (True, ['', 'noise'])
    """
    rows = checked_windows(windows, PPG.window_samples)
    shares = np.asarray(missing, dtype=np.float64)
    if shares.shape not in ((), (len(rows),)):
        raise WindowShapeError(f"missing must be one share for each of {len(rows)} windows")
    shares = np.broadcast_to(shares, (len(rows),))
    if not ((shares >= 0.0).all() and (shares <= 1.0).all()):
        raise WindowShapeError("missing must be a share, 0 to 1")
    qualities, reasons = quality_of_measures(measures(rows))
    clean = np.flatnonzero(qualities >= LOW_QUALITY)
    for at, on_device in zip(clean.tolist(), assess(rows[clean]).tolist(), strict=True):
        if on_device < _NO_PULSE:
            qualities[at], reasons[at] = on_device, "noise"
    for place, row in enumerate(rows):
        quality, reason = float(qualities[place]), reasons[place]
        if not row.any():
            quality, reason = 0.0, "flat"
        told, reasons[place] = lowered(quality, reason, missing=float(shares[place]))
        qualities[place] = told
    return qualities.astype(np.float32), reasons

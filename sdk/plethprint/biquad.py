"""Butterworth band-pass as biquads: their design, and running them sample by sample.

Small enough to stand here instead of a signal-processing library of a hundred megabytes,
and plain enough to be the reference for the same filter on a microcontroller: direct
form II transposed, double precision, one sample after the other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["butterworth_band_pass", "run_biquads"]

FloatArray = npt.NDArray[np.float64]


def butterworth_band_pass(
    order: int, band_hz: tuple[float, float], sample_rate_hz: float
) -> FloatArray:
    """Biquads of a Butterworth band-pass.

    Analogue low-pass poles on the unit circle, low-pass to band-pass, bilinear transform
    with the band edges pre-warped (Oppenheim, Schafer: Discrete-Time Signal Processing,
    chapter 7). Every biquad has one zero at 0 Hz and one at the Nyquist frequency.

    Parameters
    ----------
    order
        Of the low-pass prototype: the band-pass has this many biquads. Even, at least 2.
    band_hz
        Edges where the gain is -3 dB, Hz; between 0 and half the sample rate.
    sample_rate_hz
        Rate of the signal, Hz.

    Returns
    -------
    ndarray, shape (order, 6)
        b0 b1 b2 1 a1 a2 of each biquad, the whole gain in the first one.

    Raises
    ------
    ValueError
        If the order is odd or the band does not fit below half the sample rate.

    Examples
    --------
    >>> butterworth_band_pass(2, (0.5, 8.0), 64.0).shape
    (2, 6)
    """
    low_hz, high_hz = band_hz
    if order < 2 or order % 2:
        raise ValueError(f"the order is even and at least 2, not {order}")
    if not 0.0 < low_hz < high_hz < sample_rate_hz / 2:
        raise ValueError(
            f"a band of {low_hz:g} to {high_hz:g} Hz does not fit below half of "
            f"{sample_rate_hz:g} Hz"
        )
    low, high = (2.0 * np.tan(np.pi * f / sample_rate_hz) for f in band_hz)
    width, centre = high - low, np.sqrt(low * high)
    angle = np.pi * (2 * np.arange(order) + 1 + order) / (2 * order)
    half = np.exp(1j * angle) * width / 2
    root = np.sqrt(half**2 - centre**2)
    analogue = np.concatenate([half + root, half - root])
    poles = (2.0 + analogue) / (2.0 - analogue)
    gain = float(np.real(width**order * 2.0**order / np.prod(2.0 - analogue)))
    upper = poles[poles.imag > 0]
    # The sharpest resonance comes last: what runs before it stays small.
    upper = upper[np.argsort(np.abs(upper))]
    sections = np.array(
        [[1.0, 0.0, -1.0, 1.0, -2.0 * p.real, abs(p) ** 2] for p in upper], dtype=np.float64
    )
    sections[0, :3] *= gain
    return sections


def run_biquads(
    sections: FloatArray, samples: FloatArray, state: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Filter signals, going on from a state.

    Parameters
    ----------
    sections
        (S, 6), from `butterworth_band_pass`.
    samples
        (T,) or (N, T): one signal, or N signals of their own.
    state
        (S, 2) or (S, N, 2); zeros before the first sample.

    Returns
    -------
    filtered, state
        In the shapes given. The result does not depend on where a signal is cut, nor on
        the other signals.
    """
    run = _run_one if samples.ndim == 1 else _run_many
    filtered, after = samples, np.empty_like(state)
    for number, (b0, b1, b2, _, a1, a2) in enumerate(sections.tolist()):
        filtered, after[number] = run(filtered, state[number], (b0, b1, b2, a1, a2))
    return filtered, after


_Coefficients = tuple[float, float, float, float, float]


def _run_one(
    samples: FloatArray, state: FloatArray, coefficients: _Coefficients
) -> tuple[FloatArray, FloatArray]:
    # Plain floats: for a single signal that is faster than arrays of one element.
    b0, b1, b2, a1, a2 = coefficients
    first, second = state.tolist()
    out = []
    for x in samples.tolist():
        y = b0 * x + first
        first = b1 * x - a1 * y + second
        second = b2 * x - a2 * y
        out.append(y)
    return np.array(out, dtype=np.float64), np.array([first, second])


def _run_many(
    samples: FloatArray, state: FloatArray, coefficients: _Coefficients
) -> tuple[FloatArray, FloatArray]:
    b0, b1, b2, a1, a2 = coefficients
    first, second = state[:, 0].copy(), state[:, 1].copy()
    columns = np.ascontiguousarray(samples.T)
    out = np.empty_like(columns)
    for x, y in zip(columns, out, strict=True):
        np.add(b0 * x, first, out=y)
        first = b1 * x - a1 * y + second
        second = b2 * x - a2 * y
    return np.ascontiguousarray(out.T), np.stack([first, second], axis=1)

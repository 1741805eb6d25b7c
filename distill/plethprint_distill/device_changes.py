"""What another device does to the same pulse: changes of raw stretches, one at a time.

Every change takes stretches (N, T) at their native rate and gives stretches, perhaps at
another rate. "Pulse sd" is the standard deviation of what is left of a stretch after its
moving mean over one second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

__all__ = ["CURVES", "INVARIANCES", "DeviceChange", "pulse_sd"]

FloatArray = npt.NDArray[np.float64]
Change = Callable[[FloatArray, float], tuple[FloatArray, float]]

_COLOUR_S = 0.04
_SEED = 7


@dataclass(frozen=True)
class DeviceChange:
    """One change at one strength."""

    family: str
    level: float
    unit: str
    apply: Change
    """(rows, rate_hz) -> (rows, rate_hz)."""
    goal: bool = False
    """Whether the project set itself to move less than 0.1 under it."""

    @property
    def name(self) -> str:
        """Such as ``rate 25 Hz``."""
        return f"{self.family} {self.level:g} {self.unit}".rstrip()


def pulse_sd(rows: FloatArray, rate_hz: float) -> FloatArray:
    """Spread (N, 1) of each stretch without what is slower than a second."""
    width = max(2, round(rate_hz))
    filled = np.where(np.isfinite(rows), rows, np.nanmean(rows, axis=1, keepdims=True))
    sums = np.cumsum(np.pad(filled, ((0, 0), (1, 0))), axis=1)
    slow = (sums[:, width:] - sums[:, :-width]) / width
    fast = filled[:, width // 2 : width // 2 + slow.shape[1]] - slow
    spread: FloatArray = fast.std(axis=1, keepdims=True)
    return spread


def _gain(factor: float) -> Change:
    return lambda rows, rate_hz: (rows * factor, rate_hz)


def _offset(sds: float) -> Change:
    return lambda rows, rate_hz: (rows + sds * pulse_sd(rows, rate_hz), rate_hz)


def _rate(to_hz: float) -> Change:
    """Sampled at another rate, behind a proper anti-alias filter (polyphase, Kaiser)."""

    def apply(rows: FloatArray, rate_hz: float) -> tuple[FloatArray, float]:
        from scipy.signal import resample_poly

        ratio = Fraction(to_hz / rate_hz).limit_denominator(2000)
        filled = _filled(rows)
        level = filled[:, :1]
        moved = resample_poly(
            filled - level,
            ratio.numerator,
            ratio.denominator,
            axis=1,
            window=("kaiser", 8.0),
            padtype="edge",
        )
        return moved + level, to_hz

    return apply


def _bits(bits: float) -> Change:
    """A converter whose full scale is four times the stretch's range."""

    def apply(rows: FloatArray, rate_hz: float) -> tuple[FloatArray, float]:
        low = np.nanmin(rows, axis=1, keepdims=True)
        step = 4.0 * (np.nanmax(rows, axis=1, keepdims=True) - low) / 2.0**bits
        step = np.maximum(step, 1e-12)
        return np.rint((rows - low) / step) * step + low, rate_hz

    return apply


def _loss(share: float, *, longest: int = 10, burst: bool = False) -> Change:
    """Lost samples: gaps of 1 to `longest`, or one run in every ten seconds."""

    def apply(rows: FloatArray, rate_hz: float) -> tuple[FloatArray, float]:
        rng = np.random.default_rng(_SEED)
        lossy = rows.copy()
        for row in lossy:
            if burst:
                run = round(share * 10.0 * rate_hz)
                for first in range(0, row.size, round(10.0 * rate_hz)):
                    at = first + int(rng.integers(0, round(10.0 * rate_hz) - run))
                    row[at : at + run] = np.nan
                continue
            while np.isnan(row).mean() < share:
                at = int(rng.integers(0, row.size))
                row[at : at + int(rng.integers(1, longest + 1))] = np.nan
        return lossy, rate_hz

    return apply


def _saturation(share: float) -> Change:
    """Clipped above and below, `share` of the values in all."""

    def apply(rows: FloatArray, rate_hz: float) -> tuple[FloatArray, float]:
        low, high = np.nanquantile(rows, [share / 2, 1 - share / 2], axis=1)
        return np.clip(rows, low[:, None], high[:, None]), rate_hz

    return apply


def _colour(strength: float) -> Change:
    """Another wavelength as a change of shape.

    Above 0 the pulse is smoothed by a one-pole low-pass of 40 ms times the strength, as
    deeper tissue smooths it; below 0 its slope is mixed in over as long, which sharpens it
    as a shallow green does.
    """

    def apply(rows: FloatArray, rate_hz: float) -> tuple[FloatArray, float]:
        from scipy.signal import lfilter, lfiltic

        filled = _filled(rows)
        if strength < 0:
            slope = np.gradient(filled, 1.0 / rate_hz, axis=1)
            sharper: FloatArray = filled - strength * _COLOUR_S * slope
            return sharper, rate_hz
        keep = float(np.exp(-1.0 / (strength * _COLOUR_S * rate_hz))) if strength else 0.0
        taps, poles = [1.0 - keep], [1.0, -keep]
        # As if it had always been at its first sample.
        start: FloatArray = lfiltic(taps, poles, y=[1.0])[None, :] * filled[:, :1]
        smooth: FloatArray = lfilter(taps, poles, filled, axis=1, zi=start)[0]
        return smooth, rate_hz

    return apply


def _noise(sds: float) -> Change:
    """White over the native band, so many pulse sd in all."""

    def apply(rows: FloatArray, rate_hz: float) -> tuple[FloatArray, float]:
        noise = np.random.default_rng(_SEED).normal(size=rows.shape)
        return rows + sds * pulse_sd(rows, rate_hz) * noise, rate_hz

    return apply


def _hum(sds: float, *, hum_hz: float = 50.0) -> Change:
    """Light of the mains, taken at the sample instants: below 100 Hz it folds down."""

    def apply(rows: FloatArray, rate_hz: float) -> tuple[FloatArray, float]:
        wave = np.sin(2 * np.pi * hum_hz * np.arange(rows.shape[1]) / rate_hz)
        hum: FloatArray = np.sqrt(2.0) * sds * pulse_sd(rows, rate_hz) * wave
        return rows + hum, rate_hz

    return apply


def _later(seconds: float) -> Change:
    return lambda rows, rate_hz: (rows[:, round(seconds * rate_hz) :], rate_hz)


def _filled(rows: FloatArray) -> FloatArray:
    """Missing samples on a straight line: a filter cannot run over them."""
    if not np.isnan(rows).any():
        return rows
    filled: FloatArray = rows.copy()
    index = np.arange(rows.shape[1])
    for row in filled:
        known = np.isfinite(row)
        row[~known] = np.interp(index[~known], index[known], row[known])
    return filled


def _family(
    family: str,
    unit: str,
    make: Callable[[float], Change],
    levels: tuple[float, ...],
    *,
    goal: bool = False,
) -> tuple[DeviceChange, ...]:
    return tuple(DeviceChange(family, x, unit, make(x), goal) for x in levels)


INVARIANCES = (
    *_family("gain", "x", _gain, (0.1, 0.5, 2.0, 10.0), goal=True),
    *_family("offset", "pulse sd", _offset, (-1000.0, 100.0, 1000.0), goal=True),
    *_family("rate", "Hz", _rate, (25, 30, 50, 64, 100, 125, 250), goal=True),
    *_family("loss in gaps", "share", _loss, (0.05,), goal=True),
    *_family(
        "loss in a burst", "share", lambda x: _loss(x, burst=True), (0.05,), goal=True
    ),
    *_family("bits", "bit", _bits, (8, 10, 12, 16)),
    *_family("saturation", "share", _saturation, (0.05, 0.1, 0.2)),
    *_family("polarity", "", _gain, (-1.0,)),
    *_family("colour", "x 40 ms", _colour, (-1.0, -0.5, 0.5, 1.0)),
    *_family("white noise", "pulse sd", _noise, (0.05, 0.1, 0.2)),
    *_family("hum 50 Hz", "pulse sd", _hum, (0.1, 0.5)),
    *_family("later", "s", _later, (0.1, 0.25, 0.5, 1.0)),
)
"""What a fingerprint should not, or not much, be moved by."""

CURVES = {
    "rate": _family("rate", "Hz", _rate, (125, 100, 64, 50, 30, 25, 20)),
    "polarity": _family("polarity", "", _gain, (1.0, -1.0)),
    "gain": _family("gain", "x", _gain, (1.0, 0.1, 0.01, 10.0, 100.0)),
    "bits": _family("bits", "bit", _bits, (16, 12, 10, 8, 7, 6, 5, 4, 3)),
    "saturation": _family("saturation", "share", _saturation, (0, 0.1, 0.2, 0.4, 0.6, 0.8)),
    "smoother": _family("colour", "x 40 ms", _colour, (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)),
    "sharper": _family("colour", "x 40 ms", _colour, (0.0, -0.5, -1.0, -2.0, -4.0, -8.0)),
    "white noise": _family("white noise", "pulse sd", _noise, (0, 0.1, 0.2, 0.5, 1.0, 2.0)),
    "loss": _family("loss in gaps", "share", _loss, (0, 0.05, 0.1, 0.2, 0.4)),
}
"""Degradation curves: each from no change on, in the order of growing damage."""

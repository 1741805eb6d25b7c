"""Damage of known kind and strength to a raw pulse signal: the truth of a quality test.

========  ===========================================  ======================
kind      what happens                                 strengths
========  ===========================================  ======================
noise     white noise over the whole window            0.5, 1, 2 sd
motion    bursts of 0.5 to 4 Hz for 1 to 3 s, three    1, 2, 4 sd
contact   the signal falls to a still level            2, 4, 6 s
clipping  both ends cut                                10, 20, 30 % of values
walk      a random walk of the baseline                2, 5, 10 sd
========  ===========================================  ======================

sd is that of the pulse itself: the window with its slow drift taken off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.errors import SignalError

__all__ = ["DAMAGE", "damaged"]

FloatArray = npt.NDArray[np.float64]

DAMAGE: dict[str, tuple[float, float, float]] = {
    "noise": (0.5, 1.0, 2.0),
    "motion": (1.0, 2.0, 4.0),
    "contact": (2.0, 4.0, 6.0),
    "clipping": (0.1, 0.2, 0.3),
    "walk": (2.0, 5.0, 10.0),
}
"""Kinds and their three strengths."""


def damaged(
    samples: npt.ArrayLike,
    sample_rate_hz: float,
    kind: str,
    strength: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Damage one stretch of raw signal (T,); finite samples are expected.

    Raises
    ------
    SignalError
        If there is no such kind.

    Examples
    --------
    >>> pulse = np.sin(np.arange(0, 60, 0.06))
    >>> rng = np.random.default_rng(0)
    >>> bool(damaged(pulse, 100.0, "clipping", 0.3, rng).max() < 0.9)
    True
    """
    signal = np.array(samples, dtype=np.float64)
    n = signal.size
    span = max(3, round(sample_rate_hz))
    drift = np.convolve(
        np.pad(signal, span // 2, mode="edge"), np.ones(span) / span, "same"
    )
    spread = float(np.std(signal - drift[span // 2 : span // 2 + n]))
    if kind == "noise":
        return signal + rng.normal(0.0, strength * spread, n)
    if kind == "motion":
        for _ in range(3):
            length = round(rng.uniform(1.0, 3.0) * sample_rate_hz)
            first = int(rng.integers(0, max(1, n - length)))
            time_s = np.arange(length) / sample_rate_hz
            wave = np.sin(2 * np.pi * (rng.uniform(0.5, 4.0) * time_s + rng.random()))
            wave += 0.5 * np.sin(
                2 * np.pi * (rng.uniform(0.5, 4.0) * time_s + rng.random())
            )
            burst = np.hanning(length) * wave * strength * spread * np.sqrt(2)
            signal[first : first + length] += burst[: n - first]
        return signal
    if kind == "contact":
        length = round(strength * sample_rate_hz)
        first = int(rng.integers(0, max(1, n - length)))
        still = signal.min() - rng.uniform(0.0, 2.0) * spread
        gone = slice(first, first + length)
        signal[gone] = still + rng.normal(0.0, 0.02 * spread, signal[gone].size)
        return signal
    if kind == "clipping":
        low, high = np.quantile(signal, [strength, 1 - strength])
        cut: FloatArray = np.clip(signal, low, high)
        return cut
    if kind == "walk":
        steps = np.cumsum(rng.normal(0.0, 1.0, n))
        steps = (steps - steps.mean()) / max(float(steps.std()), 1e-9)
        walked: FloatArray = signal + strength * spread * steps
        return walked
    raise SignalError(f"there is no damage {kind!r}; choose {', '.join(DAMAGE)}")

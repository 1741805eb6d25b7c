"""What a window itself does not show of its quality: gaps, contact, motion, perfusion.

How much each lowers the quality is set by hand: no open corpus here labels them. What real
wrists do is measured by ``python -m plethprint_distill motion``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from plethprint.errors import SignalError
from plethprint.fingerprint import LOW_QUALITY
from plethprint.quality import _WORST_MISSING
from plethprint.quality_reason import REASONS, Reason

__all__ = ["lowered", "perfusion_index"]

_STILL_G = 0.05
_MOVING_G = 0.2  # what the wrist of somebody who walks does (docs/quality.md)
_LOWEST_PERFUSION = 0.001
_MOST_BY_MOTION = 0.5  # a pulse may well be read while its wearer walks


def lowered(
    quality: float,
    reason: str,
    *,
    missing: float = 0.0,
    motion_g: float | None = None,
    moving: float = 0.0,
    perfusion: float | None = None,
    off_skin: float = 0.0,
) -> tuple[float, Reason]:
    """Take into account what the window itself does not show.

    Parameters
    ----------
    quality : float
        Of the window, 0..1.
    reason : str
        Of the window, one of `REASONS`.
    missing : float, optional
        Share of samples that was filled in, 0..1; at half nothing is left.
    motion_g : float, optional
        Standard deviation of the magnitude of acceleration over the window, g: from 0.05
        to 0.2 the quality goes down to a half.
    moving : float, optional
        Share of the window during which the wearable itself said that it moved enough to
        disturb the pulse, 0..1; at 1 half of the quality is left. Beside `motion_g` the
        graver of the two counts.
    perfusion : float, optional
        See `perfusion_index`; below 0.001 the quality falls in proportion.
    off_skin : float, optional
        Share of the window during which the sensor said it was off the skin, 0..1.

    Returns
    -------
    quality, reason
        The reason is that of the factor that lowers most (the window's own only where that
        alone is low); empty at `LOW_QUALITY` or more.

    Raises
    ------
    SignalError
        If a number is out of range or the reason is unknown.

    Examples
    --------
    >>> lowered(0.9, "", motion_g=0.6)
    (0.45, 'motion')
    >>> lowered(0.9, "", missing=0.1)
    (0.7200000000000001, '')
    """
    if reason not in REASONS:
        raise SignalError(f"a reason is one of {', '.join(REASONS[1:])}, not {reason!r}")
    shares = {
        "quality": quality,
        "missing": missing,
        "moving": moving,
        "off_skin": off_skin,
    }
    for name, value in shares.items():
        if not 0.0 <= value <= 1.0:
            raise SignalError(f"{name} must lie in 0..1, not {value}")
    factors: list[tuple[float, Reason]] = [
        (quality, reason),
        (max(0.0, 1.0 - missing / _WORST_MISSING), "gaps"),
        (max(0.0, 1.0 - off_skin / _WORST_MISSING), "contact"),
    ]
    agitation = moving
    if motion_g is not None:
        if not (math.isfinite(motion_g) and motion_g >= 0.0):
            raise SignalError(f"motion_g must be 0 or more, not {motion_g}")
        way = (min(max(motion_g, _STILL_G), _MOVING_G) - _STILL_G) / (_MOVING_G - _STILL_G)
        agitation = max(agitation, way)
    factors.append((1.0 - _MOST_BY_MOTION * agitation, "motion"))
    if perfusion is not None:
        if not perfusion >= 0.0:
            raise SignalError(f"perfusion must be 0 or more, not {perfusion}")
        factors.append((min(1.0, perfusion / _LOWEST_PERFUSION), "perfusion"))
    product = math.prod(factor for factor, _ in factors)
    if product >= LOW_QUALITY:
        return product, ""
    if quality >= LOW_QUALITY:  # the window alone was good enough: it is not the reason
        factors[0] = (1.0, "")
    return product, min(factors, key=lambda factor: factor[0])[1]


def perfusion_index(counts: npt.ArrayLike) -> float:
    """Pulse over level of raw counts, (T,), as oximeters have it: peak to peak / mean.

    Only for counts whose zero is darkness: an offset that a sensor takes off, or a signal
    that was filtered, makes it mean nothing. Missing samples (NaN) are left out.

    Raises
    ------
    SignalError
        If there are no samples.

    Examples
    --------
    >>> round(perfusion_index(50_000 + 250 * np.sin(np.arange(640) / 8)), 4)
    0.01
    """
    values = np.asarray(counts, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        raise SignalError("perfusion needs samples")
    level = abs(float(values.mean()))
    # The outermost hundredths are not the pulse's.
    low, high = np.quantile(values, [0.01, 0.99])
    return float(high - low) / level if level else math.inf

"""Which way up a pulse stands: from the shape of int8 windows, gathered over a stream.

Counts of many optical sensors, and the green of a phone camera, fall when the vessel
fills. Upside down the pulse is another pulse to the model, so it should be known. A pulse
that stands upright rises fast and falls slowly, is sharp above and broad below:

=======  ======  ==================================================================
share    weight  what it is, each from -1 to 1
=======  ======  ==================================================================
convex   +13.7   time that bends upwards minus downwards, over +-125 ms
rising   -12.5   time that rises minus falls, over 31 ms
above    -16.4   time above the mean minus below
=======  ======  ==================================================================

The *evidence* of a window is the weighted sum times its quality
(`plethprint.quality.assess`): the logarithm of the odds that it stands upright. Turned
over, a window gives exactly the opposite. The weights are a logistic regression without
intercept on the training people of BIDMC, UCI cuff-less and Stress-Predict and on virtual
wearers, the four weighing the same (`plethprint_distill.polarity`). On people held out,
share of windows (10 s) and of stretches judged rightly, and of windows whose evidence is
`STRONG` and wrong:

===================================  =======  ==========  =====  =============
corpus                               windows  quality.5+  30 s   strong, wrong
===================================  =======  ==========  =====  =============
BIDMC (finger, ICU)                  .999     1.000       1.000  .0000
UCI cuff-less (finger, ICU)          1.000    1.000       1.000  .0000
Stress-Predict (wrist, E4)           .793     .884        .847   .0003
Welltory (phone camera, comes down)  .831     1.000       .845   .0000
PPG-BP (finger)                      .995     .997        1.000  .0015
arrhythmia (28 patients, 6 rhythms)  .991     .991        .996   .0000
===================================  =======  ==========  =====  =============

Welltory counts seven records whose green is dark as half right. Among the rhythms only
ventricular tachycardia is often not decided, and none is strongly misjudged. A slow pulse
that is over long before the next one is the weak spot; see ``docs/shift.md``.

Counts of signs, not moments: one spike or a clipped top moves them little, they are exact
integers, and a microcontroller has them for some additions a sample.
"""

from __future__ import annotations

import logging
import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows
from plethprint.errors import SignalError, WindowShapeError
from plethprint.signal import PPG

__all__ = [
    "STRONG",
    "Polarity",
    "PolarityTracker",
    "checked_polarity",
    "inverted_probability",
    "sign_shares",
    "upright_evidence",
]

_LOGGER = logging.getLogger(__name__)

Polarity = int | Literal["auto"]
"""1 as it comes, -1 upside down, "auto" to have it found out."""

STRONG = 3.0
"""Evidence (log odds) that is enough to act on: odds of 20 to 1."""

WEIGHTS = (13.7, -12.5, -16.4)
"""Of the shares `convex`, `rising` and `above`."""
_RISE_SAMPLES = 2
_BEND_SAMPLES = 8
_MOST = 4.0 * STRONG  # chosen on training people: less is undone by motion alone


def upright_evidence(
    windows: npt.NDArray[np.int8], quality: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Give the log odds that windows stand upright.

    Parameters
    ----------
    windows : ndarray of int8, shape (N, T)
        As `plethprint.signal` makes them.
    quality : array_like of float, shape (N,) or scalar
        Trust in each window, 0..1, as `plethprint.quality.assess` gives it.

    Returns
    -------
    ndarray of float64, shape (N,)
        Above 0 upright, below 0 upside down; 0 for a flat window. Of ``-windows``
        exactly the opposite.

    Raises
    ------
    WindowShapeError
        If the windows have another shape or type, or `quality` is no trust in each.

    Examples
    --------
    >>> from plethprint.signal import windows_of
    >>> t = np.arange(0, 20, 1 / 64)
    >>> pulse = np.exp(2 * np.sin(2 * np.pi * 1.2 * t))  # sharp above, broad below
    >>> window = windows_of(pulse, 64.0)[-1].samples[None]
    >>> (up,), (down,) = upright_evidence(window, 0.9), upright_evidence(-window, 0.9)
    >>> bool(up > STRONG), bool(down == -up)
    (True, True)
    """
    shares = sign_shares(windows)
    trust = np.asarray(quality, dtype=np.float64)
    if trust.shape not in ((), (len(shares),)) or not (
        (trust >= 0.0).all() and (trust <= 1.0).all()
    ):
        raise WindowShapeError(
            f"quality must be one number, 0 to 1, for each of {len(shares)} windows"
        )
    # Term by term, so that a row's sum does not depend on the rows beside it.
    total = sum(weight * share for weight, share in zip(WEIGHTS, shares.T, strict=True))
    evidence: npt.NDArray[np.float64] = total * trust
    return evidence


def sign_shares(windows: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """Give the shares `convex`, `rising` and `above` of windows (N, T), shape (N, 3).

    Each is from -1 to 1; of ``-windows`` exactly the opposite.

    Raises
    ------
    WindowShapeError
        If the windows have another shape or type.
    """
    steps = checked_windows(windows, PPG.window_samples).astype(np.int16)
    rise = steps[:, _RISE_SAMPLES:] - steps[:, :-_RISE_SAMPLES]
    k = _BEND_SAMPLES
    bend = steps[:, 2 * k :] - 2 * steps[:, k:-k] + steps[:, : -2 * k]
    return np.stack([_sign_share(values) for values in (bend, rise, steps)], axis=1)


def _sign_share(values: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Positive minus negative values of each row, as a share of all: (N, T) -> (N,)."""
    signs = (values > 0).sum(axis=1) - (values < 0).sum(axis=1)
    share: npt.NDArray[np.float64] = signs / values.shape[1]
    return share


def inverted_probability(evidence: float) -> float:
    """Probability that a pulse is upside down, 0..1, of its evidence (log odds).

    Examples
    --------
    >>> inverted_probability(0.0), round(inverted_probability(STRONG), 3)
    (0.5, 0.047)
    """
    return 1.0 / (1.0 + math.exp(min(evidence, 700.0)))


def checked_polarity(polarity: object) -> Polarity:
    """Return the polarity given, if it is one.

    Raises
    ------
    SignalError
        If it is not 1, -1 or "auto".
    """
    if isinstance(polarity, str):
        if polarity == "auto":
            return "auto"
    elif isinstance(polarity, (int, float, np.integer, np.floating)) and polarity in (
        1,
        -1,
    ):
        return 1 if polarity == 1 else -1
    raise SignalError(f'polarity is 1, -1 or "auto", not {polarity!r}')


class PolarityTracker:
    """Gathers the evidence of a stream's windows and decides, window by window.

    The rule, which looks at windows in their order and at nothing else:

    * evidence adds up, each window by the share of it that no earlier window had (a hop
      of 5 s counts half), and is kept within +-12, so that it can be overturned;
    * a stream begins as upright; with "auto" it is turned over when evidence falls to -3
      and back when it rises to +3. A window's own evidence counts before it is encoded:
      of a clean inverted recording even the first window is turned over;
    * with 1 or -1 nothing is turned over, only told.

    Parameters
    ----------
    polarity : {1, -1, "auto"}
        What the stream was opened with; 1 and -1 are applied elsewhere, to the samples.
    hop_s : float
        Seconds between the starts of consecutive windows.

    Examples
    --------
    >>> tracker = PolarityTracker("auto", hop_s=10.0)
    >>> [tracker.take(evidence)[0] for evidence in (0.5, -2.0, -2.0, 1.0, 6.0)]
    [1, 1, -1, -1, 1]
    """

    def __init__(self, polarity: Polarity, *, hop_s: float) -> None:
        self._auto = checked_polarity(polarity) == "auto"
        self._new_share = min(1.0, float(hop_s) / PPG.window_s)
        self._evidence = 0.0
        self._turn = 1
        self._begun = False
        self._told = False

    @property
    def turn(self) -> int:
        """-1 while windows are turned over, else 1."""
        return self._turn

    def take(self, evidence: float, start_s: float = 0.0) -> tuple[int, float]:
        """Take the next window's evidence and decide on that window.

        Parameters
        ----------
        evidence : float
            As `upright_evidence` gives it.
        start_s : float
            Start of the window, for the log.

        Returns
        -------
        turn : int
            -1 when the window is to be turned over, else 1.
        inverted : float
            Probability that it then still stands upside down, 0..1.
        """
        share = self._new_share if self._begun else 1.0
        self._begun = True
        gathered = self._evidence + share * evidence
        self._evidence = max(-_MOST, min(_MOST, gathered))
        standing = self._evidence * self._turn
        if standing <= -STRONG and self._auto:
            self._turn, standing = -self._turn, -standing
            _LOGGER.warning(
                "the pulse comes %s: windows are %s from %.1f s on",
                *(("upright", "as they are"), ("upside down", "turned over"))[
                    self._turn < 0
                ],
                start_s,
            )
        elif standing <= -STRONG and not self._told:
            self._told = True
            _LOGGER.warning(
                "the pulse looks upside down (probability %.2f, window at %.1f s): "
                "give the other polarity, or 'auto'",
                inverted_probability(standing),
                start_s,
            )
        return self._turn, inverted_probability(standing)

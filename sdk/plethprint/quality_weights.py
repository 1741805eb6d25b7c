"""From the measures of a window to the probability that it is a clean pulse.

A multinomial logistic regression, fitted on people of finger and wrist corpora, clean and
damaged (``signal_quality.json``, made and measured by ``python -m plethprint_distill
quality``; ``docs/quality.md``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import SignalError
from plethprint.quality_measures import MEASURES
from plethprint.quality_reason import Reason

__all__ = [
    "WEIGHTS_FILE",
    "QualityWeights",
    "quality_of_measures",
    "read_weights",
    "regressors",
]

FloatArray = npt.NDArray[np.float64]

WEIGHTS_FILE = Path(__file__).with_name("signal_quality.json")
"""The weights that ship."""

_CLASSES: tuple[Reason, ...] = (
    "",
    "noise",
    "motion",
    "contact",
    "clipping",
    "baseline",
)
_REACH = 2.5  # standard deviations


@dataclass(frozen=True)
class QualityWeights:
    """Multinomial logistic regression of M measures: clean first, then each damage."""

    centre: FloatArray
    """(M,)."""
    spread: FloatArray
    """(M,)."""
    weights: FloatArray
    """(C, M + M (M + 1) / 2) of `regressors`."""
    bias: FloatArray
    """(C,)."""
    calibration: FloatArray
    """(2,) slope and offset of the logistic curve over the log odds of clean."""


def quality_of_measures(rows: FloatArray) -> tuple[FloatArray, list[Reason]]:
    """Quality (N,) and most probable damage of measures (N, len(MEASURES)).

    The reason is told of every row here, also where the quality is high.
    """
    fitted = read_weights()
    x = regressors(rows, fitted.centre, fitted.spread)
    # Not a matrix product: a row's figures must not depend on what it came with.
    logits = (x[:, None, :] * fitted.weights).sum(axis=2) + fitted.bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    log_odds = np.log(odds[:, 0] + 1e-12) - np.log(odds[:, 1:].sum(axis=1) + 1e-12)
    slope, offset = fitted.calibration
    qualities: FloatArray = 1.0 / (1.0 + np.exp(-(slope * log_odds + offset)))
    return qualities, [_CLASSES[1 + place] for place in odds[:, 1:].argmax(axis=1).tolist()]


def regressors(rows: FloatArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    """Measures (N, M) standardised, and every product of two, (N, M + M (M + 1) / 2)."""
    # Clipped: what is stranger than anything that was fitted on must not decide alone.
    x = np.clip((rows - centre) / spread, -_REACH, _REACH)
    first, second = np.triu_indices(x.shape[1])
    return np.concatenate([x, x[:, first] * x[:, second]], axis=1)


@lru_cache(maxsize=1)
def read_weights() -> QualityWeights:
    """The weights that ship.

    Raises
    ------
    SignalError
        If they were made for other measures than these.
    """
    told = json.loads(WEIGHTS_FILE.read_text(encoding="utf-8"))
    if told["measures"] != list(MEASURES) or told["classes"] != list(_CLASSES):
        raise SignalError(f"{WEIGHTS_FILE} was made for other measures; make it anew")
    return QualityWeights(
        **{f.name: np.array(told[f.name], np.float64) for f in fields(QualityWeights)}
    )

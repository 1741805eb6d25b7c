"""Do a runtime's fingerprints agree with the teacher's? Three levels, each with a bar.

==============  =====================================================================
golden          same int8 in, same int8 out as tflite-micro, within a few steps (LSB)
quantisation    int8 vectors against the float student they were made from
teacher         int8 vectors against the teacher that saw ECG and PPG
==============  =====================================================================

Raw cosine alone is near 1 for a useless model, because all fingerprints share a mean.
The other measures of `plethprint.agreement` stand beside it. The bars are in the manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plethprint.agreement import (
    MEASURES,
    agreement,
    centred_cosine,
    cosine,
    neighbour_overlap,
    retrieval_at,
)
from plethprint.encoder import installed_runtimes, load_encoder
from plethprint.errors import PackageIncompatibleError
from plethprint.package import ModelPackage

__all__ = [
    "MEASURES",
    "ParityLevel",
    "ParityReport",
    "agreement",
    "centred_cosine",
    "check_parity",
    "cosine",
    "neighbour_overlap",
    "retrieval_at",
]


@dataclass(frozen=True)
class ParityLevel:
    """One level for one runtime: what was measured, and the bars."""

    runtime: str
    level: str
    """``golden``, ``quantisation`` or ``teacher``."""
    figures: Mapping[str, float]
    at_least: Mapping[str, float]
    """Bars that figures must reach."""
    at_most: Mapping[str, float]
    """Bars that figures must not exceed."""

    @property
    def failures(self) -> list[str]:
        """One sentence for each bar that is missed."""
        low = [
            f"{self.runtime}, {self.level}: {name} {self.figures[name]:.4g} "
            f"is below {bar:.4g}"
            for name, bar in self.at_least.items()
            if not self.figures[name] >= bar
        ]
        high = [
            f"{self.runtime}, {self.level}: {name} {self.figures[name]:.4g} "
            f"is above {bar:.4g}"
            for name, bar in self.at_most.items()
            if not self.figures[name] <= bar
        ]
        return low + high

    def to_dict(self) -> dict[str, Any]:
        """Return figures, bars and verdict as plain values."""
        return {
            **self.figures,
            "at_least": dict(self.at_least),
            "at_most": dict(self.at_most),
            "ok": not self.failures,
        }


@dataclass(frozen=True)
class ParityReport:
    """What `check_parity` found."""

    model: str
    windows: int
    """Number of golden windows."""
    levels: tuple[ParityLevel, ...]

    @property
    def failures(self) -> list[str]:
        """One sentence for each bar that is missed, over all levels."""
        return [sentence for level in self.levels for sentence in level.failures]

    @property
    def ok(self) -> bool:
        """Whether every runtime reaches every bar."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ``runtimes`` -> runtime -> level."""
        runtimes: dict[str, dict[str, Any]] = {}
        for level in self.levels:
            runtimes.setdefault(level.runtime, {})[level.level] = level.to_dict()
        return {
            "ok": self.ok,
            "model": self.model,
            "windows": self.windows,
            "runtimes": runtimes,
            "failures": self.failures,
        }


def check_parity(
    package: ModelPackage, runtimes: Iterable[str] | None = None
) -> ParityReport:
    """Run a package's golden windows through runtimes and compare, at all three levels.

    Parameters
    ----------
    package : ModelPackage
    runtimes : iterable of str, optional
        By default every runtime installed.

    Returns
    -------
    ParityReport
        With the figures and the manifest's thresholds beside them. The teacher level
        measures against ECG + PPG; ``ppg_`` figures are against the teacher's PPG side.

    Raises
    ------
    PackageIncompatibleError
        If the manifest sets no threshold for a level, or one that is not known.
    EncoderError, MissingExtraError
        If a runtime is not there or fails.
    """
    golden = package.golden()
    quantisation = _bars(package, "quantisation")
    teacher = _bars(package, "teacher", ("", "ppg_"))
    levels = []
    for runtime in installed_runtimes() if runtimes is None else runtimes:
        encoder = load_encoder(package, runtime)
        vectors = encoder.run(golden.windows)
        steps = np.abs(vectors.astype(np.int16) - golden.vectors)
        figures = {"max_lsb": float(steps.max()), "differing": float((steps > 0).mean())}
        bar = {"max_lsb": _golden_bar(package, encoder.runtime)}
        levels.append(ParityLevel(encoder.runtime, "golden", figures, {}, bar))
        figures = agreement(vectors, golden.float_vectors)
        levels.append(
            ParityLevel(encoder.runtime, "quantisation", figures, quantisation, {})
        )
        figures = agreement(vectors, golden.teacher_both)
        ppg = agreement(vectors, golden.teacher_ppg)
        figures |= {f"ppg_{name}": value for name, value in ppg.items()}
        levels.append(ParityLevel(encoder.runtime, "teacher", figures, teacher, {}))
    return ParityReport(package.model_id, len(golden), tuple(levels))


def _bars(
    package: ModelPackage, level: str, prefixes: tuple[str, ...] = ("",)
) -> dict[str, float]:
    bars = package.manifest.thresholds.get(level)
    known = {prefix + name for prefix in prefixes for name in MEASURES}
    if not isinstance(bars, dict) or not bars or not bars.keys() <= known:
        raise PackageIncompatibleError(
            f"manifest.json must set thresholds for {level} among "
            f"{', '.join(sorted(known))}, not {bars!r}"
        )
    return {name: _number(bar, f"{level}.{name}") for name, bar in bars.items()}


def _golden_bar(package: ModelPackage, runtime: str) -> float:
    bars = package.manifest.thresholds.get("golden_max_lsb")
    if not isinstance(bars, dict) or runtime not in bars:
        raise PackageIncompatibleError(
            f"manifest.json sets no golden_max_lsb threshold for {runtime}"
        )
    return _number(bars[runtime], f"golden_max_lsb.{runtime}")


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PackageIncompatibleError(
            f"in manifest.json, threshold {name} must be a number, not {value!r}"
        )
    return float(value)

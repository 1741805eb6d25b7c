"""What matters in distillation: small runs that differ in one thing, judged alike.

Choices must not be made on the people that the figures of the cards are of. So a quarter
of the *training* people, by their names, is kept from every run of the sweep and judges
it: agreement with the teacher, and heart rate by a ridge probe that the other people fit.
(The teacher has trained on them; the comparison is what counts, not the level.)
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.agreement import centred_cosine, neighbour_overlap, retrieval_at
from plethprint.errors import TrainingError
from plethprint.resample import resample_rows
from plethprint.signal import PPG
from plethprint_distill.distill import Distillation, DistillConfig, pulses_only
from plethprint_distill.evaluate import ridge_guess, student_vectors, unit_rows
from plethprint_distill.physiology import target_column
from plethprint_distill.space import fingerprints
from plethprint_distill.student import PRESETS, Student, StudentConfig
from plethprint_distill.teacher import M2AE
from plethprint_distill.teacher_targets import teacher_targets
from plethprint_distill.training_run import go_on
from plethprint_distill.windows import WindowSet

__all__ = ["VARIANTS", "Variant", "is_judge", "sweep"]

Float32Array = npt.NDArray[np.float32]

_RATE = target_column("log_heart_rate")
_JUDGED = ("bidmc", "stress_predict")
_MOST = 2048
"""Windows of each corpus that judge, and of BIDMC that fit the probe."""


@dataclass(frozen=True)
class Variant:
    """One run of the sweep: what differs from the recipe."""

    axis: str
    value: str
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `DistillConfig`."""
    shape: StudentConfig | None = None
    """Another student than the preset's."""
    dim: int | None = None
    """Keep only so many principal components of the teacher's fingerprint."""
    rate_hz: float = PPG.rate_hz
    """Rate of the windows that the student sees."""


def _wide(factor: float) -> StudentConfig:
    micro = PRESETS["micro"]
    blocks = tuple((max(8, 8 * round(w * factor / 8)), s) for w, s in micro.blocks)
    return replace(micro, stem_channels=max(8, 8 * round(32 * factor / 8)), blocks=blocks)


VARIANTS = (
    Variant("recipe", "as it is"),
    Variant("width", "x 0.5", shape=_wide(0.5)),
    Variant("width", "x 1.5", shape=_wide(1.5)),
    Variant(
        "stem stride",
        "2 (twice the rate inside)",
        shape=replace(PRESETS["micro"], stem_stride=2, stem_kernel=10),
    ),
    Variant(
        "stem stride",
        "8 (half the rate inside)",
        shape=replace(PRESETS["micro"], stem_stride=8, stem_kernel=16),
    ),
    # The same blocks behind a stem that looks at about as many milliseconds. At 32 Hz
    # they then see just the 16 steps a second that they see in the recipe; at 25 Hz 12.5.
    Variant(
        "input rate",
        "25 Hz",
        shape=replace(PRESETS["micro"], stem_stride=2, stem_kernel=4),
        rate_hz=25.0,
    ),
    Variant(
        "input rate",
        "32 Hz",
        shape=replace(PRESETS["micro"], stem_stride=2, stem_kernel=6),
        rate_hz=32.0,
    ),
    Variant("fingerprint", "32 numbers", dim=32),
    Variant("fingerprint", "16 numbers", dim=16),
    Variant("relation", "0", {"relation": 0.0}),
    Variant("contrast", "0", {"contrast": 0.0}),
    Variant("contrast", "1", {"contrast": 1.0}),
    Variant("contrast", "3", {"contrast": 3.0}),
    Variant("contrast and physiology", "1 and 1", {"contrast": 1.0, "physiology": 1.0}),
    Variant("physiology", "0", {"physiology": 0.0}),
    Variant("physiology", "1", {"physiology": 1.0}),
    Variant("disturbed share", "0", {"disturbed_share": 0.0}),
    Variant("real share", "0", {"virtual_share": 1.0}),
    Variant("real share", "1", {"virtual_share": 0.0}),
)
"""Runs of the table in docs/training.md."""


def is_judge(person: str) -> bool:
    """Whether a training person judges the sweep: one in four, by the name's CRC.

    Examples
    --------
    >>> sum(is_judge(f"bidmc/{k}") for k in range(400))
    99
    """
    return zlib.crc32(person.encode()) % 4 == 0


def sweep(
    folder: Path,
    teacher: M2AE,
    sets: Mapping[str, WindowSet],
    base: DistillConfig,
    variants: Sequence[Variant] = VARIANTS,
    *,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train and judge every variant; each resumes in its own folder.

    Parameters
    ----------
    sets
        Training windows, with context.
    base
        The recipe that variants differ from; its `windows` and `seed` hold for all.

    Returns
    -------
    list of dict
        A row a variant: axis, value, operations, and figures of the people who judge.

    Raises
    ------
    TrainingError
        If nobody is left to judge.
    """
    held = pulses_only(dict(sets))
    # Also of their recordings as other sensors would have taken them.
    judges = {n: _judge_rows(s) for n, s in held.items()}
    fit = {n: s.take(~judges[n]) if judges[n].any() else s for n, s in held.items()}
    judged = {n: _some(held[n], np.flatnonzero(judges[n])) for n in _JUDGED if n in held}
    judged = {n: w for n, w in judged.items() if len(w)}
    if not judged:
        raise TrainingError("no windows of people who judge: the sweep needs bidmc")
    # Of everybody, as a distillation keeps them: its folder of targets serves here too.
    whole = teacher_targets(teacher, held, folder / "targets")
    targets = {n: v[~judges[n]] for n, v in whole.items()}
    truth = {n: fingerprints(teacher, w, ("ppg",)) for n, w in judged.items()}
    probe = _some(fit["bidmc"], np.arange(len(fit["bidmc"]))) if "bidmc" in fit else None
    rows = []
    for variant in variants:
        axes = _principal(targets, variant.dim)
        config = replace(base, **variant.config)
        run = Distillation(
            folder / f"{variant.axis} {variant.value}".replace(" ", "_"),
            fit,
            {n: _onto(v, axes) for n, v in targets.items()},
            config,
            shape=variant.shape,
            rate_hz=variant.rate_hz,
        )
        run.resume()
        go_on(
            run, run.folder, windows=config.windows, batch=config.batch, progress=progress
        )
        student = run.student.eval()
        row: dict[str, Any] = {
            "axis": variant.axis,
            "value": variant.value,
            "macs": student.macs(round(variant.rate_hz * PPG.window_s)),
            "parameters": student.parameters_deployed(),
            "receptive_field_s": round(student.receptive_field() / variant.rate_hz, 2),
        }
        for name, windows in judged.items():
            ours = _seen(student, windows.ppg, variant.rate_hz)
            row[name] = _agreement(ours, _onto(truth[name], axes), truth[name])
        if probe is not None and "bidmc" in judged:
            row["heart_rate_mae_bpm"] = _heart_rate(
                student, variant.rate_hz, probe, judged["bidmc"]
            )
        rows.append(row)
    return rows


def _judge_rows(windows: WindowSet) -> npt.NDArray[np.bool_]:
    people, inverse = np.unique(np.asarray(windows.person), return_inverse=True)
    judges = [p.split("/")[0] in _JUDGED and is_judge(p) for p in people.tolist()]
    return np.array(judges, dtype=np.bool_)[inverse]


def _some(windows: WindowSet, rows: npt.NDArray[np.intp]) -> WindowSet:
    some = np.random.default_rng(0).permutation(rows)[:_MOST]
    return windows.take(np.sort(some)).centred()


def _principal(
    targets: Mapping[str, Float32Array], dim: int | None
) -> npt.NDArray[np.float64] | None:
    """Axes (D, dim) that keep the most of the targets; None keeps all."""
    if dim is None:
        return None
    stacked = np.concatenate(list(targets.values())).astype(np.float64)
    vectors = np.linalg.eigh(stacked.T @ stacked)[1]
    kept: npt.NDArray[np.float64] = vectors[:, ::-1][:, :dim]
    return kept


def _onto(vectors: Float32Array, axes: npt.NDArray[np.float64] | None) -> Float32Array:
    return vectors if axes is None else unit_rows((vectors @ axes).astype(np.float32))


def _agreement(
    ours: Float32Array, target: Float32Array, whole: Float32Array
) -> dict[str, float]:
    """Against what was taught; neighbours against the teacher's whole fingerprint."""
    centred = centred_cosine(ours, target)
    # Zeros behind a shorter fingerprint change none of its cosines.
    padded = np.pad(ours, ((0, 0), (0, whole.shape[1] - ours.shape[1])))
    return {
        "centred_cosine": float(centred.mean()),
        "centred_cosine_p5": float(np.quantile(centred, 0.05)),
        "overlap_at_10": float(neighbour_overlap(padded, whole).mean()),
        "retrieval_at_256": retrieval_at(ours, target, 256),
    }


def _seen(student: Student, ppg: npt.NDArray[np.int8], rate_hz: float) -> Float32Array:
    """Unit fingerprints (N, dim) of int8 windows at the device's rate, taken to another."""
    if rate_hz != PPG.rate_hz:
        count = round(rate_hz * PPG.window_s)
        rows = resample_rows(ppg.astype(np.float64), PPG.rate_hz, rate_hz, count)
        ppg = np.clip(np.rint(rows), -127, 127).astype(np.int8)
    return unit_rows(student_vectors(student, ppg))


def _heart_rate(
    student: Student, rate_hz: float, fit: WindowSet, judged: WindowSet
) -> float:
    labels, truth = (
        np.exp(np.asarray(w.targets[:, _RATE], np.float64)) for w in (fit, judged)
    )
    known, asked = np.isfinite(labels), np.isfinite(truth)
    seen = _seen(student, fit.ppg[known], rate_hz)
    guess = ridge_guess(seen, labels[known], _seen(student, judged.ppg[asked], rate_hz))
    return float(np.abs(guess - truth[asked]).mean())

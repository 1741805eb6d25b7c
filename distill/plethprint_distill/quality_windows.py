"""Windows whose damage is known: what the host's signal quality is fitted and asked on.

Stretches of finger (BIDMC, UCI cuff-less) and wrist (Stress-Predict) recordings, each as
recorded and damaged in every way of `damage.DAMAGE` at a strength drawn for it, before
preprocessing. Of the wrist, what was recorded while the accelerometer stood still is called
clean, and what was recorded in motion is a damage of its own: the real thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint.quality import assess
from plethprint.signal import PPG, window_rows
from plethprint.signal_quality import measures
from plethprint_distill.corpora import CORPORA
from plethprint_distill.corpora.compact import decode
from plethprint_distill.damage import DAMAGE, damaged

__all__ = ["MOVING", "QualityWindows", "quality_windows"]

FloatArray = npt.NDArray[np.float64]

MOVING = "moving wrist"
"""The kind of a window recorded in motion."""

_WARM_UP_S = 4.0
_HOP_S = 20.0
_STILL_G, _MOVING_G = 0.02, 0.1
_PER_PERSON = {"bidmc": 12, "uci_cuffless": 4, "stress_predict": 16}
_MOVING_PER_PERSON = 40


@dataclass(frozen=True)
class QualityWindows:
    """N windows with what is known of them."""

    measures: FloatArray
    """(N, M) of `plethprint.signal_quality.measures`."""
    on_device: FloatArray
    """(N,) of `plethprint.quality.assess`."""
    kind: npt.NDArray[np.str_]
    """(N,) "clean", a kind of `DAMAGE`, or `MOVING`."""
    weakest: npt.NDArray[np.bool_]
    """(N,) whether damaged at the least strength of its kind."""
    person: npt.NDArray[np.str_]
    """(N,) "corpus/person"."""

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def corpus(self) -> npt.NDArray[np.str_]:
        """(N,) name of the corpus."""
        return np.array([p.partition("/")[0] for p in self.person.tolist()])

    def take(self, index: npt.NDArray[Any]) -> QualityWindows:
        """The windows at `index`."""
        return QualityWindows(
            self.measures[index],
            self.on_device[index],
            self.kind[index],
            self.weakest[index],
            self.person[index],
        )


def quality_windows(folders: dict[str, Path], *, seed: int = 0) -> QualityWindows:
    """Make the windows of the corpora that are there.

    Parameters
    ----------
    folders
        Folder of each corpus by name.

    Raises
    ------
    RecordingError
        If there is none of the corpora.
    """
    rng = np.random.default_rng(seed)
    parts: list[QualityWindows] = []
    for corpus in _PER_PERSON:
        if corpus not in folders:
            continue
        read = _wrist if corpus == "stress_predict" else _finger
        for person, still, moving, rate_hz in tqdm(
            read(corpus, folders[corpus]), desc=f"damaging {corpus}", mininterval=2
        ):
            parts += _of_person(
                still, moving, rate_hz, f"{corpus}/{person}", _PER_PERSON[corpus], rng
            )
    if not parts:
        raise RecordingError(f"none of {', '.join(_PER_PERSON)} is there")
    return QualityWindows(
        np.concatenate([p.measures for p in parts]),
        np.concatenate([p.on_device for p in parts]),
        np.concatenate([p.kind for p in parts]),
        np.concatenate([p.weakest for p in parts]),
        np.concatenate([p.person for p in parts]),
    )


Rows = tuple[str, FloatArray, FloatArray, float]


def _finger(corpus: str, folder: Path) -> Iterator[Rows]:
    """Person, stretches, none in motion, rate; a person's recordings together."""
    rows: dict[str, list[FloatArray]] = {}
    rate_hz = 0.0
    for recording in CORPORA[corpus].read(folder):
        if recording.ppg is not None:
            rate_hz = recording.ppg_rate_hz
            cut, _ = _stretches(recording.ppg, rate_hz)
            rows.setdefault(recording.person, []).append(cut)
    for person, cuts in rows.items():
        every = np.concatenate(cuts)
        yield person, every, every[:0], rate_hz


def _wrist(corpus: str, folder: Path) -> Iterator[Rows]:
    for path in sorted(folder.glob("S*.npz")):
        arrays = decode(path)
        if "acc" not in arrays:
            raise RecordingError(f"{path} has no acceleration")
        rate_hz, acc_hz = float(arrays["fs_ppg"]), float(arrays["fs_acc"])
        cut, starts = _stretches(arrays["ppg"], rate_hz)
        magnitude = np.linalg.norm(np.asarray(arrays["acc"], np.float64), axis=0)
        motion = np.full(len(starts), np.nan)
        for place, start in enumerate((starts / rate_hz).tolist()):
            inside = magnitude[
                round(start * acc_hz) : round((start + PPG.window_s) * acc_hz)
            ]
            if inside.size and np.isfinite(inside).all():
                motion[place] = inside.std()
        yield path.stem, cut[motion < _STILL_G], cut[motion > _MOVING_G], rate_hz


def _stretches(ppg: npt.ArrayLike, rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """Warm-up and window in each row, and where the windows begin, in samples."""
    signal = np.asarray(ppg, np.float64)
    before, span = round(_WARM_UP_S * rate_hz), round(PPG.window_s * rate_hz)
    starts = np.arange(before, signal.size - span, round(_HOP_S * rate_hz))
    if not starts.size:
        return np.empty((0, before + span)), np.empty(0)
    rows = np.stack([signal[s - before : s + span] for s in starts])
    whole = np.isfinite(rows).all(axis=1) & (np.ptp(rows[:, before:], axis=1) > 0)
    return rows[whole], starts[whole].astype(np.float64)


def _of_person(
    still: FloatArray,
    moving: FloatArray,
    rate_hz: float,
    person: str,
    count: int,
    rng: np.random.Generator,
) -> Iterator[QualityWindows]:
    before = round(_WARM_UP_S * rate_hz)
    still = still[np.sort(rng.permutation(len(still))[:count])]
    moving = moving[np.sort(rng.permutation(len(moving))[:_MOVING_PER_PERSON])]
    if len(still):
        yield _rated(still, rate_hz, "clean", np.zeros(len(still), np.bool_), person)
    for kind, strengths in DAMAGE.items() if len(still) else ():
        worse, drawn = still.copy(), rng.integers(0, len(strengths), len(still))
        for row, place in enumerate(drawn.tolist()):
            worse[row, before:] = damaged(
                worse[row, before:], rate_hz, kind, strengths[place], rng
            )
        yield _rated(worse, rate_hz, kind, drawn == 0, person)
    if len(moving):
        yield _rated(moving, rate_hz, MOVING, np.zeros(len(moving), np.bool_), person)


def _rated(
    rows: FloatArray, rate_hz: float, kind: str, weakest: npt.NDArray[np.bool_], person: str
) -> QualityWindows:
    windows, _ = window_rows(rows, rate_hz, warm_up_s=_WARM_UP_S)
    return QualityWindows(
        measures(windows),
        assess(windows).astype(np.float64),
        np.full(len(rows), kind),
        weakest,
        np.full(len(rows), person),
    )

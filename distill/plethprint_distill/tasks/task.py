"""What a task is, what it asks, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint_distill.embedder import Embedder
from plethprint_distill.folds import Repeats
from plethprint_distill.labelled_windows import LabelledWindows, Library
from plethprint_distill.metrics import Reliability
from plethprint_distill.statistics import Comparison, Estimate
from plethprint_distill.teacher import M2AE

__all__ = [
    "FIGURES",
    "Context",
    "Figure",
    "Part",
    "Problem",
    "Row",
    "Supervised",
    "Task",
    "TaskResult",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A column of a table."""

    title: str
    higher_is_better: bool
    chance: float | None = None
    """What a coin gives, where that is one number."""
    decimals: int = 3


FIGURES: dict[str, Figure] = {
    "auroc": Figure("AUROC", True, 0.5),
    "macro_auroc": Figure("macro-AUROC", True, 0.5),
    "within_auroc": Figure("AUROC within a person", True, 0.5),
    "mae": Figure("mean absolute error", False, None, 2),
    "r": Figure("r", True, 0.0),
    "brier": Figure("Brier", False),
    "ece": Figure("calibration error", False),
    "top1": Figure("top-1", True),
    "top1_unseen": Figure("top-1, people held out", True),
    "top1_other_record": Figure("top-1, another record", True),
    "eer": Figure("equal error rate", False, 0.5),
    "centred_cosine": Figure("centred cosine", True, 0.0),
    "centred_cosine_p5": Figure("its 5th percentile", True),
    "overlap_at_10": Figure("overlap@10", True),
    "retrieval_at_256": Figure("retrieval@256", True),
    "pearson": Figure("r with the ECG", True, 0.0),
    "rmse": Figure("RMSE, sd", False),
    "f1_50ms": Figure("R-peak F1 ±50 ms", True),
    "f1_100ms": Figure("R-peak F1 ±100 ms", True),
    "f1_50ms_zero_lag": Figure("F1 ±50 ms, zero lag", True),
    "f1_100ms_zero_lag": Figure("F1 ±100 ms, zero lag", True),
    "interval_error_ms": Figure("interval error, ms", False, None, 1),
    "ppg_pearson": Figure("r with the PPG", True, 0.0),
    "ppg_rmse": Figure("its RMSE, sd", False),
}
"""Every figure that a table may hold."""


@dataclass(frozen=True)
class Part:
    """Some windows of one labelled set."""

    set_name: str
    rows: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Supervised:
    """A model that learns from windows itself, fold by fold, instead of a probe."""

    name: str
    family: str
    modality: str
    fit_predict: Callable[
        [npt.NDArray[np.int8], FloatArray, npt.NDArray[np.str_], npt.NDArray[np.int8]],
        tuple[FloatArray, FloatArray],
    ]
    """(windows, labels (n, K), people (n,), windows to predict) -> chances (m, K) of these,
    and chances (j, K) of people among those given whom it did not train on: what this fit
    says on the average, to be taken off before folds are ranked together."""


@dataclass(frozen=True)
class Problem:
    """A task on the data at hand: W windows, gathered into U units that carry labels."""

    parts: tuple[Part, ...]
    unit: npt.NDArray[np.intp]
    """(W,) which unit each window belongs to, in the order of the parts."""
    labels: FloatArray
    """(U, K)."""
    person: npt.NDArray[np.str_]
    """(U,)."""
    repeats: Repeats
    kind: str
    """ "binary", "classes" (one of them), "labels" (any of them), "number", or "within":
    binary, compared within a person only, features centred for each person."""
    class_names: tuple[str, ...] = ()
    controls: dict[str, FloatArray] = field(default_factory=dict)
    """Other features (U, F), probed the same way."""
    join_controls: bool = False
    """Whether the student is also probed together with the first control."""
    direct: dict[str, FloatArray] = field(default_factory=dict)
    """Predictions (U, K) that need no fit."""
    supervised: tuple[Supervised, ...] = ()
    groups: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Units (U,) on which the first figure is told apart."""


@dataclass
class Row:
    """One model in one task."""

    model: str
    family: str
    figures: dict[str, Estimate]
    versus: Comparison | None = None
    """The int8 student's first figure minus this row's."""
    p_corrected: float = float("nan")
    """The comparison's p after Holm's correction over the task's rows."""
    curve: Reliability | None = None
    groups: dict[str, float] = field(default_factory=dict)
    loss: FloatArray | None = None
    """(U,) per unit, or scores (R, U) for AUROC: what comparisons are made of."""


@dataclass
class TaskResult:
    """A task with all its rows."""

    task: Task
    rows: list[Row]
    units: int
    people: int
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


class Features:
    """Features of whole sets, made once for each embedder and kept while needed."""

    def __init__(self, library: Library, fit_on: Callable[[], Any]) -> None:
        self._library = library
        self._fit_on = fit_on
        self._fitted: set[str] = set()
        self._kept: dict[tuple[str, str], npt.NDArray[np.float32]] = {}

    def of(self, embedder: Embedder, set_name: str) -> npt.NDArray[np.float32]:
        """(N, F) for a set of N windows; a number that is none counts as 0."""
        key = (embedder.name, set_name)
        if key not in self._kept:
            if embedder.fit is not None and embedder.name not in self._fitted:
                embedder.fit(self._fit_on())
            self._fitted.add(embedder.name)
            made = embedder.embed(self._library.get(set_name).windows)
            self._kept[key] = np.nan_to_num(made, nan=0.0, posinf=0.0, neginf=0.0)
        return self._kept[key]

    def forget(self, set_name: str) -> None:
        """Let go of a set's features."""
        for key in [k for k in self._kept if k[1] == set_name]:
            del self._kept[key]


@dataclass
class Context:
    """What a task runs with."""

    library: Library
    embedders: Sequence[Embedder]
    features: Features
    teacher: M2AE | None
    draws: int = 1000
    tick: Callable[[str], None] = lambda _: None
    """Called with the name of each row that is done."""


class Task:
    """One question to all models; subclasses say how it is asked.

    Attributes
    ----------
    name, title, section
        For programs, for readers, and the part of the report it stands in.
    sets
        Labelled sets that it needs.
    figures
        Columns of its table; the first ranks.
    unit
        Of the labels or of what the score is taken over, in words.
    about, null, traps
        What is asked, what a model that knows nothing gives, and what misleads here.
    modality
        "ppg" or "ecg": which embedders are rows.
    in_macro
        Whether it counts in the macro-average.
    work
        How long it takes, roughly, in tenths of the longest: to share tasks out by.
    """

    name: str
    title: str
    section: str
    sets: tuple[str, ...]
    figures: tuple[str, ...]
    unit: str
    about: str
    null: str
    traps: str
    modality: str = "ppg"
    in_macro: bool = False
    work: float = 0.5

    def run(self, context: Context) -> TaskResult:
        """All rows of the task."""
        raise NotImplementedError

    def embedders(self, context: Context) -> list[Embedder]:
        """The embedders that can be rows here."""
        whole = [context.library.get(name).windows for name in self.sets]
        chosen = []
        for embedder in context.embedders:
            fits = embedder.modality == "ecg" if self.modality == "ecg" else embedder.wide
            if fits and all(embedder.takes(windows) for windows in whole):
                chosen.append(embedder)
        return chosen


def windows_of_parts(library: Library, parts: Sequence[Part]) -> list[LabelledWindows]:
    """The windows themselves, for models that learn from them."""
    return [library.get(part.set_name).take(part.rows) for part in parts]

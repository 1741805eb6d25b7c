"""One protocol over many tasks: every model is a row of every table that it can be in.

Sets are prepared once, features made once for each set, probes fitted inside people's
folds. What is missing (a corpus's folder, a library) is told and left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from plethprint_distill.claim_gate import Claim, claims
from plethprint_distill.embedder import STUDENT_INT8, Embedder
from plethprint_distill.folds import thinned
from plethprint_distill.labelled_windows import Library
from plethprint_distill.splits import training_mask
from plethprint_distill.statistics import (
    Estimate,
    Interval,
    middle_95,
    paired_bootstrap,
)
from plethprint_distill.tasks.scoring import take_holm
from plethprint_distill.tasks.task import (
    FIGURES,
    Context,
    Features,
    FloatArray,
    Row,
    Task,
    TaskResult,
)
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet, concatenate

__all__ = [
    "FIT_SETS",
    "MACRO_ABOUT",
    "Benchmark",
    "macro_average",
    "run_benchmark",
    "skill",
]

_LOGGER = logging.getLogger(__name__)

_FIT_WINDOWS = 2048
FIT_SETS = ("bidmc", "uci_cuffless", "stress_predict")
"""Sets whose training people rows look at that must look at some first."""

MACRO_ABOUT = (
    "Skill of a row in a task: 2 AUROC - 1 for classes, 1 - MAE / MAE of the training mean "
    "for numbers; 1 is perfect, 0 knows nothing, and nothing counts below -1. The "
    "macro-average is the mean skill over the tasks named, for rows that are in all of "
    "them; its interval draws people anew in every task."
)
"""How the macro-average is made, for the report."""


@dataclass
class Benchmark:
    """Everything that one run found."""

    results: list[TaskResult]
    macro: list[Row]
    macro_tasks: list[str]
    missing: list[tuple[str, str]]
    """(task, why) of tasks that were not run."""
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """Package, teacher, command, seconds."""

    @property
    def claims(self) -> list[Claim]:
        """What the teacher gains, at equal windows: macro-average first, then the tasks."""
        found = {row.model: row.figures["skill"] for row in self.macro}
        made = claims("macro-average", found)
        for result in self.results:
            if result.task.in_macro:
                own = {row.model: skill(result, row) for row in result.rows}
                known = {k: v for k, v in own.items() if v is not None}
                made += claims(result.task.name, known)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; draws are left out, NaN is null."""
        plain: dict[str, Any] = _plain(
            {
                **self.facts,
                "tasks": [_task(result) for result in self.results],
                "macro_average": {
                    "about": MACRO_ABOUT,
                    "tasks": self.macro_tasks,
                    "rows": [_row(row) for row in self.macro],
                },
                "teacher_helps": [_claim(claim) for claim in self.claims],
                "missing": [{"task": t, "reason": why} for t, why in self.missing],
                "notes": self.notes,
            }
        )
        return plain


def run_benchmark(
    library: Library,
    embedders: Sequence[Embedder],
    tasks: Sequence[Task],
    *,
    teacher: M2AE | None = None,
    draws: int = 1000,
    progress: bool = True,
    so_far: Callable[[Benchmark], None] = lambda _: None,
) -> Benchmark:
    """Run every task that has its data.

    Parameters
    ----------
    library
        Labelled sets.
    embedders
        Models; the one named `STUDENT_INT8` is what the others are compared with.
    tasks
        In the order wanted.
    teacher
        For tasks that need more of it than fingerprints.
    draws
        Bootstrap draws of people.
    so_far
        Called after each task with what is known: a run that is stopped leaves its tables.
    """
    missing = []
    possible: list[Task] = []
    for task in tasks:
        reason = "; ".join(filter(None, map(library.missing, task.sets)))
        if reason:
            missing.append((task.name, reason))
            _LOGGER.warning("%s left out: %s", task.name, reason)
        else:
            possible.append(task)
    features = Features(library, lambda: _fit_windows(library))
    results = []
    with tqdm(total=len(possible), desc="tasks", disable=not progress) as bar:
        context = Context(
            library,
            embedders,
            features,
            teacher,
            draws,
            tick=lambda name: bar.set_postfix_str(name, refresh=True),
        )
        for place, task in enumerate(possible):
            bar.set_description(task.name)
            began = time.monotonic()
            result = task.run(context)
            result.seconds = time.monotonic() - began
            _LOGGER.info("%s: %.0f s", task.name, result.seconds)
            results.append(result)
            later = {name for other in possible[place + 1 :] for name in other.sets}
            for name in task.sets:
                if name not in later:
                    features.forget(name)
            bar.update()
            so_far(Benchmark(list(results), *macro_average(results), missing))
    return Benchmark(results, *macro_average(results), missing)


def skill(result: TaskResult, row: Row) -> Estimate | None:
    """A row's first figure as skill; see `MACRO_ABOUT`. None where it has no such form."""
    name = result.task.figures[0]
    if name not in row.figures:
        return None
    found = row.figures[name]
    if FIGURES[name].chance == 0.5:
        return _mapped(found, lambda values, _: 2 * values - 1, None)
    null = next((r for r in result.rows if r.family == "null"), None)
    if name != "mae" or null is None:
        return None
    return _mapped(found, lambda values, base: 1 - values / base, null.figures["mae"])


def _mapped(
    found: Estimate,
    formula: Callable[[FloatArray, FloatArray], FloatArray],
    base: Estimate | None,
) -> Estimate:
    base = base or found
    point = formula(np.array([found.interval.mean]), np.array([base.interval.mean]))
    draws = np.clip(formula(found.draws, base.draws), -1.0, 1.0)
    return Estimate(_interval(float(np.clip(point[0], -1, 1)), draws, found), draws)


def _interval(point: float, draws: FloatArray, found: Estimate) -> Interval:
    return Interval(point, *middle_95(draws), found.interval.people)


def macro_average(results: Sequence[TaskResult]) -> tuple[list[Row], list[str]]:
    """Mean skill over the tasks that count, best first, and the tasks' names."""
    counted = [r for r in results if r.task.in_macro and r.rows]
    tables: list[dict[str, Estimate]] = []
    families: dict[str, str] = {}
    for result in counted:
        table = {}
        for row in result.rows:
            found = skill(result, row)
            if found is not None and row.family != "null":
                table[row.model] = found
                families[row.model] = row.family
        tables.append(table)
    if not tables:
        return [], []
    everywhere = set.intersection(*(set(t) for t in tables))
    rows = []
    for model in sorted(everywhere):
        own = [t[model] for t in tables]
        draws = np.mean([e.draws for e in own], axis=0)
        point = float(np.mean([e.interval.mean for e in own]))
        people = sum(e.interval.people for e in own)
        interval = Interval(point, *middle_95(draws), people)
        rows.append(Row(model, families[model], {"skill": Estimate(interval, draws)}))
    ours = next((row for row in rows if row.model == STUDENT_INT8), None)
    for row in rows:
        if ours is not None and row is not ours:
            row.versus = paired_bootstrap(ours.figures["skill"], row.figures["skill"])
    take_holm(rows)
    rows.sort(key=lambda row: -row.figures["skill"].interval.mean)
    return rows, [r.task.name for r in counted]


def _fit_windows(library: Library) -> WindowSet:
    """Windows of training people, without labels, for what must look at some first."""
    parts = []
    for name in FIT_SETS:
        if not library.missing(name):
            whole = library.get(name).windows
            chosen = training_mask(np.asarray(whole.person), np.asarray(whole.record))
            rows = np.flatnonzero(chosen & np.asarray(whole.has_ppg))
            person = np.asarray(whole.person)
            parts.append(
                whole.take(thinned(rows, person, _FIT_WINDOWS // len(FIT_SETS), seed=0))
            )
    if not any(len(part) for part in parts):
        virtual = library.get("virtual").windows
        return virtual.take(np.arange(min(len(virtual), _FIT_WINDOWS)))
    return concatenate(part for part in parts if len(part))


def _task(result: TaskResult) -> dict[str, Any]:
    task = result.task
    facts = ("name", "title", "section", "unit", "about", "null", "traps", "in_macro")
    return {
        **{key: getattr(task, key) for key in facts},
        "figures": list(task.figures),
        "units": result.units,
        "people": result.people,
        "seconds": round(result.seconds, 1),
        "rows": [_row(row) for row in result.rows],
        "notes": result.notes,
    }


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "task": claim.task,
        "control": claim.control,
        "distilled_minus_control": asdict(claim.difference),
        "seeds": list(claim.seeds),
        "helps": claim.helps,
    }


def _row(row: Row) -> dict[str, Any]:
    curve = row.curve
    return {
        "model": row.model,
        "family": row.family,
        "figures": {name: asdict(e.interval) for name, e in row.figures.items()},
        "int8_student_minus_this": None
        if row.versus is None
        else {**asdict(row.versus), "p_holm": row.p_corrected},
        "apart": row.groups,
        "calibration": None
        if curve is None
        else {
            "stated": curve.stated,
            "observed": curve.observed,
            "count": curve.count,
        },
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return None if value != value or value in (np.inf, -np.inf) else round(value, 6)
    return value

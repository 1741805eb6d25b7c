"""What a benchmark needs, by name alone, and its tasks shared out over processes.

A plan is paths and numbers, so that any process can make the same rows and sets of it.
Tasks that ask the same set stay together: features of a set are made once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import torch
from tqdm import tqdm

from plethprint.errors import PackageError, RecordingError
from plethprint.package import ModelPackage
from plethprint_distill.benchmark import FIT_SETS, Benchmark, macro_average, run_benchmark
from plethprint_distill.corpora import CORPORA
from plethprint_distill.embedder import (
    Embedder,
    baseline_embedders,
    control_embedders,
    float_student,
    int8_student,
    random_students,
    teacher_embedders,
)
from plethprint_distill.evaluate import FLOAT_STUDENTS
from plethprint_distill.evaluation_sets import SETS
from plethprint_distill.labelled_windows import Library, corpus_folders
from plethprint_distill.tasks import TASKS
from plethprint_distill.tasks.mortality import Outcomes, read_outcomes
from plethprint_distill.tasks.task import Task, TaskResult
from plethprint_distill.teacher import M2AE

__all__ = ["BenchmarkPlan", "groups_of_tasks", "run_plan"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkPlan:
    """Models, data and draws of one benchmark.

    Examples
    --------
    >>> plan = BenchmarkPlan(corpora=(Path("../shared/data"),))
    >>> found = run_plan(plan, ["heart_rate_bidmc"], jobs=1)  # doctest: +SKIP
    """

    teacher: Path = Path()
    """The teacher's weights."""
    package: str | Path | None = None
    """None: the shipped one."""
    student: Path | None = None
    """Of the float row: a distillation folder or .npz; None: the shipped package's own."""
    also: tuple[str, ...] = ()
    """Further packages, folders or names: rows beside the one compared with."""
    corpora: tuple[Path, ...] = ()
    cache: Path | None = None
    outcomes: Path | None = None
    outcomes_corpus: str | None = None
    draws: int = 1000

    def library(self) -> Library:
        """The labelled sets.

        Raises
        ------
        RecordingError
            A folder holds no corpus, or the outcomes are of none.
        """
        makers, beside = dict(SETS), {}
        if self.outcomes is not None:
            if self.outcomes_corpus not in CORPORA:
                raise RecordingError(
                    "--outcomes needs --outcomes-corpus, one of " + ", ".join(CORPORA)
                )
            died = read_outcomes(self.outcomes)
            makers["mortality"] = Outcomes(self.outcomes_corpus, died).maker()
            beside["mortality"] = [self.outcomes_corpus, sorted(died.items())]
        return Library(corpus_folders(self.corpora), makers, self.cache, beside)

    def models(self, notes: list[str]) -> tuple[M2AE, list[Embedder]]:
        """The teacher, and every row; what is left out is told in `notes`."""
        package = ModelPackage.load(self.package)
        others = [ModelPackage.load(path) for path in self.also]
        if len({other.path.name for other in others}) < len(others):
            raise PackageError("a further package is named twice")
        teacher, rows = teacher_embedders(self.teacher)
        embedders = [*rows, int8_student(package)]
        kept = FLOAT_STUDENTS / f"{package.path.name}.npz"
        if self.student is not None or kept.is_file():
            embedders.append(float_student(self.student or kept))
        for other in others:
            embedders += _other_student(other)
        embedders += random_students("mini" if "mini" in package.manifest.name else "micro")
        embedders += control_embedders(notes)
        # The random nets above stand for all: batch norm as it starts, and set on windows.
        embedders += (e for e in baseline_embedders(notes) if "random_cnn" not in e.name)
        return teacher, embedders


def _other_student(package: ModelPackage) -> Iterator[Embedder]:
    name = f"{package.manifest.name}_v{package.manifest.version}"
    yield int8_student(package, f"int8 {name}")
    kept = FLOAT_STUDENTS / f"{name}.npz"
    if kept.is_file():
        yield float_student(kept, f"float {name}")


def groups_of_tasks(tasks: Iterable[Task]) -> list[list[Task]]:
    """Tasks that begin with the same set, together; the most work first.

    Examples
    --------
    >>> [[task.name for task in group] for group in groups_of_tasks(TASKS)[:2]]
    [['ptbxl_superclasses'], ['rhythm_six', 'af_rest', 'af_sinus']]
    """
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.sets[0], []).append(task)
    # Longest first: whoever is done early takes the next, and no process is left with
    # the longest at the end.
    return sorted(groups.values(), key=lambda group: -sum(task.work for task in group))


def run_plan(
    plan: BenchmarkPlan,
    names: Sequence[str] | None = None,
    *,
    jobs: int | None = None,
    progress: bool = True,
    so_far: Callable[[Benchmark], None] = lambda _: None,
) -> Benchmark:
    """Run tasks in so many processes; the result does not depend on how many.

    Parameters
    ----------
    plan
        Rows and sets.
    names
        Of the tasks; None: all.
    jobs
        Processes, each of one thread; None: one a core, 1: this one.
    so_far
        Called with what is known after each task, or group of tasks.
    """
    wanted = [t for t in TASKS if names is None or t.name in names]
    jobs = min(jobs or os.cpu_count() or 1, max(1, len(groups_of_tasks(wanted))))
    notes: list[str] = []
    if jobs == 1:
        teacher, embedders = plan.models(notes)
        for note in notes:
            _LOGGER.warning("%s", note)

        def noted(found: Benchmark) -> None:
            found.notes = notes
            so_far(found)

        found = run_benchmark(
            plan.library(),
            embedders,
            wanted,
            teacher=teacher,
            draws=plan.draws,
            progress=progress,
            so_far=noted,
        )
        found.notes = notes
        return found
    library = plan.library()
    missing = {t.name: why for t in wanted if (why := _missing(library, t))}
    for name, why in missing.items():
        _LOGGER.warning("%s left out: %s", name, why)
    possible = [t for t in wanted if t.name not in missing]
    _prepare_shared_sets(library, possible)
    order = {task.name: place for place, task in enumerate(wanted)}
    results: list[TaskResult] = []

    def known() -> Benchmark:
        results.sort(key=lambda result: order[result.task.name])
        return Benchmark(
            list(results), *macro_average(results), list(missing.items()), notes
        )

    work = [
        joblib.delayed(_run_group)(plan, [task.name for task in group])
        for group in groups_of_tasks(possible)
    ]
    with (
        # One thread each: two processes of two threads on two cores only wait.
        joblib.parallel_config(backend="loky", inner_max_num_threads=1),
        tqdm(total=len(possible), desc="tasks", disable=not progress) as bar,
    ):
        runner = joblib.Parallel(
            n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=jobs
        )
        for told, made in runner(work):
            results += [replace(result, task=_task(name)) for name, result in made]
            notes += [note for note in told if note not in notes]
            for name, result in made:
                _LOGGER.info("%s: %.0f s", name, result.seconds)
            bar.update(len(made))
            so_far(known())
    for note in notes:
        _LOGGER.warning("%s", note)
    return known()


def _run_group(
    plan: BenchmarkPlan, names: list[str]
) -> tuple[list[str], list[tuple[str, TaskResult]]]:
    """In a process of its own: notes, and the results without their tasks.

    A task holds functions, which do not travel; its name does.
    """
    torch.set_num_threads(1)
    notes: list[str] = []
    teacher, embedders = plan.models(notes)
    found = run_benchmark(
        plan.library(),
        embedders,
        [_task(name) for name in names],
        teacher=teacher,
        draws=plan.draws,
        progress=False,
    )
    without: Task = Task()
    return notes, [(r.task.name, replace(r, task=without)) for r in found.results]


def _task(name: str) -> Task:
    return next(task for task in TASKS if task.name == name)


def _missing(library: Library, task: Task) -> str:
    return "; ".join(filter(None, map(library.missing, task.sets)))


def _prepare_shared_sets(library: Library, tasks: Sequence[Task]) -> None:
    """Have sets that several processes ask for on disk before they do."""
    asked = dict.fromkeys([*FIT_SETS, *(name for task in tasks for name in task.sets)])
    for name in asked:
        if not library.missing(name):
            library.get(name)
            library.forget(name)

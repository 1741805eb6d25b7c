"""The verb `benchmark`: `plethprint evaluate` hands over to it."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plethprint.errors import PlethprintError, RecordingError
from plethprint.package import MODELS_FOLDER, ModelPackage
from plethprint.teacher import DEFAULT_TEACHER

if TYPE_CHECKING:
    from plethprint_distill.embedder import Embedder

__all__ = ["add_arguments", "text_report"]

_LOGGER = logging.getLogger(__name__)

_TEACHER = MODELS_FOLDER / DEFAULT_TEACHER / "teacher.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("--package", type=Path, help="folder or name; default: the shipped")
    parser.add_argument(
        "--also",
        nargs="+",
        action="extend",
        default=[],
        metavar="PACKAGE",
        help="further packages, folders or names: rows beside the one that is compared",
    )
    parser.add_argument(
        "--corpus",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="DIR",
        help="folder of a corpus, or one that holds folders of corpora; may be repeated",
    )
    parser.add_argument(
        "--teacher", type=Path, default=_TEACHER, help="teacher.npz; default: the shipped"
    )
    parser.add_argument(
        "--student",
        type=Path,
        help="distillation folder or .npz: the float row; default: the shipped package's",
    )
    parser.add_argument("--tasks", nargs="+", metavar="NAME", help="only these tasks")
    parser.add_argument("--outcomes", type=Path, help="CSV of record,died for mortality")
    parser.add_argument(
        "--outcomes-corpus", metavar="NAME", help="corpus that the outcomes are of"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("runs/evaluation"),
        help="where prepared windows are kept; default runs/evaluation",
    )
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws")
    parser.add_argument("--report", type=Path, help="HTML page to write")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="the tables as Markdown, too"
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout, no tables")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> dict[str, Any] | str:
    """Run the tasks; JSON-able with --json, tables of text otherwise."""
    from plethprint_distill.benchmark import Benchmark, run_benchmark
    from plethprint_distill.benchmark_markdown import markdown_tables
    from plethprint_distill.benchmark_report import html_report
    from plethprint_distill.embedder import (
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

    began = time.monotonic()
    if arguments.draws < 2:
        raise PlethprintError(f"--draws takes 2 or more, not {arguments.draws}")
    tasks = {task.name: task for task in TASKS}
    chosen = arguments.tasks or list(tasks)
    if unknown := [name for name in chosen if name not in tasks]:
        raise PlethprintError(
            f"there is no task {', '.join(unknown)}; known are {', '.join(tasks)}"
        )
    folders = corpus_folders(arguments.corpus)
    makers = {**SETS, **_outcomes(arguments)}
    for path in (arguments.report, arguments.markdown):
        if path is not None and not path.parent.is_dir():
            # Told now, not after half an hour of work.
            raise PlethprintError(f"{path.parent} is not a folder")
    package = ModelPackage.load(arguments.package)
    others = [ModelPackage.load(other) for other in arguments.also]
    teacher, teacher_rows = teacher_embedders(arguments.teacher)
    notes: list[str] = []
    embedders = [*teacher_rows, int8_student(package)]
    kept = FLOAT_STUDENTS / f"{package.path.name}.npz"
    if arguments.student is not None or kept.is_file():
        embedders.append(float_student(arguments.student or kept))
    for other in others:
        embedders += _also(other, {e.name for e in embedders})
    preset = "mini" if "mini" in package.manifest.name else "micro"
    embedders += random_students(preset)
    embedders += control_embedders(notes)
    # The random nets above stand for all: batch norm as it starts, and set on windows.
    embedders += (e for e in baseline_embedders(notes) if "random_cnn" not in e.name)
    for note in notes:
        _LOGGER.warning("%s", note)

    def write(found: Benchmark) -> None:
        found.notes = notes
        found.facts = {
            "package": package.model_id,
            "teacher": arguments.teacher.parent.name + "/" + arguments.teacher.name,
            "command": _command(arguments),
            "seconds": round(time.monotonic() - began, 1),
        }
        if arguments.report is not None:
            arguments.report.write_text(html_report(found), encoding="utf-8")
        if arguments.markdown is not None:
            text = markdown_tables(found.to_dict())
            arguments.markdown.write_text(text, encoding="utf-8")

    found = run_benchmark(
        Library(folders, makers, arguments.cache),
        embedders,
        [tasks[name] for name in chosen],
        teacher=teacher,
        draws=arguments.draws,
        so_far=write,
    )
    write(found)
    return found.to_dict() if arguments.json else text_report(found.to_dict())


def _also(package: ModelPackage, taken: set[str]) -> list[Embedder]:
    """Rows of a further package: int8, and float where `FLOAT_STUDENTS` has it."""
    from plethprint_distill.embedder import float_student, int8_student
    from plethprint_distill.evaluate import FLOAT_STUDENTS

    label = f"{package.manifest.name}_v{package.manifest.version}"
    if f"int8 {label}" in taken:
        raise PlethprintError(f"--also names {label} twice")
    rows = [int8_student(package, f"int8 {label}")]
    kept = FLOAT_STUDENTS / f"{label}.npz"
    return [*rows, float_student(kept, f"float {label}")] if kept.is_file() else rows


def _outcomes(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.corpora import CORPORA
    from plethprint_distill.tasks.mortality import Outcomes, read_outcomes

    if arguments.outcomes is None:
        return {}
    if arguments.outcomes_corpus not in CORPORA:
        raise RecordingError(
            "--outcomes needs --outcomes-corpus, one of " + ", ".join(CORPORA)
        )
    died = read_outcomes(arguments.outcomes)
    return {"mortality": Outcomes(arguments.outcomes_corpus, died).maker()}


def _command(arguments: argparse.Namespace) -> str:
    """The command line again, without what stands at its default."""
    words = ["plethprint evaluate"]
    for flag in (
        "package",
        "also",
        "corpus",
        "student",
        "tasks",
        "outcomes",
        "outcomes_corpus",
    ):
        value = getattr(arguments, flag)
        if value:
            given = value if isinstance(value, list) else [value]
            words += ["--" + flag.replace("_", "-"), *map(str, given)]
    if arguments.teacher != _TEACHER:
        words += ["--teacher", str(arguments.teacher)]
    if arguments.draws != 1000:
        words += ["--draws", str(arguments.draws)]
    if arguments.report is not None:
        words += ["--report", str(arguments.report)]
    return " ".join(words)


def text_report(found: dict[str, Any]) -> str:
    """Tables for a terminal: the first two figures of every row of every task.

    Parameters
    ----------
    found
        `Benchmark.to_dict`.
    """
    lines: list[str] = []
    macro = found["macro_average"]
    tables = [(t["title"], t["figures"][:2], t["rows"]) for t in found["tasks"]]
    if macro["rows"]:
        tables.insert(0, ("Macro-average of skill", ["skill"], macro["rows"]))
    for title, figures, rows in tables:
        lines += ["", f"{title}  ({', '.join(figures)})"]
        for row in rows:
            told = [_told(row["figures"].get(name)) for name in figures]
            lines.append(f"  {row['model']:<44.44} {'  '.join(told)}".rstrip())
    lines += [f"\nnot run: {m['task']}: {m['reason']}" for m in found["missing"]]
    return "\n".join(lines).lstrip("\n")


def _told(interval: dict[str, Any] | None) -> str:
    if interval is None or interval["mean"] is None:
        return " " * 24
    if interval["low"] is None:
        return f"{interval['mean']:8.3f}{'':16}"
    return f"{interval['mean']:8.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"

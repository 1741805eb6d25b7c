"""The verb `benchmark`: `plethprint evaluate` hands over to it."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import Any

from plethprint.errors import PlethprintError
from plethprint.package import MODELS_FOLDER, ModelPackage
from plethprint.teacher import DEFAULT_TEACHER

__all__ = ["add_arguments", "text_report"]

_LOGGER = logging.getLogger(__name__)

_TEACHER = MODELS_FOLDER / DEFAULT_TEACHER / "teacher.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("--package", help="folder or name; default: the shipped")
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
    parser.add_argument(
        "--jobs", type=int, help="processes that share the tasks; default: one a core"
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
    from plethprint_distill.benchmark import Benchmark
    from plethprint_distill.benchmark_markdown import markdown_tables
    from plethprint_distill.benchmark_plan import BenchmarkPlan, run_plan
    from plethprint_distill.benchmark_report import html_report
    from plethprint_distill.tasks import TASKS

    began = time.monotonic()
    if arguments.draws < 2:
        raise PlethprintError(f"--draws takes 2 or more, not {arguments.draws}")
    if arguments.jobs is not None and arguments.jobs < 1:
        raise PlethprintError(f"--jobs takes 1 or more, not {arguments.jobs}")
    known = [task.name for task in TASKS]
    if unknown := [name for name in arguments.tasks or () if name not in known]:
        raise PlethprintError(
            f"there is no task {', '.join(unknown)}; known are {', '.join(known)}"
        )
    for path in (arguments.report, arguments.markdown):
        if path is not None and not path.parent.is_dir():
            # Told now, not after half an hour of work.
            raise PlethprintError(f"{path.parent} is not a folder")
    plan = BenchmarkPlan(
        teacher=arguments.teacher,
        package=arguments.package,
        student=arguments.student,
        also=tuple(arguments.also),
        corpora=tuple(arguments.corpus),
        cache=arguments.cache,
        outcomes=arguments.outcomes,
        outcomes_corpus=arguments.outcomes_corpus,
        draws=arguments.draws,
    )
    package = ModelPackage.load(arguments.package)
    for other in arguments.also:
        ModelPackage.load(other)

    def write(found: Benchmark) -> None:
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

    found = run_plan(plan, arguments.tasks, jobs=arguments.jobs, so_far=write)
    write(found)
    return found.to_dict() if arguments.json else text_report(found.to_dict())


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

"""What `plethprint evaluate` found, in the few lines that a model card has room for.

The JSON of one or more runs is merged and thinned out (`card_benchmark`), so that it can
be carried in a package's manifest, and written as Markdown (`benchmark_notes`): the
macro-average, the claim gate, one line a task, and where somebody else was better. The
last is made from the same numbers: a failure cannot be left out of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from plethprint.errors import RecordingError
from plethprint_distill.embedder import STUDENT_INT8
from plethprint_distill.tasks.task import FIGURES

__all__ = ["Whose", "benchmark_notes", "card_benchmark"]

Whose = Literal["student", "teacher"]

_TEACHERS = ("teacher, PPG", "teacher, ECG", "teacher")
"""Rows that stand for the teacher, the first that is there: the students' input first."""
_MACRO = "macro-average"
_SURE = 0.05
_COMMAND = "`plethprint evaluate --package PACKAGE --corpus DATA --tasks TASK`"


def card_benchmark(paths: Sequence[Path], name: str, version: str) -> dict[str, Any]:
    """Read the JSON of `plethprint evaluate --json`, and keep what a card tells.

    Parameters
    ----------
    paths
        Runs that together hold all tasks. Of a task that two hold the later counts.
    name, version
        Of the student's package: the runs' own, or one that stood beside it (``--also``);
        what was compared in pairs was compared with the runs' own, and is told of it alone.

    Returns
    -------
    dict
        ``package``, ``macro_average``, ``teacher_helps``, ``tasks``: for each task its
        name, title, first figure, people, and the rows ``student``, ``teacher``,
        ``baseline`` and ``control``, the last two the best of their kind.

    Raises
    ------
    RecordingError
        If a file is no such JSON, two are of different packages, or none has the student.
    """
    tasks: dict[str, dict[str, Any]] = {}
    macro: dict[str, Any] = {"tasks": [], "rows": []}
    helps: list[dict[str, Any]] = []
    package, label = "", f"{name}_v{version}"
    for path in paths:
        found = _read(path)
        try:
            if package and found["package"] != package:
                raise RecordingError(
                    f"{path} is of {found['package']}, the other results of {package}"
                )
            package = str(found["package"])
            compared = package.startswith(f"{name}@{version}+")
            student = STUDENT_INT8 if compared else f"int8 {label}"
            for task in found["tasks"]:
                if thin := _thin(task, student, compared=compared):
                    tasks[thin["name"]] = thin
            # Of two averages the one over more tasks says more.
            if len(found["macro_average"]["tasks"]) > len(macro["tasks"]):
                macro = _macro(found["macro_average"], compared=compared)
                helps = [_claim(claim) for claim in found["teacher_helps"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise RecordingError(
                f"{path} is not what plethprint evaluate --json prints: {error!r}"
            ) from error
    if not any(task["student"] for task in tasks.values()):
        raise RecordingError(f"the results of {package} have no rows of {label}")
    return {
        "package": package if compared else label,
        "macro_average": macro,
        "teacher_helps": helps,
        "tasks": list(tasks.values()),
    }


def benchmark_notes(found: Mapping[str, Any], whose: Whose) -> str:
    """Markdown of a card's tables and known failures.

    Parameters
    ----------
    found
        From `card_benchmark`.
    whose
        Whose failures are told.
    """
    parts = ["## Beside rivals", "", _about(found), ""]
    if found["macro_average"]["rows"]:
        parts += [*_macro_table(found["macro_average"], found["package"]), ""]
    if found["teacher_helps"]:
        parts += [*_gate(found["teacher_helps"]), ""]
    parts += [*_task_table(found["tasks"]), ""]
    return "\n".join([*parts, "## Known failures", "", *_failures(found["tasks"], whose)])


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} holds no results: {error}") from error
    if not isinstance(found, dict):
        raise RecordingError(f"{path} is not what plethprint evaluate --json prints")
    return found


def _thin(task: Mapping[str, Any], named: str, *, compared: bool) -> dict[str, Any] | None:
    """A task's rows that a card shows; None where neither student nor teacher has one."""
    name = task["figures"][0]
    known = [r for r in task["rows"] if r["figures"].get(name, {}).get("mean") is not None]
    by_model = {row["model"]: row for row in known}
    student = by_model.get(named) or by_model.get(f"{named} against teacher, PPG")
    teacher = next((by_model[m] for m in _TEACHERS if m in by_model), None)
    if student is None and teacher is None:
        return None
    better = FIGURES[name].higher_is_better if name in FIGURES else True
    rows: dict[str, Any] = {"student": student, "teacher": teacher}
    for family in ("baseline", "control"):
        own = [row for row in known if row["family"] == family]
        rows[family] = (max if better else min)(
            own, key=lambda row: row["figures"][name]["mean"], default=None
        )
    facts = {key: task[key] for key in ("name", "title", "people")}
    kept = {kind: row and _row(row, name, compared) for kind, row in rows.items()}
    return {**facts, "figure": name, **kept}


def _row(row: Mapping[str, Any], name: str, compared: bool) -> dict[str, Any]:
    versus = row["int8_student_minus_this"] if compared else None
    kept = ("difference", "low", "high", "p_holm")
    return {
        "model": row["model"],
        **{key: row["figures"][name][key] for key in ("mean", "low", "high")},
        "student_minus_this": versus and {key: versus[key] for key in kept},
    }


def _macro(macro: Mapping[str, Any], *, compared: bool) -> dict[str, Any]:
    """The student, its teacher, and the best of each other kind."""
    rows, kinds = [], set()
    for row in macro["rows"]:  # best first
        named = row["model"].startswith(("teacher,", "int8 ", "float "))
        if named or (row["family"] != "ours" and row["family"] not in kinds):
            kinds.add(row["family"])
            rows.append({"family": row["family"], **_row(row, "skill", compared)})
    return {"tasks": list(macro["tasks"]), "rows": rows}


def _claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    told = claim["distilled_minus_control"]
    kept = {key: told[key] for key in ("difference", "low", "high")}
    return {**{key: claim[key] for key in ("task", "control", "seeds", "helps")}, **kept}


def _about(found: Mapping[str, Any]) -> str:
    return (
        f"The int8 student `{found['package']}`, its teacher, and what else could be used. "
        "Frozen features, linear probes, people never on both sides; means with 95 % "
        "bootstrap intervals over people. The best baseline and the best control are "
        "chosen by the same table, which favours them. "
        f"A line is made again by {_COMMAND}; all of them, and what each asks, by "
        "`plethprint evaluate --corpus DATA --report out.html`."
    )


def _macro_table(macro: Mapping[str, Any], package: str) -> list[str]:
    names = ", ".join(f"`{name}`" for name in macro["tasks"])
    table = ["| row | | mean skill | int8 student minus this | p (Holm) |"]
    table.append("|---|---|---|---|---|")
    for row in macro["rows"]:
        told = _told(row, "skill")
        table.append(f"| {row['model']} | {row['family']} | {told} | {_versus(row)} |")
    about = (
        f"Macro-average over {len(macro['tasks'])} tasks ({names}), skill: 2 AUROC − 1, or "
        "1 − MAE / MAE of the training mean. Of baselines and controls the best one."
    )
    if not any(row["student_minus_this"] for row in macro["rows"]):
        about += f" `int8 student` is the package that `{package}` stood beside."
    return [about, "", *table]


def _gate(helps: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each way of training without a teacher."""
    table = [
        "| without a teacher | distilled minus this, macro-average | helps "
        "| tasks in which it is shown to |",
        "|---|---|---|---|",
    ]
    for whole in (claim for claim in helps if claim["task"] == _MACRO):
        tasks = [
            claim
            for claim in helps
            if claim["control"] == whole["control"] and claim["task"] != _MACRO
        ]
        shown = [f"`{claim['task']}`" for claim in tasks if claim["helps"]]
        difference = _signed(whole)
        table.append(
            f"| {whole['control']} | {difference} | {_yes(whole['helps'])} "
            f"| {len(shown)} of {len(tasks)}{': ' if shown else ''}{', '.join(shown)} |"
        )
    about = (
        "Does the teacher help? The same student on as many of the same windows, distilled "
        "and not; intervals draw people and seeds anew."
    )
    return [about, "", *table]


def _task_table(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    table = [
        "| task | figure | int8 student | teacher | best baseline | best control "
        "| people |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in tasks:
        name = task["figure"]
        figure = FIGURES.get(name)
        arrow = "↑" if figure is None or figure.higher_is_better else "↓"
        cells = [f"`{task['name']}`", f"{figure.title if figure else name} {arrow}"]
        for kind in ("student", "teacher", "baseline", "control"):
            row = task[kind]
            told = "" if row is None else _told(row, name)
            # A teacher's row says what it saw; the student's is always the same.
            named = row is not None and kind != "student" and row["model"] != "teacher"
            cells.append(f"{row['model']}: {told}" if named else told)
        table.append(f"| {' | '.join(cells)} | {task['people']:,} |")
    return table


def _failures(tasks: Sequence[Mapping[str, Any]], whose: Whose) -> list[str]:
    """A line for each task in which the best baseline or the best control is ahead."""
    lines = []
    for task in tasks:
        ours, name = task[whose], task["figure"]
        for rival in (task["baseline"], task["control"]):
            if ours is None or rival is None or not _ahead(rival, ours, name):
                continue
            line = (
                f"* `{task['name']}` ({task['title']}): {rival['model']} "
                f"{_told(rival, name)} against {_told(ours, name)}"
            )
            versus = rival["student_minus_this"] if whose == "student" else None
            if versus is not None and versus["p_holm"] is not None:
                sure = versus["p_holm"] < _SURE
                line += f"; {'shown' if sure else 'not shown'} (p {_p(versus['p_holm'])})"
            lines.append(line + ".")
    if not lines:
        return ["No baseline and no control is ahead in any task above."]
    about = f"Where a baseline or a control is ahead of the {whose}, by the table above"
    tested = ", and whether the paired comparison shows it" if whose == "student" else ""
    return [f"{about}{tested}:", "", *lines]


def _ahead(rival: Mapping[str, Any], ours: Mapping[str, Any], name: str) -> bool:
    higher = FIGURES[name].higher_is_better if name in FIGURES else True
    return bool(rival["mean"] > ours["mean"] if higher else rival["mean"] < ours["mean"])


def _told(row: Mapping[str, Any], name: str) -> str:
    digits = FIGURES[name].decimals if name in FIGURES else 3
    mean = f"{row['mean']:.{digits}f}"
    if row["low"] is None:
        return mean
    return f"{mean} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"


def _signed(found: Mapping[str, Any]) -> str:
    if found["low"] is None:  # one person, or one class alone
        return "unknown"
    return f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def _versus(row: Mapping[str, Any]) -> str:
    versus = row["student_minus_this"]
    if versus is None:
        return " | "
    return f"{_signed(versus)} | {'' if versus['p_holm'] is None else _p(versus['p_holm'])}"


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"


def _yes(helps: bool) -> str:
    return "yes" if helps else "not shown"

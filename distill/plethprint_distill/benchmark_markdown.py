"""The benchmark's tables as Markdown, from its JSON: `docs/results.md` is written so."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from plethprint_distill.tasks.task import FIGURES

__all__ = ["markdown_tables"]

_GATE = (
    "The same student on as many of the same windows, with the teacher's fingerprints as "
    "targets and without: skill, mean over seeds; intervals draw people and seeds anew."
)
_SHOWN = 4
"""Figures of a task beside each other; the page and the JSON hold the others."""


def markdown_tables(found: Mapping[str, Any]) -> str:
    """All tables of a run.

    Parameters
    ----------
    found
        `Benchmark.to_dict`, or what `plethprint evaluate --json` printed.

    Examples
    --------
    >>> print(markdown_tables({"tasks": [], "macro_average": {"rows": []}, "missing": []}))
    <BLANKLINE>
    """
    parts: list[str] = []
    macro = found["macro_average"]
    if macro["rows"]:
        names = ", ".join(f"`{name}`" for name in macro["tasks"])
        parts += ["## Macro-average", "", f"{macro['about']} Tasks: {names}.", ""]
        parts += [*_table(macro["rows"], ["skill"]), ""]
    if found.get("teacher_helps"):
        parts += ["## Does the teacher help?", "", _GATE, ""]
        parts += [*_gate(found["teacher_helps"]), ""]
    for section, tasks in groupby(found["tasks"], key=lambda task: task["section"]):
        parts += [f"## {section}", ""]
        for task in tasks:
            parts += [f"### {task['title']}", "", task["about"], ""]
            counted = (
                f"{task['units']:,} {task['unit']}; {task['people']:,} people or groups"
            )
            parts += [f"Knows nothing: {task['null']} {task['traps']} {counted}.", ""]
            parts += [*_table(task["rows"], task["figures"][:_SHOWN]), ""]
    for left_out in found["missing"]:
        parts.append(f"Not run: `{left_out['task']}`: {left_out['reason']}.")
    return "\n".join(parts)


def _gate(claims: list[dict[str, Any]]) -> list[str]:
    table = ["| task | control | distilled minus control | seeds | helps |"]
    table.append("|---|---|---|---|---|")
    for claim in claims:
        told = claim["distilled_minus_control"]
        taught, without = claim["seeds"]
        table.append(
            f"| {claim['task']} | {claim['control']} | {_signed(told)} "
            f"| {taught} and {without} "
            f"| {'yes' if claim['helps'] else 'not shown'} |"
        )
    return table


def _table(rows: list[dict[str, Any]], figures: list[str]) -> list[str]:
    held = [f for f in figures if any(f in row["figures"] for row in rows)]
    compared = any(row["int8_student_minus_this"] for row in rows)
    titles = [FIGURES[f].title if f in FIGURES else f for f in held]
    titles += ["int8 student minus this", "p (Holm)"] if compared else []
    table = [f"| row | | {' | '.join(titles)} |", "|---" * (2 + len(titles)) + "|"]
    best = {f: _best(rows, f) for f in held}
    for row in _ranked(rows, held[0] if held else ""):
        cells = []
        for name in held:
            told = _interval(row["figures"].get(name), name)
            cells.append(f"**{told}**" if row is best[name] else told)
        if compared:
            cells += _versus(row["int8_student_minus_this"])
        table.append(f"| {row['model']} | {row['family']} | {' | '.join(cells)} |")
    return table


def _digits(name: str) -> int:
    return FIGURES[name].decimals if name in FIGURES else 3


def _interval(figure: Mapping[str, Any] | None, name: str) -> str:
    if figure is None or figure["mean"] is None:
        return ""
    digits = _digits(name)
    if figure["low"] is None:
        return f"{figure['mean']:.{digits}f}"
    low, high = f"{figure['low']:.{digits}f}", f"{figure['high']:.{digits}f}"
    return f"{figure['mean']:.{digits}f} [{low}, {high}]"


def _versus(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return ["", ""]
    p = found["p_holm"]
    told = "" if p is None else ("<.001" if p < 0.001 else f"{p:.3f}")
    return [_signed(found), told]


def _signed(found: Mapping[str, Any]) -> str:
    if found["low"] is None:  # one person, or one class alone
        return "unknown"
    return f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def _better(name: str) -> int:
    return 1 if name not in FIGURES or FIGURES[name].higher_is_better else -1


def _mean(row: Mapping[str, Any], name: str) -> float:
    figure = row["figures"].get(name)
    worst = float("-inf")
    if figure is None or figure["mean"] is None:
        return worst
    return float(figure["mean"]) * _better(name)


def _best(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return max(rows, key=lambda row: _mean(row, name))


def _ranked(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: _mean(row, name), reverse=True)

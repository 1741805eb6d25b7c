"""The benchmark as one HTML page that needs nothing else: no scripts, no fonts, no net."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

import numpy as np

from plethprint_distill.benchmark import MACRO_ABOUT, Benchmark
from plethprint_distill.embedder import STUDENT_INT8
from plethprint_distill.int8_cost import int8_costs, int8_table
from plethprint_distill.statistics import Interval
from plethprint_distill.tasks.task import FIGURES, Figure, Row, TaskResult

__all__ = ["html_report"]

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}
h1{line-height:1.2}h2{margin-top:3rem;border-bottom:1px solid #ccc}h3{margin:2.2rem 0 .3rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;
margin:.8rem 0;display:block;overflow-x:auto}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #e5e5e5;
white-space:nowrap}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #888}
.ours{background:#eef5fc}.control{background:#fdf6e9}.null{color:#777}
.best{font-weight:700}.range{color:#777;font-size:.85em}
.key span{padding:.1rem .5rem;margin-right:.4rem}dt{font-weight:600}dd{margin:0 0 .4rem}
dl{font-size:.92rem;margin:.4rem 0}code{background:#f3f3f3;padding:.1rem .3rem;
overflow-wrap:anywhere}figure{display:inline-block;margin:.5rem 1rem .5rem 0}
figcaption{font-size:.8rem;color:#555}
"""

_SKILL = Figure("mean skill", True, 0.0)
_COLOURS = ("#0b62a8", "#d1711a", "#2f8f4e", "#8a4fa3")
_CURVES = 4


def html_report(found: Benchmark) -> str:
    """The whole page.

    Parameters
    ----------
    found
        What `run_benchmark` gave.
    """
    facts = found.facts
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>plethprint: evaluation</title><style>{_STYLE}</style></head><body>",
        "<h1>What the fingerprint is worth</h1>",
        _paragraphs(found),
        "<p class='key'><span class='ours'>ours</span><span class='control'>control</span>"
        "<span>baseline</span><span class='null'>null</span></p>",
        _macro(found),
        int8_table(int8_costs(found.results)),
    ]
    for section, group in groupby(found.results, key=lambda r: r.task.section):
        parts.append(f"<h2>{escape(section)}</h2>")
        parts += [_task(result) for result in group]
    if found.missing:
        items = "".join(
            f"<li><code>{escape(t)}</code>: {escape(why)}</li>" for t, why in found.missing
        )
        parts.append(f"<h2>Not run</h2><ul>{items}</ul>")
    if found.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in found.notes)
        parts.append(f"<h2>Notes</h2><ul>{items}</ul>")
    parts.append(
        f"<h2>How to make this page</h2><p><code>{escape(str(facts.get('command', '')))}"
        f"</code></p><p>{escape(str(facts.get('seconds', '')))} seconds.</p>"
    )
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _paragraphs(found: Benchmark) -> str:
    facts = found.facts
    return (
        f"<p>Package <code>{escape(str(facts.get('package', '')))}</code>, teacher "
        f"<code>{escape(str(facts.get('teacher', '')))}</code>. All encoders are frozen; "
        "what is fitted is a linear probe on their features (standardise, ridge, strength "
        "by nested folds over people, probabilities by a logistic curve). People are never "
        "on both sides. Figures stand with their 95 % bootstrap interval over people; the "
        "best of a column is bold, which does not say that it is better than the next. "
        "The last columns compare the int8 student with the row in pairs, p after Holm's "
        "correction over the table. Not a medical device.</p>"
    )


def _macro(found: Benchmark) -> str:
    if not found.macro:
        return ""
    tasks = ", ".join(f"<code>{escape(name)}</code>" for name in found.macro_tasks)
    return (
        f"<h2>Macro-average</h2><p>{escape(MACRO_ABOUT)}</p><p>Tasks: {tasks}.</p>"
        + _table(found.macro, {"skill": _SKILL})
    )


def _task(result: TaskResult) -> str:
    task = result.task
    columns = {
        name: FIGURES[name]
        for name in task.figures
        if any(name in row.figures for row in result.rows)
    }
    first = FIGURES[task.figures[0]]
    rows = sorted(result.rows, key=lambda row: _rank(row, task.figures[0], first))
    counts = f"{result.units:,} {task.unit}; {result.people:,} people or groups"
    facts = (
        ("What", task.about),
        ("Knows nothing", task.null),
        ("Traps", task.traps),
        ("Counted", f"{counts}; {result.seconds:.0f} s."),
    )
    told = "".join(f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in facts)
    parts = [f"<h3 id='{task.name}'>{escape(task.title)}</h3>"]
    if not rows:
        parts.append("<p>No model here can be asked this.</p>")
    else:
        parts.append(_table(rows, columns))
        parts.append(_groups(rows))
        parts.append(_calibration(rows))
    return "".join(parts) + f"<dl>{told}</dl>"


def _rank(row: Row, name: str, figure: Figure) -> float:
    if name not in row.figures:
        return np.inf
    value = row.figures[name].interval.mean
    if not np.isfinite(value):
        return np.inf
    return -value if figure.higher_is_better else value


def _table(rows: Sequence[Row], columns: dict[str, Figure]) -> str:
    compared = any(row.versus is not None for row in rows)
    best = {name: _best(rows, name, figure) for name, figure in columns.items()}
    head = "".join(
        f"<th>{escape(f.title)} {'↑' if f.higher_is_better else '↓'}</th>"
        for f in columns.values()
    )
    if compared:
        head += "<th>int8 student − this</th><th>p (Holm)</th>"
    lines = []
    for row in rows:
        cells = [f"<td>{escape(row.model)}</td>"]
        for name, figure in columns.items():
            if name not in row.figures:
                cells.append("<td></td>")
                continue
            mark = " class='best'" if row is best[name] else ""
            told = _told(row.figures[name].interval, figure.decimals)
            cells.append(f"<td{mark}>{told}</td>")
        if compared:
            cells += _comparison(row, next(iter(columns.values())).decimals)
        lines.append(f"<tr class='{row.family}'>{''.join(cells)}</tr>")
    return (
        f"<table><thead><tr><th>model</th>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _comparison(row: Row, decimals: int) -> list[str]:
    versus = row.versus
    if versus is None or not np.isfinite(versus.difference):
        return ["<td></td>", "<td></td>"]
    interval = Interval(versus.difference, versus.low, versus.high, 0)
    p = row.p_corrected
    told = "&lt; .001" if p < 0.001 else f"{p:.3f}"
    return [
        f"<td>{_told(interval, decimals, sign='+')}</td>",
        f"<td title='{escape(versus.test)}'>{told}</td>",
    ]


def _told(interval: Interval, decimals: int, sign: str = "") -> str:
    if not np.isfinite(interval.mean):
        return ""
    told = f"{interval.mean:{sign}.{decimals}f}"
    if not np.isfinite(interval.low):
        return told
    low, high = f"{interval.low:.{decimals}f}", f"{interval.high:.{decimals}f}"
    return f"{told} <span class='range'>[{low}, {high}]</span>"


def _best(rows: Sequence[Row], name: str, figure: Figure) -> Row | None:
    ranked = [
        row for row in rows if name in row.figures and np.isfinite(_rank(row, name, figure))
    ]
    return min(ranked, key=lambda row: _rank(row, name, figure)) if ranked else None


def _groups(rows: Sequence[Row]) -> str:
    names = list(next((row.groups for row in rows if row.groups), {}))
    if not names:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join(
        f"<tr class='{row.family}'><td>{escape(row.model)}</td>"
        + "".join(f"<td>{row.groups.get(name, np.nan):.3f}</td>" for name in names)
        + "</tr>"
        for row in rows
        if row.groups
    )
    return (
        "<details><summary>Told apart</summary><table><thead><tr><th>model</th>"
        f"{head}</tr></thead><tbody>{lines}</tbody></table></details>"
    )


def _calibration(rows: Sequence[Row]) -> str:
    """Calibration curves: the int8 student's, and the best rows' of each family."""
    chosen: list[Row] = [row for row in rows if row.model == STUDENT_INT8]
    for family in ("ours", "baseline", "control"):
        chosen += [row for row in rows if row.family == family][:1]
    unique = {row.model: row for row in chosen if row.curve is not None}
    shown = list(unique.values())[:_CURVES]
    if not shown:
        return ""
    size, edge = 220, 34
    span = size - 2 * edge

    def place(x: float, y: float) -> str:
        return f"{edge + span * x:.1f},{size - edge - span * y:.1f}"

    shapes = [
        f"<rect x='{edge}' y='{edge}' width='{span}' height='{span}' fill='none' "
        "stroke='#bbb'/>",
        f"<polyline points='{place(0, 0)} {place(1, 1)}' stroke='#bbb' "
        "stroke-dasharray='4' fill='none'/>",
    ]
    key = []
    for row, colour in zip(shown, _COLOURS, strict=False):
        assert row.curve is not None
        pairs = zip(row.curve.stated.tolist(), row.curve.observed.tolist(), strict=True)
        points = [place(x, y) for x, y in pairs]
        shapes.append(
            f"<polyline points='{' '.join(points)}' fill='none' stroke='{colour}' "
            "stroke-width='2'/>"
        )
        shapes += [
            f"<circle cx='{p.split(',')[0]}' cy='{p.split(',')[1]}' r='2.5' "
            f"fill='{colour}'/>"
            for p in points
        ]
        key.append(f"<span style='color:{colour}'>● {escape(row.model)}</span>")
    words = (
        f"<text x='{size / 2}' y='{size - 8}' text-anchor='middle'>stated</text>"
        f"<text x='12' y='{size / 2}' text-anchor='middle' "
        f"transform='rotate(-90 12 {size / 2})'>observed</text>"
    )
    return (
        f"<figure><svg width='{size}' height='{size}' viewBox='0 0 {size} {size}' "
        f"font-size='11' fill='#555' role='img' aria-label='calibration curves'>"
        f"{''.join(shapes)}{words}</svg><figcaption>Calibration: {' '.join(key)}"
        "</figcaption></figure>"
    )

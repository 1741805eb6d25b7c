"""What int8 costs downstream: the float student against the int8 one, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from plethprint_distill.embedder import STUDENT_FLOAT, STUDENT_INT8
from plethprint_distill.statistics import Comparison, Estimate, paired_bootstrap
from plethprint_distill.tasks.task import FIGURES, TaskResult

__all__ = ["AUROC_BAR", "MAE_BAR", "Int8Cost", "int8_costs", "int8_table"]

AUROC_BAR = 0.005
"""Most that int8 may cost of an area under the curve."""
MAE_BAR = 0.01
"""Most that it may add to a mean absolute error, as a share of it."""

_BARRED = {"auroc": AUROC_BAR, "macro_auroc": AUROC_BAR, "within_auroc": AUROC_BAR}


@dataclass(frozen=True)
class Int8Cost:
    """One figure of one task."""

    task: str
    title: str
    figure: str
    float_student: Estimate
    int8_student: Estimate
    difference: Comparison
    """int8 minus float, people drawn anew for both together."""
    bar: float | None
    """Most that int8 may cost, in the figure's own unit; None where no goal was set."""

    @property
    def cost(self) -> float:
        """What int8 loses: above 0 is worse."""
        better = FIGURES[self.figure].higher_is_better
        return -self.difference.difference if better else self.difference.difference

    @property
    def verdict(self) -> str:
        """``"within"`` or ``"over"`` the bar by the point; ``""`` without a bar."""
        if self.bar is None or self.cost != self.cost:
            return ""
        return "within" if self.cost <= self.bar else "over"


def int8_costs(results: Sequence[TaskResult]) -> list[Int8Cost]:
    """The first figure of every task that has both students as rows.

    Parameters
    ----------
    results
        As `plethprint_distill.benchmark.run_benchmark` gives them.
    """
    found = []
    for result in results:
        rows = {row.model: row for row in result.rows}
        name = result.task.figures[0]
        if not {STUDENT_INT8, STUDENT_FLOAT} <= rows.keys():
            continue
        pair = [rows[model].figures.get(name) for model in (STUDENT_FLOAT, STUDENT_INT8)]
        before, after = pair
        if before is None or after is None or before.draws.shape != after.draws.shape:
            continue
        bar = _BARRED.get(name)
        if name == "mae":
            bar = MAE_BAR * before.interval.mean
        found.append(
            Int8Cost(
                result.task.name,
                result.task.title,
                name,
                before,
                after,
                paired_bootstrap(after, before),
                bar,
            )
        )
    return found


def int8_table(costs: Sequence[Int8Cost]) -> str:
    """The costs as one HTML table, with what it compares; empty without any."""
    if not costs:
        return ""
    lines = []
    for cost in costs:
        figure = FIGURES[cost.figure]
        digits = figure.decimals + 1  # differences of a thousandth are what it is about
        difference = cost.difference
        cells = (
            escape(cost.title),
            f"{escape(figure.title)} {'↑' if figure.higher_is_better else '↓'}",
            f"{cost.float_student.interval.mean:.{digits}f}",
            f"{cost.int8_student.interval.mean:.{digits}f}",
            f"{difference.difference:+.{digits}f} <span class='range'>"
            f"[{difference.low:+.{digits}f}, {difference.high:+.{digits}f}]</span>",
            "" if cost.bar is None else f"{cost.bar:.{digits}f}",
            cost.verdict,
        )
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = ("task", "figure", "float", "int8", "int8 − float", "may cost", "")
    head = "".join(f"<th>{title}</th>" for title in heads)
    return (
        "<h2 id='int8'>What int8 costs</h2><p>The same student in float and in int8, on "
        "the same people: difference with its 95 % interval, people drawn anew for both "
        f"together. The goal is at most {AUROC_BAR:g} of an AUROC and {100 * MAE_BAR:g} % "
        "of a mean absolute error; an interval that reaches beyond it leaves the matter "
        f"open.</p><table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )

"""Float against int8 in one table: differences in pairs, and the bars they are held to."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("scipy", reason="needs the `train` extra")

from plethprint_distill.benchmark import Benchmark
from plethprint_distill.benchmark_report import html_report
from plethprint_distill.embedder import STUDENT_FLOAT, STUDENT_INT8
from plethprint_distill.int8_cost import int8_costs, int8_table
from plethprint_distill.statistics import Estimate, Interval, estimate
from plethprint_distill.tasks.task import Row, TaskResult

PEOPLE = np.repeat([f"p{k}" for k in range(20)], 5)


def _error(values: np.ndarray) -> Estimate:
    return estimate(lambda w: w @ values / w.sum(axis=1), PEOPLE, draws=300)


def _task(figure: str, name: str = "task") -> SimpleNamespace:
    return SimpleNamespace(
        name=name,
        title="A & B",
        figures=(figure,),
        section="Tests",
        about="",
        null="",
        traps="",
        unit="windows",
        in_macro=False,
    )


def _result(figure: str, **models: Estimate) -> TaskResult:
    names = {"plain": STUDENT_FLOAT, "small": STUDENT_INT8, "other": "teacher"}
    rows = [Row(names[key], "ours", {figure: found}) for key, found in models.items()]
    return TaskResult(_task(figure), rows, len(PEOPLE), 20)  # type: ignore[arg-type]


@pytest.fixture
def error() -> np.ndarray:
    return np.random.default_rng(0).uniform(2, 8, len(PEOPLE))


def test_a_constant_loss_is_found_exactly_though_people_differ(error) -> None:
    (cost,) = int8_costs([_result("mae", plain=_error(error), small=_error(error + 0.02))])
    assert cost.cost == pytest.approx(0.02)
    assert (cost.difference.low, cost.difference.high) == pytest.approx((0.02, 0.02))
    # 1 % of about 5 beats a minute
    assert cost.bar == pytest.approx(0.01 * error.mean())
    assert cost.verdict == "within"


def test_an_error_that_grows_by_more_than_a_percent_is_over(error) -> None:
    (cost,) = int8_costs([_result("mae", plain=_error(error), small=_error(error * 1.02))])
    assert cost.verdict == "over"


@pytest.mark.parametrize(
    ("change", "verdict"), [(-0.004, "within"), (-0.006, "over"), (0.1, "within")]
)
def test_an_auroc_may_fall_by_five_thousandths(change, verdict) -> None:
    def auroc(mean: float) -> Estimate:
        return Estimate(Interval(mean, mean, mean, 20), np.full(300, mean))

    (cost,) = int8_costs([_result("auroc", plain=auroc(0.8), small=auroc(0.8 + change))])
    assert cost.cost == pytest.approx(-change)
    assert cost.verdict == verdict


def test_a_figure_without_a_goal_has_no_verdict(error) -> None:
    found = [_result("top1", plain=_error(error), small=_error(error))]
    assert [cost.verdict for cost in int8_costs(found)] == [""]


def test_a_task_without_both_students_is_left_out(error) -> None:
    found = [_result("mae", small=_error(error), other=_error(error))]
    assert int8_costs(found) == []
    assert int8_table([]) == ""


def test_the_page_shows_the_table_where_there_is_a_float_student(error) -> None:
    small = _error(error * 1.001)
    with_float = [_result("mae", plain=_error(error), small=small)]
    page = html_report(Benchmark(with_float, [], [], []))
    assert "What int8 costs" in page
    assert "<td>A &amp; B</td>" in page
    without = html_report(Benchmark([_result("mae", small=small)], [], [], []))
    assert "What int8 costs" not in without

"""Cards tell what the benchmark found, failures too, from the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")

from plethprint.errors import RecordingError  # noqa: E402
from plethprint_distill.card import student_notes, teacher_card  # noqa: E402
from plethprint_distill.card_benchmark import benchmark_notes, card_benchmark  # noqa: E402


def _row(
    model: str, family: str, name: str, mean: float, p: float | None
) -> dict[str, Any]:
    versus = {"difference": 0.1, "low": 0.05, "high": 0.15, "p": p, "p_holm": p}
    figures = {name: {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "people": 9}}
    return {
        "model": model,
        "family": family,
        "figures": figures,
        "int8_student_minus_this": None if p is None else versus,
    }


def _task(name: str, figure: str, values: dict[str, tuple[str, float]]) -> dict[str, Any]:
    rows = [
        _row(model, family, figure, mean, None if model == "int8 student" else 0.01)
        for model, (family, mean) in values.items()
    ]
    return {"name": name, "title": f"T {name}", "figures": [figure], "people": 9} | {
        "rows": rows
    }


def _run(package: str, tasks: list[dict[str, Any]], counted: list[str]) -> dict[str, Any]:
    difference = {"difference": 0.1, "low": 0.04, "high": 0.2}
    claim = {"control": "masked-micro", "distilled_minus_control": difference}
    macro = [
        _row("teacher, PPG", "ours", "skill", 0.6, 0.2),
        _row("int8 student", "ours", "skill", 0.55, None),
        _row("best of them", "baseline", "skill", 0.5, 0.0001),
        _row("second", "baseline", "skill", 0.4, 0.0001),
    ]
    return {
        "package": package,
        "tasks": tasks,
        "macro_average": {"tasks": counted, "rows": macro if counted else []},
        "teacher_helps": [
            {**claim, "task": task, "seeds": [3, 2], "helps": task != "pressure"}
            for task in (("macro-average", "rhythm", "pressure") if counted else ())
        ],
    }


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    rhythm = {
        "int8 student": ("ours", 0.9),
        "int8 plethprint-mini_v2": ("ours", 0.97),
        "teacher, PPG": ("ours", 0.95),
        "weak": ("baseline", 0.5),
        "minirocket": ("baseline", 0.96),
        "clock": ("control", 0.7),
    }
    pressure = {
        "int8 student": ("ours", 9.0),
        "int8 plethprint-mini_v2": ("ours", 8.5),
        "teacher, PPG": ("ours", 8.0),
        "minirocket": ("baseline", 9.5),
        "age": ("control", 8.9),
    }
    heart = {"teacher, ECG": ("ours", 0.8), "supervised": ("baseline", 0.9)}
    one = _run(
        "plethprint-micro@2+00",
        [_task("rhythm", "auroc", rhythm), _task("pressure", "mae", pressure)],
        ["rhythm", "pressure"],
    )
    other = _run("plethprint-micro@2+00", [_task("ecg", "macro_auroc", heart)], [])
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, found in zip(paths, (one, other), strict=True):
        path.write_text(json.dumps(found))
    return paths


def test_two_runs_become_one_table_with_the_best_of_each_kind(runs: list[Path]) -> None:
    found = card_benchmark(runs, "plethprint-micro", "2")
    assert [task["name"] for task in found["tasks"]] == ["rhythm", "pressure", "ecg"]
    rhythm, pressure, ecg = found["tasks"]
    assert rhythm["baseline"]["model"] == "minirocket"
    assert pressure["control"]["model"] == "age"
    assert ecg["student"] is None
    assert [row["model"] for row in found["macro_average"]["rows"]] == [
        "teacher, PPG",
        "int8 student",
        "best of them",
    ]
    told = benchmark_notes(found, "student")
    assert "| masked-micro | +0.100 [+0.040, +0.200] | yes | 1 of 2: `rhythm` |" in told
    assert "| `ecg` | macro-AUROC ↑ |  | teacher, ECG: 0.800 [0.790, 0.810] |" in told


def test_a_failure_is_told_where_somebody_else_is_ahead_and_nowhere_else(
    runs: list[Path],
) -> None:
    found = card_benchmark(runs, "plethprint-micro", "2")
    failures = {
        whose: benchmark_notes(found, whose).split("## Known failures")[1].splitlines()
        for whose in ("student", "teacher")
    }
    told = [line for line in failures["student"] if line.startswith("*")]
    assert told == [
        "* `rhythm` (T rhythm): minirocket 0.960 [0.950, 0.970] against "
        "0.900 [0.890, 0.910]; shown (p 0.010).",
        "* `pressure` (T pressure): age 8.90 [8.89, 8.91] against "
        "9.00 [8.99, 9.01]; shown (p 0.010).",
    ]
    told = [line for line in failures["teacher"] if line.startswith("*")]
    assert [line.split(":")[0] for line in told] == [
        "* `rhythm` (T rhythm)",
        "* `ecg` (T ecg)",
    ]


def test_a_package_that_stood_beside_another_is_told_without_its_comparisons(
    runs: list[Path],
) -> None:
    found = card_benchmark(runs, "plethprint-mini", "2")
    assert found["package"] == "plethprint-mini_v2"
    assert found["tasks"][0]["student"]["mean"] == 0.97
    told = benchmark_notes(found, "student")
    assert "No baseline and no control is ahead" in told
    assert "p 0.010" not in told
    with pytest.raises(RecordingError, match="no rows of plethprint-mini_v3"):
        card_benchmark(runs, "plethprint-mini", "3")


def test_results_that_are_none_or_of_two_packages_are_refused(
    runs: list[Path], tmp_path: Path
) -> None:
    for content in ("", "[]", "{}", '{"package": "x", "tasks": 3}'):
        (tmp_path / "odd.json").write_text(content)
        with pytest.raises(RecordingError, match=r"odd\.json"):
            card_benchmark([tmp_path / "odd.json"], "plethprint-micro", "2")
    (tmp_path / "odd.json").write_text(json.dumps(_run("other@1+00", [], [])))
    with pytest.raises(RecordingError, match="other@1"):
        card_benchmark([*runs, tmp_path / "odd.json"], "plethprint-micro", "2")


def test_both_cards_tell_rivals_splits_and_pictures(runs: list[Path]) -> None:
    figures = {"benchmark": card_benchmark(runs, "plethprint-micro", "2")}
    for card in (student_notes(figures), teacher_card("m2ae 2", figures, [], "facts")):
        for part in ("Beside rivals", "Known failures", "Splits", "Figures", "Limits"):
            assert card.count(f"\n## {part}\n") == 1
        assert "--tasks TASK" in card
        assert "S26" in card
    assert "Beside rivals" not in student_notes({})


def test_the_pictures_that_cards_name_are_there(runs: list[Path]) -> None:
    models = Path(__file__).parents[2] / "sdk" / "plethprint" / "models" / "NAME"
    card = student_notes({}) + teacher_card("m2ae 2", {}, [], "facts")
    named = {part.split(")")[0] for part in card.split("](")[1:]}
    assert len(named) == 5
    for name in named:
        assert (models / name).resolve().is_file(), name


def test_handover_takes_figures_and_results_from_files(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plethprint_distill import __main__ as command
    from plethprint_distill import handover

    given: list[dict[str, Any]] = []
    monkeypatch.setattr(command, "load_teacher", lambda path: None)
    monkeypatch.setattr(handover, "hand_over", lambda *a, **named: given.append(named))
    (tmp_path / "figures.json").write_text('{"parity": {}}')
    figures = ["--figures", str(tmp_path / "figures.json"), "--teacher-id", "m@2+00"]
    words = ["handover", *figures, "--benchmark", *map(str, runs)]
    assert command.main(words) == 0
    assert command.main([*words, "--preset", "mini"]) == 0
    assert [named["name"] for named in given] == ["plethprint-micro", "plethprint-mini"]
    assert given[0]["teacher_id"] == "m@2+00"
    assert given[0]["figures"]["parity"] == {}
    assert given[1]["figures"]["benchmark"]["package"] == "plethprint-mini_v2"
    (tmp_path / "figures.json").write_text("[]")
    assert command.main(words) == 1

"""The protocol as a whole, on small sets whose answer is known."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("scipy", reason="needs the `train` extra")

from plethprint.errors import RecordingError  # noqa: E402
from plethprint_distill.benchmark import macro_average, run_benchmark, skill  # noqa: E402
from plethprint_distill.benchmark_command import text_report  # noqa: E402
from plethprint_distill.benchmark_markdown import markdown_tables  # noqa: E402
from plethprint_distill.benchmark_plan import BenchmarkPlan  # noqa: E402
from plethprint_distill.benchmark_report import html_report  # noqa: E402
from plethprint_distill.embedder import STUDENT_INT8, Embedder, random_students  # noqa: E402
from plethprint_distill.evaluation_sets import SETS  # noqa: E402
from plethprint_distill.folds import folds_over_people, one_split  # noqa: E402
from plethprint_distill.labelled_windows import (  # noqa: E402
    LabelledWindows,
    Library,
    corpus_folders,
    ppg_windows,
)
from plethprint_distill.splits import is_cinc_test_record  # noqa: E402
from plethprint_distill.tasks import TASKS  # noqa: E402
from plethprint_distill.tasks.heart_rate import TASKS as HEART_RATE  # noqa: E402
from plethprint_distill.tasks.mortality import (  # noqa: E402
    Outcomes,
    read_outcomes,
    virtual_deaths,
)
from plethprint_distill.tasks.parity import _whose  # noqa: E402
from plethprint_distill.tasks.person import Identification  # noqa: E402
from plethprint_distill.tasks.probe_task import ProbeTask, unit_means  # noqa: E402
from plethprint_distill.tasks.task import FIGURES, Part, Problem, Supervised  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

PEOPLE = 24


@pytest.fixture(scope="module")
def library(virtual: WindowSet) -> Library:
    """The virtual windows as if of 24 people of BIDMC, with labels."""
    names = np.array([f"bidmc/s{row % PEOPLE:05d}" for row in range(len(virtual))])
    windows = dataclasses.replace(
        virtual,
        person=names,
        record=np.char.add("r", names),
        start_s=(10.0 * (np.arange(len(virtual)) // PEOPLE)).astype(np.float32),
    )
    rng = np.random.default_rng(0)
    labels = {
        "age": rng.uniform(20, 80, PEOPLE)[np.arange(len(virtual)) % PEOPLE],
        "sex": np.array(["F", "M"])[np.arange(len(virtual)) % 2],
        "ill": (rng.random(len(virtual)) < 0.4).astype(np.float64),
        "raw_level": rng.normal(size=len(virtual)),
        "raw_spread": rng.normal(size=len(virtual)),
    }
    made = LabelledWindows(windows, labels)
    return Library({"bidmc": Path()}, {"bidmc": ("bidmc", lambda _: made)})


def _embedder(name: str, column: np.ndarray, family: str = "ours") -> Embedder:
    """A model that knows a column, and some noise."""
    noise = np.random.default_rng(len(name)).normal(size=(len(column), 5))
    table = np.concatenate([column.reshape(len(column), -1), noise], axis=1)
    return Embedder(name, family, "ppg", lambda windows: table.astype(np.float32))


def _task(kind: str, **changes: object) -> ProbeTask:
    def pose(library: Library) -> Problem:
        labelled = library.get("bidmc")
        person = np.asarray(labelled.windows.person)
        column = labelled.number("age" if kind == "number" else "ill")[:, None]
        return Problem(
            parts=(Part("bidmc", np.arange(len(labelled))),),
            unit=np.arange(len(labelled)),
            labels=column,
            person=person,
            repeats=folds_over_people(person, column),
            kind=kind,
            controls={"noise": np.random.default_rng(1).normal(size=(len(labelled), 3))},
            groups={"all": np.ones(len(labelled), np.bool_)},
        )

    facts = {
        "name": f"known_{kind}",
        "title": "Known & <true>",
        "section": "Tests",
        "sets": ("bidmc",),
        "figures": ("mae", "r") if kind == "number" else ("auroc", "brier", "ece"),
        "unit": "windows",
        "about": "about",
        "null": "null",
        "traps": "traps",
        "pose": pose,
        "in_macro": True,
    }
    if kind == "within":
        facts["figures"] = ("within_auroc", "brier", "ece")
    return ProbeTask(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found(library: Library):
    labelled = library.get("bidmc")
    ill, age = labelled.number("ill"), labelled.number("age")
    both = np.stack([ill, age], axis=1)
    shuffled = np.random.default_rng(9).permutation(both)
    embedders = [
        _embedder(STUDENT_INT8, both),
        _embedder("blind", shuffled, "control"),
        _embedder("half", both + 1.0 * both.std(axis=0) * shuffled, "baseline"),
    ]
    tasks = [_task(kind) for kind in ("binary", "number", "within")]
    tasks += [t for t in TASKS if t.name in ("stress", "mortality")]
    return run_benchmark(library, embedders, tasks, draws=200, progress=False)


def _rows(found, place: int) -> dict:
    return {row.model: row for row in found.results[place].rows}


def test_the_label_itself_scores_one_and_a_shuffled_label_chance(found) -> None:
    binary, number, within = (_rows(found, k) for k in range(3))
    assert binary[STUDENT_INT8].figures["auroc"].interval.mean > 0.99
    blind = binary["blind"].figures["auroc"].interval
    assert blind.low - 0.05 < 0.5 < blind.high + 0.05
    assert within[STUDENT_INT8].figures["within_auroc"].interval.mean > 0.99
    assert number[STUDENT_INT8].figures["mae"].interval.mean < 0.5
    assert number[STUDENT_INT8].figures["r"].interval.mean > 0.99
    null = number["mean of training"].figures["mae"].interval.mean
    assert number["blind"].figures["mae"].interval.mean == pytest.approx(null, rel=0.1)


def test_rivals_are_compared_in_pairs_and_corrected_for_their_number(found) -> None:
    binary, number = _rows(found, 0), _rows(found, 1)
    assert binary[STUDENT_INT8].versus is None
    assert binary["blind"].versus.difference > 0.3
    assert binary["blind"].versus.test.startswith("DeLong")
    assert binary["blind"].p_corrected < 0.01
    assert number["blind"].versus.difference < 0  # a smaller error
    for row in (*binary.values(), *number.values()):
        if row.versus is not None:
            assert row.p_corrected >= row.versus.p


def test_what_has_no_data_is_told_and_nothing_else_is_lost(found) -> None:
    told = dict(found.missing)
    assert set(told) == {"stress", "mortality"}
    assert len(found.results) == 3


def test_a_corpus_that_is_not_there_is_named() -> None:
    library = Library({}, SETS)
    assert "ppg_bp" in library.missing("ppg_bp")
    with pytest.raises(RecordingError, match="ppg_bp"):
        library.get("ppg_bp")


def test_the_macro_average_is_the_mean_skill_of_rows_that_are_everywhere(found) -> None:
    names = {row.model for row in found.macro}
    assert names == {STUDENT_INT8, "blind", "half", "noise"}
    assert found.macro[0].model == STUDENT_INT8
    skills = [
        skill(result, _rows(found, k)["half"]).interval.mean
        for k, result in enumerate(found.results)
    ]
    half = next(row for row in found.macro if row.model == "half")
    assert half.figures["skill"].interval.mean == pytest.approx(np.mean(skills))
    assert half.versus.low > 0  # the student is better, people drawn anew
    assert (
        abs(
            next(r for r in found.macro if r.model == "blind")
            .figures["skill"]
            .interval.mean
        )
        < 0.25
    )
    assert macro_average([]) == ([], [])


def test_the_json_is_plain_and_holds_every_row(found) -> None:
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [len(t["rows"]) for t in told["tasks"]] == [len(r.rows) for r in found.results]
    first = told["tasks"][0]["rows"][0]
    assert set(first["figures"]["auroc"]) == {"mean", "low", "high", "people"}
    assert sum(first["calibration"]["count"]) == 3 * told["tasks"][0]["units"]


def test_the_page_has_every_row_and_needs_nothing_from_elsewhere(found) -> None:
    found.facts = {"package": "tiny", "command": "plethprint evaluate --x <y>"}
    page = html_report(found)
    for result in found.results:
        assert page.count("Known &amp; &lt;true&gt;") == 3
        for row in result.rows:
            assert page.count(f"<td>{row.model}</td>") >= 1
    assert "<script" not in page
    assert "http" not in page
    assert "--x &lt;y&gt;" in page
    assert page.count("<svg") == 2  # calibration of the two with classes
    assert "<code>stress</code>: no data for stress_predict" in page
    assert "class='best'" in page
    assert STUDENT_INT8 in text_report(found.to_dict())


def test_the_markdown_holds_every_row_of_every_task(found) -> None:
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    text = markdown_tables(told)
    for task in told["tasks"]:
        assert f"### {task['title']}" in text
        for row in task["rows"]:
            assert f"| {row['model']} | {row['family']} |" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    widths = {line.count("|") for line in tables}
    assert len(tables) > len(told["tasks"])
    assert all(width >= 4 for width in widths)
    assert "**" in text


def test_features_are_averaged_over_the_windows_of_a_unit() -> None:
    means = unit_means(np.array([[1.0], [5.0], [3.0]]), np.array([1, 0, 1]), 2)
    assert means.tolist() == [[5.0], [2.0]]


def test_someone_is_found_again_by_a_name_tag_and_not_by_noise(library: Library) -> None:
    labelled = library.get("bidmc")
    tag = np.random.default_rng(2).normal(size=(PEOPLE, 24))[
        np.arange(len(labelled)) % PEOPLE
    ]
    embedders = [_embedder(STUDENT_INT8, 5 * tag), _embedder("noise", 0 * tag)]
    result = run_benchmark(
        library, embedders, [Identification()], draws=100, progress=False
    ).results[0]
    rows = {row.model: row for row in result.rows}
    assert rows[STUDENT_INT8].figures["top1"].interval.mean > 0.95
    assert rows[STUDENT_INT8].figures["eer"].interval.mean < 0.05
    assert rows["noise"].figures["top1"].interval.mean < 0.2
    assert rows["noise"].versus.difference > 0.7


def test_heart_rate_is_fitted_on_training_people_alone(library: Library) -> None:
    problem = HEART_RATE[0].pose(library)  # type: ignore[attr-defined]
    ((fold,),) = problem.repeats
    assert not set(problem.person[fold.train]) & set(problem.person[fold.test])
    assert np.isfinite(problem.labels).all()


def test_a_set_is_kept_on_disk_until_the_corpus_changes(
    tmp_path: Path, virtual: WindowSet
) -> None:
    calls = []

    def make(folder: Path) -> LabelledWindows:
        calls.append(folder)
        return LabelledWindows(virtual, {"x": np.arange(float(len(virtual)))})

    corpus = tmp_path / "bidmc"
    corpus.mkdir()
    (corpus / "a.npz").write_bytes(b"1")
    again = partial(Library, {"bidmc": corpus}, {"bidmc": ("bidmc", make)}, tmp_path / "c")
    for _ in range(2):
        kept = again().get("bidmc")
        assert kept.number("x")[-1] == len(virtual) - 1
        assert np.array_equal(kept.windows.ppg, virtual.ppg)
    assert len(calls) == 1
    (corpus / "a.npz").write_bytes(b"22")
    again().get("bidmc")
    assert len(calls) == 2
    (tmp_path / "c" / "bidmc" / "about.json").write_text("{")
    again().get("bidmc")
    assert len(calls) == 3


def test_other_outcomes_of_the_same_corpus_are_not_answered_from_the_cache(
    tmp_path: Path, virtual: WindowSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(self: Outcomes, folder: Path) -> LabelledWindows:
        died = np.full(len(virtual), float(self.died["a"]))
        return LabelledWindows(virtual, {"died": died})

    monkeypatch.setattr(Outcomes, "_make", make)
    (tmp_path / "bidmc").mkdir()
    told = []
    for answer in "010":
        path = tmp_path / f"outcomes_{answer}.csv"
        path.write_text(f"record,died\na,{answer}\n")
        plan = BenchmarkPlan(
            corpora=(tmp_path / "bidmc",),
            cache=tmp_path / "cache",
            outcomes=path,
            outcomes_corpus="bidmc",
        )
        told.append(plan.library().get("mortality").number("died")[0])
    assert told == [0.0, 1.0, 0.0]


def test_a_folder_that_holds_another_format_is_one_clear_error(tmp_path: Path) -> None:
    for name in ("ppg_bp", "empty"):
        (tmp_path / name).mkdir()
    folders = corpus_folders([tmp_path])
    assert set(folders) == {"ppg_bp"}
    with pytest.raises(RecordingError, match="ppg_bp"):
        Library(folders, SETS).get("ppg_bp")
    with pytest.raises(RecordingError, match="not a folder"):
        corpus_folders([tmp_path / "nowhere"])
    with pytest.raises(RecordingError, match="neither is nor holds"):
        corpus_folders([tmp_path / "empty"])


def test_three_in_ten_records_of_cinc_are_held_out() -> None:
    held = [is_cinc_test_record(f"A{n:05d}") for n in range(1, 8529)]
    assert 0.28 < np.mean(held) < 0.32


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("record,died\n", "no outcome"),
        ("record,dead\na,1\n", "line 2"),
        ("record,died\na,2\n", "line 2"),
        ("record,died\na,1\na,0\n", "twice"),
    ],
)
def test_outcomes_that_cannot_be_read_are_refused(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=complaint):
        read_outcomes(path)
    with pytest.raises(RecordingError, match="not a readable"):
        read_outcomes(tmp_path / "none.csv")


def test_outcomes_are_read_and_virtual_deaths_follow_the_declared_hazard(
    tmp_path: Path, virtual: WindowSet
) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text("record,died,ward\na,1,x\nb,0,y\n")
    assert read_outcomes(path) == {"a": True, "b": False}
    many = np.tile(np.asarray(virtual.targets), (20, 1))
    log_odds, died = virtual_deaths(many)
    high = log_odds > np.median(log_odds)
    assert died[high].mean() > 1.5 * died[~high].mean()


def test_every_task_tells_what_it_is_and_ranks_by_a_figure_it_has() -> None:
    assert len({task.name for task in TASKS}) == len(TASKS)
    for task in TASKS:
        for text in (task.about, task.null, task.traps, task.unit, task.section):
            assert text
        assert set(task.figures) <= set(FIGURES)
        assert set(task.sets) <= {*SETS, "mortality"}
        if "virtual" in task.name:
            assert "VIRTUAL" in task.title
            assert "VIRTUAL" in task.about


def test_the_two_random_students_differ_by_their_batch_norm_alone(
    virtual: WindowSet,
) -> None:
    raw, calibrated = random_students(seed=1)
    before = raw.embed(virtual)
    assert np.array_equal(before, random_students(seed=1)[0].embed(virtual))
    assert calibrated.fit is not None
    assert np.array_equal(calibrated.embed(virtual), before)
    calibrated.fit(virtual)
    assert not np.allclose(calibrated.embed(virtual), before)


def test_records_of_unknown_people_count_as_people_in_parity_and_known_ones_do_not() -> (
    None
):
    blank = np.zeros((3, 640), np.int8)
    windows = ppg_windows(blank, "welltory/unknown", "")
    windows = dataclasses.replace(windows, record=np.array(["r1", "r1", "r2"]))
    assert _whose(windows).tolist() == ["welltory/r1", "welltory/r1", "welltory/r2"]
    known = ppg_windows(blank, "bidmc/s1", "bidmc01")
    assert _whose(known).tolist() == ["bidmc/s1"] * 3


def test_windows_without_ecg_take_no_ecg_model() -> None:
    alone = ppg_windows(np.ones((2, 640), np.int8), "a/b", "c")
    model = Embedder("x", "ours", "both", lambda windows: windows.ppg.astype(np.float32))
    assert not model.takes(alone)
    assert dataclasses.replace(model, modality="ppg").takes(alone)


def test_a_split_by_name_keeps_at_most_the_rows_asked_for() -> None:
    person = np.repeat(["a", "b", "c"], 50)
    ((fold,),) = one_split(person != "c", person == "c", person, limit=40)
    assert len(fold.train) == 40
    assert np.unique(person[fold.train], return_counts=True)[1].tolist() == [20, 20]
    assert len(fold.test) == 50


@pytest.mark.timeout(300)  # a whole evaluation, with every baseline's own fit
def test_the_command_runs_on_nothing_but_virtual_wearers_and_tells_the_rest(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from plethprint.package import ModelPackage
    from plethprint_distill import control_weights, evaluation_sets
    from plethprint_distill.__main__ import main

    # One of the controls that ship is enough here: each costs as much as any other row.
    shipped = control_weights.CONTROL_WEIGHTS / "supervised-micro-s0.npz"
    (tmp_path / "controls").mkdir()
    (tmp_path / "controls" / shipped.name).write_bytes(shipped.read_bytes())
    monkeypatch.setattr(control_weights, "CONTROL_WEIGHTS", tmp_path / "controls")
    try:
        ModelPackage.load()
    except Exception as error:
        pytest.skip(f"no shipped package here: {error}")
    monkeypatch.setattr(evaluation_sets, "_VIRTUAL_WEARERS", 400)
    page = tmp_path / "out.html"
    chosen = [
        "--tasks",
        "mortality_virtual",
        "hypertension",
        "--draws",
        "20",
        "--jobs",
        "1",
    ]
    where = ["--cache", str(tmp_path / "cache"), "--report", str(page)]
    assert main(["benchmark", *chosen, *where, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["missing"][0]["task"] == "hypertension"
    rows = {row["model"]: row for row in told["tasks"][0]["rows"]}
    assert {STUDENT_INT8, "teacher, PPG", "student, random weights"} <= set(rows)
    assert rows[shipped.stem]["family"] == "control"
    oracle = rows["the declared hazard itself (virtual)"]["figures"]["auroc"]["mean"]
    assert oracle > rows[STUDENT_INT8]["figures"]["auroc"]["mean"] > 0.5
    assert "VIRTUAL" in page.read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    from plethprint.package import MODELS_FOLDER
    from plethprint.teacher import DEFAULT_TEACHER
    from plethprint_distill.benchmark_plan import BenchmarkPlan, run_plan

    data = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (data / "ppg_bp").is_dir():
        pytest.skip(f"no recordings in {data}")
    plan = BenchmarkPlan(
        teacher=MODELS_FOLDER / DEFAULT_TEACHER / "teacher.npz",
        corpora=(data / "bidmc", data / "ppg_bp"),
        cache=tmp_path,
        draws=20,
    )
    tasks = ["age_ppg_bp", "age_bidmc"]
    one, two = (run_plan(plan, tasks, jobs=j, progress=False).to_dict() for j in (1, 2))
    for found in (one, two):
        for task in found["tasks"]:
            del task["seconds"]
    assert [task["name"] for task in one["tasks"]] == tasks
    assert one == two


def test_another_package_is_a_row_beside_the_first() -> None:
    from plethprint.package import DEFAULT_PACKAGE, MODELS_FOLDER
    from plethprint.teacher import DEFAULT_TEACHER
    from plethprint_distill.benchmark_plan import BenchmarkPlan

    plan = BenchmarkPlan(
        teacher=MODELS_FOLDER / DEFAULT_TEACHER / "teacher.npz",
        also=(DEFAULT_PACKAGE,),
    )
    names = [embedder.name for embedder in plan.models([])[1]]
    assert {STUDENT_INT8, "float student"} <= set(names)
    assert {f"int8 {DEFAULT_PACKAGE}", f"float {DEFAULT_PACKAGE}"} <= set(names)
    assert len(set(names)) == len(names)


def test_tasks_of_one_set_stay_together_and_the_longest_goes_first() -> None:
    from plethprint_distill.benchmark_plan import groups_of_tasks

    groups = groups_of_tasks(TASKS)
    assert sorted(t.name for g in groups for t in g) == sorted(t.name for t in TASKS)
    assert all(len({task.sets[0] for task in group}) == 1 for group in groups)
    work = [sum(task.work for task in group) for group in groups]
    assert work == sorted(work, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tasks", "sleep"], "no task sleep"),
        (["--corpus", "nowhere"], "not a folder"),
        (["--draws", "1"], "--draws"),
        (["--jobs", "0"], "--jobs"),
        (["--also", "nowhere"], "not a model package"),
        (["--report", "nowhere/at/all.html"], "not a folder"),
        (["--outcomes", "x.csv"], "--outcomes-corpus"),
    ],
)
def test_wrong_arguments_are_told_at_once_in_one_object(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from plethprint_distill.__main__ import main

    assert main(["benchmark", *arguments, "--json"]) == 1
    assert complaint in json.loads(capsys.readouterr().out)["error"]


def test_networks_of_different_folds_are_ranked_from_their_own_zero(
    library: Library,
) -> None:
    fits = []

    def fit_predict(
        train: np.ndarray, labels: np.ndarray, person: np.ndarray, test: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        # Each fit orders rightly, but one says high of everybody and the next low.
        fits.append(len(test))
        level = 4.0 if len(fits) % 2 else -4.0
        told = test[:, :1].astype(float)
        return 1 / (1 + np.exp(-(told + level))), np.full((5, 1), 1 / (1 + np.exp(-level)))

    learner = Supervised("learner", "baseline", "ecg", fit_predict)
    plain = _task("binary")
    task = dataclasses.replace(
        plain, pose=lambda lib: dataclasses.replace(plain.pose(lib), supervised=(learner,))
    )
    windows = library.get("bidmc").windows
    marked = np.zeros_like(np.asarray(windows.ecg))
    marked[:, 0] = 2 * plain.pose(library).labels[:, 0].astype(np.int8) - 1
    labelled = library.get("bidmc")
    told = LabelledWindows(dataclasses.replace(windows, ecg=marked), labelled.labels)
    own = Library({"bidmc": Path()}, {"bidmc": ("bidmc", lambda _: told)})
    result = run_benchmark(own, [], [task], draws=20, progress=False).results[0]
    row = next(row for row in result.rows if row.model == "learner")
    assert row.figures["auroc"].interval.mean == 1.0


def test_a_model_that_learns_from_windows_is_a_row_and_sees_no_tested_person(
    library: Library,
) -> None:
    seen = []

    def fit_predict(
        train: np.ndarray, labels: np.ndarray, person: np.ndarray, test: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        seen.append((set(person), len(train), len(labels), len(test)))
        common = labels.mean()
        return np.full((len(test), 1), common), np.full((9, 1), common)

    plain = _task("binary")
    learner = Supervised("learner", "baseline", "ecg", fit_predict)
    task = dataclasses.replace(
        plain, pose=lambda lib: dataclasses.replace(plain.pose(lib), supervised=(learner,))
    )
    result = run_benchmark(library, [], [task], draws=20, progress=False).results[0]
    row = next(row for row in result.rows if row.model == "learner")
    # What knows only how common the label was in training is at chance, and not below.
    assert row.figures["auroc"].interval.mean == pytest.approx(0.5)
    problem = plain.pose(library)
    for (people, *counts), fold in zip(seen, problem.repeats[0], strict=True):
        assert not people & set(problem.person[fold.test])
        assert counts == [len(fold.train), len(fold.train), len(fold.test)]

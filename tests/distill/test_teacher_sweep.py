"""Small teachers that differ in one thing are judged by people whom none of them saw."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import TrainingError  # noqa: E402
from plethprint_distill import teacher_sweep as module  # noqa: E402
from plethprint_distill.checkpoint import load_teacher, save_teacher  # noqa: E402
from plethprint_distill.pretrain import pretrain  # noqa: E402
from plethprint_distill.pretrain_config import PretrainConfig  # noqa: E402
from plethprint_distill.sweep import is_judge  # noqa: E402
from plethprint_distill.teacher import PRESETS, TeacherConfig, shape_of  # noqa: E402
from plethprint_distill.teacher_jury import FIGURES, Jury  # noqa: E402
from plethprint_distill.teacher_sweep import (  # noqa: E402
    TEACHER_VARIANTS,
    TeacherVariant,
    sweep_table,
    teacher_sweep,
)
from plethprint_distill.windows import WindowSet  # noqa: E402

TINY = TeacherConfig(
    width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1, dim=16
)
BASE = PretrainConfig(preset="tiny", batch=16, windows=64, warm_up_windows=16)


@pytest.fixture(autouse=True)
def _a_tiny_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "tiny", TINY)


@pytest.fixture(scope="module")
def corpora(sets: dict[str, WindowSet]) -> dict[str, WindowSet]:
    """The virtual windows, and the same as if of twelve people of BIDMC."""
    people = np.array([f"bidmc/{row % 12}" for row in range(192)])
    bidmc = dataclasses.replace(sets["virtual"], person=people)
    return {"bidmc": bidmc, "virtual": sets["virtual"]}


def test_nobody_who_judges_has_trained_and_everybody_else_may(
    corpora: dict[str, WindowSet],
) -> None:
    jury = Jury(corpora)
    whole = set(np.unique(np.asarray(corpora["bidmc"].person)).tolist())
    trained = set(np.unique(np.asarray(jury.training_sets["bidmc"].person)).tolist())
    assert trained == {person for person in whole if not is_judge(person)}
    assert 0 < jury.people()["bidmc"] == len(whole - trained)
    assert len(jury.training_sets["virtual"]) == len(corpora["virtual"])


def test_each_run_is_a_row_that_is_not_made_twice(
    tmp_path: Path, corpora: dict[str, WindowSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = [
        TeacherVariant("recipe", "as it is"),
        TeacherVariant("physiology", "0", {"physiology": 0.0}),
    ]
    rows = teacher_sweep(tmp_path, corpora, BASE, variants, seeds=(0, 1), progress=False)
    assert [(r["axis"], r["seed"]) for r in rows] == [
        ("recipe", 0),
        ("physiology", 0),
        ("recipe", 1),
        ("physiology", 1),
    ]
    for row in rows:
        figure = row["heart_rate_mae_bpm"]
        assert figure["low"] <= figure["mean"] <= figure["high"]
        assert row["effective_rank"]["mean"] >= 1.0
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 4

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a judged run was trained again")

    monkeypatch.setattr(module, "pretrain", never)
    assert rows == teacher_sweep(
        tmp_path, corpora, BASE, variants, seeds=(0, 1), progress=False
    )
    lines = sweep_table(tmp_path).splitlines()
    assert FIGURES["heart_rate_mae_bpm"][0] in lines[0]
    assert lines[2].startswith("| recipe | as it is | 2 |")
    assert lines[3].startswith("| physiology | 0 | 2 |")
    assert lines[4].startswith("| seeds apart")
    with pytest.raises(TrainingError, match="other settings"):
        teacher_sweep(
            tmp_path,
            corpora,
            dataclasses.replace(BASE, windows=128),
            variants,
            progress=False,
        )


def test_without_people_who_judge_there_is_no_sweep(sets: dict[str, WindowSet]) -> None:
    with pytest.raises(TrainingError, match="judge"):
        Jury({"virtual": sets["virtual"]})


def test_variants_differ_from_the_recipe_in_one_thing_and_have_names_of_their_own() -> None:
    names = [(v.axis, v.value) for v in TEACHER_VARIANTS]
    assert len(set(names)) == len(names)
    assert not TEACHER_VARIANTS[0].config
    for variant in TEACHER_VARIANTS[1:]:
        (name,) = variant.config
        assert getattr(PretrainConfig(), name) != variant.config[name]


def test_a_temperature_that_is_held_does_not_move_and_a_learned_one_does(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    scales = {}
    for held in (0.0, 0.2):
        folder = tmp_path / str(held)
        pretrain(folder, sets, dataclasses.replace(BASE, temperature=held), progress=False)
        state = torch.load(folder / "teacher.pt", map_location="cpu", weights_only=True)
        scales[held] = float(state["log_scale"])
    assert scales[0.2] == pytest.approx(np.log(5.0))
    assert scales[0.0] != pytest.approx(np.log(10.0), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.001, -1.0, float("nan")])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(TrainingError, match="temperature"):
        PretrainConfig(temperature=temperature)


def test_a_fingerprint_of_another_length_comes_back_from_its_checkpoint(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    assert shape_of("tiny").dim == 16
    config = dataclasses.replace(BASE, dim=24)
    teacher = pretrain(tmp_path, sets, config, progress=False)
    assert teacher.config.dim == load_teacher(tmp_path / "teacher.pt").config.dim == 24
    save_teacher(teacher, tmp_path / "teacher.npz")
    assert load_teacher(tmp_path / "teacher.npz").config.dim == 24

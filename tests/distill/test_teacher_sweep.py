"""Teachers that differ in one thing are judged by people that none of them saw."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.agreement import retrieval_at  # noqa: E402
from plethprint.errors import TrainingError  # noqa: E402
from plethprint_distill import teacher_jury, teacher_sweep_table  # noqa: E402
from plethprint_distill import teacher_sweep as module  # noqa: E402
from plethprint_distill.__main__ import main  # noqa: E402
from plethprint_distill.checkpoint import load_teacher  # noqa: E402
from plethprint_distill.partner_figures import partners_found, rank_of_people  # noqa: E402
from plethprint_distill.physiology import target_column  # noqa: E402
from plethprint_distill.pretrain import Pretraining  # noqa: E402
from plethprint_distill.pretrain_config import PretrainConfig  # noqa: E402
from plethprint_distill.space import effective_rank  # noqa: E402
from plethprint_distill.sweep import is_judge  # noqa: E402
from plethprint_distill.teacher import M2AE, PRESETS, TeacherConfig  # noqa: E402
from plethprint_distill.teacher_jury import FIGURES, Jury  # noqa: E402
from plethprint_distill.teacher_sweep import (  # noqa: E402
    TEACHER_VARIANTS,
    TeacherVariant,
    teacher_sweep,
)
from plethprint_distill.teacher_sweep_table import sweep_table  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

CONFIG = PretrainConfig(preset="tiny", batch=16, windows=32, warm_up_windows=16)
VARIANTS = (
    TeacherVariant("recipe", "as it is"),
    TeacherVariant("fingerprint", "8", {"dim": 8}),
)


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = TeacherConfig(
        width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1, dim=16
    )
    monkeypatch.setitem(PRESETS, "tiny", shape)


def _of(windows: WindowSet, corpus: str, **columns: object) -> WindowSet:
    """The windows as if of a corpus with sixteen people."""
    people = np.array([f"{corpus}/{row % 16}" for row in range(len(windows))])
    return dataclasses.replace(windows, person=people, **columns)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def corpora(virtual: WindowSet) -> dict[str, WindowSet]:
    """Every pool of the jury, and virtual wearers."""
    pressure = np.array(virtual.targets)
    column = target_column("log_sbp")
    pressure[:, column] = np.log(np.random.default_rng(0).uniform(90, 160, len(virtual)))
    hearts = {"ppg": np.zeros_like(virtual.ppg), "has_ppg": np.zeros(len(virtual), bool)}
    return {
        "bidmc": _of(virtual, "bidmc"),
        "bidmc_resensed": _of(virtual, "bidmc"),
        "uci_cuffless": _of(virtual, "uci_cuffless", targets=pressure),
        "cinc2017": _of(virtual, "cinc2017", **hearts),
        "virtual": virtual,
    }


def test_each_run_is_a_row_and_nobody_who_judges_has_trained(
    tmp_path: Path, corpora: dict[str, WindowSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: set[str] = set()
    made = module.pretrain

    def spy(
        folder: Path, sets: dict[str, WindowSet], *more: object, **named: object
    ) -> M2AE:
        for windows in sets.values():
            trained.update(np.unique(windows.person).tolist())
        return made(folder, sets, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "pretrain", spy)
    rows = teacher_sweep(tmp_path, corpora, CONFIG, VARIANTS, seeds=(0, 1), progress=False)
    assert [(r["axis"], r["seed"]) for r in rows] == [
        ("recipe", 0),
        ("fingerprint", 0),
        ("recipe", 1),
        ("fingerprint", 1),
    ]
    for row in rows:
        assert set(FIGURES) <= set(row)
        for name in FIGURES:
            assert row[name]["low"] <= row[name]["high"]
    judges = {p for s in corpora.values() for p in s.person.tolist() if is_judge(p)}
    real = {p for p in judges if not p.startswith("virtual/")}
    assert {p.split("/")[0] for p in real} == {"bidmc", "uci_cuffless", "cinc2017"}
    assert not real & trained
    assert any(p.startswith("bidmc/") for p in trained)
    assert any(p.startswith("virtual/") and is_judge(p) for p in trained)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows

    monkeypatch.setattr(module, "pretrain", None)  # a judged run is not run again
    again = teacher_sweep(tmp_path, corpora, CONFIG, VARIANTS, seeds=(0, 1), progress=False)
    assert again == rows
    assert (tmp_path / "rows.jsonl").read_text().splitlines() == lines

    other = dataclasses.replace(CONFIG, windows=64)
    with pytest.raises(TrainingError, match="other settings"):
        teacher_sweep(tmp_path, corpora, other, VARIANTS, progress=False)

    table = sweep_table(tmp_path).splitlines()
    assert [line.split("|")[1].strip() for line in table] == [
        "axis",
        "---",
        "recipe",
        "fingerprint",
        "seeds apart",
    ]
    assert load_teacher(tmp_path / "fingerprint_8_seed0" / "teacher.pt").config.dim == 8


def test_a_run_that_was_stopped_does_not_go_on_with_another_recipe(
    tmp_path: Path, corpora: dict[str, WindowSet]
) -> None:
    begun = dataclasses.replace(CONFIG, contrast=0.1)
    Pretraining(tmp_path / VARIANTS[0].folder(0), corpora, begun).save()
    with pytest.raises(TrainingError, match=r"contrast 0\.1, not 0\.5"):
        teacher_sweep(tmp_path, corpora, CONFIG, VARIANTS, progress=False)


@pytest.mark.parametrize(("windows", "seeds"), [(15, (0,)), (32, (0, -1))])
def test_runs_of_nothing_and_seeds_below_zero_are_refused(
    tmp_path: Path, corpora: dict[str, WindowSet], windows: int, seeds: tuple[int, ...]
) -> None:
    config = dataclasses.replace(CONFIG, windows=windows)
    with pytest.raises(TrainingError, match="a batch of 16 windows"):
        teacher_sweep(tmp_path, corpora, config, VARIANTS, seeds=seeds, progress=False)


def test_a_run_without_people_who_judge_is_refused(sets: dict[str, WindowSet]) -> None:
    with pytest.raises(TrainingError, match="needs bidmc"):
        Jury({"virtual": sets["virtual"]})


def test_what_a_corpus_that_is_not_there_would_say_is_left_out(
    virtual: WindowSet,
) -> None:
    found = Jury({"bidmc": _of(virtual, "bidmc")}).judge(M2AE(PRESETS["tiny"]))
    assert "heart_rate_mae_bpm" in found
    assert not {"systolic_r", "af_from_ecg_auroc", "disturbed_auroc"} & set(found)


def test_a_probe_tells_what_the_fingerprint_knows_and_not_what_it_does_not(
    corpora: dict[str, WindowSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the heart rate itself for a fingerprint, and with noise."""
    jury = Jury(corpora)
    rate = target_column("log_heart_rate")
    noise = np.random.default_rng(3)

    def told(teacher: M2AE, windows: WindowSet, *_: object, **__: object) -> np.ndarray:
        known = np.exp(np.asarray(windows.targets[:, rate], np.float64))
        return np.stack([known, known**2], axis=1).astype(np.float32)

    def untold(teacher: M2AE, windows: WindowSet, *_: object, **__: object) -> np.ndarray:
        return noise.standard_normal((len(windows), 2)).astype(np.float32)

    errors = []
    monkeypatch.setattr(teacher_jury, "settle_space", lambda *_: None)
    for given in (told, untold):
        monkeypatch.setattr(teacher_jury, "fingerprints", given)
        found = jury.judge(M2AE(PRESETS["tiny"]))
        errors.append(found["heart_rate_mae_bpm"].interval.mean)
    assert errors[0] < 0.5
    assert errors[1] > 8.0


def test_hits_row_by_row_are_the_retrieval_of_the_agreement() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((512, 8))
    b = a + 0.7 * rng.standard_normal((512, 8))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    order = np.random.default_rng(0).permutation(512)
    hits = partners_found(a, b)
    assert hits.mean() == retrieval_at(a[order], b[order], 256)
    assert 0.1 < hits.mean() < 0.9


def test_the_rank_of_all_judges_is_the_effective_rank() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((90, 6)) * np.arange(1, 7)
    person = np.repeat([f"p{k}" for k in range(9)], 10)
    found = rank_of_people(vectors.astype(np.float32), person)
    assert found.interval.mean == pytest.approx(effective_rank(vectors), rel=1e-3)
    assert found.interval.low < found.interval.high


def _judged(folder: Path, axis: str, seed: int, mean: float, draws: np.ndarray) -> None:
    run = folder / f"{axis}{seed}"
    run.mkdir(parents=True)
    figure = {"mean": mean, "low": 0.0, "high": 0.0, "people": 9}
    row = {"axis": axis, "value": "0", "seed": seed, "windows": 8, "systolic_r": figure}
    (run / "judged.json").write_text(json.dumps({"row": row, "config": {}}))
    np.savez(run / "draws.npz", systolic_r=draws)


def test_a_difference_is_bold_only_where_the_same_judges_agree_on_it(
    tmp_path: Path,
) -> None:
    draws = np.linspace(0.1, 0.9, 100)
    swing = np.where(np.arange(100) % 2, 0.2, -0.1)
    _judged(tmp_path, "recipe", 0, 0.5, draws)
    _judged(tmp_path, "recipe", 1, 0.9, draws + 0.4)
    _judged(tmp_path, "physiology", 0, 0.45, draws - 0.05)
    _judged(tmp_path, "agreement", 0, 0.55, draws + swing)
    table = sweep_table(tmp_path)
    # One seed is held against the same seed of the recipe, not against both.
    assert "| physiology | 0 | 1 | **0.450 (-0.050)** |" in table
    assert "| agreement | 0 | 1 | 0.550 (+0.050) |" in table
    assert "| recipe | 0 | 2 | 0.700 [0.320, 1.080] |" in table
    assert "| seeds apart | mean | | 0.400 |" in table


def test_a_folder_without_judged_runs_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no run"):
        teacher_sweep_table.sweep_table(tmp_path)


def test_variants_differ_from_the_recipe_in_one_thing() -> None:
    recipe = PretrainConfig()
    names = [v.folder(0) for v in TEACHER_VARIANTS]
    assert len(set(names)) == len(names)
    for variant in TEACHER_VARIANTS[1:]:
        assert len(variant.config) == 1
        assert dataclasses.replace(recipe, **variant.config) != recipe


def test_a_held_temperature_does_not_learn_and_a_learned_one_does(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    scales = {}
    for temperature in (0.0, 0.2):
        config = dataclasses.replace(
            CONFIG, temperature=temperature, unpaired_share=0.0, cross_share=1.0
        )
        run = Pretraining(tmp_path / f"{temperature}", sets, config)
        scales[temperature] = [run.run_step()["scale"] for _ in range(3)]
        run.save()
        again = Pretraining(tmp_path / f"{temperature}", sets, config)
        assert again.resume()
        assert float(again.learned.scale.detach()) == scales[temperature][-1]
    assert scales[0.2] == pytest.approx([5.0] * 3)
    assert scales[0.0][0] == pytest.approx(10.0, rel=0.01)
    assert scales[0.0][-1] != scales[0.0][0]


@pytest.mark.parametrize("temperature", [-1.0, 0.001, float("nan")])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(TrainingError, match="temperature"):
        PretrainConfig(temperature=temperature)


def test_a_fingerprint_of_fewer_than_no_numbers_is_refused() -> None:
    with pytest.raises(TrainingError, match="-1 numbers"):
        PretrainConfig(dim=-1)


def test_an_axis_that_is_not_there_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = str(tmp_path / "out")
    assert main(["teacher-sweep", "--only", "colour", "--out", out]) == 1
    assert "no axis colour; the sweep has recipe, physiology" in caplog.text

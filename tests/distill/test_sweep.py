"""The sweep judges on people that none of its runs saw."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import TrainingError  # noqa: E402
from plethprint_distill import sweep as module  # noqa: E402
from plethprint_distill.distill import DistillConfig  # noqa: E402
from plethprint_distill.student import StudentConfig  # noqa: E402
from plethprint_distill.sweep import VARIANTS, Variant, is_judge, sweep  # noqa: E402
from plethprint_distill.teacher import M2AE, TeacherConfig  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

TINY = StudentConfig(stem_channels=8, blocks=((16, 2), (24, 2)))


@pytest.fixture(scope="module")
def teacher() -> M2AE:
    torch.manual_seed(0)
    shape = TeacherConfig(width=32, heads=2, encoder_layers=1, decoder_layers=1, dim=16)
    return M2AE(shape).eval()


def test_each_variant_is_a_row_and_nobody_who_judges_has_trained(
    tmp_path: Path,
    sets: dict[str, WindowSet],
    teacher: M2AE,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = np.array([f"bidmc/{row % 12}" for row in range(192)])
    bidmc = dataclasses.replace(sets["virtual"], person=people)
    trained: list[str] = []
    made = module.Distillation

    def spy(*arguments: object, **more: object) -> object:
        for windows in arguments[1].values():  # type: ignore[attr-defined]
            trained.extend(np.unique(windows.person))
        return made(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "Distillation", spy)
    config = DistillConfig(windows=64, batch=32, quantize_share=0.0)
    rows = sweep(
        tmp_path,
        teacher,
        {"bidmc": bidmc, "bidmc_resensed": bidmc, "virtual": sets["virtual"]},
        config,
        [
            Variant("recipe", "as it is", shape=TINY),
            Variant("fingerprint", "8 numbers", {"relation": 0.0}, TINY, 8),
        ],
        progress=False,
    )
    assert [row["value"] for row in rows] == ["as it is", "8 numbers"]
    assert rows[1]["parameters"] == rows[0]["parameters"] - 8 * 25
    for row in rows:
        assert -1.0 <= row["bidmc"]["centred_cosine"] <= 1.0
        assert row["heart_rate_mae_bpm"] > 0.0
    judges = {str(p) for p in np.unique(people) if is_judge(str(p))}
    assert judges
    assert not judges & set(trained)
    assert any(p.startswith("bidmc/") for p in trained)


def test_without_people_who_judge_there_is_no_sweep(
    tmp_path: Path, sets: dict[str, WindowSet], teacher: M2AE
) -> None:
    with pytest.raises(TrainingError, match="judge"):
        sweep(tmp_path, teacher, {"virtual": sets["virtual"]}, DistillConfig(windows=64))


def test_variants_differ_from_the_recipe_in_one_thing() -> None:
    names = [(v.axis, v.value) for v in VARIANTS]
    assert len(set(names)) == len(names)
    for variant in VARIANTS[1:]:
        assert bool(variant.config) + bool(variant.shape) + bool(variant.dim) == 1

"""The sweep judges on people that none of its runs saw."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import TrainingError  # noqa: E402
from plethprint.resample import resample_rows  # noqa: E402
from plethprint.signal import PPG  # noqa: E402
from plethprint_distill import sweep as module  # noqa: E402
from plethprint_distill.distill import DistillConfig  # noqa: E402
from plethprint_distill.student import Student, StudentConfig  # noqa: E402
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


def test_a_student_at_another_rate_is_trained_and_judged_on_windows_of_that_rate(
    tmp_path: Path,
    sets: dict[str, WindowSet],
    teacher: M2AE,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths: list[tuple[bool, int]] = []
    seen = Student.forward

    def spy(self: Student, windows: torch.Tensor) -> torch.Tensor:
        lengths.append((self.training, windows.shape[-1]))
        return seen(self, windows)

    monkeypatch.setattr(Student, "forward", spy)
    people = np.array([f"bidmc/{row % 12}" for row in range(192)])
    (row,) = sweep(
        tmp_path,
        teacher,
        {"bidmc": dataclasses.replace(sets["virtual"], person=people)},
        DistillConfig(windows=64, batch=32, quantize_share=0.0),
        [Variant("input rate", "25 Hz", shape=TINY, rate_hz=25.0)],
        progress=False,
    )
    assert {(True, 250), (False, 250)} == set(lengths)
    assert row["macs"] == Student(dataclasses.replace(TINY, dim=16)).macs(250)
    assert row["heart_rate_mae_bpm"] > 0.0


def test_a_rate_between_the_band_and_the_device_s_keeps_the_band() -> None:
    rng = np.random.default_rng(0)
    time_s = np.arange(640) / PPG.rate_hz
    tones = [
        np.sin(2 * np.pi * f * time_s + p)
        for f, p in zip((0.7, 2.0, 4.5, 7.5), rng.uniform(0, 6, 4), strict=True)
    ]
    wave = np.sum(tones, axis=0)[None]
    there = resample_rows(wave, PPG.rate_hz, 25.0, 250)
    back = resample_rows(there, 25.0, PPG.rate_hz, 640)
    middle = slice(64, -64)  # ends lack the neighbours that a running filter has
    assert np.abs(back - wave)[:, middle].max() < 0.01


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
        assert variant.rate_hz == PPG.rate_hz or variant.axis == "input rate"

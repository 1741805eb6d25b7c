"""Controls: each method learns, resumes exactly, and is kept without pickles."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import PackageIncompatibleError, SignalError  # noqa: E402
from plethprint_distill.control_objectives import crop, nt_xent  # noqa: E402
from plethprint_distill.control_weights import (  # noqa: E402
    load_control,
    load_controls,
    save_control,
)
from plethprint_distill.controls import (  # noqa: E402
    METHODS,
    ControlConfig,
    ControlTraining,
    train_control,
)
from plethprint_distill.evaluate import student_vectors  # noqa: E402
from plethprint_distill.student import PRESETS, StudentConfig  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = StudentConfig(stem_channels=8, blocks=((16, 2), (24, 2), (32, 2)), dim=16)
    monkeypatch.setitem(PRESETS, "tiny", shape)


def _config(method: str, **changes: object) -> ControlConfig:
    config = ControlConfig(
        method=method, preset="tiny", batch=32, windows=32 * 60, warm_up_windows=64
    )
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_was_stopped_equals_one_that_was_not(
    method: str, tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    config = _config(method, person_share=0.5)
    whole = ControlTraining(tmp_path / "whole", sets, config)
    expected = [whole.run_step() for _ in range(4)]
    first = ControlTraining(tmp_path / "cut", sets, config)
    found = [first.run_step() for _ in range(2)]
    first.save()
    second = ControlTraining(tmp_path / "cut", sets, config)
    second.resume()
    found += [second.run_step() for _ in range(2)]
    assert found == expected
    ends = [run.finished().state_dict() for run in (whole, second)]
    assert all(torch.equal(ends[0][k], ends[1][k]) for k in ends[0])


@pytest.mark.parametrize("method", [m for m in METHODS if m != "random"])
def test_losses_fall(method: str, tmp_path: Path, sets: dict[str, WindowSet]) -> None:
    run = ControlTraining(tmp_path, sets, _config(method))
    losses = [run.run_step()["loss"] for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.97 * np.mean(losses[:3])


def test_random_weights_stay_while_their_batch_norms_see_the_windows(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    run = ControlTraining(tmp_path, sets, _config("random"))
    before = {k: v.clone() for k, v in run.student.state_dict().items()}
    run.run_step()
    changed = {
        k for k, v in run.student.state_dict().items() if not torch.equal(v, before[k])
    }
    assert changed
    assert all("running" in k or "num_batches" in k for k in changed)


def test_masked_reconstruction_ends_with_uncorrelated_numbers(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    run = ControlTraining(tmp_path, {"virtual": sets["virtual"]}, _config("masked"))
    run.run_step()
    vectors = student_vectors(run.finished(), sets["virtual"].ppg)
    covariance = np.cov(vectors, rowvar=False)
    off = covariance - np.diag(np.diag(covariance))
    assert np.abs(off).max() < 1e-3 * np.diag(covariance).max()


def test_a_person_is_only_ever_paired_with_windows_of_their_own(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    people = np.array([f"bidmc/{i % 7}" for i in range(192)])
    windows = dataclasses.replace(sets["virtual"], person=people)
    run = ControlTraining(tmp_path, {"bidmc": windows}, _config("simclr"))
    rows = np.arange(192)
    mates = run.groups["bidmc"].mates(rows, np.random.default_rng(0))
    assert (people[mates] == people[rows]).all()
    assert (mates != rows).mean() > 0.8


def test_windows_without_ppg_are_left_out(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    none = np.zeros(192, np.bool_)
    ecg_alone = dataclasses.replace(sets["virtual"], has_ppg=none)
    run = ControlTraining(tmp_path, {**sets, "ptbxl500": ecg_alone}, _config("simclr"))
    assert set(run.sets) == {"virtual", "stress_predict"}
    assert sum(run.shares.values()) == pytest.approx(1.0)


def test_a_crop_moves_a_stretch_and_invents_nothing() -> None:
    rng = np.random.default_rng(0)
    window = np.arange(1.0, 641.0, dtype=np.float32)[None].repeat(50, axis=0)
    for row in crop(window, rng):
        kept = row[row != 0]
        assert 448 <= kept.size <= 640
        assert (np.diff(kept) == 1).all()


def test_nt_xent_is_that_of_its_definition() -> None:
    rows = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    a, b = rows[:3], rows[3:]
    total = 0.0
    for i, j in ((0, 3), (1, 4), (2, 5), (3, 0), (4, 1), (5, 2)):
        others = [k for k in range(6) if k != i]
        scores = torch.exp(rows[i] @ rows[others].T / 0.2)
        total -= float(torch.log(torch.exp(rows[i] @ rows[j] / 0.2) / scores.sum()))
    assert float(nt_xent(a, b, 0.2)) == pytest.approx(total / 6, rel=1e-5)


def test_a_control_is_kept_small_and_comes_back(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    config = _config("supervised", windows=64)
    student = train_control(tmp_path / "run", sets, config, progress=False)
    save_control(student, tmp_path / "kept" / f"{config.name}.npz", config)
    ((name, again),) = load_controls(tmp_path / "kept")
    assert name == "supervised-tiny-s0"
    assert load_control(tmp_path / "kept" / f"{name}.npz")[1] == config
    ours, theirs = (student_vectors(s, sets["virtual"].ppg[:32]) for s in (student, again))
    np.testing.assert_allclose(theirs, ours, atol=0.02 * np.abs(ours).max())


def test_what_is_no_control_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(PackageIncompatibleError, match=r"broken\.npz"):
        load_controls(tmp_path)
    with pytest.raises(PackageIncompatibleError, match="nowhere"):
        load_controls(tmp_path / "nowhere")


def test_a_folder_begun_with_another_configuration_is_refused(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    run = ControlTraining(tmp_path, sets, _config("random"))
    run.save()
    with pytest.raises(PackageIncompatibleError, match="another configuration"):
        ControlTraining(tmp_path, sets, _config("random", seed=1)).resume()


def test_a_method_that_is_none_is_refused(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    with pytest.raises(SignalError, match="simclr, masked"):
        ControlTraining(tmp_path, sets, _config("byol"))

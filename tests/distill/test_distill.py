"""Distillation: what the student is to give, and a run that can stop anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import PackageIncompatibleError  # noqa: E402
from plethprint_distill.distill import (  # noqa: E402
    Distillation,
    DistillConfig,
    pulses_only,
)
from plethprint_distill.physiology import target_column  # noqa: E402
from plethprint_distill.space import fingerprints  # noqa: E402
from plethprint_distill.teacher import M2AE, TeacherConfig  # noqa: E402
from plethprint_distill.teacher_targets import teacher_targets  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

TINY = TeacherConfig(
    width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
)


def test_distillation_resumes_with_the_very_same_losses(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    torch.manual_seed(0)
    teacher = M2AE(TINY).eval()
    sets = pulses_only(sets)
    targets = teacher_targets(teacher, sets, tmp_path / "targets")
    config = DistillConfig(windows=16 * 20, batch=16, warm_up_windows=32)
    whole = Distillation(tmp_path / "whole", sets, targets, config)
    expected = [whole.run_step() for _ in range(4)]
    first = Distillation(tmp_path / "cut", sets, targets, config)
    found = [first.run_step() for _ in range(2)]
    first.save()
    second = Distillation(tmp_path / "cut", sets, targets, config)
    second.resume()
    found += [second.run_step() for _ in range(2)]
    assert found == expected


def test_targets_see_the_ecg_where_there_is_one(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    torch.manual_seed(0)
    teacher = M2AE(TINY).eval()
    targets = teacher_targets(teacher, pulses_only(sets), tmp_path)
    both = fingerprints(teacher, sets["virtual"], ("ppg", "ecg"))
    alone = fingerprints(teacher, sets["virtual"], ("ppg",))
    assert targets.keys() == {"virtual", "stress_predict"}  # ECG alone teaches nobody
    np.testing.assert_allclose(targets["stress_predict"], alone, atol=1e-5)
    disturbed = sets["virtual"].targets[:, target_column("log_disturbance")]
    whole = disturbed < np.log(0.2)
    middle = both + alone
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    np.testing.assert_allclose(targets["virtual"][whole], middle[whole], atol=1e-5)
    spoiled = disturbed > np.log(0.4)
    assert spoiled.any()
    np.testing.assert_allclose(targets["virtual"][spoiled], alone[spoiled], atol=1e-5)
    assert np.abs(both - alone).max() > 0.01


def test_the_work_of_another_teacher_is_not_gone_on_with(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    torch.manual_seed(0)
    teacher_targets(M2AE(TINY).eval(), pulses_only(sets), tmp_path)
    with pytest.raises(PackageIncompatibleError, match="another teacher"):
        teacher_targets(M2AE(TINY).eval(), pulses_only(sets), tmp_path)

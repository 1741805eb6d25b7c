"""The last phase of a distillation: the student that is trained is the int8 one."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import TrainingError  # noqa: E402
from plethprint_distill import training_run  # noqa: E402
from plethprint_distill.distill import (  # noqa: E402
    Distillation,
    DistillConfig,
    distill,
    pulses_only,
)
from plethprint_distill.quantization_aware import (  # noqa: E402
    QuantizationAware,
    _steps,
    rounded_weights,
)
from plethprint_distill.student import PRESETS, Student, StudentConfig  # noqa: E402
from plethprint_distill.teacher import M2AE, TeacherConfig  # noqa: E402
from plethprint_distill.teacher_targets import teacher_targets  # noqa: E402
from plethprint_distill.training_run import read_metrics  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

TEACHER = TeacherConfig(
    width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
)
STUDENT = StudentConfig(stem_channels=8, blocks=((8, 1), (16, 2), (16, 2)), dim=64)
CONFIG = DistillConfig(
    preset="tiny",
    windows=16 * 60,
    batch=16,
    warm_up_windows=64,
    learning_rate=1e-2,
    quantize_share=0.5,
)


@pytest.fixture(autouse=True)
def _tiny_and_often_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "tiny", STUDENT)
    monkeypatch.setattr(training_run, "_ROW_STEPS", 5)
    monkeypatch.setattr(training_run, "_SAVE_S", 0.0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums are the same to the last bit only on the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def teacher() -> M2AE:
    """The same one every time."""
    torch.manual_seed(0)
    return M2AE(TEACHER).eval()


@pytest.fixture
def pretended(sets: dict[str, WindowSet]) -> QuantizationAware:
    """Of a student with settled statistics, after its first batch."""
    torch.manual_seed(1)
    student = Student(STUDENT)
    for _ in range(20):
        student.train()(pulses(sets))
    module = QuantizationAware(student.eval())
    with torch.no_grad():
        module.train()(pulses(sets))
    return module


def pulses(sets: dict[str, WindowSet]) -> torch.Tensor:
    """Windows in standard deviations."""
    return torch.from_numpy(
        sets["virtual"].centred().ppg[:, None, None].astype("f4") / 31.7
    )


def losses(folder: Path) -> list[dict[str, Any]]:
    """Rows of the metrics but for how fast they were made."""
    rows = read_metrics(folder / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k != "windows_per_s"} for row in rows]


def test_the_pretended_student_follows_the_float_one_but_is_not_it(
    pretended: QuantizationAware, sets: dict[str, WindowSet]
) -> None:
    (student,) = pretended._student
    with torch.no_grad():
        ours, theirs = (m.eval()(pulses(sets)).numpy() for m in (pretended, student))
    ours, theirs = ours - ours.mean(0), theirs - theirs.mean(0)
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1)
    cosine /= np.linalg.norm(theirs, axis=1)
    # Untrained, windows differ by a few steps of the fingerprint only.
    assert 0.9 < np.median(cosine) < 0.9999


def test_every_number_lies_on_its_grid(
    pretended: QuantizationAware, sets: dict[str, WindowSet]
) -> None:
    with torch.no_grad():
        vectors = pretended.eval()(pulses(sets))
    steps = vectors / (pretended.ranges()[-1][1] / 127)
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    weights = rounded_weights(torch.randn(8, 4, 1, 9))
    largest = weights.abs().amax(dim=(1, 2, 3), keepdim=True)
    steps = weights / (largest / 127)
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)


def test_rounding_lets_gradients_pass_and_clipping_does_not() -> None:
    x = torch.tensor([-1.0, 49.6, 200.2, 400.0], requires_grad=True)
    steps = _steps(x)
    assert steps.tolist() == [0.0, 50.0, 200.0, 255.0]
    steps.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_range_learns_from_what_is_rounded_off_and_from_what_is_clipped() -> None:
    log_high = torch.tensor(np.log(2.55), dtype=torch.float32, requires_grad=True)
    size = log_high.exp() / 255
    # 2.004 is rounded down by 0.4 steps; 4.0 is clipped to the end of the range.
    for value, moved in ((2.004, -0.004), (4.0, 2.55)):
        (gradient,) = torch.autograd.grad(
            _steps(torch.tensor([value]) / size).sum() * size, log_high, retain_graph=True
        )
        assert float(gradient) == pytest.approx(moved, abs=1e-4)


def test_ranges_are_found_on_the_first_batch_and_never_above_relu6(
    pretended: QuantizationAware, sets: dict[str, WindowSet]
) -> None:
    *found, (low, high) = pretended.ranges()
    assert len(found) == len(STUDENT.blocks) * 2 + 2
    assert all(low == 0.0 and 0.05 < high <= 6.0 for low, high in found)
    assert low == -high
    with torch.no_grad():
        pretended.log_high += 5.0
        pretended.keep_in_bounds()
        assert max(h for _, h in pretended.ranges()[:-1]) == pytest.approx(6.0)


def test_in_evaluation_nothing_moves_and_in_training_not_the_statistics(
    pretended: QuantizationAware, sets: dict[str, WindowSet]
) -> None:
    (student,) = pretended._student
    statistics = {k: v.clone() for k, v in student.state_dict().items() if "running" in k}
    ranges = pretended.ranges()
    pretended.eval()(pulses(sets)[:8] * 3)
    assert pretended.ranges() == ranges
    pretended.train()(pulses(sets)[:8] * 3)
    assert pretended.ranges() != ranges  # the fingerprint's follows
    assert all(student.state_dict()[k].equal(v) for k, v in statistics.items())


def test_the_last_phase_resumes_with_the_very_same_losses_wherever_it_was_cut(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    sets = pulses_only(sets)
    targets = teacher_targets(teacher(), sets, tmp_path / "targets")
    config = dataclasses.replace(CONFIG, windows=16 * 6)
    whole = Distillation(tmp_path, sets, targets, config)
    expected = [whole.run_step() for _ in range(6)]
    for cut in (2, 3, 4):
        first = Distillation(tmp_path / str(cut), sets, targets, config)
        found = [first.run_step() for _ in range(cut)]
        first.save()
        second = Distillation(tmp_path / str(cut), sets, targets, config)
        second.resume()
        found += [second.run_step() for _ in range(6 - cut)]
        assert found == expected
        assert second.quantized is not None
        assert whole.quantized is not None
        assert second.quantized.ranges() == whole.quantized.ranges()


@pytest.mark.timeout(600)  # two processes, on a machine that may be busy
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_after_kill_9_in_the_last_phase_the_weights_are_those_of_an_uninterrupted_run(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    for name, windows in sets.items():
        windows.save(tmp_path / "sets" / name)
    sets = {n: WindowSet.load(tmp_path / "sets" / n) for n in sorted(sets)}
    distill(tmp_path / "whole", teacher(), sets, CONFIG, progress=False)
    command = [sys.executable, str(Path(__file__).with_name("distilling.py"))]
    command += [str(tmp_path / "sets"), str(tmp_path / "killed")]
    command += [json.dumps(dataclasses.asdict(CONFIG))]
    path = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    metrics = tmp_path / "killed/metrics.jsonl"
    with subprocess.Popen(command, env=environment) as process:
        while process.poll() is None:
            # 60 steps, the last 30 in int8, a row every 5: kill it in the last phase.
            if metrics.is_file() and metrics.read_bytes().count(b"\n") >= 7:
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL, "it ended before it was killed"
    assert 7 <= len(losses(tmp_path / "killed")) < len(losses(tmp_path / "whole")) == 12
    distill(tmp_path / "killed", teacher(), sets, CONFIG, progress=False)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    ours, theirs = (
        torch.load(tmp_path / folder / "student.pt", weights_only=True)
        for folder in ("killed", "whole")
    )
    assert ours["ranges"] == theirs["ranges"]
    assert all(v.equal(ours["model"][k]) for k, v in theirs["model"].items())


def test_a_checkpoint_tells_its_ranges_only_when_int8_was_trained(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    short = dataclasses.replace(CONFIG, windows=16 * 4)
    for share in (0.0, 0.25):
        config = dataclasses.replace(short, quantize_share=share)
        folder = tmp_path / f"{share}"
        distill(folder, teacher(), sets, config, progress=False)
        state = torch.load(folder / "student.pt", weights_only=True)
        assert ("ranges" in state) == (share > 0)
    assert len(state["ranges"]) == 9
    assert state["ranges"][-1][1] > 0


def test_a_run_that_is_made_longer_goes_back_to_float_until_its_new_last_share(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    short = dataclasses.replace(CONFIG, windows=16 * 4)
    distill(tmp_path, teacher(), sets, short, progress=False)
    sets = pulses_only(sets)
    targets = teacher_targets(teacher(), sets, tmp_path / "targets")
    longer = dataclasses.replace(CONFIG, windows=16 * 12)
    run = Distillation(tmp_path, sets, targets, longer)
    run.resume()
    before = run.student.layers[0][1].running_mean.clone()
    run.run_step()
    assert not run.student.layers[0][1].running_mean.equal(before)
    run.save()
    assert "ranges" not in torch.load(tmp_path / "student.pt", weights_only=True)
    run.step = 6
    before = run.student.layers[0][1].running_mean.clone()
    run.run_step()
    assert run.student.layers[0][1].running_mean.equal(before)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(TrainingError, match="quantize_share"):
        DistillConfig(quantize_share=share)

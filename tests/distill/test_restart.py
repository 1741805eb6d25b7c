"""A training that is killed goes on, and tells the same losses as one that was not."""

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

import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import TrainingError  # noqa: E402
from plethprint_distill import training_run  # noqa: E402
from plethprint_distill.pretrain import (  # noqa: E402
    PretrainConfig,
    Pretraining,
    pretrain,
)
from plethprint_distill.teacher import PRESETS, TeacherConfig  # noqa: E402
from plethprint_distill.training_run import read_metrics  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

CONFIG = PretrainConfig(preset="tiny", batch=8, windows=8 * 60, warm_up_windows=32)


@pytest.fixture(autouse=True)
def _tiny_and_often_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = TeacherConfig(
        width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
    )
    monkeypatch.setitem(PRESETS, "tiny", shape)
    monkeypatch.setattr(training_run, "_ROW_STEPS", 5)
    monkeypatch.setattr(training_run, "_SAVE_S", 0.0)


def losses(folder: Path) -> list[dict[str, Any]]:
    """Rows of the metrics but for how fast they were made."""
    rows = read_metrics(folder / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k != "windows_per_s"} for row in rows]


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Sums are the same to the last bit only on the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_after_kill_9_the_loss_curve_is_that_of_an_uninterrupted_run(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    for name, windows in sets.items():
        windows.save(tmp_path / "sets" / name)
    # As the process loads them: by name.
    sets = {n: WindowSet.load(tmp_path / "sets" / n) for n in sorted(sets)}
    pretrain(tmp_path / "whole", sets, CONFIG, progress=False)
    command = [sys.executable, str(Path(__file__).with_name("ranks.py"))]
    command += ["--sets", str(tmp_path / "sets"), "--out", str(tmp_path / "killed")]
    command += ["--config", json.dumps(dataclasses.asdict(CONFIG))]
    path = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    metrics = tmp_path / "killed/metrics.jsonl"
    with subprocess.Popen(command, env=environment) as process:
        while process.poll() is None:
            if metrics.is_file() and metrics.read_bytes().count(b"\n") >= 2:
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL, "it ended before it was killed"
    assert 2 <= len(losses(tmp_path / "killed")) < len(losses(tmp_path / "whole"))
    resumed = pretrain(tmp_path / "killed", sets, CONFIG, progress=False)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    state = torch.load(tmp_path / "whole/teacher.pt", weights_only=True)["model"]
    assert all(v.equal(state[k]) for k, v in resumed.state_dict().items())


def test_torn_lines_and_a_torn_checkpoint_do_not_stop_a_resume(
    tmp_path: Path, sets: dict[str, WindowSet], caplog: pytest.LogCaptureFixture
) -> None:
    short = dataclasses.replace(CONFIG, windows=8 * 20, decay_share=1e-9)
    longer = dataclasses.replace(short, windows=8 * 30)
    pretrain(tmp_path / "whole", sets, longer, progress=False)
    pretrain(tmp_path / "torn", sets, short, progress=False)
    metrics = tmp_path / "torn/metrics.jsonl"
    whole = metrics.read_bytes()
    checkpoint = tmp_path / "torn/teacher.pt"
    content = checkpoint.read_bytes()
    for torn in (content[: len(content) // 2], b"", b"\x00" * len(content)):
        checkpoint.write_bytes(torn)
        run = Pretraining(tmp_path / "torn", sets, longer)
        assert run.resume()
        assert run.step == 15  # the checkpoint before it
    metrics.write_bytes(whole[:-1] + b'\n{"step": 25, "lo')
    checkpoint.with_suffix(".part").write_bytes(content[:100])
    pretrain(tmp_path / "torn", sets, longer, progress=False)
    assert "line 5 is torn" in caplog.text
    expected = losses(tmp_path / "whole")
    assert losses(tmp_path / "torn") == expected
    assert [row["step"] for row in expected] == [5, 10, 15, 20, 25, 30]


def test_where_no_checkpoint_can_be_read_a_run_does_not_silently_begin_anew(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    (tmp_path / "teacher.pt").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="no checkpoint can be read"):
        pretrain(tmp_path, sets, CONFIG, progress=False)


def test_a_checkpoint_of_another_teacher_is_refused(
    tmp_path: Path, sets: dict[str, WindowSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    Pretraining(tmp_path, sets, CONFIG).save()
    wider = dataclasses.replace(PRESETS["tiny"], width=32)
    monkeypatch.setitem(PRESETS, "tiny", wider)
    with pytest.raises(TrainingError, match="another teacher"):
        Pretraining(tmp_path, sets, CONFIG).resume()


def test_a_changed_setting_of_a_resumed_run_is_told(
    tmp_path: Path, sets: dict[str, WindowSet], caplog: pytest.LogCaptureFixture
) -> None:
    Pretraining(tmp_path, sets, CONFIG).save()
    Pretraining(tmp_path, sets, dataclasses.replace(CONFIG, mask_ratio=0.4)).resume()
    assert "mask_ratio was 0.5, and is now 0.4" in caplog.text

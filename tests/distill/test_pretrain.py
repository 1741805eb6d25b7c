"""Pre-training: learns, can be stopped anywhere, and says what it did."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.agreement import centred_cosine  # noqa: E402
from plethprint.errors import PackageIncompatibleError  # noqa: E402
from plethprint_distill.checkpoint import load_teacher, save_teacher  # noqa: E402
from plethprint_distill.pretrain import (  # noqa: E402
    PretrainConfig,
    Pretraining,
    learning_rate,
    pretrain,
)
from plethprint_distill.space import effective_rank, fingerprints, settle_space  # noqa: E402
from plethprint_distill.teacher import M2AE, PRESETS, TeacherConfig  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

CONFIG = PretrainConfig(preset="tiny", batch=16, windows=16 * 30, warm_up_windows=32)


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = TeacherConfig(
        width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
    )
    monkeypatch.setitem(PRESETS, "tiny", shape)


def test_a_run_that_was_stopped_goes_on_with_the_very_same_losses(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    whole = Pretraining(tmp_path / "whole", sets, CONFIG)
    expected = [whole.run_step() for _ in range(6)]
    first = Pretraining(tmp_path / "cut", sets, CONFIG)
    found = [first.run_step() for _ in range(3)]
    first.save()
    second = Pretraining(tmp_path / "cut", sets, CONFIG)
    second.resume()
    found += [second.run_step() for _ in range(3)]
    assert found == expected


def test_losses_fall_and_are_written_down(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    config = dataclasses.replace(CONFIG, windows=16 * 150, learning_rate=3e-3)
    pretrain(tmp_path, sets, config, progress=False)
    rows = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [50, 100, 150]
    assert rows[-1]["physiology"] < 0.95 * rows[0]["physiology"]
    assert (tmp_path / "teacher.pt").is_file()
    with (tmp_path / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 999, "loss": 0.0}\n')  # told, but never saved
    pretrain(tmp_path, sets, dataclasses.replace(config, windows=16 * 200), progress=False)
    rows = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [50, 100, 150, 200]


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = PretrainConfig(windows=1000, warm_up_windows=100, decay_share=0.2)
    rates = [learning_rate(config, seen) for seen in (0, 50, 100, 700, 900, 1000)]
    assert rates[0] < rates[1] < rates[2] == rates[3] == config.learning_rate
    assert rates[4] == pytest.approx(config.learning_rate / 2)
    assert rates[5] == pytest.approx(config.learning_rate / 50)


def test_the_settled_space_is_centred_and_views_agree_more_in_it(
    tmp_path: Path, virtual: WindowSet
) -> None:
    torch.manual_seed(0)
    teacher = M2AE(PRESETS["tiny"]).eval()

    def views() -> np.ndarray:  # type: ignore[type-arg]
        """From PPG alone and from both, which the space is settled on alike."""
        return np.concatenate(
            [fingerprints(teacher, virtual, m) for m in (("ppg",), ("ppg", "ecg"))]
        )

    before = views()
    settle_space(teacher, virtual)
    after = views()
    assert np.linalg.norm(after.mean(axis=0)) < 0.5 * np.linalg.norm(before.mean(axis=0))
    # Without a look at how far the views disagree in a direction:
    raw = np.concatenate(
        [fingerprints(teacher, virtual, m, raw=True) for m in (("ppg",), ("ppg", "ecg"))]
    )
    plain = raw - raw.mean(axis=0)
    half = len(virtual)
    agree = [centred_cosine(v[:half], v[half:]).mean() for v in (plain, after)]
    assert agree[1] > agree[0] + 0.02
    # and yet they have not collapsed
    assert effective_rank(after) > 0.3 * effective_rank(plain)
    save_teacher(teacher, tmp_path / "teacher.npz")
    teacher = load_teacher(tmp_path / "teacher.npz")
    again = views()
    assert (after * again).sum(axis=1).min() > 0.9999


def test_a_saved_teacher_holds_its_weights_and_its_shape_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before_numpy_2_1(file: Path, **arrays: np.ndarray) -> None:  # type: ignore[type-arg]
        written.update(arrays)  # `allow_pickle` was an array like any other

    written: dict[str, object] = {}
    monkeypatch.setattr(np, "savez_compressed", before_numpy_2_1)
    teacher = M2AE(PRESETS["tiny"])
    save_teacher(teacher, tmp_path / "teacher.npz")
    assert written.keys() == {*teacher.state_dict(), "config_json"}


def test_a_torn_teacher_is_refused_wherever_it_is_torn(tmp_path: Path) -> None:
    save_teacher(M2AE(PRESETS["tiny"]), tmp_path / "teacher.npz")
    whole = (tmp_path / "teacher.npz").read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        for torn in (whole[:place], whole[:place] + b"\xff" * 60 + whole[place + 60 :]):
            (tmp_path / "torn.npz").write_bytes(torn)
            with pytest.raises(PackageIncompatibleError, match="is not a teacher"):
                load_teacher(tmp_path / "torn.npz")


def test_a_finished_teacher_can_be_trained_on(
    tmp_path: Path, sets: dict[str, WindowSet], virtual: WindowSet
) -> None:
    torch.manual_seed(5)
    teacher = M2AE(PRESETS["tiny"]).eval()
    before = fingerprints(teacher, virtual, ("ppg",), raw=True)
    settle_space(teacher, virtual)
    run = Pretraining(tmp_path, sets, CONFIG)
    run.start_from(teacher)
    np.testing.assert_array_equal(
        fingerprints(run.model, virtual, ("ppg",), raw=True), before
    )
    assert not run.model.centre.any()
    with pytest.raises(PackageIncompatibleError, match="cannot start preset"):
        run.start_from(M2AE(dataclasses.replace(PRESETS["tiny"], width=32)))


def test_a_file_that_is_no_teacher_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for name, content in (("a.npz", b"PK\x03\x04 torn"), ("b.pt", b"nonsense")):
        (tmp_path / name).write_bytes(content)
    for path in ("a.npz", "b.pt", "missing.npz"):
        with pytest.raises(PackageIncompatibleError, match="is not a teacher") as caught:
            load_teacher(tmp_path / path)
        assert "\n" not in str(caught.value)

"""Probes along a training: every checkpoint is a point, whatever the task needs."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("matplotlib", reason="needs the `train` extra")

from plethprint.errors import TrainingError  # noqa: E402
from plethprint_distill.__main__ import main  # noqa: E402
from plethprint_distill.checkpoint import save_teacher  # noqa: E402
from plethprint_distill.labelled_windows import LabelledWindows, Library  # noqa: E402
from plethprint_distill.probe_curve import draw_probe_curve, probe_curve  # noqa: E402
from plethprint_distill.tasks.probe_task import ProbeTask  # noqa: E402
from plethprint_distill.tasks.task import Part, Problem  # noqa: E402
from plethprint_distill.teacher import M2AE, TeacherConfig  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402


def _library(virtual: WindowSet) -> Library:
    rate = virtual.targets[:, 0].astype(float)
    labelled = LabelledWindows(virtual, {"rate": rate})
    library = Library({}, {})
    library.get = lambda name: labelled  # type: ignore[method-assign]
    library.missing = lambda name: ""  # type: ignore[method-assign]
    return library


def _task(virtual: WindowSet) -> ProbeTask:
    import numpy as np

    from plethprint_distill.folds import folds_over_people

    def pose(library: Library) -> Problem:
        labels = library.get("virtual").number("rate")[:, None]
        folds = folds_over_people(np.asarray(virtual.person), labels)
        person = np.asarray(virtual.person)
        rows = np.arange(len(virtual))
        return Problem((Part("virtual", rows),), rows, labels, person, folds, "number")

    return ProbeTask(
        "rate", "Rate", "test", ("virtual",), ("mae", "r"), "", "", "", "", pose
    )


def test_each_checkpoint_is_a_point_of_each_task(
    tmp_path: Path, virtual: WindowSet
) -> None:
    shape = TeacherConfig(width=32, heads=2, encoder_layers=1, decoder_layers=1, dim=16)
    paths = {}
    for windows in (1000, 2000):
        torch.manual_seed(windows)
        paths[windows] = tmp_path / f"{windows}.npz"
        save_teacher(M2AE(shape), paths[windows])
    found = probe_curve(
        paths, virtual, _library(virtual), [_task(virtual)], draws=20, progress=False
    )
    assert [(p.windows, p.task) for p in found] == [
        (1000, "effective rank"),
        (2000, "effective rank"),
        (1000, "rate"),
        (2000, "rate"),
    ]
    assert all(p.low <= p.mean <= p.high for p in found)
    draw_probe_curve(
        found, tmp_path / "a.svg", rivals={"rate": {"null": 1.0}}, breaks={1500: "crops"}
    )
    assert b"crops" in (tmp_path / "a.svg").read_bytes()


def test_a_curve_of_nothing_is_refused(virtual: WindowSet) -> None:
    with pytest.raises(TrainingError, match="a checkpoint at least"):
        probe_curve({}, virtual, Library({}, {}), [])


def test_a_checkpoint_without_its_windows_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["probe-curve", "teacher.npz", "--corpus", str(tmp_path)]) == 1
    assert "WINDOWS=FILE" in caplog.text

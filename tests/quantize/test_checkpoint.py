import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from plethprint.errors import PackageIncompatibleError, WindowShapeError
from plethprint_distill.student import Student
from plethprint_quantize.checkpoint import (
    About,
    load_ranges,
    load_student,
    load_windows,
)


@pytest.fixture
def folder(tmp_path, student):
    state = {"model": student.state_dict(), "student": asdict(student.config)}
    torch.save(state, tmp_path / "student.pt")
    return tmp_path


def test_a_student_comes_back_with_its_shape_and_weights(folder, student):
    for path in (folder, folder / "student.pt"):
        loaded = load_student(path)
        assert loaded.config == student.config
        assert not loaded.training
        for name, value in loaded.state_dict().items():
            assert torch.equal(value, student.state_dict()[name]), name


def test_a_preset_may_stand_for_the_shape(tmp_path):
    student = Student()
    torch.save({"model": student.state_dict(), "student": "micro"}, tmp_path / "student.pt")
    assert load_student(tmp_path).config == student.config


def test_weights_of_another_shape_are_refused(folder, student):
    torch.save({"model": student.state_dict(), "student": "micro"}, folder / "student.pt")
    with pytest.raises(PackageIncompatibleError, match="not a student checkpoint"):
        load_student(folder)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "student.pt").write_bytes(content)
    with pytest.raises(PackageIncompatibleError, match=r"student\.pt"):
        load_student(tmp_path)


@pytest.mark.parametrize(
    "state",
    [[], {"student": "no such preset"}, {"student": {"blocks": [1]}}, {"student": 3}],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "student.pt")
    with pytest.raises(PackageIncompatibleError, match="not a student checkpoint"):
        load_student(tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 3},
        {"notes": ["x"]},
        {"figures": []},
        {"teacher_least": 0.9},
        {"training_data": ["x"]},
    ],
)
def test_a_description_of_the_wrong_type_is_refused_naming_the_field(tmp_path, fields):
    path = tmp_path / "about.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(PackageIncompatibleError, match=next(iter(fields))):
        About.load(path)


def test_a_missing_checkpoint_is_refused_by_path(tmp_path):
    with pytest.raises(PackageIncompatibleError, match=r"student\.pt"):
        load_student(tmp_path)


def test_windows_that_are_no_array_are_refused(tmp_path):
    (tmp_path / "w.npy").write_bytes(b"nothing")
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "w.npz").read_bytes()[:90])
    for name in ("w.npy", "w.npz", "cut.npz", "absent.npy", "."):
        with pytest.raises(WindowShapeError):
            load_windows(tmp_path / name)


def test_a_description_is_read_and_an_unknown_key_refused(tmp_path):
    path = tmp_path / "about.json"
    data = [{"name": "virtual", "licence": "CC0", "windows": 3, "people": 1}]
    path.write_text(json.dumps({"name": "trial", "training_data": data}))
    about = About.load(path)
    assert (about.name, about.training_data) == ("trial", tuple(data))
    for text in ('{"nome": "trial"}', "[]", "{"):
        path.write_text(text)
        with pytest.raises(PackageIncompatibleError, match="does not describe a student"):
            About.load(path)


def test_learned_ranges_come_back_where_there_are_any(folder, student):
    assert load_ranges(folder) is None
    state = {"model": student.state_dict(), "student": asdict(student.config)}
    steps = [(0.0, 1.0 + i) for i in range(8)] + [(-20.0, 20.0)]
    torch.save({**state, "ranges": steps}, folder / "student.pt")
    found = load_ranges(folder)
    assert (found.method, found.steps, found.windows) == ("learned", tuple(steps), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [(0.0, 1.0)] * 8,
        [(0.0, 1.0)] * 8 + [(0.0, float("inf"))],
        [(0.0, 1.0)] * 8 + [(0.0, 0.0)],
        [(0.0, 1.0)] * 8 + [0.5],
        "ranges",
    ],
)
def test_ranges_that_do_not_fit_the_student_are_refused(folder, student, wrong):
    state = {"model": student.state_dict(), "student": asdict(student.config)}
    torch.save({**state, "ranges": wrong}, folder / "student.pt")
    with pytest.raises(PackageIncompatibleError, match="9 steps"):
        load_ranges(folder)

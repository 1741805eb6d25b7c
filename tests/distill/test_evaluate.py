"""Figures on people held out: right where the answer is known, and told in the cards."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("sklearn", reason="needs the `train` extra")

from plethprint_distill.card import student_notes, teacher_card  # noqa: E402
from plethprint_distill.evaluate import evaluate  # noqa: E402
from plethprint_distill.handover import hand_over, training_data  # noqa: E402
from plethprint_distill.reconstruction import peak_f1, reconstruction  # noqa: E402
from plethprint_distill.space import fingerprints, settle_space  # noqa: E402
from plethprint_distill.student import Student  # noqa: E402
from plethprint_distill.teacher import M2AE, TeacherConfig  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402


@pytest.fixture(scope="module")
def teacher(virtual: WindowSet) -> M2AE:
    torch.manual_seed(0)
    teacher = M2AE(
        TeacherConfig(
            width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
        )
    ).eval()
    settle_space(teacher, virtual)
    return teacher


@pytest.fixture(scope="module")
def people(virtual: WindowSet) -> WindowSet:
    """The virtual windows as if of eight people with one recording each."""
    names = np.array([f"bidmc/{row % 8}" for row in range(len(virtual))])
    return dataclasses.replace(virtual, person=names, record=names)


def test_a_student_that_is_the_teacher_has_full_parity_and_an_untrained_one_none(
    teacher: M2AE, people: WindowSet
) -> None:
    torch.manual_seed(0)
    perfect = fingerprints(teacher, people, ("ppg", "ecg"))
    int8 = {"bidmc": np.rint(127 * perfect).astype(np.int8)}
    sets = {"bidmc": people}
    student = Student().eval()
    good = evaluate(teacher, student, sets, sets, int8_vectors=int8)["parity"]["bidmc"]
    bad = evaluate(teacher, student, sets, sets)["parity"]["bidmc"]
    assert good["both"]["centred_cosine"]["mean"] > 0.99
    assert good["both"]["overlap_at_10"]["mean"] > 0.9
    assert good["both"]["retrieval_at_256"] == 1.0
    assert abs(bad["both"]["centred_cosine"]["mean"]) < 0.3
    assert bad["both"]["retrieval_at_256"] < 0.1
    assert good["both"]["centred_cosine"]["people"] == 8


def test_a_painted_ecg_that_is_the_ecg_scores_one_and_its_null_does_not(
    teacher: M2AE, people: WindowSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plethprint_distill import reconstruction as room

    calm = people.take(people.rhythm <= 2)
    monkeypatch.setattr(
        room, "paint_ecg", lambda _, ppg: calm.ecg.astype(np.float32) * np.float32(6 / 127)
    )
    found = reconstruction(teacher, calm)
    assert np.nanmin(found.pearson) > 0.999
    # The paint is float32: in a noisy window the detector may see one beat differently.
    assert np.nanmean(found.f1_50ms_zero_lag) > 0.999
    assert np.nanmean(found.f1_100ms_zero_lag) > 0.999
    assert np.nanmean(found.f1_50ms_null) < 0.7


def test_peaks_match_one_to_one() -> None:
    assert peak_f1(np.array([1.0, 1.01]), np.array([1.0]), 0.05) == pytest.approx(2 / 3)
    assert np.isnan(peak_f1(np.array([1.0]), np.empty(0), 0.05))


def test_what_packaging_needs_is_written_and_tells_its_data(
    tmp_path: Path, teacher: M2AE, virtual: WindowSet
) -> None:
    stated = {"corpora": [{"name": "virtual", "licence": "Apache-2.0"}]}
    virtual.save(tmp_path / "windows" / "virtual", about=stated)
    (tmp_path / "student").mkdir()
    student = Student()
    state = {"model": student.state_dict(), "student": dataclasses.asdict(student.config)}
    torch.save(state, tmp_path / "student" / "student.pt")
    hand_over(tmp_path / "student", teacher, tmp_path / "windows", teacher_id="m2ae@1+00")
    about = json.loads((tmp_path / "student" / "about.json").read_text())
    assert about["teacher"] == "m2ae@1+00"
    # An untrained student agrees with no teacher: its bars are of no height.
    assert all(bar < 0.3 for bar in about["teacher_least"].values())
    assert about["training_data"] == [
        {"name": "virtual", "licence": "Apache-2.0", "windows": 192, "people": 192}
    ]
    assert training_data(tmp_path / "windows") == about["training_data"]
    golden = np.load(tmp_path / "student" / "golden.npz")
    assert golden["windows"].shape == (256, 640)
    assert golden["teacher_both"].shape == golden["teacher_ppg"].shape == (256, 64)
    seen = {row.tobytes() for row in np.asarray(virtual.ppg)}
    assert not any(row.tobytes() in seen for row in golden["windows"])


def test_the_cards_say_limits_intervals_and_licences(
    teacher: M2AE, people: WindowSet
) -> None:
    sets = {"bidmc": people}
    figures = evaluate(teacher, Student().eval(), sets, sets)
    data = [{"name": "bidmc", "licence": "ODC-By 1.0", "windows": 1, "people": 1}]
    for card in (student_notes(figures), teacher_card("m2ae 1", figures, data, "facts")):
        assert "Not a medical device" in card
        assert "overlap@10" in card
        assert "[" in card
    assert "ODC-By 1.0" in teacher_card("m2ae 1", figures, data, "facts")

"""Pictures for the cards are drawn of whoever is given, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("matplotlib", reason="needs the `train` extra")

from plethprint_distill.card_figures import draw_card_figures  # noqa: E402
from plethprint_distill.student import Student, StudentConfig  # noqa: E402
from plethprint_distill.teacher import M2AE, TeacherConfig  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402


def test_the_same_models_give_the_same_pictures(
    tmp_path: Path, sets: dict[str, WindowSet]
) -> None:
    torch.manual_seed(0)
    shape = TeacherConfig(width=32, heads=2, encoder_layers=1, decoder_layers=1, dim=16)
    teacher = M2AE(shape).eval()
    student = Student(StudentConfig(stem_channels=8, blocks=((16, 2),), dim=16)).eval()
    test = {k: sets[k] for k in ("cinc2017", "stress_predict", "virtual")}
    said: list[str] = []
    first = draw_card_figures(teacher, student, test, tmp_path / "a", say=said.append)
    second = draw_card_figures(teacher, student, test, tmp_path / "b")
    assert [path.name for path in first] == ["painted.svg", "map.svg", "parity.svg"]
    # One corpus has no ECG and one no PPG: pairs are of the third.
    assert "virtual" in said[0]
    assert "stress_predict" not in said[0]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes().startswith(b"<?xml")
        assert a.read_bytes() == b.read_bytes()

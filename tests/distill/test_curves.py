"""Training curves are drawn from whatever rows a run left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs the `train` extra")

from plethprint.errors import TrainingError
from plethprint_distill.__main__ import main
from plethprint_distill.curves import training_curves


def run(folder: Path, rows: int) -> Path:
    folder.mkdir()
    lines = []
    for number in range(1, rows + 1):
        row = {"step": number, "windows": 256 * number, "loss": 1 / number, "scale": 10.0}
        row["windows_per_s"] = 300.0
        if number % 2:  # a loss that only some kinds of step have
            row["contrast"] = 2 / number
        lines.append(json.dumps(row))
    (folder / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 9']))
    return folder


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_runs_are_drawn_beside_each_other(
    tmp_path: Path, suffix: str, start: bytes
) -> None:
    runs = [run(tmp_path / "a", 30), run(tmp_path / "b", 1)]
    told = training_curves(runs, tmp_path / f"figures/curves{suffix}")
    content = (tmp_path / f"figures/curves{suffix}").read_bytes()
    assert content.startswith(start)
    assert [row["step"] for row in told["runs"].values()] == [30, 1]
    if suffix == ".svg":
        for words in (b"temperature of the contrast", b"windows a second"):
            assert words in content


def test_what_cannot_be_drawn_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrainingError, match=r"holds no metrics\.jsonl"):
        training_curves([tmp_path], tmp_path / "a.png")
    with pytest.raises(TrainingError, match=r"a \.png or an \.svg"):
        training_curves([run(tmp_path / "a", 2)], tmp_path / "a.gif")
    assert main(["curves", str(tmp_path / "b"), "--out", str(tmp_path / "a.svg")]) == 1
    assert main(["curves", str(tmp_path / "a"), "--out", str(tmp_path / "a.svg")]) == 0
    assert json.loads(capsys.readouterr().out)["figure"] == str(tmp_path / "a.svg")

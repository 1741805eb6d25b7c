"""The soak in short: two virtual minutes a fault, and that its witness can fail."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import multiprocessing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.ble.frame import PpgFrame
from plethprint.block import Block
from plethprint.cli.app import run
from plethprint.cli.soak import ResultTable
from plethprint.errors import RecordingError
from plethprint.package import ModelPackage
from plethprint.timeline import Timeline
from plethprint_sim.faults import FAULTS, Fault
from plethprint_sim.soak import known_personalities, soak_one
from plethprint_sim.soak_cells import soak
from plethprint_sim.soak_log import SoakLog
from plethprint_sim.soak_report import junit_xml, table_row
from plethprint_sim.soak_result import SoakResult
from plethprint_sim.witness import Witness

# The tiny package is built in tests/sdk/conftest.py; its fixtures serve here as well.
_spec = importlib.util.spec_from_file_location(
    "_tiny_package", Path(__file__).parents[1] / "sdk" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tiny)
signing_key, trusted, package = _tiny.signing_key, _tiny.trusted, _tiny.package
_built_folder = _tiny._built_folder

BY_NAME = {fault.name: fault for fault in FAULTS}
COSTLY = {"MTU 23"}  # a frame for every sample: eight times the work
OTHERS = [name for name in known_personalities() if name != "open"]


def came_through(
    personality: str, fault: Fault, minutes: float, package: Any
) -> SoakResult:
    result = soak_one(personality, fault, minutes, package)
    assert result.passed, table_row(result)
    return result


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_two_minutes_of_each_fault_leave_every_sample_accounted_for(
    name: str, package: ModelPackage
) -> None:
    minutes = 0.5 if name in COSTLY else 2.0
    result = came_through("open", BY_NAME[name], minutes, package)
    stats = result.statistics
    assert result.sent == stats["samples"] + stats["missing_samples"]
    happened = {
        "3 s stall, every 2 min": stats["stalls"],
        "link drop, every 5 min": stats["reconnects"],
        "reboot, every 10 min": stats["device_resets"],
        "firmware overflow": stats["overflow_samples"],
        "duplicated, reordered": stats["duplicates"] * stats["reordered"],
        "lost by a host queue": stats["lost_samples"],
        "clock +200 ppm": stats["clock_drift_ppm"] < -195,
        "clock -200 ppm": stats["clock_drift_ppm"] > 195,
        "battery death": result.outcome == "gave up",
    }
    assert happened.get(name, True)


@pytest.mark.slow
@pytest.mark.parametrize("personality", OTHERS)
@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_each_personality_comes_through_each_fault(
    personality: str, name: str, package: ModelPackage
) -> None:
    came_through(personality, BY_NAME[name], 2.0, package)


@pytest.mark.parametrize("personality", OTHERS)
def test_each_personality_comes_through_a_lost_link(
    personality: str, package: ModelPackage
) -> None:
    came_through(personality, BY_NAME["link drop, every 5 min"], 0.6, package)


def test_a_host_that_hides_a_loss_does_not_come_through(
    package: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = Timeline.push

    def forgetful(timeline: Timeline, frame: PpgFrame, arrival_s: float) -> list[Block]:
        if frame.sequence < 200:
            return push(timeline, frame, arrival_s)
        if frame.sequence == 200:
            return []
        # As if the frame before had never been: the index closes up.
        earlier = dataclasses.replace(
            frame, first_index=frame.first_index - 16, sequence=frame.sequence - 1
        )
        return push(timeline, earlier, arrival_s)

    monkeypatch.setattr(Timeline, "push", forgetful)
    result = soak_one("open", BY_NAME["clean"], 1.0, package)
    assert not result.passed
    assert any("misplaced" in failure for failure in result.failures)


def test_junit_tells_each_fault_and_what_was_wrong() -> None:
    good = SoakResult("open", "clean", 2.0, "streamed", 10, 10, 0, 3)
    bad = SoakResult("ring", "clean", 2.0, "streamed", 10, 9, None, failures=("1 <lost>",))
    root = ElementTree.fromstring(junit_xml([good, bad]))
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert [suite.get("name") for suite in root] == ["soak.open", "soak.ring"]
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "1 <lost>"


def test_the_command_writes_lines_and_junit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "soak.xml"
    arguments = ["soak", "--minutes", "0.5", "--personality", "open", "--fault", "clean"]
    arguments += ["--junit", str(report), "--json"]
    assert run(arguments) == 0
    (told,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told["passed"]
    assert told["sent"] == told["received"] > 3000
    assert ElementTree.parse(report).getroot().get("tests") == "1"
    assert run(["soak", "--personality", "nobody"]) == 2
    assert run(["soak", "--fault", "nothing"]) == 2


SHORT = ["soak", "--minutes", "0.5", "--personality", "openring", "--json"]


def test_two_jobs_find_what_one_finds_and_the_table_keeps_its_order(
    tmp_path: Path, package: ModelPackage, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [BY_NAME["clean"], BY_NAME["clock +200 ppm"]]
    seen: list[SoakResult] = []
    beside = soak(
        minutes=0.5,
        wanted=["openring"],
        faults=faults,
        package=package,
        jobs=2,
        on_result=seen.append,
    )
    alone = soak(minutes=0.5, wanted=["openring"], faults=faults, package=package)
    assert [result.cell for result in beside] == [("openring", f.name) for f in faults]
    assert {result.cell for result in seen} == {result.cell for result in beside}
    for one, other in zip(beside, alone, strict=True):
        assert one.passed
        assert one.statistics == other.statistics
        assert one.statistics["stream_sha256"]


def test_a_soak_that_is_interrupted_leaves_no_process_and_keeps_what_it_found(
    tmp_path: Path, package: ModelPackage
) -> None:
    def interrupt(result: SoakResult) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "soak.jsonl"
    log = SoakLog(path, minutes=0.5, model_id=package.model_id)
    faults = [BY_NAME["clean"], BY_NAME["clock +200 ppm"], BY_NAME["clock -200 ppm"]]
    with pytest.raises(KeyboardInterrupt):
        soak(
            minutes=0.5,
            wanted=["openring"],
            faults=faults,
            package=package,
            jobs=2,
            log=log,
            on_result=interrupt,
        )
    assert multiprocessing.active_children() == []
    kept = SoakLog(path, minutes=0.5, model_id=package.model_id).found
    assert len(kept) == 1


def test_a_soak_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "soak.jsonl"
    keep = ["--fault", "clean", "--out", str(log)]
    assert run([*SHORT, *keep]) == 0
    first = log.read_bytes()
    capsys.readouterr()
    # The finished cell is told from the log, to the second that it took; killed in the
    # middle of a line, the soak finds the line before.
    log.write_bytes(first + first[:40])
    assert run([*SHORT, *keep]) == 0
    assert log.read_bytes() == first
    told = json.loads(capsys.readouterr().out)
    assert told["wall_s"] == json.loads(first)["wall_s"]


def test_results_of_another_length_or_model_are_not_taken_for_these(
    tmp_path: Path,
) -> None:
    path = tmp_path / "soak.jsonl"
    SoakLog(path, minutes=2.0, model_id="a").add(
        SoakResult("open", "clean", 2.0, "streamed")
    )
    assert SoakLog(path, minutes=2.0, model_id="a").found.keys() == {("open", "clean")}
    assert not SoakLog(path, minutes=3.0, model_id="a").found
    assert not SoakLog(path, minutes=2.0, model_id="b").found


@pytest.mark.parametrize("content", ["a letter to a friend", '{"a": 1}\n', "[1]\n", "7\n"])
def test_a_file_that_is_no_log_is_refused_and_left_as_it_was(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "letter"
    path.write_text(content)
    with pytest.raises(RecordingError, match="line 1 of"):
        SoakLog(path, minutes=2.0, model_id="a")
    assert path.read_text() == content


def test_an_error_that_should_not_be_fails_its_cell_alone(
    package: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(witness: Witness, block: Block) -> None:
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(Witness, "take", broken)
    (result,) = soak(minutes=0.5, wanted=["openring"], faults=FAULTS[:1], package=package)
    assert not result.passed
    assert result.outcome == "raised: ZeroDivisionError: of the test"


def test_the_table_on_a_terminal_is_in_order_whatever_came_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said: list[str] = []
    table = ResultTable(
        [("a", "1"), ("a", "2"), ("b", "1")], lambda r: said.append(r.fault)
    )
    for cell in [("a", "2"), ("b", "1")]:
        table.take(SoakResult(*cell, 1.0, "streamed"))
    assert said == []
    table.take(SoakResult("a", "1", 1.0, "streamed"))
    assert said == ["1", "2", "1"]


def test_thirty_two_wearables_at_once_lose_nothing(package: ModelPackage) -> None:
    from plethprint_sim.many_wearables import stream_many

    result = stream_many(32, seconds=12.0, package=package)
    assert result.wearables == 32
    assert result.missing_samples == 0
    assert result.fingerprints == 32
    assert np.isclose(result.samples, 32 * 12.0 * 125.0, rtol=0.05)


@pytest.mark.parametrize("option", ["--out", "--junit"])
def test_a_file_in_no_folder_is_told_before_the_soak(option, tmp_path, capsys):
    where = tmp_path / "nowhere" / "soak.txt"
    arguments = ["soak", "--minutes", "0.5", "--fault", "clean", "--jobs", "1"]
    assert run([*arguments, option, str(where)]) in (1, 2)
    told = capsys.readouterr()
    assert "is no folder" in " ".join(told.err.replace("│", " ").split())
    assert "streamed" not in told.out

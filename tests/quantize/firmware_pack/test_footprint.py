"""Costs: the budget holds for what was measured, and what was measured is this model."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from plethprint.errors import EncoderError
from plethprint_quantize.firmware.footprint import (
    BUDGET,
    footprint_table,
    load_measured,
    over_budget,
)
from plethprint_quantize.firmware.measure import CORES, measure_core, missing_tools
from plethprint_quantize.firmware.native import FAULTS
from plethprint_quantize.firmware.plan import make_plan
from plethprint_quantize.flatbuffer import read_tflite

DOCS = Path(__file__).resolve().parents[3] / "docs" / "firmware.md"
MEASURED = load_measured()["cores"]


def test_the_figures_are_of_the_shipped_architecture(shipped):
    plan = make_plan(read_tflite(shipped.read_bytes("encoder.tflite")))
    assert load_measured()["shape"] == plan.shape_id
    assert tuple(MEASURED) == CORES


def test_the_cortex_m4f_is_within_its_budget():
    assert over_budget(MEASURED["m4f"]) == []


def test_every_core_was_exact():
    for cost in MEASURED.values():
        assert cost.golden_vectors >= 32
        assert (cost.golden_differing, cost.stream_differing, cost.self_test) == (0, 0, 0)


def test_what_exceeds_the_budget_is_named():
    greedy = replace(
        MEASURED["m4f"],
        flash_bytes=BUDGET.flash_bytes + 1,
        workspace_bytes=BUDGET.ram_bytes,
    )
    told = " ".join(over_budget(greedy))
    assert "flash_bytes is 190,001" in told
    assert "ram_bytes" in told
    assert "instructions" not in told


def test_the_documentation_shows_the_measured_table():
    assert footprint_table(MEASURED) in DOCS.read_text(encoding="utf-8")


def test_a_core_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(EncoderError, match="m4f"):
        measure_core(tmp_path, "z80")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("core", CORES)
def test_an_emulated_core_is_exact_and_costs_what_the_table_says(pack, core):
    if missing := missing_tools(core):
        pytest.skip(f"needs {', '.join(missing)}: make firmware-test installs them")
    cost = measure_core(pack, core)
    assert cost.golden_vectors >= 32
    assert (cost.golden_differing, cost.stream_differing, cost.self_test) == (0, 0, 0)
    table = MEASURED[core]
    assert cost.arithmetic == table.arithmetic
    # other compilers of the same family are a little better or worse
    assert cost.instructions_all_in <= 1.1 * table.instructions_all_in
    assert cost.flash_bytes <= 1.05 * table.flash_bytes
    if core == "m4f":
        assert over_budget(cost) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_emulated_core_with_one_wrong_weight_is_caught(pack, tmp_path):
    if missing := missing_tools("m4f"):
        pytest.skip(f"needs {', '.join(missing)}: make firmware-test installs them")
    wrong = tmp_path / "fw"
    shutil.copytree(pack, wrong, ignore=shutil.ignore_patterns("build"))
    name, pattern, bits = FAULTS["weight"]
    source = wrong / "src" / name
    told = source.read_text("ascii")
    text, count = re.subn(
        pattern, lambda found: f"{found[1]}{int(found[2]) ^ bits}", told, count=1
    )
    assert count == 1
    source.write_text(text, "ascii")
    with pytest.raises(EncoderError, match="self_test 4"):
        measure_core(wrong, "m4f")

"""`import plethprint_sim` loads no Bluetooth stack; what needs one comes on first use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import plethprint
import plethprint_sim

_ROOTS = [str(Path(m.__file__ or "").parents[1]) for m in (plethprint, plethprint_sim)]


def _run(code: str) -> str:
    code = f"import sys; sys.path[:0] = {_ROOTS!r}\n{code}"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_wearers_need_no_bluetooth_stack() -> None:
    code = """from plethprint_sim import WearerStream
print([name for name in ("bumble", "bleak", "torch") if name in sys.modules])"""
    assert _run(code) == "[]"


@pytest.mark.parametrize("name", plethprint_sim.__all__)
def test_every_name_of_the_simulator_can_be_reached(name: str) -> None:
    assert getattr(plethprint_sim, name) is not None
    assert name in dir(plethprint_sim)


def test_a_name_that_the_simulator_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'wearables'"):
        _ = plethprint_sim.wearables


def test_without_bumble_the_extra_to_install_is_named() -> None:
    code = """sys.modules["bumble"] = None
import plethprint_sim
try:
    plethprint_sim.VirtualWorld
except ImportError as error:
    print(error)"""
    assert "pip install 'plethprint[sim]'" in _run(code)

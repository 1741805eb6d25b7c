"""`import plethprint` is quick and pulls in no runtime; every public name is there."""

import subprocess
import sys
from pathlib import Path

import pytest

import plethprint

SDK = str(Path(plethprint.__file__).parents[1])
HEAVY = ("torch", "onnx", "onnxruntime", "bleak", "bumble", "scipy", "cryptography", "wfdb")


def _run(code):
    """Run code in a fresh interpreter that finds the same plethprint."""
    code = f"import sys; sys.path.insert(0, {SDK!r}); {code}"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    code = f"import plethprint; print([m for m in {HEAVY} if m in sys.modules])"
    assert _run(code) == "[]"


def test_reading_a_fingerprint_needs_no_runtime_either():
    code = f"""from plethprint import Fingerprint, similarity, Preprocessor
print([m for m in {HEAVY} if m in sys.modules])"""
    assert _run(code.replace("\n", "; ")) == "[]"


@pytest.mark.parametrize("name", plethprint.__all__)
def test_every_public_name_can_be_reached(name):
    assert getattr(plethprint, name) is not None
    assert name in dir(plethprint)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fingerprints'"):
        _ = plethprint.fingerprints


def test_the_version_is_a_version():
    assert plethprint.__version__.count(".") >= 2

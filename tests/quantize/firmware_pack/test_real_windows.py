"""Hundreds of windows of real people: C99 against tflite-micro, byte for byte."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from plethprint.signal import windows_of
from plethprint_quantize.firmware.golden_source import golden_files
from plethprint_quantize.firmware.measure import CORES, measure_core, missing_tools
from plethprint_quantize.firmware.plan import make_plan
from plethprint_quantize.flatbuffer import read_tflite
from plethprint_quantize.golden import run_tflite_micro

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
RATE_HZ = {"bidmc": 125.0, "stress_predict": 64.0}
RECORDINGS, WINDOWS = 16, 12

pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")


def _windows(corpus: str) -> np.ndarray:
    """Two minutes of sixteen recordings each: finger (bidmc), wrist (stress_predict)."""
    found = []
    for path in sorted((DATA / corpus).glob("*.npz"))[:RECORDINGS]:
        with np.load(path, allow_pickle=False) as archive:
            counts = archive["ppg"].ravel()[: int(130 * RATE_HZ[corpus])]
        ppg = np.where(counts == -32768, np.nan, counts.astype(np.float64))
        found += windows_of(ppg, RATE_HZ[corpus], hop_s=10.0)[:WINDOWS]
    return np.stack([window.samples for window in found])


@pytest.mark.parametrize("corpus", sorted(RATE_HZ))
def test_real_windows_are_met_in_every_bit(native, shipped, corpus):
    if not (DATA / corpus).is_dir():
        pytest.skip("needs the recordings of ../shared/data")
    windows = _windows(corpus)
    assert len(windows) >= 128
    assert len(np.unique(windows, axis=0)) >= 128
    expected = run_tflite_micro(shipped.read_bytes("encoder.tflite"), windows)
    assert np.count_nonzero(native.run(windows) != expected) == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("core", CORES)
def test_real_windows_are_met_in_every_bit_on_each_core(core, pack, shipped, tmp_path):
    if missing := missing_tools(core):
        pytest.skip(f"needs {', '.join(missing)}: make firmware-test installs them")
    if not all((DATA / corpus).is_dir() for corpus in RATE_HZ):
        pytest.skip("needs the recordings of ../shared/data")
    windows = np.concatenate([_windows(corpus)[:144] for corpus in sorted(RATE_HZ)])
    model = shipped.read_bytes("encoder.tflite")
    golden = dataclasses.replace(
        shipped.golden(), windows=windows, vectors=run_tflite_micro(model, windows)
    )
    own = tmp_path / "fw"
    shutil.copytree(pack, own, ignore=shutil.ignore_patterns("build"))
    for name, text in golden_files(make_plan(read_tflite(model)), golden, 288).items():
        (own / "test" / name).write_text(text, "ascii")
    cost = measure_core(own, core)
    assert cost.golden_vectors == len(windows) >= 256
    assert cost.golden_differing == 0

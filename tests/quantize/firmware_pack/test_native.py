"""The pack compiled for this machine: TFLite Micro's answers in every bit."""

import re
import shutil
import subprocess
from graphlib import TopologicalSorter

import numpy as np
import pytest

from plethprint.errors import EncoderError, SampleRateError, WindowShapeError
from plethprint_quantize.firmware.fixed_point import FixedPointSignal
from plethprint_quantize.firmware.fixed_quality import quality_255
from plethprint_quantize.firmware.golden_source import stream_counts
from plethprint_quantize.firmware.native import FAULTS, NativeFirmware
from plethprint_quantize.firmware.plan import make_plan
from plethprint_quantize.firmware.reference import run_plan
from plethprint_quantize.flatbuffer import read_tflite

WARNINGS = [f"-W{name}" for name in ("all", "extra", "error", "shadow", "conversion")]


def test_every_golden_vector_is_met_in_every_bit(native, shipped):
    golden = shipped.golden()
    assert len(golden) >= 256
    assert native.model_id == shipped.model_id
    assert np.count_nonzero(native.run(golden.windows) != golden.vectors) == 0


def test_windows_no_wrist_would_give_are_met_too(native, shipped):
    windows = np.random.default_rng(1).integers(-128, 128, (16, 640)).astype(np.int8)
    windows[0], windows[1], windows[2, ::2], windows[3] = -128, 127, -128, 0
    plan = make_plan(read_tflite(shipped.read_bytes("encoder.tflite")))
    assert np.array_equal(native.run(windows), run_plan(plan, windows))


def test_counts_give_the_fingerprints_of_the_integer_models(native, shipped):
    counts = stream_counts()
    windows = FixedPointSignal(100_000).push(counts)
    plan = make_plan(read_tflite(shipped.read_bytes("encoder.tflite")))
    expected = run_plan(plan, np.stack([window.samples for window in windows]))
    device = native.device(100.0)
    found = device.push(counts[:777]) + device.push(counts[777:])
    assert [one.start for one in found] == [window.start for window in windows]
    assert [one.quality for one in found] == [
        quality_255(window.samples, window.missing) for window in windows
    ]
    assert np.array_equal([one.vector for one in found], expected)


def test_the_self_test_passes_and_leaves_the_device_usable(native):
    device = native.device(100.0)
    before = device.push(stream_counts())
    assert device.self_test() == "ok"
    after = device.push(stream_counts())
    assert [one.start for one in after] == [one.start for one in before]
    assert np.array_equal([x.vector for x in after], [x.vector for x in before])


@pytest.mark.parametrize(
    ("fault", "part"), [("weight", "model"), ("filter", "signal"), ("rounding", "encoder")]
)
def test_wrong_firmware_is_caught_by_the_self_test_and_named(pack, compiler, fault, part):
    assert fault in FAULTS
    wrong = NativeFirmware.build(pack, options=("-O0",), fault=fault)
    assert wrong.device(64.0).self_test() == part


@pytest.mark.parametrize("rate_hz", [24.9, 200.1, 0.0, -5.0, 1e9])
def test_a_rate_out_of_range_is_refused(native, rate_hz):
    with pytest.raises(SampleRateError, match="25 to 200 Hz"):
        native.device(rate_hz)


def test_windows_of_another_shape_are_refused(native):
    with pytest.raises(WindowShapeError):
        native.run(np.zeros((1, 639), np.int8))
    with pytest.raises(WindowShapeError):
        native.run(np.zeros(640, np.int8))


def test_a_folder_that_is_no_pack_is_refused(tmp_path, compiler):
    with pytest.raises(EncoderError, match="not a firmware pack"):
        NativeFirmware.build(tmp_path)


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_the_pack_compiles_without_a_warning(pack, name):
    compiler = shutil.which(name)
    if compiler is None:
        pytest.skip(f"{name} is not installed")
    sources = [str(path) for path in sorted((pack / "src").glob("*.c"))]
    tests = [str(path) for path in sorted((pack / "test").glob("*.c"))]
    include = [f"-I{pack / 'src'}", f"-I{pack / 'test'}", "-fsyntax-only"]
    done = subprocess.run(
        [compiler, "-std=c99", "-pedantic", *WARNINGS, *include, *sources, *tests],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_library_has_no_writable_globals_and_calls_only_memory_functions(
    pack, compiler, tmp_path
):
    if shutil.which("nm") is None:
        pytest.skip("needs nm of binutils")
    for source in sorted((pack / "src").glob("*.c")):
        target = tmp_path / f"{source.stem}.o"
        command = [compiler, "-std=c99", "-O1", "-fno-stack-protector", "-fno-pic", "-c"]
        subprocess.run([*command, str(source), "-o", str(target)], check=True)
    told = subprocess.run(
        ["nm", "-g", *map(str, tmp_path.glob("*.o"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    symbols = [line.split()[-2:] for line in told.splitlines() if len(line.split()) >= 2]
    foreign = {name for kind, name in symbols if kind == "U" and "pp_" not in name}
    assert {name.lstrip("_") for name in foreign} <= {
        "memcpy",
        "memset",
        "memcmp",
        "memmove",
    }
    assert not [name for kind, name in symbols if kind in "BDGSC"]


def test_nothing_in_the_library_calls_itself_in_a_circle(pack, tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, for -fcallgraph-info")
    sources = sorted((pack / "src").glob("*.c"))
    for source in sources:
        target = tmp_path / f"{source.stem}.o"
        options = ["-std=c99", "-O0", "-fcallgraph-info", "-c", str(source)]
        subprocess.run(["gcc", *options, "-o", str(target)], check=True)
    calls: dict[str, set[str]] = {}
    for graph in tmp_path.glob("*.ci"):
        edge = r'edge: { sourcename: "([^"]+)" targetname: "([^"]+)"'
        for caller, called in re.findall(edge, graph.read_text("utf-8")):
            calls.setdefault(caller, set()).add(called)
    assert "pp_run_layer" in calls["pp_encode"]
    tuple(TopologicalSorter(calls).static_order())  # CycleError names a circle


def test_the_packs_own_test_passes_with_the_sanitizers_silent(pack, compiler, tmp_path):
    if shutil.which("make") is None:
        pytest.skip("needs make")
    done = subprocess.run(
        ["make", "-C", str(pack), "test", f"CC={compiler}", f"BUILD={tmp_path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok") == 6

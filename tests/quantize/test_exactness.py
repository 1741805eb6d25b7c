"""The matrix of bit-exactness: every runtime against tflite-micro, on every output.

=================  ====================================================================
tflite-micro       the oracle: what golden vectors are made of
LiteRT             at most 1 step: the kernels that the SDK asks for, and the reference
LiteRT, XNNPACK    at most 2 steps, 2 of them in less than one value of a thousand: it
                   rounds as onnxruntime does
tflite-runtime     as LiteRT; 2.14 on Python 3.11 in an environment of its own; its
                   reference kernels give every bit
onnxruntime        at most 2 steps
=================  ====================================================================

C99 against tflite-micro is in the firmware tests: there nothing may differ at all.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from plethprint.package import MODELS_FOLDER
from plethprint_quantize.flatbuffer import read_tflite
from plethprint_quantize.golden import run_onnx, run_tflite_micro
from plethprint_quantize.held_out import held_out_windows
from plethprint_quantize.qdq import transcribe

pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SHIPPED = max(MODELS_FOLDER.glob("plethprint-micro_v*"))
MOST_STEPS = {"AUTO": 2, "BUILTIN_WITHOUT_DEFAULT_DELEGATES": 1, "BUILTIN_REF": 1}
"""Kernels of LiteRT; AUTO is XNNPACK, wherever there is one for the processor."""

IN_TFLITE_RUNTIME = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType

windows = np.load(sys.argv[2])
for resolver in ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF"):
    interpreter = Interpreter(
        model_path=sys.argv[1],
        experimental_op_resolver_type=getattr(OpResolverType, resolver),
        num_threads=1,
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    sink = interpreter.get_output_details()[0]["index"]
    rows = []
    for window in windows:
        interpreter.set_tensor(source, window[None, None, :, None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink)[0].copy())
    np.save(sys.argv[3] + "/" + resolver + ".npy", np.stack(rows))
"""


@pytest.fixture(scope="module")
def shipped():
    return (SHIPPED / "encoder.tflite").read_bytes()


@pytest.fixture(scope="module")
def golden():
    """Windows of virtual wearers, as the shipped package keeps them."""
    with np.load(SHIPPED / "golden.npz") as archive:
        return archive["windows"]


@pytest.fixture(scope="module")
def golden_oracle(shipped, golden):
    return run_tflite_micro(shipped, golden)


@pytest.fixture(scope="module")
def real():
    """256 windows of real people that trained nothing."""
    if not DATA.is_dir():
        pytest.skip(f"real recordings are not here ({DATA.name} beside the repository)")
    sets = held_out_windows(DATA)
    whole = np.concatenate([np.asarray(windows.ppg) for windows in sets.values()])
    return whole[np.random.default_rng(0).permutation(len(whole))[:256]]


def run_litert(model, windows, resolver):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=getattr(OpResolverType, resolver),
        num_threads=1,
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    sink = interpreter.get_output_details()[0]["index"]
    rows = []
    for window in windows:
        interpreter.set_tensor(source, window[None, None, :, None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink)[0].copy())
    return np.stack(rows)


def require_close(vectors, oracle, most):
    """At most `most` steps apart, and more than one step in less than 1 of 1000 values."""
    assert vectors.dtype == oracle.dtype == np.int8
    apart = np.abs(vectors.astype(int) - oracle)
    assert apart.max() <= most
    assert (apart > 1).mean() < 0.001


@pytest.mark.parametrize("resolver", MOST_STEPS)
def test_litert_is_within_its_steps_of_tflite_micro(
    shipped, golden, golden_oracle, resolver
):
    pytest.importorskip("ai_edge_litert", reason="needs the `litert` extra")
    assert golden_oracle.std() > 5
    found = run_litert(shipped, golden, resolver)
    require_close(found, golden_oracle, MOST_STEPS[resolver])


def test_onnx_is_within_two_steps_of_tflite_micro(golden, golden_oracle):
    committed = (SHIPPED / "encoder.onnx").read_bytes()
    for model in (committed, transcribe(read_tflite(SHIPPED / "encoder.tflite"))):
        require_close(run_onnx(model, golden), golden_oracle, 2)


def test_golden_vectors_are_tflite_micros_to_the_bit(golden_oracle):
    with np.load(SHIPPED / "golden.npz") as archive:
        assert np.array_equal(archive["vectors"], golden_oracle)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_on_real_windows_every_runtime_stays_within_its_steps(shipped, real):
    pytest.importorskip("ai_edge_litert", reason="needs the `litert` extra")
    assert len(real) == 256
    oracle = run_tflite_micro(shipped, real)
    for resolver, most in MOST_STEPS.items():
        require_close(run_litert(shipped, real, resolver), oracle, most)
    require_close(run_onnx((SHIPPED / "encoder.onnx").read_bytes(), real), oracle, 2)


@pytest.fixture(scope="module")
def old_python(tmp_path_factory):
    """A Python 3.11 with tflite-runtime 2.14 and the numpy that it can live with."""
    command = shutil.which("python3.11")
    if command is None:
        pytest.skip("no python3.11: tflite-runtime 2.14 has wheels for 3.8 to 3.11")
    folder = tmp_path_factory.mktemp("tflite_runtime")
    for words in (
        [command, "-m", "venv", str(folder)],
        [
            *(str(folder / "bin/python"), "-m", "pip", "install", "--quiet"),
            *("--only-binary", ":all:", "tflite-runtime==2.14.0", "numpy<2"),
        ],
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"tflite-runtime 2.14 cannot be had: {reason}")
    return folder / "bin/python"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("whose", ["golden", "real"])
def test_tflite_runtime_is_within_its_steps_and_its_reference_kernels_within_none(
    shipped, old_python, tmp_path, request, whose
):
    windows = request.getfixturevalue(whose)
    (tmp_path / "encoder.tflite").write_bytes(shipped)
    np.save(tmp_path / "windows.npy", windows)
    paths = [str(tmp_path / name) for name in ("encoder.tflite", "windows.npy", "")]
    subprocess.run([old_python, "-c", IN_TFLITE_RUNTIME, *paths], check=True)
    oracle = run_tflite_micro(shipped, windows)
    for resolver, most in {**MOST_STEPS, "BUILTIN_REF": 0}.items():
        require_close(np.load(tmp_path / f"{resolver}.npy"), oracle, most)

"""Runtimes take and give int8, row by row, and speak only our errors."""

import builtins
import importlib.util

import numpy as np
import pytest

from plethprint import encoder as encoder_module
from plethprint.encoder import installed_runtimes, load_encoder
from plethprint.errors import (
    EncoderError,
    MissingExtraError,
    PackageIncompatibleError,
    WindowShapeError,
)
from plethprint.package import ModelPackage
from plethprint.signal import PPG

RUNTIMES = installed_runtimes()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_gives_the_golden_vectors_within_two_steps(package, runtime):
    golden = package.golden()
    vectors = load_encoder(package, runtime).run(golden.windows)
    assert vectors.dtype == np.int8
    assert vectors.shape == golden.vectors.shape
    assert np.abs(vectors.astype(int) - golden.vectors).max() <= 2
    assert len(np.unique(vectors, axis=0)) > len(vectors) // 2


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_row_does_not_depend_on_the_rows_around_it(package, runtime):
    encoder = load_encoder(package, runtime)
    rng = np.random.default_rng(0)
    windows = rng.integers(-127, 128, (300, PPG.window_samples)).astype(np.int8)
    together = encoder.run(windows)
    alone = np.concatenate([encoder.run(window[None]) for window in windows[:40]])
    assert np.array_equal(together[:40], alone)
    assert np.array_equal(encoder.run(windows[::-1]), together[::-1])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_windows_give_no_vectors(package, runtime):
    none = np.empty((0, PPG.window_samples), np.int8)
    assert load_encoder(package, runtime).run(none).shape == (0, 64)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "windows",
    [
        np.zeros((1, PPG.window_samples)),
        np.zeros((1, PPG.window_samples - 1), np.int8),
        np.zeros(PPG.window_samples, np.int8),
        np.zeros((1, 1, PPG.window_samples), np.int8),
    ],
    ids=["float", "short", "one axis", "three axes"],
)
def test_windows_of_another_shape_or_type_are_refused(package, runtime, windows):
    with pytest.raises(WindowShapeError, match=r"int8 of shape \(N, "):
        load_encoder(package, runtime).run(windows)


def test_auto_takes_onnxruntime_when_it_is_there(package):
    assert load_encoder(package).runtime == "onnx"


def test_auto_takes_litert_where_there_is_no_onnxruntime(package, monkeypatch):
    if "litert" not in RUNTIMES:
        pytest.skip("needs the `litert` extra")
    monkeypatch.setattr(
        encoder_module, "find_spec", _without("onnxruntime", importlib.util.find_spec)
    )
    assert load_encoder(package).runtime == "litert"


def test_a_runtime_that_is_not_installed_says_what_to_install(package, monkeypatch):
    monkeypatch.setattr(encoder_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"plethprint\[litert\]"):
        load_encoder(package, "litert")
    with pytest.raises(MissingExtraError, match=r"plethprint\[golden\]"):
        load_encoder(package, "tflm")
    with pytest.raises(EncoderError, match="pip install onnxruntime"):
        load_encoder(package)


def test_an_unknown_runtime_is_refused_naming_those_there_are(package):
    with pytest.raises(EncoderError, match="onnx, litert, tflm"):
        load_encoder(package, "tensorrt")


def _without(hidden, find_spec):
    return lambda name: None if name == hidden else find_spec(name)


@pytest.mark.parametrize("changes", [{"samples": 625}, {"dim": 32}, {"name": "input"}])
def test_an_onnx_model_of_another_shape_is_refused(
    package_folder, rewrite, trusted, foreign_onnx, changes
):
    (package_folder / "encoder.onnx").write_bytes(foreign_onnx(**changes))
    rewrite(package_folder)
    package = ModelPackage.load(package_folder, trusted_keys=trusted)
    with pytest.raises(PackageIncompatibleError, match=r"put of encoder\.onnx must be"):
        load_encoder(package, "onnx")


def test_an_onnx_model_that_takes_floats_is_refused(package_folder, rewrite, trusted):
    onnx = pytest.importorskip("onnx", reason="needs the `quantize` extra")
    helper = onnx.helper
    shape = ["N", 1, 1, PPG.window_samples]
    node = helper.make_node("Identity", ["window"], ["fingerprint"])
    graph = helper.make_graph(
        [node],
        "foreign",
        [helper.make_tensor_value_info("window", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("fingerprint", onnx.TensorProto.FLOAT, shape)],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    (package_folder / "encoder.onnx").write_bytes(model.SerializeToString())
    rewrite(package_folder)
    package = ModelPackage.load(package_folder, trusted_keys=trusted)
    with pytest.raises(PackageIncompatibleError, match="tensor"):
        load_encoder(package, "onnx")


@pytest.mark.parametrize(
    ("runtime", "name"),
    [("onnx", "encoder.onnx"), ("litert", "encoder.tflite"), ("tflm", "encoder.tflite")],
)
@pytest.mark.parametrize("content", [b"", b"not a model", b"\0" * 64])
def test_a_file_that_is_no_model_is_an_encoder_error(
    package_folder, rewrite, trusted, runtime, name, content
):
    if runtime not in RUNTIMES:
        pytest.skip(f"{runtime} is not installed")
    (package_folder / name).write_bytes(content)
    rewrite(package_folder)
    package = ModelPackage.load(package_folder, trusted_keys=trusted)
    with pytest.raises(EncoderError, match=f"refused {name}"):
        load_encoder(package, runtime)


def test_a_failure_inside_the_runtime_comes_out_as_an_encoder_error(package, monkeypatch):
    encoder = load_encoder(package, "onnx")

    class Broken:
        def run(self, *args):
            raise builtins.MemoryError("no room")

    monkeypatch.setattr(encoder, "_session", Broken())
    with pytest.raises(EncoderError, match="no room"):
        encoder.run(np.zeros((1, PPG.window_samples), np.int8))

"""A tiny but real model package: one convolution, a mean and a linear layer, int8.

Its two files hold the same integers, so that every runtime can be checked against the
others before, and apart from, the model that ships.
"""

import shutil

import numpy as np
import pytest

from plethprint.package import ModelPackage, write_package
from plethprint.signal import ECG, PPG, window_rows

DIM, CHANNELS, KERNEL, STRIDE = 64, 8, 16, 8
STEPS = (PPG.window_samples - KERNEL) // STRIDE + 1
IN_SCALE, HIDDEN_SCALE, OUT_SCALE = PPG.input_scale, 6.0 / 255, 0.05
WEIGHT_SCALE, LINEAR_SCALE = 0.01, 0.01


def pulses(n, seed=0, sample_rate_hz=64.0, seconds=10.0):
    """Rows of PPG-like signal (n, T), each of another rate, shape, gain and offset."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    rate = rng.uniform(0.8, 2.2, (n, 1))
    phase = 2 * np.pi * (rate * t + rng.uniform(0, 1, (n, 1)))
    notch = rng.uniform(0.1, 0.5, (n, 1)) * np.sin(2 * phase + rng.uniform(0, 6, (n, 1)))
    rows = np.exp(np.sin(phase)) + notch + 0.02 * rng.normal(size=phase.shape)
    return rng.uniform(1, 100, (n, 1)) * rows + rng.uniform(-1000, 1000, (n, 1))


class Weights:
    """The integers of the tiny model."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.kernel = rng.integers(-127, 128, (CHANNELS, KERNEL)).astype(np.int8)
        self.bias = rng.integers(-500, 500, CHANNELS).astype(np.int32)
        self.linear = rng.integers(-127, 128, (DIM, CHANNELS)).astype(np.int8)
        self.linear_bias = rng.integers(-2000, 2000, DIM).astype(np.int32)

    def real(self, windows):
        """What the model gives in floating point, (N, T) -> (N, D)."""
        x = windows * np.float64(IN_SCALE)
        cut = np.lib.stride_tricks.sliding_window_view(x, KERNEL, axis=1)[:, ::STRIDE]
        hidden = cut @ (self.kernel * WEIGHT_SCALE).T + self.bias * IN_SCALE * WEIGHT_SCALE
        mean = np.clip(hidden, 0, 6).mean(axis=1)
        bias = self.linear_bias * HIDDEN_SCALE * LINEAR_SCALE
        return (mean @ (self.linear * LINEAR_SCALE).T + bias).astype(np.float32)


def onnx_model(weights, *, samples=PPG.window_samples, dim=DIM, name="window"):
    """The tiny model as int8 QDQ ONNX; the keywords make foreign ones."""
    onnx = pytest.importorskip("onnx", reason="needs the `quantize` extra")
    from onnx import helper, numpy_helper

    nodes, constants = [], []

    def constant(label, value):
        constants.append(numpy_helper.from_array(np.asarray(value), label))
        return label

    def dequantised(label, value, scale):
        zero = constant(f"{label}_zero", np.zeros((), value.dtype))
        inputs = [
            constant(label, value),
            constant(f"{label}_scale", np.float32(scale)),
            zero,
        ]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{label}_real"]))
        return f"{label}_real"

    def rounded(source, label, scale, zero):
        parameters = [
            constant(f"{label}_scale", np.float32(scale)),
            constant(f"{label}_zero", np.int8(zero)),
        ]
        nodes.append(helper.make_node("QuantizeLinear", [source, *parameters], [label]))
        nodes.append(
            helper.make_node("DequantizeLinear", [label, *parameters], [f"{label}_real"])
        )
        return f"{label}_real"

    parameters = [
        constant("in_scale", np.float32(IN_SCALE)),
        constant("in_zero", np.int8(0)),
    ]
    nodes.append(helper.make_node("DequantizeLinear", [name, *parameters], ["x"]))
    kernel = dequantised(
        "kernel", weights.kernel.reshape(CHANNELS, 1, 1, KERNEL), WEIGHT_SCALE
    )
    bias = dequantised("bias", weights.bias, IN_SCALE * WEIGHT_SCALE)
    nodes.append(
        helper.make_node("Conv", ["x", kernel, bias], ["conv"], strides=[1, STRIDE])
    )
    nodes.append(helper.make_node("Relu", ["conv"], ["relu"]))
    hidden = rounded("relu", "hidden", HIDDEN_SCALE, -128)
    nodes.append(
        helper.make_node("ReduceMean", [hidden], ["mean"], axes=[2, 3], keepdims=0)
    )
    mean = rounded("mean", "mean_q", HIDDEN_SCALE, -128)
    linear = dequantised("linear", weights.linear[:dim], LINEAR_SCALE)
    offset = dequantised("offset", weights.linear_bias[:dim], HIDDEN_SCALE * LINEAR_SCALE)
    nodes.append(helper.make_node("Gemm", [mean, linear, offset], ["y"], transB=1))
    parameters = [
        constant("o_scale", np.float32(OUT_SCALE)),
        constant("o_zero", np.int8(0)),
    ]
    nodes.append(helper.make_node("QuantizeLinear", ["y", *parameters], ["fingerprint"]))
    int8 = onnx.TensorProto.INT8
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, int8, ["N", 1, 1, samples])],
        [helper.make_tensor_value_info("fingerprint", int8, ["N", dim])],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def tflite_model(weights):
    """The tiny model as int8 TFLite, written straight from the schema."""
    tfl = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="needs the `litert` extra"
    )
    flatbuffers = pytest.importorskip("flatbuffers")
    model, graph = tfl.ModelT(), tfl.SubGraphT()
    model.version, model.description = 3, "tiny"
    model.buffers, graph.tensors, graph.operators = [tfl.BufferT()], [], []
    model.operatorCodes = []

    def tensor(shape, kind, scale=None, zero=0, data=None):
        t = tfl.TensorT()
        t.shape, t.type, t.buffer = list(shape), kind, 0
        t.name = f"tensor{len(graph.tensors)}"
        if scale is not None:
            t.quantization = tfl.QuantizationParametersT()
            t.quantization.scale, t.quantization.zeroPoint = [scale], [zero]
        if data is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            model.buffers.append(buffer)
            t.buffer = len(model.buffers) - 1
        graph.tensors.append(t)
        return len(graph.tensors) - 1

    def operator(builtin, version, inputs, output, kind, options):
        code = tfl.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = version
        model.operatorCodes.append(code)
        op = tfl.OperatorT()
        op.opcodeIndex, op.inputs = len(model.operatorCodes) - 1, inputs
        op.outputs, op.builtinOptionsType, op.builtinOptions = [output], kind, options
        graph.operators.append(op)

    int8, int32 = tfl.TensorType.INT8, tfl.TensorType.INT32
    source = tensor((1, 1, PPG.window_samples, 1), int8, IN_SCALE)
    kernel = weights.kernel.reshape(CHANNELS, 1, KERNEL, 1)
    kernel = tensor(kernel.shape, int8, WEIGHT_SCALE, data=kernel)
    bias = tensor((CHANNELS,), int32, IN_SCALE * WEIGHT_SCALE, data=weights.bias)
    hidden = tensor((1, 1, STEPS, CHANNELS), int8, HIDDEN_SCALE, -128)
    axes = tensor((2,), int32, data=np.array([1, 2], np.int32))
    mean = tensor((1, CHANNELS), int8, HIDDEN_SCALE, -128)
    linear = tensor((DIM, CHANNELS), int8, LINEAR_SCALE, data=weights.linear)
    offset = tensor((DIM,), int32, HIDDEN_SCALE * LINEAR_SCALE, data=weights.linear_bias)
    sink = tensor((1, DIM), int8, OUT_SCALE)
    conv = tfl.Conv2DOptionsT()
    conv.padding, conv.strideH, conv.strideW = tfl.Padding.VALID, 1, STRIDE
    conv.fusedActivationFunction = tfl.ActivationFunctionType.RELU
    kinds, codes = tfl.BuiltinOptions, tfl.BuiltinOperator
    operator(codes.CONV_2D, 3, [source, kernel, bias], hidden, kinds.Conv2DOptions, conv)
    reducer = tfl.ReducerOptionsT()
    reducer.keepDims = False
    operator(codes.MEAN, 2, [hidden, axes], mean, kinds.ReducerOptions, reducer)
    full = tfl.FullyConnectedOptionsT()
    operator(
        codes.FULLY_CONNECTED,
        4,
        [mean, linear, offset],
        sink,
        kinds.FullyConnectedOptions,
        full,
    )
    graph.inputs, graph.outputs, model.subgraphs = [source], [sink], [graph]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def golden_vectors(folder, windows):
    """What tflite-micro makes of the windows, (N, D)."""
    tflm = pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime", reason="needs the `golden` extra"
    )
    model = (folder / "encoder.tflite").read_bytes()
    interpreter = tflm.Interpreter.from_bytes(model, arena_size=1 << 20)
    rows = []
    for window in windows:
        interpreter.set_input(window[None, None, :, None], 0)
        interpreter.invoke()
        rows.append(interpreter.get_output(0)[0].copy())
    return np.stack(rows)


def tiny_fields():
    """Manifest fields of the tiny package."""
    return {
        "name": "tiny",
        "version": "1",
        "dim": DIM,
        "preprocessing": PPG.to_dict(),
        "input_scale": PPG.input_scale,
        "output_scale": OUT_SCALE,
        "parameters": CHANNELS * (KERNEL + 1) + DIM * (CHANNELS + 1),
        "macs": STEPS * CHANNELS * KERNEL + DIM * CHANNELS,
        "ops": ["CONV_2D", "MEAN", "FULLY_CONNECTED"],
        "teacher": "toy@1+00000000",
        "training_data": [{"name": "none", "licence": "CC0", "windows": 0, "people": 0}],
        "thresholds": {
            "golden_max_lsb": {"onnx": 2, "litert": 1, "tflm": 0},
            "quantisation": {"centred_cosine": 0.95, "overlap_at_10": 0.7},
            "teacher": {"centred_cosine": 0.5},
        },
    }


@pytest.fixture(scope="session")
def make_pulses():
    """The function `pulses`."""
    return pulses


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory):
    """A key of this test run."""
    from plethprint.signature import load_or_create_signing_key

    return load_or_create_signing_key(tmp_path_factory.mktemp("key") / "signing_key.pem")


@pytest.fixture(scope="session")
def trusted(signing_key):
    """The public keys that tests trust."""
    from plethprint.signature import public_key_hex

    return [public_key_hex(signing_key)]


@pytest.fixture(scope="session")
def _built_folder(tmp_path_factory, signing_key):
    folder = tmp_path_factory.mktemp("tiny_v1")
    weights = Weights()
    windows, _ = window_rows(pulses(48), 64.0)
    real = weights.real(windows)
    (folder / "encoder.onnx").write_bytes(onnx_model(weights))
    (folder / "encoder.tflite").write_bytes(tflite_model(weights))
    (folder / "README.md").write_text("# A toy\n")
    noise = np.random.default_rng(1).normal(size=real.shape) * real.std(axis=0)
    teachers = [real + share * noise for share in (0.2, 0.1)]
    both, ppg = [
        (t / np.linalg.norm(t, axis=1, keepdims=True)).astype(np.float32) for t in teachers
    ]
    np.savez(
        folder / "golden.npz",
        windows=windows,
        vectors=golden_vectors(folder, windows),
        float_vectors=real,
        teacher_both=both,
        teacher_ppg=ppg,
    )
    write_package(folder, tiny_fields(), signing_key)
    return folder


@pytest.fixture
def package_folder(_built_folder, tmp_path):
    """A copy of the tiny package that a test may spoil."""
    return shutil.copytree(_built_folder, tmp_path / "package")


@pytest.fixture(scope="session")
def package(_built_folder, trusted):
    """The tiny package, opened."""
    return ModelPackage.load(_built_folder, trusted_keys=trusted)


@pytest.fixture
def rewrite(signing_key):
    """Change the manifest of a folder, or its files, and sign it again."""

    def _rewrite(folder, drop=(), **changes):
        fields = {**tiny_fields(), **changes}
        return write_package(
            folder, {k: v for k, v in fields.items() if k not in drop}, signing_key
        )

    return _rewrite


@pytest.fixture
def foreign_onnx():
    """Build the tiny ONNX model with another shape or name."""
    return lambda **changes: onnx_model(Weights(), **changes)


@pytest.fixture
def teacher_folder(tmp_path, signing_key):
    """A signed toy teacher: a linear layer on PPG and one on ECG, weighed by presence."""
    onnx = pytest.importorskip("onnx", reason="needs the `quantize` extra")
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(2)
    constants = [
        numpy_helper.from_array(rng.normal(size=(n, DIM)).astype(np.float32), name)
        for n, name in ((PPG.window_samples, "P"), (ECG.window_samples, "E"))
    ]
    constants += [
        numpy_helper.from_array(np.array(column, np.int64), f"column{column[0]}")
        for column in ([0], [1])
    ]
    node = helper.make_node
    nodes = [
        node("Gather", ["present", "column0"], ["has_ppg"], axis=1),
        node("Gather", ["present", "column1"], ["has_ecg"], axis=1),
        node("MatMul", ["ppg", "P"], ["p"]),
        node("MatMul", ["ecg", "E"], ["e"]),
        node("Mul", ["p", "has_ppg"], ["p1"]),
        node("Mul", ["e", "has_ecg"], ["e1"]),
        node("Add", ["p1", "e1"], ["fingerprint"]),
    ]
    real = onnx.TensorProto.FLOAT
    shapes = {"ppg": PPG.window_samples, "ecg": ECG.window_samples, "present": 2}
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(k, real, ["N", n]) for k, n in shapes.items()],
        [helper.make_tensor_value_info("fingerprint", real, ["N", DIM])],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "teacher.onnx").write_bytes(model.SerializeToString())
    (folder / "README.md").write_text("# A toy teacher\n")
    fields = {
        "kind": "teacher",
        "name": "toy",
        "version": "1",
        "dim": DIM,
        "preprocessing": {"ppg": PPG.to_dict(), "ecg": ECG.to_dict()},
        "parameters": DIM * (PPG.window_samples + ECG.window_samples),
        "training_data": [],
    }
    write_package(folder, fields, signing_key)
    return folder

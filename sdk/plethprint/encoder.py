"""Int8 windows to int8 vectors, on the runtimes that may be at hand.

===========  ==================================  =====================================
runtime      needs                               file
===========  ==================================  =====================================
``onnx``     onnxruntime (always installed)      encoder.onnx, input (N, 1, 1, T)
``litert``   ai-edge-litert or tflite-runtime    encoder.tflite, input (1, 1, T, 1)
``tflm``     tflite-micro (Linux x86-64)         encoder.tflite, as on a microcontroller
===========  ==================================  =====================================

An encoder belongs to one thread at a time. Whatever a runtime raises comes out as
`EncoderError`; a graph of another shape or type as `PackageIncompatibleError`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from plethprint.errors import (
    EncoderError,
    MissingExtraError,
    PackageIncompatibleError,
    WindowShapeError,
)
from plethprint.package import ModelPackage
from plethprint.signal import PPG

__all__ = ["RUNTIMES", "Encoder", "installed_runtimes", "load_encoder"]

Int8Array = npt.NDArray[np.int8]

RUNTIMES = ("onnx", "litert", "tflm")
_MODULES = {
    "onnx": ("onnxruntime",),
    "litert": ("ai_edge_litert", "tflite_runtime"),
    "tflm": ("tflite_micro",),
}
_EXTRAS = {"litert": "litert", "tflm": "golden"}
_BATCH = 256


class Encoder(Protocol):
    """Anything that turns int8 windows into int8 vectors."""

    runtime: str
    """One of `RUNTIMES`, or a name of your own."""
    dim: int
    """Length of a vector, D."""

    def run(self, windows: Int8Array) -> Int8Array:
        """Encode windows.

        Parameters
        ----------
        windows : ndarray of int8, shape (N, T)
            As `plethprint.signal` makes them.

        Returns
        -------
        ndarray of int8, shape (N, D)
            Row i depends on window i alone, bit for bit.

        Raises
        ------
        WindowShapeError
            If the array has another shape or type.
        EncoderError
            If the runtime fails.
        """
        ...


def installed_runtimes() -> tuple[str, ...]:
    """Return the runtimes that can be loaded here, the default one first."""
    return tuple(
        runtime
        for runtime in RUNTIMES
        if any(find_spec(module) is not None for module in _MODULES[runtime])
    )


def load_encoder(package: ModelPackage, runtime: str = "auto") -> Encoder:
    """Load a package's model into a runtime.

    Parameters
    ----------
    package : ModelPackage
    runtime : {"auto", "onnx", "litert", "tflm"}
        ``auto`` takes the first one installed, in the order onnx, litert.

    Raises
    ------
    EncoderError
        If there is no such runtime or it refuses the model.
    MissingExtraError
        If the runtime is not installed.
    PackageIncompatibleError
        If the model takes or gives another shape or type than the manifest says.
    """
    installed = installed_runtimes()
    if runtime == "auto":
        runtime = "litert" if installed and installed[0] == "litert" else "onnx"
    if runtime not in RUNTIMES:
        raise EncoderError(
            f"there is no runtime {runtime!r}; choose auto, {', '.join(RUNTIMES)}"
        )
    if runtime not in installed:
        if runtime == "onnx":
            raise EncoderError("onnxruntime is not installed: pip install onnxruntime")
        raise MissingExtraError(_EXTRAS[runtime], f"The {runtime} runtime")
    if runtime == "onnx":
        return _OnnxEncoder(package)
    return _LiteRtEncoder(package) if runtime == "litert" else _TfliteMicroEncoder(package)


class _OnnxEncoder:
    """encoder.onnx in onnxruntime, one thread."""

    runtime = "onnx"

    def __init__(self, package: ModelPackage) -> None:
        self.dim = package.manifest.dim
        self._session = onnx_session(package.read_bytes("encoder.onnx"), "encoder.onnx")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        _check_tensors("input", inputs, ("window", [1, 1, PPG.window_samples]))
        _check_tensors("output", outputs, ("fingerprint", [self.dim]))

    def run(self, windows: Int8Array) -> Int8Array:
        windows = checked_windows(windows, PPG.window_samples)
        vectors = np.empty((len(windows), self.dim), np.int8)
        for first in range(0, len(windows), _BATCH):
            batch = windows[first : first + _BATCH]
            try:
                (out,) = self._session.run(
                    ["fingerprint"], {"window": batch[:, None, None, :]}
                )
                vectors[first : first + _BATCH] = out
            except Exception as error:
                raise EncoderError(
                    f"onnxruntime failed in encoder.onnx: {error}"
                ) from error
        return vectors


class _LiteRtEncoder:
    """encoder.tflite in LiteRT, window by window."""

    runtime = "litert"

    def __init__(self, package: ModelPackage) -> None:
        self.dim = package.manifest.dim
        try:
            self._interpreter = _litert_interpreter(package.read_bytes("encoder.tflite"))
            self._interpreter.allocate_tensors()
            (source,) = self._interpreter.get_input_details()
            (sink,) = self._interpreter.get_output_details()
        except PackageIncompatibleError:
            raise
        except Exception as error:
            raise EncoderError(f"LiteRT refused encoder.tflite: {error}") from error
        _check_details(source, sink, self.dim)
        self._source, self._sink = int(source["index"]), int(sink["index"])

    def run(self, windows: Int8Array) -> Int8Array:
        windows = checked_windows(windows, PPG.window_samples)
        vectors = np.empty((len(windows), self.dim), np.int8)
        try:
            for row, window in enumerate(windows):
                self._interpreter.set_tensor(self._source, window[None, None, :, None])
                self._interpreter.invoke()
                vectors[row] = self._interpreter.get_tensor(self._sink)[0]
        except Exception as error:
            raise EncoderError(f"LiteRT failed in encoder.tflite: {error}") from error
        return vectors


class _TfliteMicroEncoder:
    """encoder.tflite in tflite-micro's reference kernels: the truth for firmware."""

    runtime = "tflm"

    def __init__(self, package: ModelPackage) -> None:
        self.dim = package.manifest.dim
        try:
            from tflite_micro.python.tflite_micro import runtime as tflm

            self._interpreter = tflm.Interpreter.from_bytes(
                package.read_bytes("encoder.tflite"), arena_size=1 << 20
            )
            source = self._interpreter.get_input_details(0)
            sink = self._interpreter.get_output_details(0)
        except Exception as error:
            raise EncoderError(f"tflite-micro refused encoder.tflite: {error}") from error
        _check_details(source, sink, self.dim)

    def run(self, windows: Int8Array) -> Int8Array:
        windows = checked_windows(windows, PPG.window_samples)
        vectors = np.empty((len(windows), self.dim), np.int8)
        try:
            for row, window in enumerate(windows):
                self._interpreter.set_input(window[None, None, :, None], 0)
                self._interpreter.invoke()
                vectors[row] = self._interpreter.get_output(0)[0]
        except Exception as error:
            raise EncoderError(f"tflite-micro failed in encoder.tflite: {error}") from error
        return vectors


def onnx_session(model: bytes, name: str) -> Any:
    """Open an ONNX model for one thread; `name` is what messages call it.

    Raises
    ------
    EncoderError
        If onnxruntime refuses the model.
    """
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise EncoderError(f"onnxruntime refused {name}: {error}") from error


def checked_windows(windows: Int8Array, n_samples: int) -> Int8Array:
    """Return the windows as they are if they are int8 of shape (N, n_samples).

    Raises
    ------
    WindowShapeError
        If they are not.
    """
    windows = np.asarray(windows)
    if windows.dtype != np.int8 or windows.ndim != 2 or windows.shape[1] != n_samples:
        raise WindowShapeError(
            f"windows must be int8 of shape (N, {n_samples}), "
            f"not {windows.dtype} of shape {windows.shape}"
        )
    return windows


def _litert_interpreter(model: bytes) -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        from tflite_runtime import interpreter
    # Without XNNPACK: its kernels, and so the last bit of a fingerprint, depend on the
    # processor; the built-in ones give the same numbers everywhere, in 0.5 ms a window.
    resolver = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return interpreter.Interpreter(
        model_content=model, num_threads=1, experimental_op_resolver_type=resolver
    )


def _check_tensors(side: str, tensors: Any, expected: tuple[str, list[int]]) -> None:
    name, shape = expected
    found = [(t.name, t.type, list(t.shape)) for t in tensors]
    good = (
        len(found) == 1
        and found[0][:2] == (name, "tensor(int8)")
        and found[0][2][1:] == shape
        and not isinstance(found[0][2][0], int)  # a fixed batch would refuse any other
    )
    if not good:
        raise PackageIncompatibleError(
            f"the {side} of encoder.onnx must be {name!r}, int8 of shape "
            f"(N, {', '.join(map(str, shape))}) with N free, not {found}"
        )


def _check_details(source: dict[str, Any], sink: dict[str, Any], dim: int) -> None:
    sides = (("input", source, (1, 1, PPG.window_samples, 1)), ("output", sink, (1, dim)))
    for side, details, shape in sides:
        found = tuple(int(n) for n in details["shape"])
        if found != shape or np.dtype(details["dtype"]) != np.int8:
            raise PackageIncompatibleError(
                f"the {side} of encoder.tflite must be int8 of shape {shape}, "
                f"not {np.dtype(details['dtype'])} of shape {found}"
            )

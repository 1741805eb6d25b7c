"""Golden vectors: what tflite-micro's reference kernels make of chosen windows.

They are the truth for firmware, bit for bit, and the yardstick of every other runtime.
XNNPACK and onnxruntime round differently and never make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import EncoderError, MissingExtraError, WindowShapeError
from plethprint.signal import PPG

__all__ = ["GoldenSource", "run_onnx", "run_tflite_micro", "write_golden"]

Int8Array = npt.NDArray[np.int8]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GoldenSource:
    """Windows for the golden vectors, and what the teacher says about them.

    Attributes
    ----------
    windows : ndarray of int8, shape (N, T)
        Windows that no model was trained on.
    teacher_both, teacher_ppg : ndarray of float32, shape (N, D)
        The teacher's unit fingerprints from ECG and PPG, and from PPG alone.
    """

    windows: Int8Array
    teacher_both: FloatArray
    teacher_ppg: FloatArray

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        shape = (len(self.windows) if self.windows.ndim else 0, PPG.window_samples)
        if self.windows.dtype != np.int8 or self.windows.shape != shape or not shape[0]:
            raise WindowShapeError(
                f"golden windows must be int8 of shape (N, {PPG.window_samples}), these "
                f"are {self.windows.dtype} of shape {self.windows.shape}"
            )
        for name, vectors in (("both", self.teacher_both), ("ppg", self.teacher_ppg)):
            if vectors.ndim != 2 or len(vectors) != shape[0] or vectors.dtype != np.float32:
                raise WindowShapeError(
                    f"teacher_{name} must be float32 of shape ({shape[0]}, D), it is "
                    f"{vectors.dtype} of shape {vectors.shape}"
                )

    @classmethod
    def load(cls, path: str | Path) -> GoldenSource:
        """Read an .npz with arrays ``windows``, ``teacher_both`` and ``teacher_ppg``.

        Raises
        ------
        WindowShapeError
            The file is no archive, or an array is missing or has the wrong shape or type.
        """
        names = ("windows", "teacher_both", "teacher_ppg")
        try:
            # opened here: numpy leaves a file open that turns out to be no archive
            with (
                Path(path).open("rb") as file,
                np.load(file, allow_pickle=False) as archive,
            ):
                arrays = {name: archive[name] for name in names if name in archive.files}
        except Exception as error:  # zipfile, zlib, tokenize: numpy lets them all through
            raise WindowShapeError(f"{path} is not a numpy archive: {error}") from error
        missing = [name for name in names if name not in arrays]
        if missing:
            raise WindowShapeError(f"{path} lacks the arrays {', '.join(missing)}")
        return cls(*(arrays[name] for name in names))


def run_tflite_micro(model: bytes, windows: Int8Array) -> Int8Array:
    """Run an int8 ``.tflite`` in tflite-micro.

    Parameters
    ----------
    model : bytes
        From :func:`plethprint_quantize.tflite.quantize_int8`.
    windows : ndarray of int8, shape (N, T)

    Returns
    -------
    ndarray of int8, shape (N, D)

    Raises
    ------
    MissingExtraError
        tflite-micro is not installed (there are wheels for Linux x86-64 only).
    EncoderError
        tflite-micro refused the model.
    """
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:
        raise MissingExtraError("golden", "Making golden vectors") from error
    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
        rows = []
        for window in windows:
            interpreter.set_input(window[None, None, :, None], 0)
            interpreter.invoke()
            rows.append(interpreter.get_output(0)[0].copy())
    except (RuntimeError, ValueError) as error:
        raise EncoderError(f"tflite-micro refused the model: {error}") from error
    vectors: Int8Array = np.stack(rows)
    return vectors


def run_onnx(model: bytes, windows: Int8Array) -> Int8Array:
    """Run the transcribed ONNX model on int8 windows (N, T); returns int8 (N, D)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    vectors: Int8Array = session.run(None, {"window": windows[:, None, None, :]})[0]
    return vectors


def write_golden(
    path: str | Path, source: GoldenSource, vectors: Int8Array, float_vectors: FloatArray
) -> None:
    """Write ``golden.npz`` as :class:`plethprint.package.Golden` reads it.

    Parameters
    ----------
    path : path-like
        File to write.
    source : GoldenSource
        Windows and the teacher's fingerprints.
    vectors : ndarray of int8, shape (N, D)
        tflite-micro's output for the windows.
    float_vectors : ndarray of float32, shape (N, D)
        The float student's output, not normalised.
    """
    np.savez_compressed(
        path,
        windows=source.windows,
        vectors=vectors,
        float_vectors=float_vectors.astype(np.float32),
        teacher_both=source.teacher_both,
        teacher_ppg=source.teacher_ppg,
    )

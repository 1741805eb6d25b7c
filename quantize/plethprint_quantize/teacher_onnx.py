"""Writes the teacher as one ONNX graph, for :class:`plethprint.teacher.TeacherEncoder`."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch

from plethprint.errors import EncoderError, MissingExtraError
from plethprint.signal import ECG, PPG
from plethprint_distill.teacher import M2AE

__all__ = ["export_teacher"]

_TOLERANCE = 1e-4
_INPUTS = ("ppg", "ecg", "present")
_OPSET = 17


def export_teacher(teacher: M2AE, path: str | Path) -> Path:
    """Export the fingerprint path of a teacher to float ONNX, opset 17.

    Parameters
    ----------
    teacher : M2AE
        It is not changed. Decoders and read-outs are left out: a fingerprint needs none.
    path : path-like
        File to write.

    Returns
    -------
    Path
        The file. Inputs float32 ``ppg`` (N, 640) and ``ecg`` (N, 1280) in standard
        deviations and ``present`` (N, 2) of 1 and 0 for PPG and ECG; output
        ``fingerprint`` (N, D) of unit length; N is free.

    Raises
    ------
    MissingExtraError
        The `onnx` package is not installed.
    EncoderError
        onnxruntime does not give what the teacher gives.

    Examples
    --------
    >>> export_teacher(M2AE(), "teacher.onnx")  # doctest: +SKIP
    PosixPath('teacher.onnx')
    """
    try:
        import onnx  # noqa: F401  torch's exporter needs it and says so less clearly
    except ImportError as error:
        raise MissingExtraError("quantize", "Writing the teacher as ONNX") from error
    path = Path(path)
    graph = copy.deepcopy(teacher).cpu().eval()
    with warnings.catch_warnings():
        # the TorchScript exporter is deprecated, the new one renames and unrolls the graph
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            _example(2),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(_INPUTS),
            output_names=["fingerprint"],
            dynamic_axes={name: {0: "N"} for name in (*_INPUTS, "fingerprint")},
        )
    _require_parity(teacher, path)
    return path


def _example(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    present = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    return (
        torch.randn(count, PPG.window_samples, generator=generator),
        torch.randn(count, ECG.window_samples, generator=generator),
        present[torch.arange(count) % 3],
    )


def _require_parity(teacher: M2AE, path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    reference = copy.deepcopy(teacher).cpu().eval()
    for count in (1, 5):
        example = _example(count)
        with torch.inference_mode():
            expected = reference(*example).numpy()
        feed = {name: x.numpy() for name, x in zip(_INPUTS, example, strict=True)}
        error = float(abs(session.run(["fingerprint"], feed)[0] - expected).max())
        if not error < _TOLERANCE:
            raise EncoderError(f"{path.name} differs from the teacher by {error:.2g}")

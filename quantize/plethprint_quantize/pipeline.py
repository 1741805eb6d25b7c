"""The whole way from a trained student to an int8 model that is ready to be packaged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.agreement import agreement
from plethprint.errors import EncoderError, PackageIncompatibleError
from plethprint_distill.student import Student
from plethprint_quantize.bias_correction import bias_corrected
from plethprint_quantize.calibrate import (
    METHODS,
    Ranges,
    choose_windows,
    float_fingerprints,
    measure_ranges,
)
from plethprint_quantize.equalize import equalized
from plethprint_quantize.export import DeployNet, fold
from plethprint_quantize.flatbuffer import Graph, read_tflite
from plethprint_quantize.golden import run_onnx, run_tflite_micro
from plethprint_quantize.qdq import transcribe
from plethprint_quantize.tflite import (
    convert_float,
    quantize_int8,
    with_representable_biases,
)

__all__ = ["ONNX_MAX_LSB", "QuantizedStudent", "from_tflite", "quantize"]

_LOGGER = logging.getLogger(__name__)

ONNX_MAX_LSB = 2
"""Largest accepted difference of an ONNX value from tflite-micro's, in int8 steps."""

Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class QuantizedStudent:
    """A student in int8, in both formats, with what was measured on held-out windows.

    Attributes
    ----------
    tflite, onnx : bytes
        The canonical model, and its transcription with the same integers.
    graph : Graph
        What `tflite` contains.
    deploy : DeployNet
        The float graph it was made from.
    method : str
        One of `METHODS` that chose the ranges, or ``"learned"``.
    candidates : dict of str to dict
        `agreement` of int8 with float for every method that was tried.
    onnx_max_lsb : int
        Largest difference of the ONNX model from tflite-micro, int8 steps.
    onnx_differing : float
        Share of values that differ at all, 0 to 1.
    calibration_windows, held_out_windows : int
        How many windows set the ranges, and how many judged them.
    equalized, bias_corrected : bool
        What else was done.
    """

    tflite: bytes
    onnx: bytes
    graph: Graph
    deploy: DeployNet
    method: str
    candidates: dict[str, dict[str, float]]
    onnx_max_lsb: int
    onnx_differing: float
    calibration_windows: int
    held_out_windows: int
    equalized: bool = False
    bias_corrected: bool = False

    @property
    def output_scale(self) -> float:
        """Student output units per int8 step of the fingerprint."""
        return float(self.graph.output.one_scale()[0])


def quantize(
    student: Student,
    windows: Int8Array,
    *,
    method: str = "auto",
    learned: Ranges | None = None,
    equalize: bool = False,
    correct_bias: bool = False,
    count: int = 512,
    held_out: int = 256,
    seed: int = 0,
) -> QuantizedStudent:
    """Quantise a student to int8 TFLite and ONNX.

    Parameters
    ----------
    student : Student
        Trained; it is not changed.
    windows : ndarray of int8, shape (N, T)
        Windows of the training split. Some set the ranges, others judge the result.
    method : str
        One of `METHODS`, or ``"auto"`` for the one that keeps the held-out fingerprints
        closest to the float student's. Ranges that were learned need none.
    learned : Ranges, optional
        From :func:`plethprint_quantize.checkpoint.load_ranges`. They are taken, whatever
        calibration would say: the weights were trained with them.
    equalize, correct_bias : bool
        See :mod:`plethprint_quantize.equalize` and `bias_correction`.
    count, held_out : int
        How many windows set the ranges and how many judge; less when there are fewer.
    seed : int
        Seed of the draw.

    Returns
    -------
    QuantizedStudent

    Raises
    ------
    PackageIncompatibleError
        The student does not fit the deploy graph, `method` is not known, or learned ranges
        are to be equalised.
    EncoderError
        The ONNX model is further than `ONNX_MAX_LSB` from tflite-micro.
    MissingExtraError
        A converter is not installed.
    WindowShapeError
        The windows have the wrong shape or type, or are all flat.

    Examples
    --------
    >>> model = quantize(student, windows)  # doctest: +SKIP
    >>> model.graph.ops[-2:]  # doctest: +SKIP
    ('MEAN', 'FULLY_CONNECTED')
    """
    if method != "auto" and method not in METHODS:
        raise PackageIncompatibleError(
            f"calibration method {method!r} is not auto, {', '.join(METHODS)}"
        )
    if learned is not None and equalize:
        raise PackageIncompatibleError(
            "learned ranges are those of the channels as they were trained: to equalise "
            "them, calibrate"
        )
    chosen = choose_windows(windows, count=count + held_out, seed=seed)
    order = np.random.default_rng(seed + 1).permutation(len(chosen))
    judged = min(held_out, max(1, len(chosen) // 3))
    judges, setters = chosen[order[:judged]], chosen[order[judged:]]
    setters = setters if len(setters) else judges
    deploy = fold(student)
    source = equalized(deploy, setters) if equalize else deploy
    if learned is not None:
        ranges = [learned]
    else:
        tried = METHODS if method == "auto" else (method,)
        ranges = [measure_ranges(source, setters, method=name) for name in tried]
    expected = float_fingerprints(deploy, judges)
    models, candidates = {}, {}
    for found, model in _int8_models(source, ranges, setters, correct_bias):
        name = found.method
        models[name] = model
        candidates[name] = agreement(run_tflite_micro(model, judges), expected)
        _LOGGER.info("%s: centred cosine %.5f", name, candidates[name]["centred_cosine"])
    best = max(candidates, key=lambda name: candidates[name]["centred_cosine"])
    return from_tflite(
        models[best],
        deploy,
        judges,
        method=best,
        candidates=candidates,
        calibration_windows=0 if learned is not None else len(setters),
        equalized=equalize,
        bias_corrected=correct_bias,
    )


def _int8_models(
    source: DeployNet, tried: list[Ranges], setters: Int8Array, correct_bias: bool
) -> Iterator[tuple[Ranges, bytes]]:
    """The int8 ``.tflite`` of each of the ranges."""
    source = with_representable_biases(source, tried[0])
    _LOGGER.info("converting to TFLite")
    model = b"" if correct_bias else convert_float(source)
    for ranges in tried:
        if correct_bias:
            model = convert_float(bias_corrected(source, ranges, setters))
        yield ranges, quantize_int8(model, ranges)


def from_tflite(
    tflite: bytes,
    deploy: DeployNet,
    judges: Int8Array,
    *,
    method: str,
    candidates: dict[str, dict[str, float]],
    calibration_windows: int,
    equalized: bool = False,
    bias_corrected: bool = False,
) -> QuantizedStudent:
    """Transcribe an int8 ``.tflite`` to ONNX and hold the two against each other.

    Parameters
    ----------
    tflite : bytes
        From `quantize_int8`.
    deploy : DeployNet
        The float graph it was made from.
    judges : ndarray of int8, shape (N, T)
        Windows to compare on.
    method, candidates, calibration_windows, equalized, bias_corrected
        As in `QuantizedStudent`.

    Raises
    ------
    EncoderError
        The ONNX model is further than `ONNX_MAX_LSB` from tflite-micro, or its result for
        a window depends on the other windows of the batch.
    """
    graph = read_tflite(tflite)
    onnx = transcribe(graph)
    together = run_onnx(onnx, judges)
    alone = np.concatenate(
        [run_onnx(onnx, judges[i : i + 1]) for i in range(min(8, len(judges)))]
    )
    if not np.array_equal(alone, together[: len(alone)]):
        raise EncoderError("the ONNX model's result depends on the size of the batch")
    difference = np.abs(together.astype(int) - run_tflite_micro(tflite, judges))
    if difference.max() > ONNX_MAX_LSB:
        raise EncoderError(
            f"the ONNX model is {difference.max()} int8 steps from tflite-micro, "
            f"{ONNX_MAX_LSB} are accepted"
        )
    return QuantizedStudent(
        tflite,
        onnx,
        graph,
        deploy,
        method,
        candidates,
        int(difference.max()),
        float((difference > 0).mean()),
        calibration_windows,
        len(judges),
        equalized,
        bias_corrected,
    )

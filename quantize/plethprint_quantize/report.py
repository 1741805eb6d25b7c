"""What a quantised student is and costs, as one plain dict."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from math import prod
from typing import Any

from plethprint_quantize.export import layer_costs
from plethprint_quantize.pipeline import QuantizedStudent

__all__ = ["report"]


def report(model: QuantizedStudent) -> dict[str, Any]:
    """Describe a quantised student.

    Parameters
    ----------
    model : QuantizedStudent
        From :func:`plethprint_quantize.pipeline.quantize`.

    Returns
    -------
    dict
        JSON-ready: ``parameters`` and ``macs`` (sums of ``layers``), ``bytes`` per format,
        ``ops`` of the .tflite with their counts, input and output scale, calibration, and
        the agreement of int8 with float and of ONNX with tflite-micro.
    """
    samples = model.graph.input.shape[2]
    layers = layer_costs(model.deploy, window_samples=samples)
    return {
        "parameters": sum(layer.parameters for layer in layers),
        "macs": sum(layer.macs for layer in layers),
        "layers": [asdict(layer) for layer in layers],
        "bytes": {"encoder.tflite": len(model.tflite), "encoder.onnx": len(model.onnx)},
        "ops": dict(sorted(Counter(model.graph.ops).items())),
        "largest_activation_bytes": max(_activation_bytes(model)),
        "input_scale": float(model.graph.input.one_scale()[0]),
        "output_scale": model.output_scale,
        "calibration": {
            "method": model.method,
            "windows": model.calibration_windows,
            "held_out_windows": model.held_out_windows,
            "equalized": model.equalized,
            "bias_corrected": model.bias_corrected,
            "tried": model.candidates,
        },
        "onnx_against_tflite_micro": {
            "max_lsb": model.onnx_max_lsb,
            "share_of_values_differing": round(model.onnx_differing, 5),
        },
    }


def _activation_bytes(model: QuantizedStudent) -> list[int]:
    """Input plus output bytes of each operator: what an arena must hold at once."""
    tensors = model.graph.tensors
    return [
        prod(tensors[operator.inputs[0]].shape) + prod(tensors[operator.outputs[0]].shape)
        for operator in model.graph.operators
    ]

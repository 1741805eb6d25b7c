"""Assembles, signs and re-reads the model package: the folder that ships."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from plethprint.errors import PackageIncompatibleError
from plethprint.package import ModelPackage, write_package
from plethprint.parity import check_parity
from plethprint.signal import PPG
from plethprint.signature import public_key_hex
from plethprint_quantize.calibrate import float_fingerprints
from plethprint_quantize.card import student_card
from plethprint_quantize.checkpoint import About
from plethprint_quantize.golden import GoldenSource, run_tflite_micro, write_golden
from plethprint_quantize.pipeline import ONNX_MAX_LSB, QuantizedStudent
from plethprint_quantize.report import report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["GOLDEN_MAX_LSB", "QUANTISATION_LEAST", "TEACHER_LEAST", "build_package"]

GOLDEN_MAX_LSB = {"onnx": ONNX_MAX_LSB, "litert": 1, "tflm": 0}
"""Largest accepted difference from the golden vectors by runtime, int8 steps."""
QUANTISATION_LEAST = {"centred_cosine": 0.99, "overlap_at_10": 0.85}
"""Least agreement of int8 with the float student."""
TEACHER_LEAST = {"centred_cosine": 0.7, "ppg_centred_cosine": 0.8}
"""Least agreement with the teacher; ``ppg_`` is against the teacher on PPG alone."""


def build_package(
    folder: str | Path,
    model: QuantizedStudent,
    source: GoldenSource,
    about: About,
    private_key: Ed25519PrivateKey,
) -> ModelPackage:
    """Write a model package, sign it, and check it as a user would.

    Parameters
    ----------
    folder : path-like
        Made if missing. Nothing is written unless the package passes.
    model : QuantizedStudent
        From :func:`plethprint_quantize.pipeline.quantize`.
    source : GoldenSource
        Windows that no model was trained on, with the teacher's fingerprints.
    about : About
        Name, version, teacher and its thresholds, training data, figures.
    private_key : Ed25519PrivateKey
        See :func:`plethprint.signature.load_or_create_signing_key`.

    Returns
    -------
    ModelPackage
        As loaded back from the folder, with its signature checked.

    Raises
    ------
    PackageIncompatibleError
        The vectors of teacher and student differ in length, or parity falls short of the
        thresholds on a runtime that is installed here.

    Examples
    --------
    >>> package = build_package("runs/package", model, source, about, key)  # doctest: +SKIP
    """
    dim = model.graph.output.shape[-1]
    for vectors in (source.teacher_both, source.teacher_ppg):
        if vectors.shape[1] != dim:
            raise PackageIncompatibleError(
                f"the teacher's fingerprints have {vectors.shape[1]} numbers, the "
                f"student's {dim}"
            )
    described = report(model)
    fields = _fields(model, about, described)
    trusted = [public_key_hex(private_key)]
    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "encoder.tflite").write_bytes(model.tflite)
        (root / "encoder.onnx").write_bytes(model.onnx)
        (root / "README.md").touch()
        write_golden(
            root / "golden.npz",
            source,
            run_tflite_micro(model.tflite, source.windows),
            float_fingerprints(model.deploy, source.windows),
        )
        write_package(root, fields, private_key)
        parity = check_parity(ModelPackage.load(root, trusted_keys=trusted))
        if not parity.ok:
            raise PackageIncompatibleError(
                f"parity falls short, nothing was packaged: {'; '.join(parity.failures)}"
            )
        fields["parity"] = parity.to_dict()["runtimes"]
        card = student_card(fields, described, about)
        (root / "README.md").write_text(card, encoding="utf-8")
        write_package(root, fields, private_key)
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        # the manifest comes last: a copy cut short is refused, not half trusted
        for path in sorted(root.iterdir(), key=lambda path: path.suffix == ".json"):
            shutil.copyfile(path, target / path.name)
    return ModelPackage.load(folder, trusted_keys=trusted)


def _fields(
    model: QuantizedStudent, about: About, described: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": about.name,
        "version": about.version,
        "dim": model.graph.output.shape[-1],
        "preprocessing": PPG.to_dict(),
        "input_scale": PPG.input_scale,
        "output_scale": model.output_scale,
        "parameters": described["parameters"],
        "macs": described["macs"],
        "ops": sorted(set(model.graph.ops)),
        "teacher": about.teacher,
        "training_data": list(about.training_data),
        "thresholds": {
            "golden_max_lsb": GOLDEN_MAX_LSB,
            "quantisation": QUANTISATION_LEAST,
            "teacher": dict(about.teacher_least or TEACHER_LEAST),
        },
        "figures": {**about.figures, "calibration": described["calibration"]},
    }

"""Assembles and signs the teacher's package: what devices are checked against."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from plethprint.package import write_package
from plethprint.signal import ECG, PPG
from plethprint.signature import public_key_hex
from plethprint.teacher import TeacherEncoder
from plethprint_distill.card import teacher_card
from plethprint_distill.checkpoint import save_teacher
from plethprint_distill.teacher import M2AE
from plethprint_quantize.teacher_onnx import export_teacher

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["build_teacher_package"]


def build_teacher_package(
    folder: str | Path,
    teacher: M2AE,
    private_key: Ed25519PrivateKey,
    *,
    name: str,
    version: str = "1",
    training_data: Collection[Mapping[str, Any]] = (),
    figures: Mapping[str, Any] | None = None,
) -> TeacherEncoder:
    """Write a teacher package, sign it, and load it again as a user would.

    Parameters
    ----------
    folder : path-like
        Made if missing.
    teacher : M2AE
        Trained, with its space settled; it is not changed.
    private_key : Ed25519PrivateKey
        See :func:`plethprint.signature.load_or_create_signing_key`.
    name, version : str
        Identity of the teacher; with a hash of ``teacher.onnx`` it becomes its `model_id`.
    training_data : collection of mapping
        Per corpus: ``name``, ``licence``, ``windows``, ``people``.
    figures : mapping, optional
        Measured figures, as `plethprint_distill evaluate` gives them.

    Returns
    -------
    TeacherEncoder
        Loaded from the folder, with its signature checked. The folder holds
        ``teacher.onnx``, ``teacher.npz`` (all weights, float16), ``README.md`` and
        ``manifest.json``.

    Raises
    ------
    EncoderError
        onnxruntime does not give what the teacher gives.
    MissingExtraError
        The `onnx` package is not installed.
    """
    parameters = sum(p.numel() for p in teacher.parameters())
    shape = teacher.config
    facts = (
        f"{parameters:,} parameters: width {shape.width}, {shape.encoder_layers} layers a "
        f"modality, {shape.bottleneck_layers} shared, patches of {shape.patch_s:g} s, "
        f"fingerprints of {shape.dim} numbers."
    )
    stated = [dict(row) for row in training_data]
    fields = {
        "kind": "teacher",
        "name": name,
        "version": version,
        "dim": shape.dim,
        "preprocessing": {"ppg": PPG.to_dict(), "ecg": ECG.to_dict()},
        "parameters": parameters,
        "training_data": stated,
        "figures": dict(figures or {}),
    }
    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        export_teacher(teacher, root / "teacher.onnx")
        save_teacher(teacher, root / "teacher.npz")
        card = teacher_card(f"{name} {version}", figures or {}, stated, facts)
        (root / "README.md").write_text(card, encoding="utf-8")
        write_package(root, fields, private_key)
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        # the manifest comes last: a copy cut short is refused, not half trusted
        for path in sorted(root.iterdir(), key=lambda path: path.suffix == ".json"):
            shutil.copyfile(path, target / path.name)
    encoder = TeacherEncoder.load(folder, trusted_keys=[public_key_hex(private_key)])
    encoder.run(ppg=np.zeros((1, PPG.window_samples), np.int8))
    return encoder

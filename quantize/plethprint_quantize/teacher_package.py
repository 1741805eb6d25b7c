"""Packages a trained teacher: ONNX, checkpoint, card, and a signed manifest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from plethprint.package import write_package
from plethprint.signal import ECG, PPG
from plethprint.signature import public_key_hex
from plethprint.teacher import TeacherEncoder
from plethprint_distill.card import teacher_card
from plethprint_distill.checkpoint import load_teacher
from plethprint_quantize.teacher_onnx import export_teacher

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["build_teacher_package"]


def build_teacher_package(
    folder: str | Path,
    checkpoint: Path,
    private_key: Ed25519PrivateKey,
    *,
    training_data: list[dict[str, Any]],
    figures: Mapping[str, Any] | None = None,
    facts: str = "",
    name: str = "m2ae-small",
    version: str = "1",
) -> TeacherEncoder:
    """Write a teacher package and open it as a user would.

    Parameters
    ----------
    folder : path-like
        Made if missing.
    checkpoint : Path
        From `plethprint_distill.checkpoint.save_teacher`; it ships as it is.
    private_key : Ed25519PrivateKey
        See :func:`plethprint.signature.load_or_create_signing_key`.
    training_data, figures, facts
        For the card: corpora, figures of `evaluate`, and how it was trained.

    Raises
    ------
    PackageIncompatibleError
        If the checkpoint is no teacher.
    EncoderError
        If the ONNX graph does not give what the teacher gives.
    """
    teacher = load_teacher(checkpoint)
    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        export_teacher(teacher, root / "teacher.onnx")
        shutil.copyfile(checkpoint, root / "teacher.npz")
        card = teacher_card(f"{name} {version}", figures or {}, training_data, facts)
        (root / "README.md").write_text(card, encoding="utf-8")
        fields = {
            "kind": "teacher",
            "name": name,
            "version": version,
            "dim": teacher.config.dim,
            "preprocessing": {"ppg": PPG.to_dict(), "ecg": ECG.to_dict()},
            "parameters": sum(p.numel() for p in teacher.parameters()),
            "training_data": training_data,
            "figures": dict(figures or {}),
        }
        write_package(root, fields, private_key)
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        # the manifest comes last: a copy cut short is refused, not half trusted
        for path in sorted(root.iterdir(), key=lambda path: path.suffix == ".json"):
            shutil.copyfile(path, target / path.name)
    return TeacherEncoder.load(folder, trusted_keys=[public_key_hex(private_key)])

"""Model packages: one signed folder, checked whole before anything in it is used.

A student package holds::

    manifest.json    what it is, the SHA-256 of each other file, an Ed25519 signature
    encoder.onnx     int8 QDQ graph for onnxruntime
    encoder.tflite   int8 graph for LiteRT and tflite-micro
    golden.npz       reference windows and fingerprints (`Golden`)
    README.md        model card
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import (
    PackageIncompatibleError,
    PackageIntegrityError,
    SignalError,
)
from plethprint.signal import PPG, SignalSpec
from plethprint.signed_folder import SignedFolder, write_package

__all__ = ["MODELS_FOLDER", "Golden", "ModelPackage", "SignedFolder", "write_package"]

MODELS_FOLDER = Path(__file__).parent / "models"
DEFAULT_PACKAGE = "plethprint-micro_v2"
STUDENT_FILES = ("encoder.onnx", "encoder.tflite", "golden.npz", "README.md")


@dataclass(frozen=True)
class Golden:
    """Reference windows and what each stage made of them, for parity."""

    windows: npt.NDArray[np.int8]
    """Input windows, shape (N, T)."""
    vectors: npt.NDArray[np.int8]
    """What tflite-micro gives for them, shape (N, D): the truth for firmware."""
    float_vectors: npt.NDArray[np.float32]
    """What the float student gives, shape (N, D)."""
    teacher_both: npt.NDArray[np.float32]
    """What the teacher gives from ECG and PPG, shape (N, D), unit length."""
    teacher_ppg: npt.NDArray[np.float32]
    """What the teacher gives from PPG alone, shape (N, D), unit length."""

    def __len__(self) -> int:
        return len(self.windows)


class ModelPackage(SignedFolder):
    """A verified student package: the model that runs on the device.

    Parameters
    ----------
    path : path-like
        Folder of the package.
    trusted_keys : collection of str, optional
        Trust exactly these public keys (hex) instead of the shipped ones.

    Raises
    ------
    PackageIntegrityError, PackageSignatureError, PackageIncompatibleError
        See `SignedFolder`; the last also when it was made for other preprocessing.

    Examples
    --------
    >>> package = ModelPackage.load()
    >>> package.manifest.dim
    64
    """

    def __init__(
        self, path: str | Path, *, trusted_keys: Collection[str] | None = None
    ) -> None:
        super().__init__(
            path, kind="student", required=STUDENT_FILES, trusted_keys=trusted_keys
        )
        check_preprocessing(self.manifest.preprocessing, PPG)
        if not np.isclose(self.manifest.input_scale, PPG.input_scale, rtol=1e-9):
            raise PackageIncompatibleError(
                f"in manifest.json, input_scale is {self.manifest.input_scale}, but this "
                f"release's preprocessing gives {PPG.input_scale}"
            )
        self.golden()

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        trusted_keys: Collection[str] | None = None,
    ) -> ModelPackage:
        """Open a package: a folder, or the name of one that ships with plethprint.

        Parameters
        ----------
        path : path-like, optional
            Folder, or a name such as ``plethprint-mini_v2``; a folder of that name in the
            working directory comes first. Default: the package that ships as default.
        trusted_keys : collection of str, optional
            See `ModelPackage`.

        Raises
        ------
        PackageIntegrityError
            Also when there is no such folder; the message lists those that ship.
        """
        chosen = Path(path or MODELS_FOLDER / DEFAULT_PACKAGE)
        shipped = MODELS_FOLDER / chosen.name
        if str(chosen) == chosen.name and shipped.is_dir() and not chosen.is_dir():
            chosen = shipped
        if not chosen.exists():
            ships = sorted(file.parent.name for file in MODELS_FOLDER.glob("*/golden.npz"))
            raise PackageIntegrityError(
                f"{chosen} is not a model package: there is no such folder, and what ships "
                f"is {', '.join(ships)}",
                file="manifest.json",
            )
        return cls(chosen, trusted_keys=trusted_keys)

    @property
    def model_id(self) -> str:
        """``name@version+hash8``; the hash covers both encoder files."""
        return self.identity(("encoder.onnx", "encoder.tflite"))

    def golden(self) -> Golden:
        """Return the reference windows and fingerprints.

        Raises
        ------
        PackageIncompatibleError
            If an array is missing, or of another type or shape than the manifest says.
        """
        arrays = self.arrays(
            "golden.npz",
            {
                "windows": np.int8,
                "vectors": np.int8,
                "float_vectors": np.float32,
                "teacher_both": np.float32,
                "teacher_ppg": np.float32,
            },
        )
        n = len(arrays["windows"]) if arrays["windows"].ndim else 0
        for key, array in arrays.items():
            shape = (n, PPG.window_samples if key == "windows" else self.manifest.dim)
            if n < 1 or array.shape != shape:
                raise PackageIncompatibleError(
                    f"{key} in golden.npz must have shape {shape}, not {array.shape}"
                )
            if not np.isfinite(array).all():
                raise PackageIncompatibleError(f"{key} in golden.npz is not finite")
        return Golden(**arrays)


def check_preprocessing(stated: object, spec: SignalSpec) -> None:
    """Refuse a manifest whose preprocessing differs from `spec`, naming what differs.

    Raises
    ------
    PackageIncompatibleError
        If a constant differs, is missing or is unknown.
    """
    if not isinstance(stated, dict):
        raise PackageIncompatibleError(
            f"in manifest.json, preprocessing must be an object, not {stated!r}"
        )
    try:
        theirs = SignalSpec.from_dict(stated)
    except SignalError as error:
        raise PackageIncompatibleError(f"in manifest.json, {error}") from error
    if theirs != spec:
        ours, other = spec.to_dict(), theirs.to_dict()
        differences = ", ".join(
            f"{key} {other[key]!r} (here {ours[key]!r})"
            for key in ours
            if ours[key] != other[key]
        )
        raise PackageIncompatibleError(
            f"the package was made for other preprocessing: {differences}; "
            "it needs the plethprint release it was made with"
        )

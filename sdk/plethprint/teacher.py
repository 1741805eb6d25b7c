"""The teacher in float: the fingerprint of a moment from ECG, PPG or both.

It is what the device's fingerprints are checked against. A teacher package holds
``teacher.onnx`` (for this module, no torch needed), a checkpoint to train on from, a card
and a manifest of kind ``teacher``, hashed and signed as student packages are.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.encoder import checked_windows, onnx_session
from plethprint.errors import EncoderError, PackageIncompatibleError, WindowShapeError
from plethprint.package import MODELS_FOLDER, check_preprocessing
from plethprint.signal import ECG, PPG
from plethprint.signed_folder import SignedFolder

__all__ = ["TeacherEncoder"]

DEFAULT_TEACHER = "m2ae-small_v2"
TEACHER_FILES = ("teacher.onnx", "README.md")
_BATCH = 64


class TeacherEncoder:
    """The teacher model of a signed package, in onnxruntime on one thread.

    Parameters
    ----------
    folder : SignedFolder
        A verified package of kind ``teacher``; `load` makes one.

    Raises
    ------
    PackageIncompatibleError
        If it was made for other preprocessing, or its graph has other inputs or outputs.
    EncoderError
        If onnxruntime refuses the model.
    """

    def __init__(self, folder: SignedFolder) -> None:
        self.manifest = folder.manifest
        self.path = folder.path
        self.dim = folder.manifest.dim
        """Length of a fingerprint, D."""
        self.model_id = folder.identity(("teacher.onnx",))
        """``name@version+hash8``; the hash is of teacher.onnx."""
        stated = folder.manifest.preprocessing
        if stated.keys() != {"ppg", "ecg"}:
            raise PackageIncompatibleError(
                f"a teacher's preprocessing has ppg and ecg, not {', '.join(stated)}"
            )
        check_preprocessing(stated["ppg"], PPG)
        check_preprocessing(stated["ecg"], ECG)
        self._session = onnx_session(folder.read_bytes("teacher.onnx"), "teacher.onnx")
        expected = {
            "ppg": [PPG.window_samples],
            "ecg": [ECG.window_samples],
            "present": [2],
            "fingerprint": [self.dim],
        }
        tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
        found = {t.name: (t.type, list(t.shape)) for t in tensors}
        for name, shape in expected.items():
            kind, their_shape = found.get(name, ("nothing", []))
            if kind != "tensor(float)" or their_shape[1:] != shape:
                raise PackageIncompatibleError(
                    f"{name} of teacher.onnx must be float32 of shape (N, {shape[0]}), "
                    f"not {kind} of shape {their_shape}"
                )

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        trusted_keys: Collection[str] | None = None,
    ) -> TeacherEncoder:
        """Open a teacher package, by default the small one that ships with plethprint.

        Raises
        ------
        PackageError
            If it is missing, changed, not signed by a trusted key, or does not fit.
        """
        folder = SignedFolder(
            path or MODELS_FOLDER / DEFAULT_TEACHER,
            kind="teacher",
            required=TEACHER_FILES,
            trusted_keys=trusted_keys,
        )
        return cls(folder)

    def run(
        self,
        ppg: npt.NDArray[np.int8] | None = None,
        ecg: npt.NDArray[np.int8] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Give the fingerprint of the same moments seen as PPG, ECG or both.

        Parameters
        ----------
        ppg : ndarray of int8, shape (N, PPG.window_samples), optional
            Windows as `signal.windows_of` makes them.
        ecg : ndarray of int8, shape (N, ECG.window_samples), optional
            Windows of the same moments, made with ``spec=ECG``.

        Returns
        -------
        ndarray of float32, shape (N, D)
            Unit length.

        Raises
        ------
        WindowShapeError
            If neither is given, or shapes or types are wrong or differ in N.
        EncoderError
            If the runtime fails or gives numbers that are not finite.
        """
        given = [(w, spec) for w, spec in ((ppg, PPG), (ecg, ECG)) if w is not None]
        if not given:
            raise WindowShapeError("the teacher needs PPG windows, ECG windows or both")
        counts = {len(checked_windows(w, spec.window_samples)) for w, spec in given}
        if len(counts) != 1:
            raise WindowShapeError(
                f"PPG and ECG must be as many windows as each other, not {sorted(counts)}"
            )
        (n,) = counts
        vectors = np.empty((n, self.dim), np.float32)
        present = np.array([ppg is not None, ecg is not None], np.float32)
        for first in range(0, n, _BATCH):
            rows = slice(first, min(first + _BATCH, n))
            size = rows.stop - rows.start
            feed = {"present": np.tile(present, (size, 1))}
            for name, windows, spec in (("ppg", ppg, PPG), ("ecg", ecg, ECG)):
                if windows is None:
                    feed[name] = np.zeros((size, spec.window_samples), np.float32)
                else:
                    feed[name] = windows[rows] * np.float32(spec.input_scale)
            try:
                (vectors[rows],) = self._session.run(["fingerprint"], feed)
            except Exception as error:
                raise EncoderError(
                    f"onnxruntime failed in teacher.onnx: {error}"
                ) from error
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and (norms > 0).all()):
            raise EncoderError("the teacher gave fingerprints that are not finite or zero")
        unit: npt.NDArray[np.float32] = (vectors / norms).astype(np.float32)
        return unit

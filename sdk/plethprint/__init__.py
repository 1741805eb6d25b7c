"""Fingerprints of the pulse: PPG in, one small int8 vector per 10-second window out.

>>> import numpy as np, plethprint
>>> t = np.arange(0, 30, 1 / 64)
>>> pulse = np.sin(2 * np.pi * 1.2 * t) + 0.3 * np.sin(2 * np.pi * 2.4 * t)
>>> prints = plethprint.Fingerprinter().embed(pulse, sample_rate_hz=64)
>>> prints[0].vector.shape
(64,)

Public names are loaded on first use, so that ``import plethprint`` stays quick and
pulls in neither a model runtime nor a Bluetooth stack.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from plethprint import errors

if TYPE_CHECKING:
    from plethprint.encoder import load_encoder
    from plethprint.fingerprint import Fingerprint, similarity
    from plethprint.fingerprint_stream import FingerprintStream
    from plethprint.fingerprinter import Fingerprinter
    from plethprint.io import Recording, read_recording
    from plethprint.package import ModelPackage
    from plethprint.session import connect, scan
    from plethprint.signal import Preprocessor
    from plethprint.teacher import TeacherEncoder

__all__ = [
    "Fingerprint",
    "FingerprintStream",
    "Fingerprinter",
    "ModelPackage",
    "Preprocessor",
    "Recording",
    "TeacherEncoder",
    "__version__",
    "connect",
    "errors",
    "load_encoder",
    "read_recording",
    "scan",
    "similarity",
]

try:
    __version__ = version("plethprint")
except PackageNotFoundError:  # run from a clone that was never installed
    __version__ = "0.0.0"

_HOME_OF = {
    "Fingerprint": "plethprint.fingerprint",
    "FingerprintStream": "plethprint.fingerprint_stream",
    "Fingerprinter": "plethprint.fingerprinter",
    "ModelPackage": "plethprint.package",
    "Preprocessor": "plethprint.signal",
    "Recording": "plethprint.io",
    "TeacherEncoder": "plethprint.teacher",
    "connect": "plethprint.session",
    "load_encoder": "plethprint.encoder",
    "read_recording": "plethprint.io",
    "scan": "plethprint.session",
    "similarity": "plethprint.fingerprint",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module the first time it is asked for."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'plethprint' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

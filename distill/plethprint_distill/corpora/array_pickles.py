"""Pickles of numpy arrays, read without letting them run anything.

A pickle is a program: loading a foreign one with `pickle.load` runs whatever its author
wished. Here only numpy arrays, numbers, strings and plain containers are built; a pickle
that names anything else is refused before it can call it.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from plethprint.errors import RecordingError

__all__ = ["load_arrays"]


def _latin1(characters: str, encoding: str) -> bytes:
    """What Python 3 writes for bytes at protocol 2; any other codec is refused."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it asks for the codec {encoding}")
    return characters.encode("latin1")


# What numpy itself names when it pickles: an array, a scalar, an array at protocol 5.
_RECONSTRUCT = np.zeros(1).__reduce__()[0]
_SCALAR = np.float64(0.0).__reduce__()[0]
_FROM_BUFFER = np.zeros(1).__reduce_ex__(5)[0]

_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    # The same modules before and since numpy 2.
    **{(f"numpy.{c}.multiarray", "_reconstruct"): _RECONSTRUCT for c in ("core", "_core")},
    **{(f"numpy.{c}.multiarray", "scalar"): _SCALAR for c in ("core", "_core")},
    **{(f"numpy.{c}.numeric", "_frombuffer"): _FROM_BUFFER for c in ("core", "_core")},
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The few names that arrays need; everything else is refused."""
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def load_arrays(path: Path) -> Any:
    """What a pickle of arrays and plain containers holds; also one made by Python 2.

    Raises
    ------
    RecordingError
        If the file is damaged, or asks for anything but arrays and containers.
    """
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises whatever its bytes spell
        reason = str(error) or repr(error)
        raise RecordingError(f"{path} is not a pickle of arrays: {reason}") from error

"""MATLAB files: version 7.3 (HDF5) lazily through `h5py`, older ones through scipy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import MissingExtraError, RecordingError

__all__ = ["cells", "hdf5", "load_mat", "number", "row", "text"]


@contextmanager
def hdf5(path: Path) -> Iterator[Any]:
    """An open HDF5 file; what goes wrong while it is read is told as one sentence.

    Raises
    ------
    RecordingError
        If it is damaged or does not hold what is asked of it.
    MissingExtraError
        If `h5py` is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("corpora", "Reading HDF5 and MATLAB 7.3 files") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except RecordingError:
        raise
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path} is not the HDF5 file expected: {error}") from error


def cells(file: Any, container: Any) -> Iterator[Any]:
    """Datasets behind a MATLAB cell array or one field of an array of structs.

    A field of a single struct is stored without references: it is its own only cell.
    """
    if container.dtype == object:
        yield from (file[reference] for reference in np.ravel(container[()]))
    else:
        yield container


def text(dataset: Any) -> str:
    """A MATLAB string, which 7.3 stores as UTF-16 codes."""
    return "".join(chr(code) for code in np.ravel(dataset[()]))


def number(dataset: Any) -> float:
    """A MATLAB scalar."""
    return float(np.ravel(dataset[()])[0])


def load_mat(path: Path, variable: str) -> Any:
    """One variable of a MATLAB file before 7.3; structs become dicts.

    Raises
    ------
    RecordingError
        If the file is damaged or has no such variable.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingExtraError("corpora", "Reading MATLAB files") from error
    try:
        return loadmat(str(path), simplify_cells=True, variable_names=[variable])[variable]
    except Exception as error:  # scipy: struct, zlib, ValueError, NotImplementedError
        reason = str(error) or repr(error)
        raise RecordingError(f"{path} is not the MATLAB file expected: {reason}") from error


def row(dataset: Any) -> npt.NDArray[np.float32]:
    """A MATLAB vector as (T,) float32."""
    return np.ravel(dataset[()]).astype(np.float32)

"""One shard: a tar of window blocks in the WebDataset convention.

A sample is a block of windows, not one window: a window is 2 kB, and a tar spends 512 bytes
and padding on each of the nine arrays that belong to it. The windows of a shard are put
into random order before they are cut into blocks, so that a block is a fair draw of its
shard and can be a batch. Members are plain `.npy` (`bidmc-000000-00-0003.ppg.npy`), which
`webdataset` decodes by itself; strings are bytes in UTF-8. The same windows give the same
bytes.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint_distill.windows import WindowSet

__all__ = ["Shard", "read_shard", "write_shard"]

_FIELDS = tuple(WindowSet.__dataclass_fields__)
_STRINGS = ("person", "record")


@dataclass(frozen=True)
class Shard:
    """What the index says of one shard."""

    name: str
    corpus: str
    windows: int
    bytes: int
    sha256: str


def write_shard(
    path: Path,
    corpus: str,
    windows: WindowSet,
    quality: npt.NDArray[np.float32],
    *,
    block_windows: int,
    seed: int,
) -> Shard:
    """Write one shard; under its name it is either whole or not there at all.

    Parameters
    ----------
    quality
        (N,) quality of each window's PPG, 0 to 1; NaN where it has none.
    block_windows
        Windows of a sample.
    seed
        Of the order of the windows.
    """
    rng = np.random.default_rng([seed, *path.name.encode()])
    order = rng.permutation(len(windows))
    half = path.with_suffix(".part")
    with tarfile.open(half, "w", format=tarfile.USTAR_FORMAT) as tar:
        for block, first in enumerate(range(0, len(windows), block_windows)):
            rows = order[first : first + block_windows]
            arrays: dict[str, Any] = {
                key: np.asarray(getattr(windows, key))[rows] for key in _FIELDS
            }
            for key in _STRINGS:
                arrays[key] = np.char.encode(arrays[key], "utf-8")
            for key, values in {**arrays, "quality": quality[rows]}.items():
                _add(tar, f"{path.stem}-{block:04d}.{key}.npy", values)
    content = half.read_bytes()
    half.replace(path)
    digest = hashlib.sha256(content).hexdigest()
    return Shard(path.name, corpus, len(windows), len(content), digest)


def _add(tar: tarfile.TarFile, name: str, values: npt.NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    member = tarfile.TarInfo(name)  # owner, mode and time at their defaults: no clock in it
    member.size = buffer.tell()
    buffer.seek(0)
    tar.addfile(member, buffer)


def read_shard(folder: Path, shard: Shard) -> Iterator[WindowSet]:
    """The blocks of a shard, in their order in the file.

    Raises
    ------
    RecordingError
        If the shard is missing, torn or not what the index says.
    """
    path = folder / shard.name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    if len(content) != shard.bytes or hashlib.sha256(content).hexdigest() != shard.sha256:
        raise RecordingError(
            f"{path} is not the shard of the index (of {shard.bytes} bytes {len(content)} "
            f"are there): copy it again, or delete it and prepare once more"
        )
    found: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                key, _, name = member.name.partition(".")
                file = tar.extractfile(member)
                if file is None:
                    raise ValueError(f"{member.name} is no file")
                values = np.load(io.BytesIO(file.read()), allow_pickle=False)
                found.setdefault(key, {})[name.removesuffix(".npy")] = values
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise RecordingError(f"{path} is not a shard of windows: {error}") from error
    for key, arrays in found.items():
        missing = [name for name in _FIELDS if name not in arrays]
        if missing:
            raise RecordingError(f"{path}: {key} lacks {', '.join(missing)}")
        for name in _STRINGS:
            arrays[name] = np.char.decode(arrays[name], "utf-8")
        yield WindowSet(**{name: arrays[name] for name in _FIELDS})

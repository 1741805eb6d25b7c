"""Keeping a wearable's raw PPG in a file that `embed` and `demo --replay` read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from plethprint.errors import MissingExtraError, RecordingError

if TYPE_CHECKING:
    from plethprint.session import Wearable

__all__ = ["Recorder"]


class Recorder:
    """Collects one channel of a live stream; absent samples become NaN.

    Parameters
    ----------
    path : Path
        The .npz to write: ``ppg`` float32 (T,) in counts, upright (more blood, more
        counts), ``fs_ppg`` Hz, ``start`` Unix s, ``subject`` the wearable's name; or the
        .edf, see `plethprint.io.edf`.

    Raises
    ------
    RecordingError
        The file has another suffix, or its folder does not exist.
    MissingExtraError
        For .edf without the ``io`` extra: told before connecting.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in (".npz", ".edf"):
            raise RecordingError(f"a recording is written as .npz or .edf, not {path.name}")
        if not path.parent.is_dir():
            raise RecordingError(f"{path.parent} is no folder to write {path.name} into")
        if path.suffix.lower() == ".edf" and find_spec("edfio") is None:
            raise MissingExtraError("io", "EDF+")
        self.path = path
        self._parts: list[npt.NDArray[np.float32]] = []
        self._rate_hz = 0.0
        self._start = 0.0
        self._name = ""

    async def keep(self, wearable: Wearable) -> None:
        """Collect until the stream ends or this task is cancelled."""
        self._name = wearable.name or wearable.address
        following: tuple[int, int] | None = None  # epoch, index
        async for block in wearable.frames():
            if following is None:
                self._rate_hz = wearable.sample_rate_hz or 0.0
                self._start = block.start_s
            elif following[0] == block.epoch and block.index > following[1]:
                absent = block.index - following[1]
                self._parts.append(np.full(absent, np.nan, dtype=np.float32))
            # After a reset of the device nobody knows how much is absent: say one sample.
            elif following[0] != block.epoch:
                self._parts.append(np.full(1, np.nan, dtype=np.float32))
            polarity = wearable.info.channels[0].polarity or 1  # 0: nobody knows
            self._parts.append(block.samples[:, 0].astype(np.float32) * polarity)
            following = (block.epoch, block.index + len(block.samples))

    def write(self) -> float:
        """Write what was collected; return its length in seconds, 0 when there is none."""
        if not self._parts:
            return 0.0
        ppg = np.concatenate(self._parts)
        if self.path.suffix.lower() == ".edf":
            from plethprint.io.edf import write_edf

            write_edf(self.path, ppg, self._rate_hz, start=self._start, name=self._name)
            return ppg.size / self._rate_hz
        with self.path.open("wb") as handle:
            np.savez_compressed(
                handle,
                ppg=ppg,
                fs_ppg=np.array(self._rate_hz),
                start=np.array(self._start),
                subject=np.array(self._name),
            )
        return ppg.size / self._rate_hz

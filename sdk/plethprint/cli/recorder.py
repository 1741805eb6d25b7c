"""Keeping a wearable's raw PPG in a file that `embed` and `demo --replay` read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError

if TYPE_CHECKING:
    from plethprint.session import Wearable

__all__ = ["Recorder"]


class Recorder:
    """Collects one channel of a live stream; absent samples become NaN.

    Parameters
    ----------
    path : Path
        The .npz to write: ``ppg`` float32 (T,) in counts, upright (more blood, more
        counts), ``fs_ppg`` Hz, ``start`` Unix s, ``subject`` the wearable's name.

    Raises
    ------
    RecordingError
        The file has another suffix than .npz, or its folder does not exist.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() != ".npz":
            raise RecordingError(f"a recording is written as .npz, not {path.name}")
        if not path.parent.is_dir():
            raise RecordingError(f"{path.parent} is no folder to write {path.name} into")
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
        with self.path.open("wb") as handle:
            np.savez_compressed(
                handle,
                ppg=ppg,
                fs_ppg=np.array(self._rate_hz),
                start=np.array(self._start),
                subject=np.array(self._name),
            )
        return ppg.size / self._rate_hz

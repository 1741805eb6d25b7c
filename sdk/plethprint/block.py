"""Samples in their place: what the timeline makes of frames."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["INTERPOLATED_GAP_S", "Block", "Gap", "GapCause", "TimelineFrame"]

INTERPOLATED_GAP_S = 0.1
"""Gaps up to this long are filled by a straight line; at longer ones windows break."""

IntArray = npt.NDArray[np.int32]


class TimelineFrame(Protocol):
    """What the timeline needs of a decoded frame; `ble.open_profile.PpgFrame` has it."""

    @property
    def sequence(self) -> int | None:
        """Number of the frame, u16, wraps around; None where frames are not numbered."""

    @property
    def first_index(self) -> int:
        """Index of the first sample, u32, wraps around; skipped samples count too."""

    @property
    def device_time_us(self) -> int | None:
        """Device time of the first sample, microseconds, u32, wraps around (71.6 min).

        None where the device tells no time.
        """

    @property
    def overflow_frames(self) -> int:
        """Frames dropped by the device's own buffer so far, u16, wraps around."""

    @property
    def on_skin(self) -> bool:
        """Whether the sensor sat on skin; True where the device cannot tell."""

    @property
    def counts(self) -> IntArray:
        """Shape (n, channels), sensor counts."""


class GapCause(enum.Enum):
    """Why samples are absent; of several causes the one with most samples."""

    LOST = "lost"
    OVERFLOW = "overflow"
    LINK = "link"
    RESET = "reset"


@dataclass(frozen=True)
class Gap:
    """Absent samples just before a block."""

    cause: GapCause
    samples: int
    """How many, exactly; 0 after a reset, when nobody knows."""


@dataclass(frozen=True)
class Block:
    """Consecutive samples in their place."""

    epoch: int
    """Counts device resets and pauses; indices of different epochs do not compare."""
    index: int
    """Absolute index of the first sample since the device's reset, never wraps."""
    samples: IntArray
    """Shape (n, channels), sensor counts."""
    start_s: float
    """Host time of the first sample, seconds; never goes back from block to block."""
    host_period_s: float
    """Host time from one sample to the next hereabouts, seconds: drift included."""
    gap: Gap | None
    """What is absent between the previous block and this one."""
    frame: TimelineFrame
    """The frame it came in, with whatever else the wearable said."""

"""Acceleration beside PPG: what a driver may offer, and in what unit it comes.

A wearable sends acceleration in one of three ways. As a stream of its own beside the PPG
(Polar, Muse, Colmi): then its driver `SendsMotion`. Within each frame of PPG (OpenRing):
then `StreamFormat.motion` is set and frames have ``acceleration``. Or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from plethprint.block import TimelineFrame

__all__ = ["MotionFormat", "SendsMotion"]


@dataclass(frozen=True)
class MotionFormat:
    """What an accelerometer's samples are."""

    sample_rate_hz: float
    """Nominal sample rate."""
    counts_per_g: float | None
    """Counts of one g (9.81 m/s2); None where nobody says it, and gravity has to tell."""


@runtime_checkable
class SendsMotion(Protocol):
    """A driver whose wearable can stream acceleration beside PPG.

    `Driver.stop` stops this stream too.
    """

    async def start_motion(
        self, on_payload: Callable[[bytes], None]
    ) -> MotionFormat | None:
        """Ask for acceleration while PPG streams; None where this wearable has none.

        Parameters
        ----------
        on_payload : callable
            Takes the bytes of each notification.

        Raises
        ------
        ControlError
            The wearable refused.
        LinkError
            The link failed.
        """

    def decode_motion(self, payload: bytes) -> TimelineFrame:
        """Decode one notification; ``counts`` have shape (n, 3): x, y, z.

        Raises
        ------
        FrameError
            Not acceleration.
        """

"""One wearable's acceleration beside its PPG: asked for, decoded, placed, counted.

Nothing here can end a session: a wearable that refuses, lacks or garbles its acceleration
leaves it unknown, and the statistics say so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from plethprint.ble.motion import MotionFormat, SendsMotion
from plethprint.ble.personality import Driver, StreamFormat
from plethprint.block import Block
from plethprint.errors import LinkLostError, PlethprintError
from plethprint.frame_intake import FrameIntake
from plethprint.motion_history import MotionHistory
from plethprint.timeline import Timeline

__all__ = ["MotionStream"]

_LOGGER = logging.getLogger(__name__)

_AXES = 3


class MotionStream:
    """Takes what an accelerometer sends and keeps it in host time.

    A stream of its own gets a `Timeline` of its own, with the same care for lateness,
    order and drift as the PPG's; one within the frames of PPG takes their times. Over a
    lost link it begins anew, and what was missed meanwhile is not counted.

    Parameters
    ----------
    wanted : bool
        Whether to ask for it at all.
    keep_s : float
        How much of the past is kept, seconds.
    """

    def __init__(self, wanted: bool, *, keep_s: float) -> None:
        self.history = MotionHistory(keep_s)
        """What came, in host time."""
        self.state = "none" if wanted else "off"
        """``off`` (not wanted), ``none`` (the wearable has none, as far as known),
        ``refused``, or ``streaming``."""
        self._wanted = wanted
        self._intake = FrameIntake("acceleration")
        self._format: MotionFormat | None = None
        self._timeline: Timeline | None = None
        self._within = 0  # samples within frames of PPG
        self._link: object | None = None  # stands for the link whose payloads are taken

    def counts(self) -> dict[str, Any]:
        """Its part of `StreamStatistics`."""
        own = None if self._timeline is None else self._timeline.counts
        return {
            "motion": self.state,
            "motion_samples": self._within + (0 if own is None else own.samples),
            "motion_missing_samples": 0 if own is None else own.missing_samples,
            "motion_decode_errors": self._intake.decode_errors,
        }

    async def start(
        self, driver: Driver, stream_format: StreamFormat, now: Callable[[], float]
    ) -> None:
        """Ask for acceleration once PPG streams; a refusal is noted, not raised.

        Parameters
        ----------
        driver : Driver
            Of the link as it is now.
        stream_format : StreamFormat
            What it streams.
        now : callable
            Host time, seconds.
        """
        if not self._wanted:
            return
        if stream_format.motion is not None:
            self._format, self.state = stream_format.motion, "streaming"
            return
        if not isinstance(driver, SendsMotion):
            return
        self._link = this = object()
        decode = driver.decode_motion

        def on_payload(payload: bytes) -> None:
            if this is self._link:
                self._take(payload, now(), decode)

        try:
            motion = await driver.start_motion(on_payload)
        except LinkLostError:
            return  # the next link is asked again
        except PlethprintError as error:
            _LOGGER.info("no acceleration: %s", error)
            self.state = "refused"
            return
        if motion is None:
            return
        if self._timeline is None or motion != self._format:
            self._begin_anew(motion.sample_rate_hz)
        self._format, self.state = motion, "streaming"

    def take_block(self, block: Block) -> None:
        """Take a block of PPG whose frame may hold acceleration as well."""
        within = self._format is not None and self._timeline is None
        vectors = getattr(block.frame, "acceleration", None) if within else None
        if vectors is None:
            return
        # Of a frame that overlapped the one before, the end is what the block has.
        vectors = vectors[len(vectors) - len(block.samples) :]
        self._within += len(vectors)
        self._add(block, vectors)

    def pause(self) -> None:
        """Say that the stream, or its link, is away."""
        self._link = None
        if self._timeline is not None:
            self._keep(self._timeline.flush())
            self._begin_anew(self._timeline.sample_rate_hz)

    def host_clock_stepped(self, step_s: float) -> None:
        """Say that the host's clock was set, see `Timeline.host_clock_stepped`."""
        self.history.clear()
        if self._timeline is not None:
            self._timeline.host_clock_stepped(step_s)

    def _begin_anew(self, sample_rate_hz: float) -> None:
        """Another timeline, the counts go on.

        Not a pause of the old one: that would know the frames of before the pause, and a
        device that rebooted may well send the same ones, number, time and all, once more.
        """
        before, self._timeline = self._timeline, Timeline(sample_rate_hz)
        if before is not None:
            self._timeline.counts = before.counts

    def _take(
        self, payload: bytes, arrival_s: float, decode: Callable[[bytes], Any]
    ) -> None:
        if self._timeline is None:
            return  # before the answer to the request says what it is
        frame = self._intake.decode(payload, decode, _AXES)
        if frame is not None:
            self._keep(self._timeline.push(frame, arrival_s))

    def _keep(self, blocks: list[Block]) -> None:
        for block in blocks:
            self._add(block, block.samples)

    def _add(self, block: Block, vectors: Any) -> None:
        assert self._format is not None
        per_g = self._format.counts_per_g
        self.history.add(block.start_s, block.host_period_s, vectors, per_g)

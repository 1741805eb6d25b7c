"""Frames as they arrive, into one gapless account of samples and time.

Nothing here waits, sleeps or knows of Bluetooth: :class:`Timeline` takes decoded frames
with the host time of their arrival and hands back ordered :class:`Block` objects with an
exact sample index and a host time per sample. What is absent is counted by cause. The
causes are told apart by what the frame itself says:

========================  ====================================================
lost on the way           the sequence number jumps, and the sample index too
device buffer overflow    the device's own overflow count goes up
link gap                  the session says that the link was away in between
device reset              the sample index starts afresh (and stays so)
duplicate                 same sequence number, index and device time again
reordered                 a later frame came first; put in place within a window
========================  ====================================================
"""

from __future__ import annotations

import logging
import zlib
from collections import deque
from dataclasses import dataclass, field, replace

from plethprint.block import INTERPOLATED_GAP_S, Block, Gap, GapCause, TimelineFrame
from plethprint.clock import DeviceClock, TimeExchange
from plethprint.quiet_log import QuietLog
from plethprint.sample_times import SampleTimes
from plethprint.stream_clock import StreamClock

__all__ = ["Timeline", "TimelineCounts"]

_LOGGER = logging.getLogger(__name__)

_HISTORY = 64  # frames remembered to know a duplicate or a late frame
_MAX_SLEW = 0.5  # a correction of the clock map takes back at most this share of time
_PERIOD_SPAN_S = 10.0  # over which the true sample rate is taken
_FUTURE_SLACK_S = 30.0  # samples a device can have in its buffers when a link stalls


@dataclass
class TimelineCounts:
    """Running counts; the same names as in `StreamStatistics`."""

    frames: int = 0
    samples: int = 0
    missing_samples: int = 0
    lost_frames: int = 0
    lost_samples: int = 0
    overflow_samples: int = 0
    link_gaps: int = 0
    link_gap_samples: int = 0
    interpolated_samples: int = 0
    device_resets: int = 0
    duplicates: int = 0
    reordered: int = 0
    late_frames: int = 0
    stray_frames: int = 0


@dataclass(frozen=True)
class _Placed:
    """A frame with its wrapped counters unrolled."""

    frame: TimelineFrame
    index: int
    arrival_s: float

    @property
    def end(self) -> int:
        return self.index + len(self.frame.counts)


@dataclass
class _Line:
    """Where the stream stands: what the next frame should look like."""

    next_index: int
    next_sequence: int | None  # None where frames are not numbered
    overflow_frames: int
    highest_index: int
    last_arrival_s: float
    waiting: list[_Placed] = field(default_factory=list)


class Timeline:
    """Puts frames in order and gives every sample a host time.

    Parameters
    ----------
    sample_rate_hz : float
        Nominal sample rate of the device.
    reorder_frames : int, optional
        How many later frames may overtake a frame before it is given up as lost.
    reorder_s : float, optional
        How long a frame is waited for at most, as later ones keep arriving.

    Examples
    --------
    ::

        timeline = Timeline(125.0)
        for block in timeline.push(frame, arrival_s=clock.now()):
            print(block.index, block.start_s, block.gap)
    """

    def __init__(
        self, sample_rate_hz: float, *, reorder_frames: int = 4, reorder_s: float = 0.5
    ) -> None:
        self.sample_rate_hz = sample_rate_hz
        """Nominal sample rate of the device, Hz."""
        self.counts = TimelineCounts()
        """Running counts since the start."""
        self.clock = DeviceClock()
        """Device time to host time."""
        self.epoch = 0
        """Epoch of the frames now arriving."""
        self._reorder_frames = reorder_frames
        self._reorder_s = reorder_s
        self._line: _Line | None = None
        self._log = QuietLog(_LOGGER)
        self._times = SampleTimes(sample_rate_hz, self._log)
        self._seen: deque[tuple[int | None, ...]] = deque(maxlen=_HISTORY)
        self._given_up: deque[tuple[int, int]] = deque(maxlen=_HISTORY)
        self._suspect: tuple[TimelineFrame, float] | None = None
        self._link_gap = False
        self._emitted: tuple[float, float] | None = None  # device s, host s

    def push(self, frame: TimelineFrame, arrival_s: float) -> list[Block]:
        """Take a frame; return the blocks that are now certain, in order.

        Parameters
        ----------
        frame : TimelineFrame
            As decoded.
        arrival_s : float
            Host time of its arrival, seconds; used for the clock map alone, never as
            the time of a sample.

        Returns
        -------
        list of Block
            Empty when the frame is a duplicate or waits for an earlier one.
        """
        self.counts.frames += 1
        identity = _identity(frame)
        if identity in self._seen:
            self.counts.duplicates += 1
            return []
        line = self._line
        if line is None:
            return self._start(frame, arrival_s)
        ahead = _signed(frame.first_index - line.next_index, 32)
        index = line.next_index + ahead
        end = index + len(frame.counts)
        in_future = ahead > self.sample_rate_hz * (
            arrival_s - line.last_arrival_s + _FUTURE_SLACK_S
        )
        if end <= line.next_index or in_future or len(frame.counts) == 0:
            if self._link_gap and len(frame.counts):
                return self._restart(frame, arrival_s)
            if any(a <= index < b for a, b in self._given_up):
                self.counts.late_frames += 1
                self._seen.append(identity)
                return []
            return self._judge_stray(frame, arrival_s)
        self._settle_suspect()
        self._seen.append(identity)
        self._times.observe(index, frame.device_time_us)
        self.clock.observe(self._times.device_s(end - 1), arrival_s)
        if index < line.highest_index:
            self.counts.reordered += 1
        line.highest_index = max(line.highest_index, index)
        line.last_arrival_s = arrival_s
        line.waiting.append(_Placed(frame, index, arrival_s))
        line.waiting.sort(key=lambda placed: placed.index)
        return self._release(line, arrival_s)

    def flush(self) -> list[Block]:
        """Return what still waits for earlier frames; they will not come any more."""
        self._settle_suspect()
        blocks: list[Block] = []
        while self._line is not None and self._line.waiting:
            blocks += self._deliver(self._line, self._line.waiting.pop(0))
        return blocks

    def link_lost(self) -> list[Block]:
        """Say that the link is away; return what still waited.

        Whatever is absent up to the next frame is then counted as a link gap.
        """
        blocks = self.flush()
        if self._line is not None and not self._link_gap:
            self._link_gap = True
            self.counts.link_gaps += 1
        return blocks

    def pause(self) -> list[Block]:
        """Say that no samples are wanted for now; return what still waited.

        What the device does until the next frame is nobody's gap: a new epoch begins.
        """
        blocks = self.flush()
        if self._line is not None:
            self._line = None
            self._link_gap = False
            self.epoch += 1
        return blocks

    def observe_exchange(self, exchange: TimeExchange) -> None:
        """Take what the device said of its time when asked; used for the clock map."""
        device_s = self._times.unrolled_s(exchange.device_time_us)
        if self._line is not None and device_s is not None:
            self.clock.observe_exchange(exchange.sent_s, device_s, exchange.received_s)

    def host_clock_stepped(self, step_s: float) -> None:
        """Say that the host's clock was set: what was learnt about it is void.

        Parameters
        ----------
        step_s : float
            Seconds by which it now shows more than it would have.
        """
        self.clock.restart()
        self._emitted = None
        if self._line is not None:
            # Forwards it may have been asleep, and the time has truly passed; backwards
            # nothing but the clock moved.
            self._line.last_arrival_s += min(step_s, 0.0)

    def host_time(self, index: float) -> float:
        """Host time, seconds, of a sample of the current epoch, by all known so far.

        Parameters
        ----------
        index : float
            Absolute sample index, as in `Block.index`; may lie between two samples.
        """
        return self.clock.host_time(self._times.device_s(index))

    def stream_clock(self) -> StreamClock | None:
        """The map from index to host time as it is now; None before the first frame."""
        if self._line is None:
            return None
        index = self._line.next_index
        period_s = self._host_period_s(index)
        within_s = self.clock.uncertainty_s
        return StreamClock(self.epoch, index, self.host_time(index), period_s, within_s)

    def _host_period_s(self, index: int) -> float:
        back = self.sample_rate_hz * _PERIOD_SPAN_S
        return (self.host_time(index) - self.host_time(index - back)) / back

    def _start(self, frame: TimelineFrame, arrival_s: float) -> list[Block]:
        if len(frame.counts) == 0:
            self.counts.stray_frames += 1
            return []
        index = frame.first_index
        self._seen.append(_identity(frame))
        self._times.restart()
        self.clock.restart()
        self._times.observe(index, frame.device_time_us)
        end = index + len(frame.counts)
        self.clock.observe(self._times.device_s(end - 1), arrival_s)
        self._line = _Line(index, frame.sequence, frame.overflow_frames, index, arrival_s)
        return self._deliver(self._line, _Placed(frame, index, arrival_s))

    def _restart(self, frame: TimelineFrame, arrival_s: float) -> list[Block]:
        """The device's index started afresh: a new epoch."""
        blocks = self.flush()
        self.epoch += 1
        self.counts.device_resets += 1
        self._given_up.clear()
        self._log.warning(
            "the wearable restarted its sample index at %d", frame.first_index
        )
        start = self._start(frame, arrival_s)
        self._link_gap = False
        start[0] = replace(start[0], gap=Gap(GapCause.RESET, 0))
        return blocks + start

    def _judge_stray(self, frame: TimelineFrame, arrival_s: float) -> list[Block]:
        """A frame that fits nowhere: believe a reset only when the next one follows it."""
        suspect = self._suspect
        self._settle_suspect()
        if len(frame.counts) == 0:
            self.counts.stray_frames += 1
            return []
        if suspect is not None:
            before, before_arrival_s = suspect
            expected = before.first_index + len(before.counts)
            follows = _signed(frame.first_index - expected, 32) == 0
            if follows and frame.sequence == _following(before.sequence):
                self.counts.stray_frames -= 1
                blocks = self._restart(before, before_arrival_s)
                self.counts.frames -= 1  # pushed again, not received again
                return blocks + self.push(frame, arrival_s)
        self._suspect = (frame, arrival_s)
        return []

    def _settle_suspect(self) -> None:
        if self._suspect is not None:
            self._suspect = None
            self.counts.stray_frames += 1

    def _release(self, line: _Line, arrival_s: float) -> list[Block]:
        blocks: list[Block] = []
        while line.waiting:
            first = line.waiting[0]
            contiguous = first.index <= line.next_index
            # Samples are absent but no frame is under way: the device skipped them.
            missing = first.index - line.next_index
            skipped = (
                first.frame.sequence is not None
                and first.frame.sequence == line.next_sequence
            ) or self._overflowed(line, first, missing) == missing
            patience_over = (
                len(line.waiting) > self._reorder_frames
                or arrival_s - first.arrival_s > self._reorder_s
            )
            if not (contiguous or skipped or patience_over or self._link_gap):
                break
            blocks += self._deliver(line, line.waiting.pop(0))
        return blocks

    def _deliver(self, line: _Line, placed: _Placed) -> list[Block]:
        frame = placed.frame
        if placed.end <= line.next_index:  # what it holds was in another frame already
            self.counts.late_frames += 1
            return []
        overlap = max(line.next_index - placed.index, 0)
        samples = frame.counts[overlap:]
        index = placed.index + overlap
        gap = self._account(line, placed, missing=index - line.next_index)
        line.next_index = index + len(samples)
        line.next_sequence = _following(frame.sequence)
        line.overflow_frames = frame.overflow_frames
        self.counts.samples += len(samples)
        start_s = self._stamp(index)
        period_s = self._host_period_s(index)
        return [Block(self.epoch, index, samples, start_s, period_s, gap, frame)]

    def _account(self, line: _Line, placed: _Placed, missing: int) -> Gap | None:
        counts = self.counts
        frame = placed.frame
        link_gap, self._link_gap = self._link_gap, False
        if missing <= 0:
            return None
        self._given_up.append((line.next_index, line.next_index + missing))
        counts.missing_samples += missing
        if link_gap:
            counts.link_gap_samples += missing
            return Gap(GapCause.LINK, missing)
        if missing <= INTERPOLATED_GAP_S * self.sample_rate_hz:
            counts.interpolated_samples += missing
        overflow = self._overflowed(line, placed, missing)
        lost = missing - overflow
        counts.overflow_samples += overflow
        counts.lost_samples += lost
        counts.lost_frames += -(-lost // len(frame.counts))
        cause = GapCause.LOST if lost >= overflow else GapCause.OVERFLOW
        return Gap(cause, missing)

    @staticmethod
    def _overflowed(line: _Line, placed: _Placed, missing: int) -> int:
        """How many of the missing samples the device says it dropped itself."""
        dropped_frames = (placed.frame.overflow_frames - line.overflow_frames) & 0xFFFF
        return min(dropped_frames * len(placed.frame.counts), missing)

    def _stamp(self, index: int) -> float:
        """Host time for a block; later knowledge may slow time down, not turn it back."""
        device_s = self._times.device_s(index)
        host_s = self.clock.host_time(device_s)
        if self._emitted is not None:
            last_device_s, last_host_s = self._emitted
            floor_s = last_host_s + (1 - _MAX_SLEW) * max(device_s - last_device_s, 0.0)
            host_s = max(host_s, floor_s)
        self._emitted = (device_s, host_s)
        return host_s


def _following(sequence: int | None) -> int | None:
    """Number of the frame after this one; None where frames are not numbered."""
    return None if sequence is None else (sequence + 1) & 0xFFFF


def _identity(frame: TimelineFrame) -> tuple[int | None, ...]:
    """What only the same frame has again, even when a device restarts at zero."""
    payload = zlib.crc32(frame.counts.tobytes())
    return frame.sequence, frame.first_index, frame.device_time_us, payload


def _signed(value: int, bits: int) -> int:
    """`value` modulo 2**bits as a signed number: the short way round a wrapping counter."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half

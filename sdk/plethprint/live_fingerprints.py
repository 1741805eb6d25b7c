"""Blocks of a live stream into fingerprints that know their moment and their gaps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields, replace

import numpy as np

from plethprint.block import INTERPOLATED_GAP_S, Block, GapCause
from plethprint.errors import SampleRateError
from plethprint.fingerprint import Fingerprint
from plethprint.fingerprint_stream import FingerprintStream
from plethprint.index_spans import IndexSpans
from plethprint.motion_history import MotionHistory
from plethprint.quality_evidence import lowered
from plethprint.raw_window import RawWindow
from plethprint.resample import MIN_RATE_HZ

__all__ = ["LiveFingerprint", "LiveFingerprints", "demand_rate"]

_MOTION_AWAITED_S = 2.5  # a Verity Sense sends acceleration every second or two
_MOTION_DEAD_S = 5.0  # silent for so long, acceleration is not waited for
_MOTION_SLACK_S = 0.25


def demand_rate(sample_rate_hz: float) -> None:
    """Refuse a stream too slow for the shape of a pulse.

    Raises
    ------
    SampleRateError
        Below the rate that the model's preprocessing needs.

    Examples
    --------
    >>> demand_rate(4.17)
    Traceback (most recent call last):
        ...
    plethprint.errors.SampleRateError: the wearable sends 4.17 samples a second, and a \
fingerprint needs at least 20; `frames()` gives them as they are
    """
    if not sample_rate_hz >= MIN_RATE_HZ:  # also refuses NaN
        raise SampleRateError(
            f"the wearable sends {sample_rate_hz:g} samples a second, and a fingerprint "
            f"needs at least {MIN_RATE_HZ:g}; `frames()` gives them as they are"
        )


@dataclass(frozen=True, eq=False)
class LiveFingerprint(Fingerprint):
    """A fingerprint from a wearable; `start` is host time (Unix, s) of its first sample."""

    epoch: int = 0
    """Epoch of the wearable's sample index, see `Block.epoch`."""
    first_index: float = 0.0
    """Sample index at which the window starts; fractional, for the model has a rate of
    its own."""
    gap_fraction: float = 0.0
    """Share of the window's samples that never arrived and were interpolated, 0..1;
    `missing` counts those off the skin too."""
    motion_g: float | None = None
    """Root mean square of the dynamic acceleration over the window, g; None where the
    wearable sends none. See `plethprint.motion_history`."""
    motion_fraction: float | None = None
    """Share of the window during which the wearable itself said that it moved enough to
    disturb the pulse, 0..1; None where it cannot tell."""
    perfusion: float | None = None
    """Pulse over level of the raw counts; None where nobody knows which count is
    darkness. See `plethprint.signal_quality.perfusion_index`."""


class LiveFingerprints:
    """Feeds blocks to a `FingerprintStream` and keeps its windows out of gaps.

    The rule: a gap of up to `plethprint.block.INTERPOLATED_GAP_S` is passed on as missing
    samples, so that the windows over it say so in `missing` and `gap_fraction` and lose
    quality. At a longer gap, at any gap that a lost link left, and at a device reset the
    stream begins anew and no window spans it. Samples taken off the skin count as missing
    too.

    Motion and perfusion are told beside each window where they are known, and lower its
    quality. Acceleration comes later than the samples it belongs to: a window waits for
    it, 2.5 s of the stream at most; if the stream stops just then, until it goes on.

    Parameters
    ----------
    stream : FingerprintStream
        Fresh; at the wearable's sample rate and the channel's polarity.
    sample_rate_hz : float
        Nominal rate of the wearable.
    channel : int
        Column of the samples to use.
    motion : MotionHistory, optional
        Acceleration in host time.
    dark_counts : float, optional
        Counts of the channel without any light; None where nobody knows.
    """

    def __init__(
        self,
        stream: FingerprintStream,
        *,
        sample_rate_hz: float,
        channel: int,
        motion: MotionHistory | None = None,
        dark_counts: float | None = None,
    ) -> None:
        self._stream = stream
        self._rate_hz = sample_rate_hz
        self._channel = channel
        self._first_index = 0
        self._last: Block | None = None
        self._gaps = IndexSpans()  # interpolated
        self._moved = IndexSpans()  # by the wearable's own word
        self._tells_moving = False
        self._motion = motion
        self._raw = None if dark_counts is None else RawWindow(sample_rate_hz, dark_counts)
        self._waiting: deque[LiveFingerprint] = deque()  # for acceleration

    def push(self, block: Block) -> list[LiveFingerprint]:
        """Take the next block; return the fingerprints that are now complete."""
        # Judged by the index, not by `block.gap`: blocks that a slow consumer lost are
        # absent too.
        prints: list[LiveFingerprint] = []
        missing = self._missing_before(block)
        if missing is None or self._breaks(missing, block):
            prints += self.finish()
            self._first_index = block.index
            missing = 0
        samples = block.samples[:, self._channel].astype(np.float64)
        end = block.index + len(samples)
        moving: bool | None = getattr(block.frame, "moving", None)
        self._tells_moving = moving is not None
        if moving:
            self._moved.add(block.index, end)
        if self._raw is not None:
            self._raw.add(block.index, samples)
        if not block.frame.on_skin:
            # Of a sensor in the air there are counts, but of nobody: as good as missing.
            samples[:] = np.nan
        if missing:
            self._gaps.add(block.index - missing, block.index)
            samples = np.concatenate([np.full(missing, np.nan), samples])
        self._last = block
        self._waiting += self._placed(self._stream.push(samples), block)
        newest_s = block.start_s + (end - block.index) * block.host_period_s
        while self._waiting and self._knows_motion(self._waiting[0], newest_s):
            prints.append(self._with_motion(self._waiting.popleft()))
        return prints

    def finish(self) -> list[LiveFingerprint]:
        """Return what waited for samples that will not come; begin anew."""
        if self._last is None:
            return []
        self._waiting += self._placed(self._stream.flush(), self._last)
        self._stream.reset()
        self._last = None
        self._gaps.clear()
        self._moved.clear()
        if self._raw is not None:
            self._raw.clear()
        prints = [self._with_motion(fp) for fp in self._waiting]
        self._waiting.clear()
        return prints

    def _breaks(self, missing: int, block: Block) -> bool:
        """Whether no window may span the samples absent before a block."""
        over_a_link = block.gap is not None and block.gap.cause is GapCause.LINK
        longest = 0 if over_a_link else INTERPOLATED_GAP_S * self._rate_hz
        return missing > longest

    def _missing_before(self, block: Block) -> int | None:
        """Samples absent before a block; None when nothing comes before it."""
        last = self._last
        if last is None or last.epoch != block.epoch:
            return None
        return block.index - last.index - len(last.samples)

    def _placed(self, prints: list[Fingerprint], newest: Block) -> list[LiveFingerprint]:
        return [self._place(fp, newest) for fp in prints]

    def _place(self, fp: Fingerprint, newest: Block) -> LiveFingerprint:
        first_index = self._first_index + fp.start * self._rate_hz
        end = first_index + fp.duration_s * self._rate_hz
        # From the newest block backwards: it knows most about the clocks.
        start_s = newest.start_s - (newest.index - first_index) * newest.host_period_s
        values = {f.name: getattr(fp, f.name) for f in fields(Fingerprint)}
        values["start"] = start_s
        gap_fraction = self._gaps.share(first_index, end)
        if fp.quality_reason == "gaps" and fp.missing > 2.0 * gap_fraction:
            # Most of what is missing did arrive, from a sensor off the skin.
            values["quality_reason"] = "contact"
        moved = self._moved.share(first_index, end)
        return LiveFingerprint(
            **values,
            epoch=newest.epoch,
            first_index=first_index,
            gap_fraction=gap_fraction,
            motion_fraction=moved if self._tells_moving else None,
            perfusion=None if self._raw is None else self._raw.perfusion(first_index, end),
        )

    def _knows_motion(self, fp: LiveFingerprint, newest_s: float) -> bool:
        """Whether acceleration of the window has come, or is not to be waited for."""
        until_s = None if self._motion is None else self._motion.until_s
        if until_s is None or newest_s - until_s > _MOTION_DEAD_S:
            return True
        end_s = fp.start + fp.duration_s
        return until_s >= end_s - _MOTION_SLACK_S or newest_s - end_s > _MOTION_AWAITED_S

    def _with_motion(self, fp: LiveFingerprint) -> LiveFingerprint:
        """The fingerprint with all that is known beside the window taken into account."""
        motion_g = None
        if self._motion is not None:
            motion_g = self._motion.rms_g(fp.start, fp.duration_s)
        quality, reason = lowered(
            fp.quality,
            fp.quality_reason,
            motion_g=motion_g,
            moving=fp.motion_fraction or 0.0,
            perfusion=fp.perfusion,
        )
        return replace(fp, quality=quality, quality_reason=reason, motion_g=motion_g)

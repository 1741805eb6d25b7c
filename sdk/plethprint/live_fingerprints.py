"""Blocks of a live stream into fingerprints that know their moment and their gaps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import numpy as np

from plethprint.block import INTERPOLATED_GAP_S, Block, GapCause
from plethprint.errors import SampleRateError
from plethprint.fingerprint import Fingerprint
from plethprint.fingerprinter import FingerprintStream
from plethprint.resample import MIN_RATE_HZ

__all__ = ["LiveFingerprint", "LiveFingerprints", "demand_rate"]


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


class LiveFingerprints:
    """Feeds blocks to a `FingerprintStream` and keeps its windows out of gaps.

    The rule: a gap of up to `plethprint.block.INTERPOLATED_GAP_S` is passed on as missing
    samples, so that the windows over it say so in `missing` and `gap_fraction` and lose
    quality. At a longer gap, at any gap that a lost link left, and at a device reset the
    stream begins anew and no window spans it. Samples taken off the skin count as missing
    too.

    Parameters
    ----------
    stream : FingerprintStream
        Fresh; at the wearable's sample rate and the channel's polarity.
    sample_rate_hz : float
        Nominal rate of the wearable.
    channel : int
        Column of the samples to use.
    """

    def __init__(
        self, stream: FingerprintStream, *, sample_rate_hz: float, channel: int
    ) -> None:
        self._stream = stream
        self._rate_hz = sample_rate_hz
        self._channel = channel
        self._first_index = 0
        self._last: Block | None = None
        self._gaps: deque[tuple[int, int]] = deque()  # interpolated, as sample indices

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
        if not block.frame.on_skin:
            # Of a sensor in the air there are counts, but of nobody: as good as missing.
            samples[:] = np.nan
        if missing:
            self._gaps.append((block.index - missing, block.index))
            samples = np.concatenate([np.full(missing, np.nan), samples])
        self._last = block
        prints += self._placed(self._stream.push(samples), block)
        return prints

    def finish(self) -> list[LiveFingerprint]:
        """Return what waited for samples that will not come; begin anew."""
        if self._last is None:
            return []
        prints = self._placed(self._stream.flush(), self._last)
        self._stream.reset()
        self._last = None
        self._gaps.clear()
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
        # From the newest block backwards: it knows most about the clocks.
        start_s = newest.start_s - (newest.index - first_index) * newest.host_period_s
        values = {f.name: getattr(fp, f.name) for f in fields(Fingerprint)}
        values["start"] = start_s
        gap_fraction = self._gap_fraction(first_index, fp.duration_s)
        if fp.quality_reason == "gaps" and fp.missing > 2.0 * gap_fraction:
            # Most of what is missing did arrive, from a sensor off the skin.
            values["quality_reason"] = "contact"
        return LiveFingerprint(
            **values,
            epoch=newest.epoch,
            first_index=first_index,
            gap_fraction=gap_fraction,
        )

    def _gap_fraction(self, first_index: float, duration_s: float) -> float:
        length = duration_s * self._rate_hz
        while self._gaps and self._gaps[0][1] <= first_index:  # windows only go forwards
            self._gaps.popleft()
        end = first_index + length
        absent = sum(
            max(0.0, min(last, end) - max(first, first_index)) for first, last in self._gaps
        )
        return min(absent / length, 1.0)

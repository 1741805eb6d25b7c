"""Knows what a virtual wearable's converter gave, and holds a received stream to it."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.block import Block, GapCause
from plethprint.live_fingerprints import LiveFingerprint
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.sensor import SampleBlock

__all__ = ["Witness"]

_REMEMBERED_S = 120.0
_INTERPOLATED_S = 0.1
_ENOUGH = 24  # samples that occur once within what is remembered


class Witness:
    """Watches a wearable's front end from the inside and its stream from the outside.

    Each epoch of the received index belongs to the device's own by one constant; the
    witness finds it from the first samples of the epoch (and anew after a reboot), and
    every later sample must then be the very one that the converter gave there. So nothing
    is missing that the index does not show, nothing is there twice, nothing is in the
    wrong place.

    Parameters
    ----------
    wearable : Peripheral
        Switched on already.
    """

    def __init__(self, wearable: Peripheral) -> None:
        self._wearable = wearable
        self._rate_hz = 1.0
        self._kept: deque[tuple[int, npt.NDArray[np.int32]]] = deque()
        self._kept_samples = 0
        self._boots = 0
        self._epoch = -1
        self._offset: int | None = None  # device's index of the stream's index 0
        self._column = 0
        self._end = 0
        self._lead: list[Block] = []  # the first ones, until their place is known
        self._absent: deque[tuple[int, int, int, bool]] = deque(maxlen=64)
        self.sent = 0
        """Samples that the device took from the first to the last received of an epoch."""
        self.received = 0
        """Samples received."""
        self.absent = 0
        """Samples that the index of received blocks leaves out within an epoch."""
        self.misplaced = 0
        """Samples that are not what the converter gave at their place."""
        self.unplaced = 0
        """Samples of epochs whose place on the device was not found."""
        self.fingerprints = 0
        """Fingerprints seen."""
        self.unflagged = 0
        """Fingerprints over absent samples that do not say so."""
        self.spanning = 0
        """Fingerprints over a gap that should have broken their window."""
        self.watch()

    def watch(self) -> None:
        """Look into the front end; again after a reboot, which makes a new one."""
        running: Any = self._wearable._booted()
        sampling = running.sampling
        self._rate_hz = sampling.rate_hz
        hand_over = sampling._on_block
        boot = self._boots = self._boots + 1
        self._kept.clear()
        self._kept_samples = 0
        # The device counts from 0 again, whatever a host makes of it.
        self._offset, self._lead = None, []

        def tapped(block: SampleBlock) -> None:
            if boot == self._boots:
                self._remember(block, sampling.rate_hz)
            hand_over(block)

        # The sensor's task takes the attribute each time it is switched on.
        sampling._on_block = tapped

    def _remember(self, block: SampleBlock, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        counts = np.asarray(block.counts, np.int32).reshape(len(block.counts), -1)
        self._kept.append((block.first_index, counts))
        self._kept_samples += len(counts)
        while self._kept_samples > _REMEMBERED_S * rate_hz:
            self._kept_samples -= len(self._kept.popleft()[1])

    def take(self, block: Block) -> None:
        """Hold a received block to the truth."""
        self.received += len(block.samples)
        if block.epoch != self._epoch:
            self._epoch = block.epoch
            self._offset, self._lead = None, []
        elif missing := block.index - self._end:
            self.absent += missing
            self.sent += missing
            over_link = block.gap is not None and block.gap.cause is GapCause.LINK
            self._absent.append((block.epoch, self._end, block.index, over_link))
            self._lead = []
        self.sent += len(block.samples)
        self._end = block.index + len(block.samples)
        if self._offset is None:
            self._place(block)
        else:
            self.misplaced += self._wrong(block.index, block.samples[:, 0], self._offset)

    def see(self, fingerprint: LiveFingerprint) -> None:
        """Hold a fingerprint to what is absent in its window."""
        self.fingerprints += 1
        first = fingerprint.first_index
        end = first + fingerprint.duration_s * self._rate_hz
        gaps = [
            (over_link, until - since)
            for epoch, since, until, over_link in self._absent
            if epoch == fingerprint.epoch and since < end and until > first
        ]
        if gaps and not fingerprint.gap_fraction > 0:
            self.unflagged += 1
        longest = _INTERPOLATED_S * self._rate_hz
        if any(over_link or samples > longest for over_link, samples in gaps):
            self.spanning += 1

    def _place(self, block: Block) -> None:
        """Find where on the device index 0 is, once enough samples follow each other."""
        self._lead.append(block)
        wanted = np.concatenate([part.samples[:, 0] for part in self._lead])
        if len(wanted) < _ENOUGH:
            return
        first = self._lead[0].index
        self._lead = []
        for at in range(len(self._kept) - 1, -1, -1):  # the newest first
            found = self._match(at, wanted)
            if found is not None:
                self._offset = found - first
                return
        self.unplaced += len(wanted)

    def _match(self, at: int, wanted: npt.NDArray[np.int32]) -> int | None:
        parts, first, have = [], self._kept[at][0], 0
        need = len(self._kept[at][1]) + len(wanted)
        for index in range(at, len(self._kept)):
            parts.append(self._kept[index][1])
            have += len(parts[-1])
            if have >= need:
                break
        together = np.concatenate(parts)
        for column in range(together.shape[1]):
            values = together[:, column]
            starts = np.flatnonzero(values[: len(self._kept[at][1])] == wanted[0])
            for start in starts.tolist():
                if np.array_equal(values[start : start + len(wanted)], wanted):
                    self._column = column
                    return first + int(start)
        return None

    def _wrong(self, index: int, wanted: npt.NDArray[np.int32], offset: int) -> int:
        """Samples that are not the converter's."""
        first = index + offset
        for since, counts in reversed(self._kept):
            until = since + len(counts)
            if since >= first + len(wanted) or until <= first:
                if until <= first:
                    break
                continue
            low, high = max(since, first), min(until, first + len(wanted))
            truth = counts[low - since : high - since, self._column]
            if not np.array_equal(truth, wanted[low - first : high - first]):
                return len(wanted)
        return 0

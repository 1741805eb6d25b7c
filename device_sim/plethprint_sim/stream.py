"""Hours of one wearer, read by sample index in any order and any chunks."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from plethprint.errors import SignalError
from plethprint_sim.deposit import Float32Array
from plethprint_sim.disturbance import MOVING, Chance, draw_chance, knots_in
from plethprint_sim.rhythm import Beats, FloatArray, first_state, next_beats
from plethprint_sim.source import FULL_SCALE_COUNTS, BoolArray, check_range, check_rate
from plethprint_sim.synthesis import LEAD_S, Stretch, synthesise
from plethprint_sim.wearer import Wearer

_BLOCK_S = 20.0
"""Signals are made in blocks of about this length: three knots of the slowest noise.

With fewer, the spline of one block would end on knots beyond the next block's.
"""

_BLOCKS_KEPT = 8


class WearerStream:
    """Endless paired signals of one wearer; a `SignalSource`.

    Sample i is the same whatever was read before it, and in whatever chunks. Time
    zero is the first sample.

    Parameters
    ----------
    wearer
        Who.
    seed
        Seed of everything that is chance, not negative.
    sample_rate_hz
        20 to 500 Hz.

    Raises
    ------
    plethprint.errors.SampleRateError
        The sample rate lies outside 20..500 Hz.
    plethprint.errors.SignalError
        The seed is negative.

    Examples
    --------
    >>> from plethprint_sim import Wearer, WearerStream
    >>> ppg, ecg = WearerStream(Wearer(), seed=1).read(0, 1250)
    >>> ppg.shape, ecg.shape
    ((1250,), (1250,))
    """

    def __init__(self, wearer: Wearer, *, seed: int, sample_rate_hz: float = 125.0) -> None:
        check_rate(sample_rate_hz)
        if seed < 0:
            raise SignalError(f"expected a seed that is not negative, got {seed}")
        self.wearer = wearer
        self.seed = seed
        self.sample_rate_hz = float(sample_rate_hz)
        self._people = wearer.traits()
        self._block = round(_BLOCK_S * sample_rate_hz)
        self._state = first_state(self._people, self._rng(0, 0), start_s=-LEAD_S)
        self._beats: list[Beats] = []
        self._chances: OrderedDict[int, Chance] = OrderedDict()
        self._stretches: OrderedDict[int, Stretch] = OrderedDict()

    @property
    def length(self) -> int | None:
        """None: there is no end."""
        return None

    def read(self, start_index: int, count: int) -> tuple[Float32Array, Float32Array]:
        """PPG (0 dark to 1 full scale) and ECG (millivolts), float32 (count,) each."""
        parts = [
            (stretch.ppg[0, part], stretch.ecg[0, part])
            for stretch, part in self._parts(start_index, count)
        ]
        empty = np.zeros(0, dtype=np.float32)
        ppg = np.concatenate([empty, *(part[0] for part in parts)])
        ecg = np.concatenate([empty, *(part[1] for part in parts)])
        return ppg, ecg

    def counts(self, start_index: int, count: int) -> npt.NDArray[np.int32]:
        """PPG as the converter gives it: int32 (count,), 0 to 2**23 - 1 (saturated)."""
        ppg, _ = self.read(start_index, count)
        return np.rint(ppg.astype(np.float64) * FULL_SCALE_COUNTS).astype(np.int32)

    def contact(self, start_index: int, count: int) -> BoolArray:
        """Whether the sensor touches the skin, bool (count,)."""
        parts = self._parts(start_index, count)
        none = np.zeros(0, dtype=np.bool_)
        return np.concatenate([none, *(s.apart[0, part] <= 0 for s, part in parts)])

    def motion(self, start_index: int, count: int) -> BoolArray:
        """Whether the wearer moves, bool (count,)."""
        parts = self._parts(start_index, count)
        none = np.zeros(0, dtype=np.bool_)
        return np.concatenate([none, *(s.moving[0, part] > MOVING for s, part in parts)])

    def beat_times_s(self, start_s: float, stop_s: float) -> FloatArray:
        """Times of the R peaks from `start_s` to before `stop_s`, seconds."""
        last = int(stop_s * self.sample_rate_hz // self._block)
        first = int(start_s * self.sample_rate_hz // self._block)
        time_s = self._beats_around(first, last).time_s[0]
        return np.asarray(time_s[(time_s >= start_s) & (time_s < stop_s)])

    def _parts(self, start_index: int, count: int) -> list[tuple[Stretch, slice]]:
        """The stretches that hold the wanted samples, and where in each they lie."""
        check_range(start_index, count)
        stop = start_index + count
        parts = []
        for block in range(start_index // self._block, -(-stop // self._block)):
            first = block * self._block
            part = slice(max(start_index - first, 0), min(stop - first, self._block))
            parts.append((self._stretch(block), part))
        return parts

    def _stretch(self, block: int) -> Stretch:
        made = self._stretches.get(block)
        if made is None:
            made = synthesise(
                self._people,
                self._beats_around(block, block),
                self._chance_of(block),
                start_s=block * self._block / self.sample_rate_hz,
                samples=self._block,
                sample_rate_hz=self.sample_rate_hz,
            )
            self._stretches[block] = made
            if len(self._stretches) > _BLOCKS_KEPT:
                self._stretches.popitem(last=False)
        return made

    def _beats_around(self, first_block: int, last_block: int) -> Beats:
        """Beats of these blocks, the one before and the one after."""
        block_s = self._block / self.sample_rate_hz
        while len(self._beats) <= last_block + 1:
            index = len(self._beats)
            beats, self._state = next_beats(
                self._people,
                self._state,
                self._rng(1, index),
                until_s=(index + 1) * block_s,
            )
            self._beats.append(beats)
        wanted = self._beats[max(first_block - 1, 0) : last_block + 2]
        joined = wanted[0]
        for beats in wanted[1:]:
            joined = joined.joined(beats)
        return joined

    def _chance_of(self, block: int) -> Chance:
        """Chance of a block; its splines end on the next block's first knots."""
        here, following = self._drawn(block), self._drawn(block + 1)
        counts = knots_in(self._block / self.sample_rate_hz)

        def knots(
            now: tuple[Float32Array, ...], then: tuple[Float32Array, ...]
        ) -> tuple[Float32Array, ...]:
            return tuple(
                np.concatenate((a[:, :count], b[:, :3]), axis=1)
                for a, b, count in zip(now, then, counts, strict=True)
            )

        motion, contact_loss = here.motion, here.contact_loss
        pressure = here.pressure
        if block > 0:
            # A burst may outlast the block in which it began.
            before = self._drawn(block - 1)
            motion = np.concatenate((before.motion, motion), axis=1)
            contact_loss = np.concatenate((before.contact_loss, contact_loss), axis=1)
            pressure = np.concatenate((before.pressure, pressure), axis=1)
        return Chance(
            ppg_knots=knots(here.ppg_knots, following.ppg_knots),
            ecg_knots=knots(here.ecg_knots, following.ecg_knots),
            ppg_white=here.ppg_white,
            ecg_white=here.ecg_white,
            motion=motion,
            contact_loss=contact_loss,
            pressure=pressure,
        )

    def _drawn(self, block: int) -> Chance:
        drawn = self._chances.get(block)
        if drawn is None:
            drawn = draw_chance(
                self._people,
                self._rng(2, block),
                start_s=block * self._block / self.sample_rate_hz,
                samples=self._block,
                sample_rate_hz=self.sample_rate_hz,
            )
            self._chances[block] = drawn
            if len(self._chances) > _BLOCKS_KEPT:
                self._chances.popitem(last=False)
        return drawn

    def _rng(self, purpose: int, block: int) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64([self.seed, purpose, block]))

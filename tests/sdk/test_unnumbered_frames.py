"""The timeline with frames that have no number, or no time, from links that lose them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plethprint.ble.plain_driver import PlacedFrame
from plethprint.ble.sample_index import SampleIndex
from plethprint.block import Block, GapCause
from plethprint.timeline import Timeline

RATE_HZ = 55.0
N = 20
EPOCH_S = 7.9e8


def counts_of(number: int) -> np.ndarray:
    """Samples that tell their own index."""
    return np.arange(number * N, (number + 1) * N, dtype=np.int32)[:, np.newaxis]


class Timed:
    """Places frames by the device time of their last sample alone."""

    def __init__(self, true_rate_hz: float) -> None:
        self._index = SampleIndex(RATE_HZ)
        self._true_rate_hz = true_rate_hz

    def last_s(self, number: int) -> float:
        return EPOCH_S + ((number + 1) * N - 1) / self._true_rate_hz

    def place(self, number: int) -> PlacedFrame:
        last_s = self.last_s(number)
        first = self._index.by_time(N, last_s=last_s)
        period_s = self._index.period_s
        return PlacedFrame.timed(
            counts_of(number), first, last_s=last_s, period_s=period_s, frame=number
        )


def assert_in_place(blocks: list[Block], timeline: Timeline) -> None:
    """Samples tell their index; those absent are told by the gaps and by nothing else."""
    first = int(blocks[0].samples[0, 0])
    next_index = 0
    for block in blocks:
        missing = block.gap.samples if block.gap else 0
        assert block.index - blocks[0].index == next_index + missing
        expected = first + block.index - blocks[0].index
        assert block.samples[:, 0].tolist() == list(
            range(expected, expected + len(block.samples))
        )
        next_index += missing + len(block.samples)
    counts = timeline.counts
    assert counts.samples + counts.missing_samples == next_index
    assert counts.missing_samples == counts.lost_samples + counts.link_gap_samples


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-0.015, 0.015),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.05, 0.2]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.1]),
)
def test_every_sample_is_accounted_for_by_the_devices_clock(
    error: float, seed: int, loss: float, swap: float, repeat: float
) -> None:
    rng = random.Random(seed)
    device, timeline = Timed(RATE_HZ * (1 + error)), Timeline(RATE_HZ)
    order = [n for n in range(80) if n < 10 or rng.random() >= loss]
    for at in range(10, len(order) - 1, 2):  # by one place: more is too late
        if rng.random() < swap:
            order[at], order[at + 1] = order[at + 1], order[at]
    blocks: list[Block] = []
    now_s, repeated = 0.0, 0
    for number in order:
        now_s = max(now_s + 1e-4, device.last_s(number) - EPOCH_S + 0.01)
        blocks += timeline.push(device.place(number), now_s)
        if rng.random() < repeat:
            repeated += 1
            blocks += timeline.push(device.place(number), now_s)
    blocks += timeline.flush()
    assert_in_place(blocks, timeline)
    assert timeline.counts.duplicates == repeated
    assert timeline.counts.stray_frames == timeline.counts.device_resets == 0
    lost = (max(order) + 1) * N - len(order) * N
    assert timeline.counts.missing_samples == lost


def test_a_device_whose_clock_restarted_begins_a_new_epoch_after_two_frames() -> None:
    timeline = Timeline(RATE_HZ)
    device = Timed(RATE_HZ)
    blocks = [
        b for n in range(50) for b in timeline.push(device.place(n), 10.0 + n * N / RATE_HZ)
    ]
    for k in range(20):
        last_s = 5.0 + ((k + 1) * N - 1) / RATE_HZ
        first = device._index.by_time(N, last_s=last_s)
        frame = PlacedFrame.timed(
            counts_of(k), first, last_s=last_s, period_s=1 / RATE_HZ, frame=k
        )
        blocks += timeline.push(frame, 40.0 + k * N / RATE_HZ)
    assert timeline.counts.device_resets == 1
    assert timeline.counts.stray_frames == 0
    assert [b.gap.cause for b in blocks if b.gap] == [GapCause.RESET]
    assert timeline.counts.samples == 70 * N


def test_one_frame_with_an_absurd_time_is_a_stray_and_changes_nothing() -> None:
    timeline = Timeline(RATE_HZ)
    device = Timed(RATE_HZ)
    blocks: list[Block] = []
    for n in range(40):
        if n == 20:
            first = device._index.by_time(N, last_s=3.0)
            absurd = PlacedFrame.timed(
                counts_of(99), first, last_s=3.0, period_s=1 / RATE_HZ, frame=n
            )
            blocks += timeline.push(absurd, 10.0 + n * N / RATE_HZ)
        blocks += timeline.push(device.place(n), 10.0 + n * N / RATE_HZ)
    assert_in_place(blocks, timeline)
    assert timeline.counts.stray_frames == 1
    assert timeline.counts.missing_samples == 0


def test_frames_without_any_time_are_timed_by_their_count() -> None:
    """A Muse: a counter and no clock; arrivals jitter, sample times do not."""
    rng = random.Random(3)
    index, timeline = SampleIndex(64.0, sequence_bits=16), Timeline(64.0)
    blocks: list[Block] = []
    for n in range(1600):
        counts = np.full((6, 3), n, np.int32)
        first = index.by_sequence(6, n)
        arrival_s = 1000.0 + (6 * n + 5) / 64.0 + 0.01 + 0.03 * rng.random()
        blocks += timeline.push(PlacedFrame(counts, first, n), arrival_s)
    assert timeline.counts.samples == 9_600
    late = [block for block in blocks if block.index > 64 * 100]
    errors_s = [block.start_s - (1000.0 + block.index / 64.0) for block in late]
    assert min(errors_s) >= 0.0
    assert max(errors_s) < 0.02
    assert timeline.clock.drift_ppm == pytest.approx(0.0, abs=30.0)

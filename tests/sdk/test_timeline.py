"""The timeline against a device and a link whose truth is known."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plethprint.ble.frame import PpgFrame
from plethprint.block import Block, GapCause
from plethprint.clock import DeviceClock, HostClock
from plethprint.timeline import Timeline

RATE_HZ = 125.0
FRAME = 8
EPOCH_S = 1.7e9  # seconds since 1970, to keep the rounding of doubles in the test


@dataclass(frozen=True)
class Device:
    """Takes samples at RATE_HZ of its own, drifting, clock; samples tell their index."""

    drift_ppm: float = 0.0
    first_sequence: int = 0
    first_index: int = 0
    first_time_us: int = 0

    def taken_at(self, index: float) -> float:
        """True host time of a sample (index counted from the first one)."""
        return EPOCH_S + index / RATE_HZ * (1 + self.drift_ppm * 1e-6)

    def frame(self, number: int, *, skipped: int = 0, overflow_frames: int = 0) -> PpgFrame:
        """Frame `number`; `skipped` samples before it were dropped by the device."""
        start = number * FRAME + skipped
        counts = (np.arange(start, start + FRAME, dtype=np.int32) % 8_000_000)[:, None]
        return PpgFrame(
            sequence=(self.first_sequence + number) & 0xFFFF,
            first_index=(self.first_index + start) & 0xFFFF_FFFF,
            device_time_us=(self.first_time_us + round(start / RATE_HZ * 1e6))
            & 0xFFFF_FFFF,
            counts=counts,
            overflow_frames=overflow_frames & 0xFFFF,
        )

    def sent_at(self, frame: PpgFrame) -> float:
        """Earliest moment at which the frame could be sent: its last sample was taken."""
        return self.taken_at(int(frame.counts[-1, 0]))


def run(timeline: Timeline, arrivals: list[tuple[float, PpgFrame]]) -> list[Block]:
    blocks = [b for at, frame in arrivals for b in timeline.push(frame, at)]
    return blocks + timeline.flush()


def steady(
    device: Device, frames: range, latency_s: float = 0.005
) -> list[tuple[float, PpgFrame]]:
    made = [device.frame(n) for n in frames]
    return [(device.sent_at(frame) + latency_s, frame) for frame in made]


def assert_ordered(blocks: list[Block]) -> None:
    for before, after in pairwise(blocks):
        if before.epoch == after.epoch:
            gap = after.gap.samples if after.gap else 0
            assert after.index == before.index + len(before.samples) + gap
        else:
            assert after.epoch == before.epoch + 1
            assert after.gap is not None
            assert after.gap.cause is GapCause.RESET
        assert after.start_s >= before.start_s


@st.composite
def journeys(draw: st.DrawFn) -> tuple[Device, random.Random, int, float, float, float]:
    device = Device(
        drift_ppm=draw(st.floats(-50, 50)),
        first_sequence=draw(st.sampled_from([0, 7, 0xFFF0, 0xFFFF])),
        first_index=draw(st.sampled_from([0, 0xFFFF_FF00, 0xFFFF_FFFF])),
        first_time_us=draw(st.sampled_from([0, 0xFFF0_0000, 0xFFFF_FFFF])),
    )
    rng = random.Random(draw(st.integers(0, 2**32)))
    loss, swap, repeat = (draw(st.sampled_from([0.0, 0.02, 0.1])) for _ in range(3))
    return device, rng, draw(st.integers(40, 400)), loss, swap, repeat


@settings(max_examples=60, deadline=None)
@given(journeys())
def test_every_frame_is_accounted_for_exactly_once(
    journey: tuple[Device, random.Random, int, float, float, float],
) -> None:
    device, rng, n, loss, swap, repeat = journey
    kept = [k for k in range(n) if k in (0, n - 1) or rng.random() >= loss]
    # Neighbours change places; the first stays first, or nobody could know it was not.
    order = list(kept)
    swapped = 0
    at = 1
    while at < len(order) - 2:
        if rng.random() < swap:
            order[at], order[at + 1] = order[at + 1], order[at]
            swapped += 1
            at += 1
        at += 1
    repeated = 0
    arrivals: list[tuple[float, PpgFrame]] = []
    clock_s = 0.0
    for position, number in enumerate(order):
        frame = device.frame(number)
        clock_s = max(clock_s, device.sent_at(frame) + rng.uniform(0.001, 0.016))
        arrivals.append((clock_s, frame))
        if rng.random() < repeat:
            repeated += 1
            back = rng.randrange(min(position + 1, 5))
            arrivals.append((clock_s, arrivals[-1 - back][1]))
    timeline = Timeline(RATE_HZ)
    blocks = run(timeline, arrivals)

    assert_ordered(blocks)
    received = np.concatenate([block.samples[:, 0] for block in blocks])
    expected = np.concatenate([np.arange(k * FRAME, (k + 1) * FRAME) for k in kept])
    np.testing.assert_array_equal(received, expected)
    indices = np.concatenate([np.arange(b.index, b.index + FRAME) for b in blocks])
    np.testing.assert_array_equal(indices - device.first_index, expected)
    counts = timeline.counts
    assert counts.frames == len(arrivals)
    assert counts.samples == len(expected)
    assert counts.lost_frames == n - len(kept)
    assert counts.lost_samples == counts.missing_samples == (n - len(kept)) * FRAME
    assert counts.reordered == swapped
    assert counts.duplicates == repeated
    assert (counts.late_frames, counts.stray_frames, counts.device_resets) == (0, 0, 0)


@settings(max_examples=6, deadline=None)
@example(1, 50.0, 0.0075, 0.0, 0)
@example(2, -50.0, 0.0075, 0.0, 0xFFFF_FFFF)
@example(3, 50.0, 0.015, 0.1, 0)
@given(
    seed=st.integers(0, 2**32),
    drift_ppm=st.floats(-50, 50),
    interval_s=st.sampled_from([0.0075, 0.015]),
    error_share=st.sampled_from([0.0, 0.1]),
    first_time_us=st.sampled_from([0, 0xFFFF_FFFF - 60_000_000]),
)
def test_host_time_is_recovered_within_milliseconds_despite_jitter_and_drift(
    seed: int, drift_ppm: float, interval_s: float, error_share: float, first_time_us: int
) -> None:
    device = Device(
        drift_ppm=drift_ppm, first_time_us=first_time_us, first_index=2**32 - 500
    )
    rng = random.Random(seed)
    timeline = Timeline(RATE_HZ)
    errors: list[float] = []
    phase_s = rng.uniform(0, interval_s)
    last_s = -np.inf
    for number in range(round(200 * RATE_HZ / FRAME)):
        frame = device.frame(number)
        sent_s = device.sent_at(frame) + 0.0005
        # Connection events on the host's clock; a packet error waits for the next event.
        arrival_s = (
            EPOCH_S
            + phase_s
            + interval_s * np.ceil((sent_s - EPOCH_S - phase_s) / interval_s)
        )
        while rng.random() < error_share:
            arrival_s += interval_s
        last_s = arrival_s = max(arrival_s, last_s) + rng.uniform(0, 0.001)
        for block in timeline.push(frame, arrival_s):
            if number * FRAME / RATE_HZ > 30:
                truth_s = device.taken_at(int(block.samples[0, 0]))
                errors.append(block.start_s - truth_s)
                tail = timeline.host_time(block.index - 10 * RATE_HZ)
                errors.append(
                    tail - device.taken_at(int(block.samples[0, 0]) - 10 * RATE_HZ)
                )
    # Bounded by the smallest latency of the link, which no receiver can know.
    assert max(errors) < 0.004
    assert min(errors) > -0.002
    if interval_s == 0.0075 and error_share == 0:
        assert abs(timeline.clock.drift_ppm - drift_ppm) < 25


def test_arrival_time_is_never_sample_time() -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    arrivals = steady(device, range(400))
    stall_s = arrivals[200][0] + 3.0
    arrivals[200:250] = [(max(at, stall_s), frame) for at, frame in arrivals[200:250]]
    blocks = run(timeline, arrivals)
    for block in blocks:
        assert block.start_s == pytest.approx(
            device.taken_at(block.index) + 0.005, abs=1e-4
        )
    assert timeline.counts.missing_samples == 0


def test_a_first_frame_that_comes_late_is_corrected_without_going_back_in_time() -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    arrivals = steady(device, range(400))
    arrivals[:30] = [(arrivals[30][0], frame) for _, frame in arrivals[:30]]
    blocks = run(timeline, arrivals)
    starts = np.array([block.start_s for block in blocks])
    assert (np.diff(starts) > 0).all()
    assert starts[-1] == pytest.approx(device.taken_at(blocks[-1].index) + 0.005, abs=1e-3)


def test_overflow_is_told_apart_from_loss() -> None:
    device = Device()
    arrivals = steady(device, range(20))
    # Frames 20..29 were dropped by the device: its sequence goes on, the index jumps.
    skipped = 10 * FRAME
    made = [device.frame(n, skipped=skipped, overflow_frames=10) for n in range(20, 40)]
    del made[5:8]  # and three were lost on the way
    arrivals += [(device.sent_at(frame), frame) for frame in made]
    timeline = Timeline(RATE_HZ)
    blocks = run(timeline, arrivals)
    assert_ordered(blocks)
    counts = timeline.counts
    assert counts.overflow_samples == skipped
    assert counts.lost_frames == 3
    assert counts.lost_samples == 3 * FRAME
    assert counts.missing_samples == skipped + 3 * FRAME
    assert [b.gap.cause for b in blocks if b.gap] == [GapCause.OVERFLOW, GapCause.LOST]


def test_overflow_is_known_also_when_dropped_frames_take_sequence_numbers() -> None:
    device = Device()
    arrivals = steady(device, range(20))
    made = [replace(device.frame(n), overflow_frames=10) for n in range(30, 40)]
    arrivals += [(device.sent_at(frame), frame) for frame in made]
    timeline = Timeline(RATE_HZ)
    first_after = [timeline.push(frame, at) for at, frame in arrivals][20]
    assert timeline.counts.overflow_samples == 10 * FRAME
    assert timeline.counts.lost_frames == 0
    assert len(first_after) == 1  # the device's word is enough: nothing to wait for


def test_a_link_gap_is_counted_to_the_sample() -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    blocks = run(timeline, steady(device, range(50)))
    blocks += timeline.link_lost()
    blocks += timeline.link_lost()  # said twice, counted once
    blocks += run(timeline, steady(device, range(90, 120)))
    assert_ordered(blocks)
    counts = timeline.counts
    assert counts.link_gaps == 1
    assert counts.link_gap_samples == counts.missing_samples == 40 * FRAME
    assert counts.lost_frames == 0
    assert [b.gap.cause for b in blocks if b.gap] == [GapCause.LINK]


def test_a_link_that_comes_back_before_a_sample_is_missing_leaves_no_gap() -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    blocks = run(timeline, steady(device, range(50)))
    blocks += timeline.link_lost()
    blocks += run(timeline, steady(device, range(50, 60)))
    assert [block.gap for block in blocks] == [None] * 60
    assert timeline.counts.link_gaps == 1
    assert timeline.counts.missing_samples == 0


def test_a_gap_longer_than_the_wrap_of_the_device_clock_keeps_its_time() -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    blocks = run(timeline, steady(device, range(200)))
    blocks += timeline.link_lost()
    later = round(5 * 3600 * RATE_HZ / FRAME)
    blocks += run(timeline, steady(device, range(later, later + 20)))
    assert_ordered(blocks)
    assert timeline.counts.device_resets == 0
    assert timeline.counts.link_gap_samples == (later - 200) * FRAME
    truth_s = device.taken_at(blocks[-1].index) + 0.005
    assert blocks[-1].start_s == pytest.approx(truth_s, abs=1e-3)


def test_a_device_that_restarts_behind_a_lost_link_opens_a_new_epoch() -> None:
    timeline = Timeline(RATE_HZ)
    blocks = run(timeline, steady(Device(), range(50)))
    blocks += timeline.link_lost()
    restarted = steady(Device(first_time_us=13), range(2, 20))
    blocks += run(timeline, [(at + 60, frame) for at, frame in restarted])
    assert_ordered(blocks)
    assert [block.epoch for block in blocks] == [0] * 50 + [1] * 18
    assert timeline.counts.device_resets == 1
    assert timeline.counts.missing_samples == 0  # nobody knows; none is made up
    assert blocks[50].start_s == pytest.approx(EPOCH_S + 60 + 2 * FRAME / RATE_HZ, abs=0.01)


def test_a_pause_is_nobodys_gap() -> None:
    timeline = Timeline(RATE_HZ)
    blocks = run(timeline, steady(Device(), range(50)))
    blocks += timeline.pause()
    blocks += run(timeline, steady(Device(), range(70, 90)))
    assert [block.epoch for block in blocks] == [0] * 50 + [1] * 20
    assert all(block.gap is None for block in blocks)
    assert (timeline.counts.missing_samples, timeline.counts.device_resets) == (0, 0)
    assert blocks[50].start_s == pytest.approx(EPOCH_S + 70 * FRAME / RATE_HZ, abs=0.01)


def test_a_reset_on_a_live_link_is_believed_once_a_second_frame_follows_it() -> None:
    timeline = Timeline(RATE_HZ)
    run(timeline, steady(Device(), range(300)))
    restarted = [
        (
            at + 300 * FRAME / RATE_HZ,
            replace(frame, device_time_us=frame.device_time_us + 7),
        )
        for at, frame in steady(Device(), range(10))
    ]
    assert timeline.push(restarted[0][1], restarted[0][0]) == []
    blocks = run(timeline, restarted[1:])
    assert [block.index for block in blocks] == [k * FRAME for k in range(10)]
    assert blocks[0].gap is not None
    assert blocks[0].gap.cause is GapCause.RESET
    assert timeline.counts.device_resets == 1
    assert timeline.counts.stray_frames == 0
    assert timeline.counts.frames == 310


def test_one_frame_from_nowhere_does_not_move_the_stream() -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    arrivals = steady(device, range(40))
    stray = replace(device.frame(20), first_index=0xDEAD_BEEF, sequence=0xBEEF)
    arrivals.insert(20, (arrivals[20][0], stray))
    blocks = run(timeline, arrivals)
    assert [block.index for block in blocks] == [k * FRAME for k in range(40)]
    assert timeline.counts.stray_frames == 1
    assert timeline.counts.device_resets == 0


def test_a_frame_that_comes_after_it_was_given_up_is_late_and_stays_missing() -> None:
    device = Device()
    timeline = Timeline(RATE_HZ, reorder_frames=4)
    arrivals = steady(device, range(30))
    arrivals.insert(20, arrivals.pop(10))
    blocks = run(timeline, arrivals)
    assert_ordered(blocks)
    assert timeline.counts.late_frames == 1
    assert timeline.counts.lost_frames == 1
    assert timeline.counts.missing_samples == FRAME


@pytest.mark.parametrize("speed", [0.0, 0.001, 1.5])  # stands still, counts ms, races
def test_a_nonsensical_clock_gives_way_to_the_sample_count(speed: float) -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    made = [device.frame(n) for n in range(1000)]
    made = [replace(f, device_time_us=round(speed * f.device_time_us)) for f in made]
    blocks = run(timeline, [(device.sent_at(f) + 0.005, f) for f in made])
    for block in blocks[200:]:
        truth_s = device.taken_at(block.index) + 0.005
        assert block.start_s == pytest.approx(truth_s, abs=1e-3)


frames = st.builds(
    lambda sequence, index, time_us, n, overflow: PpgFrame(
        sequence=sequence,
        first_index=index,
        device_time_us=time_us,
        counts=np.zeros((n, 1), np.int32),
        overflow_frames=overflow,
    ),
    st.integers(0, 5) | st.integers(0, 0xFFFF),
    st.integers(0, 50) | st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 0xFFFF_FFFF),
    st.integers(1, 20),
    st.integers(0, 0xFFFF),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(frames | st.none(), st.floats(-1, 100)), max_size=60))
def test_hostile_frames_never_raise_nor_break_the_order(
    events: list[tuple[PpgFrame | None, float]],
) -> None:
    timeline = Timeline(RATE_HZ)
    blocks: list[Block] = []
    for frame, arrival_s in events:
        if frame is None:
            blocks += timeline.link_lost()
        else:
            blocks += timeline.push(frame, arrival_s)
    blocks += timeline.flush()
    for before, after in pairwise(blocks):
        if after.epoch == before.epoch:
            assert after.index >= before.index + len(before.samples)
        else:
            assert after.epoch > before.epoch
    counts = timeline.counts
    assert counts.samples == sum(len(block.samples) for block in blocks)
    causes = counts.lost_samples + counts.overflow_samples + counts.link_gap_samples
    assert counts.missing_samples == causes
    dropped = counts.duplicates + counts.late_frames + counts.stray_frames
    assert counts.frames == len(blocks) + dropped == sum(f is not None for f, _ in events)


def test_a_drift_that_only_a_stall_pretends_is_not_believed() -> None:
    clock = DeviceClock()
    for second in range(36):
        delay_s = 0.2 if second < 24 else 0.005
        clock.observe(float(second), second + delay_s)
    assert abs(clock.host_time(35.0) - 35.005) < 0.01


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_host_clock_set_during_a_link_gap_makes_no_device_reset(step_s: float) -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    blocks = run(timeline, steady(device, range(50)))
    blocks += timeline.link_lost()
    timeline.host_clock_stepped(step_s)
    later = round(120 * RATE_HZ / FRAME)
    blocks += run(
        timeline, [(at + step_s, f) for at, f in steady(device, range(later, later + 20))]
    )
    assert timeline.counts.device_resets == 0
    assert timeline.counts.link_gap_samples == (later - 50) * FRAME
    truth_s = device.taken_at(blocks[-1].index) + 0.005 + step_s
    assert blocks[-1].start_s == pytest.approx(truth_s, abs=1e-3)


def test_an_hour_asleep_is_a_link_gap_and_no_device_reset() -> None:
    device = Device()
    timeline = Timeline(RATE_HZ)
    run(timeline, steady(device, range(50)))
    timeline.link_lost()
    timeline.host_clock_stepped(3600.0)  # its own clock slept as well
    later = round(3600 * RATE_HZ / FRAME)
    run(timeline, steady(device, range(later, later + 20)))
    assert timeline.counts.device_resets == 0
    assert timeline.counts.link_gap_samples == (later - 50) * FRAME


def test_a_set_wall_clock_moves_host_time_only_on_request() -> None:
    wall, ticks = [1000.0], [0.0]
    clock = HostClock(lambda: ticks[0], lambda: wall[0])
    wall[0], ticks[0] = 5000.0, 1.0
    assert clock.now() == 1001.0
    assert clock.resynchronise() == 3999.0
    assert clock.now() == 5000.0
    wall[0], ticks[0] = 5001.1, 2.0
    assert clock.resynchronise() == 0.0
    assert clock.now() == 5001.0

"""Indices for samples of wearables that do not number them."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint.ble.sample_index import SampleIndex

RATE_HZ = 55.0
N = 20


def frames(count: int, *, rate_hz: float = RATE_HZ, start_s: float = 8e8) -> list[float]:
    """Device time of the last sample of frames of `N` samples."""
    return [start_s + ((k + 1) * N - 1) / rate_hz for k in range(count)]


def test_frames_in_a_row_follow_each_other() -> None:
    index = SampleIndex(RATE_HZ)
    assert [index.by_time(N, last_s=t) for t in frames(50)] == [N * k for k in range(50)]


@pytest.mark.parametrize("error", [-0.03, -0.001, 0.001, 0.03])
def test_a_front_end_off_its_nominal_rate_loses_nothing(error: float) -> None:
    index = SampleIndex(RATE_HZ)
    times = frames(1000, rate_hz=RATE_HZ * (1 + error))
    assert [index.by_time(N, last_s=t) for t in times] == [N * k for k in range(1000)]
    assert index.period_s == pytest.approx(1 / RATE_HZ / (1 + error), rel=1e-6)


@pytest.mark.parametrize("lost", [1, 3, 40, 500])
def test_lost_frames_leave_a_hole_of_their_length(lost: int) -> None:
    index = SampleIndex(RATE_HZ)
    times = frames(800, rate_hz=RATE_HZ * 1.01)
    for t in times[:100]:
        index.by_time(N, last_s=t)
    assert index.by_time(N, last_s=times[100 + lost]) == N * (100 + lost)


def test_single_samples_that_are_absent_are_seen() -> None:
    index = SampleIndex(RATE_HZ)
    times = frames(40)
    for t in times[:20]:
        index.by_time(N, last_s=t)
    assert index.by_time(N, last_s=times[20] + 3 / RATE_HZ) == 20 * N + 3


def test_late_and_repeated_frames_get_their_own_place() -> None:
    index = SampleIndex(RATE_HZ)
    times = frames(30)
    for t in times[:10]:
        index.by_time(N, last_s=t)
    assert index.by_time(N, last_s=times[12]) == 12 * N
    assert index.by_time(N, last_s=times[11]) == 11 * N
    assert index.by_time(N, last_s=times[10]) == 10 * N
    assert index.by_time(N, last_s=times[12]) == 12 * N
    assert index.by_time(N, last_s=times[13]) == 13 * N


def test_one_absurd_time_does_not_move_what_follows() -> None:
    index = SampleIndex(RATE_HZ)
    times = frames(30)
    for t in times[:10]:
        index.by_time(N, last_s=t)
    index.by_time(N, last_s=1.8e10)
    index.by_time(N, last_s=0.0)
    assert index.by_time(N, last_s=times[10]) == 10 * N


def test_frames_of_a_restarted_clock_follow_each_other() -> None:
    index = SampleIndex(RATE_HZ)
    for t in frames(10):
        index.by_time(N, last_s=t)
    places = [index.by_time(N, last_s=t) for t in frames(5, start_s=10.0)]
    assert np.diff(places).tolist() == [N] * 4
    assert all(0 <= place < 1 << 32 for place in places)


def test_memory_stays_bounded() -> None:
    index = SampleIndex(RATE_HZ)
    for t in frames(2_000):
        index.by_time(N, last_s=t)
    assert len(index._anchors) == len(index._order) <= 64


def test_a_counter_that_wraps_is_unrolled_and_its_jumps_are_holes() -> None:
    index = SampleIndex(64.0, sequence_bits=16)
    given = [index.by_sequence(6, s) for s in (65_534, 65_535, 0, 3, 2, 4, 3)]
    assert given == [0, 6, 12, 30, 24, 36, 30]


def test_the_time_tells_how_often_a_narrow_counter_wrapped() -> None:
    index = SampleIndex(25.0, sequence_bits=8)
    index.by_sequence(5, 10, last_s=100.0)
    frames_later = 200  # more than half of the counter's span: without time, 56 before
    last_s = 100.0 + frames_later * 5 / 25.0 + 0.03
    sequence = (10 + frames_later) % 256
    assert index.by_sequence(5, sequence, last_s=last_s) == frames_later * 5
    assert index.by_sequence(5, sequence - 1, last_s=last_s - 0.2) == frames_later * 5 - 5


def test_a_counter_starts_afresh_on_a_new_link_unless_time_tells_the_gap() -> None:
    index = SampleIndex(25.0, sequence_bits=8)
    index.by_sequence(5, 200)
    index.by_sequence(5, 201)
    index.new_link()
    assert index.by_sequence(5, 7) == 0

    index = SampleIndex(25.0, sequence_bits=8)
    index.by_sequence(5, 200, last_s=100.0)
    index.new_link()
    assert index.by_sequence(5, 7, last_s=110.0) == 250
    assert index.by_sequence(5, 8, last_s=110.2) == 255


def test_without_anything_frames_are_taken_to_follow_each_other() -> None:
    index = SampleIndex(4.0)
    assert [index.by_order(1) for _ in range(3)] == [0, 1, 2]
    index.new_link()
    assert index.by_order(1) == 0


def test_a_clock_that_went_back_over_a_new_link_begins_the_index_afresh() -> None:
    index = SampleIndex(50.0)
    before = [index.by_time(10, last_s=5.18 + 0.2 * k) for k in range(60)]
    assert before == list(range(0, 600, 10))
    index.new_link()
    # The device rebooted: its clock passes the same moments once more.
    after = [index.by_time(10, last_s=2.18 + 0.2 * k) for k in range(60)]
    assert after == before
    assert index.period_s == pytest.approx(0.02, rel=1e-3)


def test_a_clock_that_ran_on_over_a_new_link_tells_what_is_absent() -> None:
    index = SampleIndex(50.0)
    for k in range(20):
        index.by_time(10, last_s=5.18 + 0.2 * k)
    index.new_link()
    assert index.by_time(10, last_s=5.18 + 0.2 * 29) == 290

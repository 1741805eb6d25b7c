"""Looping whole beats: no seam, no other rate; and damage of known kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the `train` extra")

from plethprint.errors import SignalError
from plethprint.quality import assess, heart_rate_bpm
from plethprint.signal import window_rows
from plethprint_distill.beat_loop import loop_whole_beats, pulse_feet
from plethprint_distill.damage import DAMAGE, damaged

RATE_HZ = 250.0
SHARED = Path(__file__).parents[3] / "shared" / "data" / "ppg_bp"


def _segment(rate_bpm: float, phase: float, *, drift: float = 0.0, noise: float = 0.0):
    t = np.arange(0, 2.1, 1 / RATE_HZ)
    beat = (rate_bpm / 60 * t + phase) % 1
    pulse = np.exp(-(((beat - 0.3) / 0.11) ** 2)) + 0.4 * np.exp(
        -(((beat - 0.6) / 0.12) ** 2)
    )
    wobble = np.random.default_rng(0).normal(size=t.size)
    return 1000 * (pulse + drift * t + noise * wobble)


@pytest.mark.parametrize("rate_bpm", [62.0, 75.0, 110.0])
@pytest.mark.parametrize("phase", [0.15, 0.35, 0.7])
def test_the_loop_keeps_the_rate_wherever_the_segment_begins(rate_bpm, phase) -> None:
    loop = loop_whole_beats(_segment(rate_bpm, phase, drift=0.1, noise=0.01), RATE_HZ, 14.0)
    window, _ = window_rows(loop[None], RATE_HZ, warm_up_s=4.0)
    assert loop.size == 3500
    assert heart_rate_bpm(window)[0] == pytest.approx(rate_bpm, rel=0.03)
    assert assess(window)[0] > 0.5


def test_no_step_of_the_loop_is_larger_than_those_of_the_segment() -> None:
    segment = _segment(80.0, 0.2, drift=0.5)
    loop = loop_whole_beats(segment, RATE_HZ, 14.0)
    assert np.abs(np.diff(loop)).max() < 1.15 * np.abs(np.diff(segment)).max()
    # A seam would be a kink: the second difference stays that of a pulse too.
    assert np.abs(np.diff(loop, 2)).max() < 1.5 * np.abs(np.diff(segment, 2)).max()


def test_the_loop_holds_the_beats_of_the_segment() -> None:
    segment = _segment(90.0, 0.1)
    feet = pulse_feet(segment, RATE_HZ)
    loop = loop_whole_beats(segment, RATE_HZ, 5.0)
    beat = feet[1] - feet[0]
    inside = slice(25, beat)  # past the fade
    assert np.corrcoef(loop[inside], segment[feet[0] :][inside])[0, 1] > 0.999


@pytest.mark.parametrize(
    "segment",
    [np.zeros(525), np.linspace(0, 1, 525), _segment(20.0, 0.5), np.full(525, np.nan), []],
)
def test_a_segment_without_a_whole_beat_is_refused(segment) -> None:
    with pytest.raises(SignalError, match="no whole beat"):
        loop_whole_beats(segment, RATE_HZ, 10.0)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/ppg_bp")
def test_real_segments_loop_at_about_the_rate_that_was_noted() -> None:
    from scipy.signal import resample_poly

    from plethprint_distill.corpora import decode

    rows = decode(SHARED / "ppg_bp.npz")["ppg"][:60].astype(np.float64)
    made = 0
    for row in rows:
        quarter = resample_poly(row, 1, 4, padtype="line")
        loop = loop_whole_beats(quarter, RATE_HZ, 14.0)
        assert np.abs(np.diff(loop)).max() < 1.3 * np.abs(np.diff(quarter)).max()
        made += 1
    assert made == 60


def test_every_kind_of_damage_lowers_the_quality_and_more_of_it_more() -> None:
    t = np.arange(0, 14, 1 / 125)
    beat = (1.2 * t) % 1
    pulse = np.exp(-(((beat - 0.3) / 0.12) ** 2)) + 0.05 * np.sin(2 * np.pi * 0.2 * t)
    clean = assess(window_rows(pulse[None], 125.0, warm_up_s=4.0)[0])[0]
    for kind, strengths in DAMAGE.items():
        means = []
        for strength in (strengths[0], strengths[2]):
            rows = np.tile(pulse, (24, 1))
            for n, row in enumerate(rows):
                rng = np.random.default_rng(n)
                row[500:] = damaged(row[500:], 125.0, kind, strength, rng)
            means.append(assess(window_rows(rows, 125.0, warm_up_s=4.0)[0]).mean())
        assert means[1] < means[0] + 0.02, kind
        assert means[1] < clean - 0.05, kind


def test_damage_is_the_same_for_the_same_seed_and_leaves_its_input_alone() -> None:
    pulse = np.sin(np.arange(0, 80, 0.05))
    before = pulse.copy()
    twice = [damaged(pulse, 125.0, "motion", 2.0, np.random.default_rng(3)) for _ in "ab"]
    assert np.array_equal(*twice)
    assert np.array_equal(pulse, before)
    with pytest.raises(SignalError, match="no damage"):
        damaged(pulse, 125.0, "rain", 1.0, np.random.default_rng(0))

"""Live fingerprints against those of the same samples as recordings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plethprint.ble.frame import FrameStatus, PpgFrame
from plethprint.block import INTERPOLATED_GAP_S, Block, Gap, GapCause
from plethprint.fingerprint import Fingerprint
from plethprint.fingerprinter import Fingerprinter
from plethprint.live_fingerprints import LiveFingerprint, LiveFingerprints
from plethprint.package import ModelPackage

RATE_HZ = 100.0
HOP_S = 2.0
BRIDGED = int(INTERPOLATED_GAP_S * RATE_HZ)  # longest gap that is bridged, samples


@pytest.fixture(scope="module")
def fingerprinter(package: ModelPackage) -> Fingerprinter:
    return Fingerprinter(package, "onnx")


def counts(start: int, stop: int, epoch: int) -> np.ndarray:
    """Pulse in counts; what was not received is not here."""
    t = np.arange(start, stop) / RATE_HZ + 100 * epoch
    pulse = np.exp(np.sin(2 * np.pi * (1.1 + 0.1 * epoch) * t)) + 0.1 * np.sin(31 * t)
    return np.rint(1e5 * pulse).astype(np.int32)


def block(epoch: int, index: int, n: int, *, on_skin: bool = True) -> Block:
    samples = np.stack([np.zeros(n, np.int32), counts(index, index + n, epoch)], axis=1)
    frame = PpgFrame(
        sequence=0,
        first_index=0,
        device_time_us=0,
        counts=samples,
        status=FrameStatus.CONTACT if on_skin else FrameStatus(0),
    )
    start_s = 1e9 + 1e4 * epoch + index / RATE_HZ
    return Block(epoch, index, samples, start_s, 1 / RATE_HZ, None, frame)


def live(fingerprinter: Fingerprinter, blocks: list[Block]) -> list[LiveFingerprint]:
    feeder = LiveFingerprints(
        fingerprinter.stream(RATE_HZ, hop_s=HOP_S), sample_rate_hz=RATE_HZ, channel=1
    )
    return [fp for b in blocks for fp in feeder.push(b)] + feeder.finish()


def same(ours: Fingerprint, theirs: Fingerprint) -> bool:
    return (
        np.array_equal(ours.vector, theirs.vector)
        and (ours.quality, ours.missing) == (theirs.quality, theirs.missing)
        and ours.heart_rate_bpm == theirs.heart_rate_bpm
    )


runs = st.lists(
    st.tuples(
        st.integers(100, 1500),  # samples received
        # then absent: nothing, little, just bridged, just not, long
        st.sampled_from([0, 1, 7, BRIDGED, BRIDGED + 1, 400]),
        st.booleans(),  # or then a device reset
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(runs=runs, chunk=st.integers(5, 200))
def test_each_stretch_between_long_gaps_is_a_recording_of_its_own(
    fingerprinter: Fingerprinter, runs: list[tuple[int, int, bool]], chunk: int
) -> None:
    blocks: list[Block] = []
    stretches: list[tuple[int, int, list[np.ndarray]]] = [(0, 0, [])]
    epoch, index = 0, 0
    for received, absent, reset in runs:
        stop = index + received
        stretches[-1][2].append(counts(index, stop, epoch).astype(np.float64))
        while index < stop:
            n = min(chunk, stop - index)
            blocks.append(block(epoch, index, n))
            index += n
        index += absent
        if reset:
            epoch, index = epoch + 1, 0
        if reset or absent > BRIDGED:
            stretches.append((epoch, index, []))
        elif absent:
            stretches[-1][2].append(np.full(absent, np.nan))

    prints = live(fingerprinter, blocks)
    expected: list[tuple[int, float, Fingerprint]] = []
    for of_epoch, first, parts in stretches:
        if parts and np.isnan(parts[-1]).all():
            parts.pop()  # nothing came behind it
        if parts:
            for fp in fingerprinter.embed(np.concatenate(parts), RATE_HZ, hop_s=HOP_S):
                expected.append((of_epoch, first + fp.start * RATE_HZ, fp))
    assert [(fp.epoch, fp.first_index) for fp in prints] == [(e, i) for e, i, _ in expected]
    for ours, (of_epoch, first, theirs) in zip(prints, expected, strict=True):
        assert same(ours, theirs)
        assert ours.start == pytest.approx(1e9 + 1e4 * of_epoch + first / RATE_HZ, abs=1e-5)


def test_missing_samples_show_and_cost_quality(fingerprinter: Fingerprinter) -> None:
    blocks = [block(0, index, 10) for index in range(0, 1200, 10)]
    whole = live(fingerprinter, blocks)
    kept = [b for k, b in enumerate(blocks) if k not in (20, 25, 30, 35)]
    broken = live(fingerprinter, kept)
    assert whole[0].missing == whole[0].gap_fraction == 0.0
    assert broken[0].missing == pytest.approx(0.04, abs=0.005)
    assert broken[0].gap_fraction == pytest.approx(0.04, abs=1e-6)
    assert broken[1].first_index == 200  # the gap's first sample is the window's first
    assert broken[1].gap_fraction == pytest.approx(0.04, abs=1e-6)
    assert broken[0].quality < whole[0].quality


def test_nothing_is_interpolated_across_a_reconnection(
    fingerprinter: Fingerprinter,
) -> None:
    blocks = [block(0, index, 10) for index in range(0, 2000, 10)]
    kept = [b for k, b in enumerate(blocks) if k != 80]
    lost = replace(kept[80], gap=Gap(GapCause.LOST, 10))
    away = replace(kept[80], gap=Gap(GapCause.LINK, 10))
    bridged = live(fingerprinter, [*kept[:80], lost, *kept[81:]])
    broken = live(fingerprinter, [*kept[:80], away, *kept[81:]])
    assert bridged[0].first_index == 0
    assert bridged[0].gap_fraction == pytest.approx(0.01)
    assert [fp.first_index for fp in broken] == [810]
    assert broken[0].gap_fraction == 0.0


def test_samples_taken_off_the_skin_count_as_missing(fingerprinter: Fingerprinter) -> None:
    steady = [block(0, i, 100) for i in range(0, 1500, 100)]
    lifted = [block(0, i, 100, on_skin=not 600 <= i < 900) for i in range(0, 1500, 100)]
    assert all(fp.missing == 0.0 for fp in live(fingerprinter, steady))
    windows = live(fingerprinter, lifted)
    assert windows[0].missing == pytest.approx(0.3, abs=0.01)
    assert windows[0].quality < live(fingerprinter, steady)[0].quality
    assert windows[0].flagged
    assert windows[0].quality_reason == "contact"

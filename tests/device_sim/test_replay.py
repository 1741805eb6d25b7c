"""A real recording worn by the virtual wearable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plethprint.errors import RecordingError, SampleRateError, SignalError
from plethprint_sim import ReplayStream


@dataclass
class Paired:
    ppg: npt.NDArray[np.float32]
    sample_rate_hz: float = 64.0
    ecg: npt.NDArray[np.float32] | None = None
    ecg_rate_hz: float | None = None


def sine(
    n: int = 640, *, gain: float = 1.0, offset: float = 0.0
) -> npt.NDArray[np.float32]:
    return (offset + gain * np.sin(np.arange(n) / 9)).astype(np.float32)


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (1e-6, 0.5), (-3e5, 1e6), (1e-30, 0)])
def test_any_unit_fits_the_converter_without_clipping(gain: float, offset: float) -> None:
    ppg = sine(gain=gain, offset=offset)
    counts = ReplayStream(Paired(ppg)).counts(0, 640)
    assert counts.dtype == np.int32
    assert 0.09 * 2**23 < counts.min() < 0.11 * 2**23
    assert 0.89 * 2**23 < counts.max() < 0.91 * 2**23
    assert np.corrcoef(counts, ppg.astype(float))[0, 1] > 0.9999


def test_read_gives_the_recording_in_its_own_units() -> None:
    ppg = sine(gain=4, offset=2)
    got, ecg = ReplayStream(Paired(ppg)).read(100, 50)
    np.testing.assert_array_equal(got, ppg[100:150])
    assert ecg is None


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 900), count=st.integers(0, 900))
def test_any_chunk_is_the_same_part_of_the_whole(start: int, count: int) -> None:
    stream = ReplayStream(Paired(sine(), ecg=sine(1280), ecg_rate_hz=128.0))
    whole_ppg, whole_ecg = stream.read(0, 640)
    ppg, ecg = stream.read(start, count)
    assert whole_ecg is not None
    assert ecg is not None
    np.testing.assert_array_equal(ppg, whole_ppg[start : start + count])
    np.testing.assert_array_equal(ecg, whole_ecg[start : start + count])
    assert len(stream.counts(start, count)) == len(ppg) == max(0, min(640 - start, count))


def test_it_ends_where_the_recording_ends() -> None:
    stream = ReplayStream(Paired(sine(640)))
    assert stream.length == 640
    assert stream.counts(600, 100).shape == (40,)
    assert stream.counts(640, 100).shape == (0,)


def test_missing_samples_are_nan_without_contact_and_hold_the_last_count() -> None:
    ppg = sine()
    ppg[:5] = np.nan
    ppg[200:260] = np.nan
    stream = ReplayStream(Paired(ppg))
    contact = stream.contact(0, 640)
    np.testing.assert_array_equal(contact, np.isfinite(ppg))
    assert np.isnan(stream.read(200, 60)[0]).all()
    counts = stream.counts(0, 640)
    assert (counts[200:260] == counts[199]).all()
    assert (counts[:5] == counts[5]).all()


def test_infinite_samples_count_as_missing() -> None:
    ppg = sine()
    ppg[10] = np.inf
    stream = ReplayStream(Paired(ppg))
    assert not stream.contact(10, 1)[0]
    assert np.isnan(stream.read(10, 1)[0][0])


def test_an_ecg_of_another_rate_is_brought_to_the_times_of_the_ppg() -> None:
    ecg_s = np.arange(2500) / 250.0
    ecg = np.sin(2 * np.pi * 1.5 * ecg_s).astype(np.float32)
    stream = ReplayStream(Paired(sine(640), ecg=ecg, ecg_rate_hz=250.0))
    _, got = stream.read(0, 639)
    assert got is not None
    np.testing.assert_allclose(
        got, np.sin(2 * np.pi * 1.5 * np.arange(639) / 64), atol=0.01
    )


def test_an_ecg_that_ends_early_is_missing_from_there_on() -> None:
    _, ecg = ReplayStream(Paired(sine(640), ecg=sine(320), ecg_rate_hz=64.0)).read(0, 640)
    assert ecg is not None
    assert np.isfinite(ecg[:320]).all()
    assert np.isnan(ecg[320:]).all()


def test_a_constant_recording_lies_in_the_middle_of_the_range() -> None:
    counts = ReplayStream(Paired(np.full(100, 7, dtype=np.float32))).counts(0, 100)
    assert (counts == round(0.5 * (2**23 - 1))).all()


def test_a_recording_without_a_sample_is_refused() -> None:
    for empty in (np.full(100, np.nan), np.zeros(0), np.zeros((3, 100))):
        with pytest.raises(RecordingError, match="at least one finite sample"):
            ReplayStream(Paired(empty.astype(np.float32)))


def test_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(SampleRateError, match="1000"):
        ReplayStream(Paired(sine(), sample_rate_hz=1000.0))


def test_a_negative_index_is_refused_rather_than_read_from_the_end() -> None:
    with pytest.raises(SignalError, match="-1"):
        ReplayStream(Paired(sine())).read(-1, 10)


def test_a_recording_can_be_given_at_another_rate_with_its_gaps_in_their_place() -> None:
    t = np.arange(0, 60, 1 / 50)
    ppg = (1e6 + np.sin(2 * np.pi * 1.2 * t)).astype(np.float32)
    ppg[1000:1100] = np.nan
    ecg = np.sin(t).astype(np.float32)
    stream = ReplayStream(Paired(ppg, 50.0, ecg, 50.0), 64.0)
    assert (stream.sample_rate_hz, stream.length) == (64.0, 3840)
    seen, beside = stream.read(0, 3840)
    missing = np.flatnonzero(np.isnan(seen)) / 64
    assert (missing[0], missing[-1]) == pytest.approx((20.0, 22.0), abs=0.05)
    assert not stream.contact(0, 3840)[np.isnan(seen)].any()
    even_s = np.arange(3840) / 64
    inner = ~np.isnan(seen) & (np.abs(even_s - 21) > 1.5)
    inner[:64] = inner[-64:] = False
    expected = 1e6 + np.sin(2 * np.pi * 1.2 * even_s)
    assert np.abs(seen - expected)[inner].max() < 0.1  # float32 has steps of 0.06 there
    assert beside is not None
    assert np.abs(beside - np.sin(even_s))[:3800].max() < 0.01

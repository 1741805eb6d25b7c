"""Recordings, rows and streams give the same fingerprints, bit for bit."""

import logging

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plethprint.errors import (
    PackageIntegrityError,
    SampleRateError,
    SignalError,
    WindowShapeError,
)
from plethprint.fingerprint import similarity
from plethprint.fingerprinter import Fingerprinter
from plethprint.signal import PPG, windows_of

PACE = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def fingerprinter(package):
    return Fingerprinter(package)


def recording(make_pulses, seconds=40.0, sample_rate_hz=64.0, seed=3):
    return make_pulses(1, seed, sample_rate_hz, seconds)[0]


def test_a_recording_gives_one_fingerprint_each_hop(fingerprinter, package, make_pulses):
    prints = fingerprinter.embed(recording(make_pulses), 64.0, hop_s=5.0, start=1000.0)
    assert [fp.start for fp in prints] == [1000.0 + 5.0 * n for n in range(7)]
    assert {fp.duration_s for fp in prints} == {10.0}
    assert {fp.model for fp in prints} == {package.model_id}
    assert {fp.missing for fp in prints} == {0.0}
    for fp in prints[1:]:
        assert fp.quality > 0.5
        assert fp.heart_rate_bpm == pytest.approx(prints[1].heart_rate_bpm, abs=2)
        assert np.linalg.norm(fp.unit()) == pytest.approx(1.0, abs=1e-5)


def test_the_vector_is_what_the_encoder_gives_for_the_window(fingerprinter, make_pulses):
    signal = recording(make_pulses)
    prints = fingerprinter.embed(signal, 64.0)
    windows = windows_of(signal, 64.0)
    expected = fingerprinter.encoder.run(np.stack([w.samples for w in windows]))
    assert np.array_equal(np.stack([fp.vector for fp in prints]), expected)
    assert fingerprinter.encode(windows[2]) == prints[2]


@PACE
@given(
    sample_rate_hz=st.sampled_from([20.0, 25.0, 31.7, 64.0, 100.0, 125.0, 256.0, 500.0]),
    cuts=st.lists(st.floats(0, 1), max_size=12),
    hop_s=st.sampled_from([1.0, 2.5, 5.0, 10.0, 12.0]),
    gaps=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 4)), max_size=3),
    polarity=st.sampled_from([1, -1]),
)
def test_a_stream_in_chunks_of_any_size_equals_the_whole_recording(
    fingerprinter, make_pulses, sample_rate_hz, cuts, hop_s, gaps, polarity
):
    signal = recording(make_pulses, 25.0, sample_rate_hz)
    for place, length_s in gaps:
        first = int(place * signal.size)
        signal[first : first + int(length_s * sample_rate_hz)] = np.nan
    whole = fingerprinter.embed(signal, sample_rate_hz, hop_s=hop_s, polarity=polarity)
    stream = fingerprinter.stream(sample_rate_hz, hop_s=hop_s, polarity=polarity)
    pieces = []
    for chunk in np.split(signal, sorted(int(cut * signal.size) for cut in cuts)):
        pieces += stream.push(chunk)
    pieces += stream.flush()
    assert [fp.to_bytes() for fp in pieces] == [fp.to_bytes() for fp in whole]
    assert len(whole) >= 2


def test_sample_by_sample_equals_the_whole_recording(fingerprinter, make_pulses):
    signal = recording(make_pulses, 16.0, 50.0)
    stream = fingerprinter.stream(50.0)
    pieces = [fp for sample in signal for fp in stream.push([sample])] + stream.flush()
    assert pieces == fingerprinter.embed(signal, 50.0)


def test_a_stream_tells_the_time_it_was_given(fingerprinter, make_pulses):
    signal = recording(make_pulses)
    stream = fingerprinter.stream(64.0, start=1.7e9)
    assert [fp.start - 1.7e9 for fp in stream.push(signal)][:3] == [0.0, 5.0, 10.0]


def test_after_a_reset_no_window_spans_the_gap(fingerprinter, make_pulses):
    signal = recording(make_pulses)
    stream = fingerprinter.stream(64.0)
    first = stream.push(signal[: 64 * 18])
    stream.reset(start=100.0)
    second = stream.push(signal[64 * 18 :]) + stream.flush()
    assert [fp.start for fp in first] == [0.0, 5.0]
    assert second[0].start == 100.0
    assert second == fingerprinter.embed(signal[64 * 18 :], 64.0, start=100.0)


def test_missing_samples_are_told_and_lower_the_quality(fingerprinter, make_pulses):
    signal = recording(make_pulses)
    whole = fingerprinter.embed(signal, 64.0, hop_s=10.0)
    signal[64 * 22 : 64 * 25] = np.nan
    holed = fingerprinter.embed(signal, 64.0, hop_s=10.0)
    assert [round(fp.missing, 3) for fp in holed] == [0.0, 0.0, 0.3, 0.0]
    assert holed[2].quality < 0.5 * whole[2].quality
    assert holed[:2] == whole[:2]


def test_a_flat_recording_gives_zero_vectors_of_no_quality(fingerprinter):
    prints = fingerprinter.embed(np.full(64 * 20, 7.0), 64.0)
    assert prints
    for fp in prints:
        assert not fp.vector.any()
        assert (fp.scale, fp.quality, fp.heart_rate_bpm) == (0.0, 0.0, None)
    assert similarity(prints[0], prints[1]) == 0.0


def test_a_recording_without_a_single_sample_gives_no_trusted_fingerprint(fingerprinter):
    for fp in fingerprinter.embed(np.full(64 * 20, np.nan), 64.0):
        assert (fp.missing, fp.quality) == (1.0, 0.0)


def test_a_recording_shorter_than_a_window_gives_nothing(fingerprinter, make_pulses):
    assert fingerprinter.embed(recording(make_pulses, 3.0), 64.0) == []
    assert fingerprinter.embed([], 64.0) == []


def test_rows_give_unit_vectors(fingerprinter, make_pulses):
    vectors = fingerprinter.embed_windows(make_pulses(5, sample_rate_hz=100.0), 100.0)
    assert vectors.shape == (5, 64)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert fingerprinter.embed_windows(np.empty((0, 1000)), 100.0).shape == (0, 64)


@PACE
@given(gain=st.floats(1e-6, 1e6), offset=st.floats(-1e6, 1e6), seed=st.integers(0, 99))
def test_rows_of_any_gain_and_offset_give_the_same_vectors(
    fingerprinter, make_pulses, gain, offset, seed
):
    rows = make_pulses(2, seed)
    rows = rows - rows.mean(axis=1, keepdims=True)
    plain = fingerprinter.embed_windows(rows, 64.0)
    changed = fingerprinter.embed_windows(rows * gain + offset * gain, 64.0)
    # A sample on the edge between two int8 steps may round the other way.
    assert (plain * changed).sum(axis=1) == pytest.approx(1.0, abs=5e-3)


def test_a_row_does_not_depend_on_its_neighbours(fingerprinter, make_pulses):
    rows = make_pulses(40)
    together = fingerprinter.embed_windows(rows, 64.0)
    alone = np.concatenate([fingerprinter.embed_windows(row[None], 64.0) for row in rows])
    assert np.array_equal(together, alone)


def test_rows_with_up_to_a_fifth_missing_stay_near_the_whole(fingerprinter, make_pulses):
    rows = make_pulses(20, seed=8)
    holed = rows.copy()
    rng = np.random.default_rng(0)
    for row in holed:
        row[rng.choice(row.size, row.size // 5, replace=False)] = np.nan
    whole, patched = (fingerprinter.embed_windows(r, 64.0) for r in (rows, holed))
    assert (whole * patched).sum(axis=1).min() > 0.95


def test_rows_with_too_much_missing_or_flat_give_zero_and_are_counted(
    package, make_pulses, caplog
):
    fingerprinter = Fingerprinter(package)
    rows = make_pulses(5)
    rows[1, : rows.shape[1] // 4] = np.nan
    rows[2] = np.nan
    rows[3] = 4.0
    with caplog.at_level(logging.WARNING, logger="plethprint"):
        vectors = fingerprinter.embed_windows(rows, 64.0)
    assert vectors.any(axis=1).tolist() == [True, False, False, False, True]
    assert np.isfinite(vectors).all()
    assert fingerprinter.untrusted_rows == 2
    assert "2 of 5 rows miss more than 20 %" in caplog.text


@pytest.mark.parametrize("rate_hz", [7.0, 0.0, -64.0, 501.0, np.nan, np.inf])
def test_a_rate_out_of_range_is_refused(fingerprinter, make_pulses, rate_hz):
    with pytest.raises(SampleRateError):
        fingerprinter.embed(recording(make_pulses), rate_hz)
    with pytest.raises(SampleRateError):
        fingerprinter.embed_windows(make_pulses(1), rate_hz)


def test_signals_of_the_wrong_shape_are_refused(fingerprinter, make_pulses):
    with pytest.raises(WindowShapeError):
        fingerprinter.embed(make_pulses(2), 64.0)
    with pytest.raises(WindowShapeError):
        fingerprinter.embed_windows(recording(make_pulses), 64.0)
    with pytest.raises(WindowShapeError, match="a row lasts 10 s"):
        fingerprinter.embed_windows(make_pulses(2, seconds=9.0), 64.0)
    with pytest.raises(SignalError, match="hop_s"):
        fingerprinter.embed(recording(make_pulses), 64.0, hop_s=0.0)


def test_every_runtime_gives_nearly_the_same_fingerprints(package, make_pulses):
    from plethprint.encoder import installed_runtimes

    signal = recording(make_pulses)
    first, *others = (
        Fingerprinter(package, runtime).embed(signal, 64.0)
        for runtime in installed_runtimes()
    )
    for prints in others:
        for a, b in zip(first, prints, strict=True):
            assert similarity(a, b) > 0.99
            assert (a.quality, a.heart_rate_bpm) == (b.quality, b.heart_rate_bpm)


def test_a_path_that_is_no_package_is_refused(tmp_path):
    with pytest.raises(PackageIntegrityError, match=r"manifest\.json"):
        Fingerprinter(tmp_path)


def test_a_window_of_the_model_is_what_the_preprocessing_makes(fingerprinter):
    assert fingerprinter.dim == 64
    assert fingerprinter.runtime in ("onnx", "litert")
    assert fingerprinter.package.golden().windows.shape[1] == PPG.window_samples

"""Recordings, rows and streams give the same fingerprints, bit for bit."""

import logging
from datetime import datetime

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


def test_a_stream_that_was_flushed_takes_no_more_samples_until_reset(
    fingerprinter, make_pulses
):
    signal = recording(make_pulses, sample_rate_hz=100.0)
    stream = fingerprinter.stream(100.0)
    stream.push(signal[:1550])
    stream.flush()
    assert stream.flush() == []
    with pytest.raises(SignalError, match="reset"):
        stream.push(signal[1550:])
    stream.reset()
    assert stream.push(signal) + stream.flush() == fingerprinter.embed(signal, 100.0)


@pytest.mark.parametrize(
    "start",
    [None, "2026-01-31", datetime(2026, 1, 31), np.datetime64("2026-01-31"), np.nan],
)
def test_a_start_that_is_no_number_of_seconds_is_refused(fingerprinter, start):
    with pytest.raises(SignalError, match=r"start is a time in seconds, .*timestamp\(\)"):
        fingerprinter.stream(64.0, start=start)
    with pytest.raises(SignalError, match="start is a time"):
        fingerprinter.stream(64.0).reset(start)


@pytest.mark.parametrize("polarity", [[1, 1], np.array([1, 1]), None, "up", 0])
def test_a_polarity_that_is_none_is_refused(fingerprinter, polarity):
    with pytest.raises(SignalError, match="polarity is"):
        fingerprinter.stream(64.0, polarity=polarity)


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


@pytest.mark.parametrize(
    "value",
    ["x", 1j, {}, np.datetime64("2024-01-01"), [1.0]],
    ids=["text", "complex", "object", "date", "ragged"],
)
def test_what_is_no_number_is_refused(fingerprinter, value):
    samples = [*[0.0] * 639, value] if value == [1.0] else [value] * 640
    for feed in (fingerprinter.embed, fingerprinter.stream(64.0).push):
        with pytest.raises(WindowShapeError, match=r"array of numbers|one axis"):
            feed(samples, *([64.0] if feed == fingerprinter.embed else []))
    with pytest.raises(WindowShapeError, match=r"array of numbers|come as"):
        fingerprinter.embed_windows([samples], 64.0)


@pytest.mark.parametrize("rate_hz", ["fast", None, [64.0, 64.0]])
def test_a_rate_that_is_no_number_is_refused(fingerprinter, make_pulses, rate_hz):
    with pytest.raises(SampleRateError, match="number of Hz"):
        fingerprinter.embed(recording(make_pulses), rate_hz)
    with pytest.raises(SampleRateError, match="number of Hz"):
        fingerprinter.embed_windows(make_pulses(1), rate_hz)


@pytest.mark.parametrize("rate_hz", ["64", np.float32(64), np.int16(64), 64])
def test_a_rate_of_any_type_of_number_is_taken(fingerprinter, make_pulses, rate_hz):
    rows = make_pulses(2)
    expected = fingerprinter.embed_windows(rows, 64.0)
    assert np.array_equal(fingerprinter.embed_windows(rows, rate_hz), expected)
    assert fingerprinter.embed(rows[0], rate_hz) == fingerprinter.embed(rows[0], 64.0)


@pytest.mark.parametrize("hop_s", [1e308, np.nan, np.inf, -5.0, None, "five"])
def test_a_hop_that_makes_no_sense_is_refused(fingerprinter, make_pulses, hop_s):
    with pytest.raises(SignalError, match="hop_s"):
        fingerprinter.embed(recording(make_pulses), 64.0, hop_s=hop_s)


@pytest.mark.parametrize("fill", [None, np.finfo(np.float32).max, -1e308, np.inf])
@pytest.mark.parametrize("at", [0, 700])
def test_fill_values_are_missing_samples_and_do_not_outlast_their_place(
    fingerprinter, make_pulses, fill, at
):
    signal = recording(make_pulses)
    holed = signal.copy()
    holed[at : at + 32] = np.nan
    filled = np.where(np.isnan(holed), fill, signal.astype(object))
    assert fingerprinter.embed(filled, 64.0) == fingerprinter.embed(holed, 64.0)


def test_masked_samples_are_missing_samples(fingerprinter, make_pulses):
    rows = make_pulses(3)
    mask = np.zeros(rows.shape, bool)
    mask[:, 100:160] = True
    masked = np.ma.MaskedArray(np.where(mask, -9999.0, rows), mask)
    holed = np.where(mask, np.nan, rows)
    expected = fingerprinter.embed_windows(holed, 64.0)
    assert np.array_equal(fingerprinter.embed_windows(masked, 64.0), expected)
    assert fingerprinter.embed(masked[0], 64.0) == fingerprinter.embed(holed[0], 64.0)


def test_many_rows_and_long_recordings_are_cut_into_pieces_without_a_seam(
    fingerprinter, make_pulses, monkeypatch
):
    rows, signal = make_pulses(23, 4), recording(make_pulses, 60.0, 100.0)
    vectors, prints = (
        fingerprinter.embed_windows(rows, 64.0),
        fingerprinter.embed(signal, 100.0),
    )
    monkeypatch.setattr("plethprint.fingerprint_rows._CHUNK_ROWS", 5)
    monkeypatch.setattr("plethprint.fingerprinter._CHUNK_S", 7.3)
    assert np.array_equal(fingerprinter.embed_windows(rows, 64.0), vectors)
    assert fingerprinter.embed(signal, 100.0) == prints


def test_rows_much_longer_than_a_window_are_told(fingerprinter, make_pulses, caplog):
    rows = make_pulses(2, seconds=20.0)
    with caplog.at_level(logging.WARNING, logger="plethprint"):
        vectors = fingerprinter.embed_windows(rows, 64.0)
    assert "rows last 20.0 s at 64 Hz, of which the first 10 s" in caplog.text
    assert np.array_equal(vectors, fingerprinter.embed_windows(rows[:, :700], 64.0))


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

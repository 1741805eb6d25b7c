"""The preprocessing: what it keeps, what it ignores, and that chunks do not matter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plethprint.errors import SampleRateError, SignalError, WindowShapeError
from plethprint.signal import ECG, PPG, Preprocessor, SignalSpec, window_rows, windows_of

RATES_HZ = (20.0, 25.0, 25.9, 30.0, 50.0, 64.0, 100.0, 125.0, 128.0, 256.0, 500.0)


def pulse(sample_rate_hz: float, duration_s: float = 25.0) -> npt.NDArray[np.float64]:
    """A pulse-like sum of harmonics that lies inside the band at every rate."""
    t = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    phase = 2 * np.pi * (1.1 * t + 0.05 * np.sin(2 * np.pi * 0.2 * t))
    return np.sin(phase) + 0.4 * np.sin(2 * phase + 0.7) + 0.15 * np.sin(3 * phase)


def stacked(windows: list) -> npt.NDArray[np.int8]:  # type: ignore[type-arg]
    return np.stack([window.samples for window in windows])


@settings(max_examples=40, deadline=None)
@given(
    rate_hz=st.sampled_from(RATES_HZ),
    cuts=st.lists(st.integers(0, 400), max_size=60),
    holes=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 4)), max_size=4),
    hop_s=st.sampled_from((1.0, 2.5, 5.0, 10.0)),
)
def test_chunks_of_any_size_give_bit_for_bit_the_windows_of_the_whole(
    rate_hz: float, cuts: list[int], holes: list[tuple[float, float]], hop_s: float
) -> None:
    signal = pulse(rate_hz) + 1e5
    for start_s, length_s in holes:
        signal[int(start_s * rate_hz) : int((start_s + length_s) * rate_hz)] = np.nan
    whole = windows_of(signal, rate_hz, hop_s=hop_s)
    stream = Preprocessor(rate_hz, hop_s=hop_s)
    windows, at = [], 0
    for cut in cuts:
        windows += stream.push(signal[at : at + cut])
        at = min(at + cut, signal.size)
    windows += stream.push(signal[at:]) + stream.flush()
    assert [w.start_s for w in windows] == [w.start_s for w in whole]
    assert [w.missing for w in windows] == [w.missing for w in whole]
    assert [w.spread for w in windows] == [w.spread for w in whole]
    np.testing.assert_array_equal(stacked(windows), stacked(whole))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_same_pulse_at_any_rate_gives_nearly_the_same_window(rate_hz: float) -> None:
    reference = stacked(windows_of(pulse(64.0), 64.0)).astype(float)
    window = stacked(windows_of(pulse(rate_hz), rate_hz)).astype(float)
    assert window.shape == reference.shape
    assert np.corrcoef(window[1], reference[1])[0, 1] > 0.999


@pytest.mark.parametrize("gain", [1e-6, 0.1, 7.0, 1e6])
def test_gain_and_offset_leave_the_window_as_it_is(gain: float) -> None:
    signal = pulse(100.0)
    plain = stacked(windows_of(signal, 100.0)).astype(int)
    scaled = stacked(windows_of(signal * gain + 300 * gain, 100.0)).astype(int)
    assert np.abs(plain - scaled).max() <= 1


def test_inverted_polarity_is_undone_by_saying_so() -> None:
    signal = pulse(100.0)
    np.testing.assert_array_equal(
        stacked(windows_of(-signal, 100.0, polarity=-1)),
        stacked(windows_of(signal, 100.0)),
    )


def test_a_constant_gives_a_flat_window_with_no_spread() -> None:
    for level in (0.0, 5.0, 8_388_607.0):
        (window,) = windows_of(np.full(1000, level), 100.0, hop_s=10.0)
        assert not window.samples.any()
        assert window.spread == 0.0


def test_missing_samples_are_bridged_and_counted() -> None:
    signal = pulse(100.0, 10.0)
    whole = windows_of(signal, 100.0)[0]
    signal[500:505] = np.nan
    holed = windows_of(signal, 100.0)[0]
    assert holed.missing == pytest.approx(0.005, abs=0.002)
    assert np.abs(holed.samples.astype(int) - whole.samples).max() <= 6


def test_a_signal_of_nothing_but_missing_samples_is_flat_and_says_so() -> None:
    (window,) = windows_of(np.full(1000, np.nan), 100.0, hop_s=10.0)
    assert window.missing == 1.0
    assert not window.samples.any()


def test_windows_do_not_wait_for_a_sensor_that_begins_off_the_skin() -> None:
    nothing = np.full(64 * 30, np.nan)
    pulse = 1e6 + np.sin(np.arange(64 * 30) / 9.0)
    whole = windows_of(np.concatenate([nothing, pulse]), 64.0)
    stream = Preprocessor(64.0)
    early = [window for _ in range(30) for window in stream.push(nothing[:64])]
    assert [window.start_s for window in early] == [0.0, 5.0, 10.0, 15.0, 20.0]
    assert all(window.missing == 1.0 and not window.samples.any() for window in early)
    windows = early + stream.push(pulse) + stream.flush()
    assert len(windows) == len(whole)
    for window, expected in zip(windows, whole, strict=True):
        assert window.start_s == expected.start_s
        assert window.missing == expected.missing
        np.testing.assert_array_equal(window.samples, expected.samples)


def test_infinite_samples_count_as_missing() -> None:
    signal = pulse(100.0, 10.0)
    signal[400:410] = np.inf
    assert windows_of(signal, 100.0)[0].missing == pytest.approx(0.01, abs=0.003)


def test_nothing_after_a_reset_remembers_what_came_before() -> None:
    signal = pulse(125.0)
    stream = Preprocessor(125.0)
    stream.push(1e6 * np.random.default_rng(0).normal(size=777))
    stream.reset()
    windows = stream.push(signal) + stream.flush()
    np.testing.assert_array_equal(stacked(windows), stacked(windows_of(signal, 125.0)))
    assert windows[0].start_s == 0.0


def test_rows_are_the_windows_of_streams_of_their_own() -> None:
    rng = np.random.default_rng(3)
    for rate_hz in (30.0, 64.0, 100.0, 125.0):
        rows = rng.normal(size=(5, round(10 * rate_hz))).cumsum(axis=1)
        rows[2, 40:60] = np.nan
        windows, missing = window_rows(rows, rate_hz)
        assert missing[2] == pytest.approx(20 / (10 * rate_hz))
        assert missing[[0, 1, 3, 4]].max() == 0.0
        for row, window in zip(rows, windows, strict=True):
            np.testing.assert_array_equal(window, windows_of(row, rate_hz)[0].samples)


def test_the_band_keeps_the_pulse_and_drops_drift_and_mains() -> None:
    t = np.arange(0, 60, 1 / 125)
    drift, beat, mains = (np.sin(2 * np.pi * f * t) for f in (0.05, 1.5, 50.0))
    spread = [windows_of(x, 125.0)[-1].spread for x in (drift, beat, mains)]
    assert spread[1] == pytest.approx(np.sqrt(0.5), rel=0.05)
    assert spread[0] < 0.02
    assert spread[2] < 0.02


def test_the_electrocardiogram_has_its_own_rate_and_band() -> None:
    (window,) = windows_of(pulse(125.0, 10.0), 125.0, spec=ECG)
    assert window.samples.shape == (ECG.window_samples,) == (1280,)


@pytest.mark.parametrize("rate_hz", [7.0, 0.0, -64.0, 501.0, float("nan"), float("inf")])
def test_a_rate_out_of_range_is_refused_with_the_range(rate_hz: float) -> None:
    with pytest.raises(SampleRateError, match="20 to 500 Hz"):
        Preprocessor(rate_hz)
    with pytest.raises(SampleRateError, match="20 to 500 Hz"):
        window_rows(np.zeros((1, 640)), rate_hz)


def test_shapes_and_hops_that_make_no_sense_are_refused() -> None:
    with pytest.raises(WindowShapeError, match="one axis"):
        Preprocessor(64.0).push(np.zeros((2, 10)))
    with pytest.raises(WindowShapeError, match="10 s"):
        window_rows(np.zeros((2, 100)), 64.0)
    with pytest.raises(SignalError, match="hop_s"):
        Preprocessor(64.0, hop_s=0.0)
    with pytest.raises(SignalError, match="polarity"):
        Preprocessor(64.0, polarity=0)


def test_constants_go_through_json_and_foreign_ones_are_refused() -> None:
    assert SignalSpec.from_dict(PPG.to_dict()) == PPG
    with pytest.raises(SignalError):
        SignalSpec.from_dict({**PPG.to_dict(), "colour": "green"})

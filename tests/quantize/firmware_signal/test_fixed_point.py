"""The integer preprocessing against the SDK's, and C against Python, bit for bit."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from plethprint.biquad import run_biquads
from plethprint.bridge import BRIDGE_S
from plethprint.errors import SampleRateError, SignalError, WindowShapeError
from plethprint.resample import _Kernel
from plethprint.signal import PPG, Preprocessor, band_pass, windows_of
from plethprint_quantize.firmware import signal_tables as tables
from plethprint_quantize.firmware.fixed_point import FixedPointSignal, normalise
from plethprint_sim import WearerStream
from plethprint_sim.wearer import random_wearer

RATES_MHZ = (
    25_000,
    30_300,
    50_000,
    62_500,
    64_000,
    75_000,
    100_000,
    125_000,
    199_999,
    200_000,
)
DATA = Path("../shared/data")
RESTARTED, WINDOW_LOST, BAD_ARGUMENT, BAD_RATE, NOT_READY = 1, 2, -1, -2, -3


def pulse(rate_mhz, length_s=22, seed=0, bits=18):
    """Counts of a pulse on a wandering baseline, with a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(length_s * rate_mhz / 1000)) * 1000 / rate_mhz
    beat = np.exp(np.sin(2 * np.pi * rng.uniform(0.8, 2.5) * t + rng.uniform(0, 6)))
    drift = 6 * np.sin(2 * np.pi * 0.08 * t) + 0.2 * t
    wave = beat + drift + 0.05 * rng.standard_normal(t.size)
    return np.rint(wave * 2 ** (bits - 5)).astype(np.int64) + 150_000


def distance(fixed, floating):
    """Differences of the windows that both have, int8 steps."""
    assert 0 <= len(floating) - len(fixed) <= 1
    return np.concatenate(
        [
            np.abs(a.samples.astype(int) - b.samples.astype(int))
            for a, b in zip(fixed, floating, strict=False)
        ]
    )


def same(model, c):
    """Whether windows of the model and of the C code are the same ones."""
    assert [(w.start, w.missing) for w in model] == [(w.start, w.missing) for w in c]
    for one, other in zip(model, c, strict=True):
        assert np.array_equal(one.samples, other.samples)


# The constants


def test_the_constants_are_those_of_the_sdk():
    hop_s = inspect.signature(Preprocessor).parameters["hop_s"].default
    assert hop_s * PPG.rate_hz == tables.HOP
    assert BRIDGE_S * 1000 == tables.BRIDGE_MS
    assert (
        PPG.window_samples,
        PPG.rate_hz * 1000,
    ) == (tables.WINDOW, tables.MODEL_RATE_MHZ)
    share = tables.SCALE / 2**tables.SCALE_BITS * PPG.input_scale
    assert share == pytest.approx(np.sqrt(PPG.window_samples), rel=1e-12)


def test_the_biquads_are_those_of_the_sdk():
    for (b0, a1, a2), section in zip(tables.biquads_q28(), band_pass(PPG), strict=True):
        assert np.allclose(
            np.array([b0, 0, -b0, 2**28, a1, a2]) / 2**28, section, rtol=0, atol=2**-28
        )


@pytest.mark.parametrize("rate_hz", [25.0, 50.0, 100.0, 125.0, 200.0])
def test_the_kernel_is_that_of_the_sdk(rate_hz):
    kernel = _Kernel(rate_hz, PPG.rate_hz)
    offsets = np.arange(-kernel.half + 1, kernel.half + 1)
    phase = kernel.phases // 3
    step = tables.kernel_step_q16(round(rate_hz * 1000)) / 65536
    entry = np.rint(np.abs(phase / kernel.phases - offsets) * step).astype(int)
    table = np.append(tables.kernel_q14(), np.zeros(999))
    taps = table[entry] / 2**14 * step / tables.KERNEL_STEPS
    assert np.abs(taps - kernel.taps[phase]).max() < 0.006


def test_the_committed_headers_are_what_is_written_today():
    folder = Path(tables.__file__).parent / "c"
    for name, text in tables.HEADERS.items():
        assert (folder / name).read_text() == text(), f"{name}: run signal_tables"


# Against the SDK


@pytest.mark.parametrize("rate_mhz", RATES_MHZ)
def test_windows_are_within_one_step_of_the_sdk(rate_mhz):
    counts = pulse(rate_mhz, 40)
    fixed = FixedPointSignal(rate_mhz).push(counts)
    apart = distance(fixed, windows_of(counts, rate_mhz / 1000))
    assert apart.max() <= 1
    assert (apart == 0).mean() > 0.9


@pytest.mark.parametrize("seed", range(6))
def test_virtual_wearers_are_within_one_step_of_the_sdk(seed):
    rate_hz = (25.0, 50.0, 64.0, 100.0, 125.0, 200.0)[seed]
    stream = WearerStream(random_wearer(seed), seed=seed, sample_rate_hz=rate_hz)
    counts = stream.counts(0, round(60 * rate_hz))
    fixed = FixedPointSignal(round(rate_hz * 1000)).push(counts)
    apart = distance(fixed, windows_of(counts.astype(float), rate_hz))
    assert (apart <= 1).mean() >= 0.999


def test_a_signal_of_few_counts_is_still_within_one_step():
    counts = pulse(100_000, 40, bits=9)  # a standard deviation of about 9 counts
    fixed = FixedPointSignal(100_000).push(counts)
    assert (distance(fixed, windows_of(counts, 100.0)) <= 1).mean() >= 0.999


def test_polarity_turns_the_signal_over():
    counts = pulse(100_000)
    fixed = FixedPointSignal(100_000, polarity=-1).push(counts)
    assert distance(fixed, windows_of(counts, 100.0, polarity=-1)).max() <= 1


@pytest.mark.parametrize("gap_s", [0.01, 0.5, 2.0, 2.01, 7.0])
def test_a_gap_is_bridged_or_held_as_the_sdk_does(gap_s):
    counts = pulse(125_000, 40)
    missing = np.zeros(counts.size, bool)
    missing[2000 : 2000 + round(gap_s * 125)] = True
    missing[:20] = True
    fixed = FixedPointSignal(125_000).push(counts, missing)
    floating = windows_of(np.where(missing, np.nan, counts), 125.0)
    assert (distance(fixed, floating) <= 1).mean() >= 0.999
    shares = [window.missing for window in floating[: len(fixed)]]
    assert np.allclose([window.missing / 640 for window in fixed], shares, atol=1 / 640)


def test_a_still_signal_is_flat():
    counts = np.r_[pulse(100_000), np.full(3000, 1234)]
    fixed = FixedPointSignal(100_000).push(counts)
    assert not fixed[-1].samples.any()
    assert fixed[0].samples.any()


def test_chunks_of_any_size_give_the_same_windows():
    rng = np.random.default_rng(1)
    counts, missing = pulse(62_500, 60), rng.random(60 * 62 + 30) < 0.02
    missing[1000:1200] = True
    whole = FixedPointSignal(62_500, hop_samples=100).push(counts, missing)
    model, pieces, at = FixedPointSignal(62_500, hop_samples=100), [], 0
    while at < counts.size:
        stop = at + int(rng.integers(1, 200))
        pieces += model.push(counts[at:stop], missing[at:stop])
        at = stop
    same(whole, pieces)


def test_what_is_out_of_range_is_refused():
    with pytest.raises(SampleRateError, match="24999"):
        FixedPointSignal(24_999)
    with pytest.raises(SignalError, match="polarity"):
        FixedPointSignal(64_000, polarity=0)
    with pytest.raises(WindowShapeError, match="integers"):
        FixedPointSignal(64_000).push(np.zeros(3))
    with pytest.raises(WindowShapeError, match="shape"):
        FixedPointSignal(64_000).push(np.zeros((3, 3), int))


def test_the_filter_has_no_more_noise_than_rounding():
    rng = np.random.default_rng(2)
    samples = np.cumsum(rng.integers(-60, 61, 6000)) << 6
    exact, _ = run_biquads(band_pass(PPG), samples / 64.0, np.zeros((2, 2)))
    found = FixedPointSignal(64_000)._filter(samples) / 64
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.03  # counts


def test_normalisation_is_that_of_the_sdk_at_any_size():
    rng = np.random.default_rng(3)
    for bits in range(2, 31):
        filtered = np.rint(rng.standard_normal(640) * 2.0**bits / 4).astype(np.int64)
        centred = filtered - filtered.mean()
        exact = np.clip(centred / centred.std() / PPG.input_scale, -127, 127)
        assert np.abs(normalise(filtered) - exact).max() <= 0.501


# C against the model


@pytest.mark.parametrize("rate_mhz", RATES_MHZ)
def test_c_gives_the_windows_of_the_model(device, rate_mhz):
    counts = pulse(rate_mhz, 30, seed=rate_mhz)
    same(FixedPointSignal(rate_mhz).push(counts), device(rate_mhz).push(counts))


# No shrinking: an example is 20 s of signal, and its seed says enough.
@settings(max_examples=50, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    rate_mhz=st.one_of(st.sampled_from(RATES_MHZ), st.integers(25_000, 200_000)),
    seed=st.integers(0, 2**32 - 1),
    spread_bits=st.integers(0, 33),
    hop=st.one_of(st.integers(20, 1500), st.sampled_from([64, 320, 640])),
    polarity=st.sampled_from([1, -1]),
    gaps=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 900)), max_size=5),
)
def test_c_is_the_model_on_any_counts(
    library, rate_mhz, seed, spread_bits, hop, polarity, gaps, device_class
):
    rng = np.random.default_rng(seed)
    size = 14 * rate_mhz // 1000 + 2000
    counts = np.rint(
        np.clip(rng.standard_normal(size) * 2.0**spread_bits, -(2**31), 2**31 - 1)
    ).astype(np.int64)
    if seed % 3 == 0:
        counts = np.clip(np.cumsum(counts), -(2**31), 2**31 - 1)
    if seed % 5 == 0:
        counts[size // 2 :] = counts[size // 2]  # a sensor that is stuck
    missing = np.zeros(size, bool)
    for where, length in gaps:
        missing[int(where * size) :][:length] = True
    c = device_class(library, rate_mhz, hop=hop, polarity=polarity)
    model = FixedPointSignal(rate_mhz, hop_samples=hop, polarity=polarity)
    same(model.push(counts, missing), c.push(counts, missing))


def test_the_extremes_of_int32_saturate(device):
    counts = np.tile(np.repeat([-(2**31), 2**31 - 1], 40), 40)
    for rate_mhz in (25_000, 64_000, 200_000):
        same(FixedPointSignal(rate_mhz).push(counts), device(rate_mhz).push(counts))


def test_a_gap_of_more_than_a_minute_begins_anew(device):
    counts, c, model = pulse(25_000, 30), device(25_000), FixedPointSignal(25_000)
    same(model.push(counts), c.push(counts))
    gone = np.ones(1600, bool)
    same(model.push(np.zeros(1600, int), gone), c.push(np.zeros(1600, int), gone))
    assert c.news == [RESTARTED]
    again = model.push(counts + 999)
    same(again, c.push(counts + 999))
    fresh = FixedPointSignal(25_000).push(counts + 999)
    same(again, fresh)
    assert again[0].start == 0


def test_an_endless_gap_ends_at_once(device):
    c = device(200_000)
    c.push(pulse(200_000, 12))
    c.gap(2**32 - 1)
    assert c.news == [WINDOW_LOST] or c.news == [RESTARTED]
    assert c.gap(2**32 - 1) == []


def test_windows_that_are_not_taken_are_lost_and_said_so(library, device_class):
    c = device_class(library, 64_000)
    news = [library.pp_signal_push(c.state, k * k % 5000) for k in range(640 + 320)]
    assert set(news) == {0, WINDOW_LOST}
    assert library.pp_signal_window_start(c.state) == 320
    model = FixedPointSignal(64_000).push(np.arange(960) ** 2 % 5000)
    assert np.array_equal(c.gap(0)[0].samples, model[1].samples)


def test_c_refuses_what_is_out_of_range(library, device_class):
    c = device_class(library, 64_000)
    assert library.pp_signal_init(None, 64_000) == BAD_ARGUMENT
    for rate_mhz in (0, 24_999, 200_001, 2**32 - 1):
        assert library.pp_signal_init(c.state, rate_mhz) == BAD_RATE
    assert library.pp_signal_set_polarity(c.state, 0) == BAD_ARGUMENT
    assert library.pp_signal_set_hop(c.state, 0) == BAD_ARGUMENT
    assert library.pp_signal_window(c.state, bytes(640)) == NOT_READY
    assert library.pp_signal_advance(c.state) == NOT_READY
    assert library.pp_signal_push(None, 1) == BAD_ARGUMENT
    assert not library.pp_signal_ready(None)
    c.push(np.arange(3))
    assert library.pp_signal_set_hop(c.state, 64) == BAD_ARGUMENT


# Real recordings


def recordings():
    """Counts of an 18-bit converter and their rate, of people with every kind of sensor."""
    for folder, channel, stride in (
        ("bidmc", None, 6),
        ("stress_predict", None, 5),
        ("welltory", 1, 4),
        ("ppg_arrhythmia_valid", None, 9),
    ):
        for path in sorted((DATA / folder).glob("*.npz"))[::stride]:
            fields = np.load(path)
            ppg = fields["ppg"] if channel is None else fields["ppg"][channel]
            wave = ppg.astype(float).ravel()[:12_000]
            low, high = wave.min(), wave.max()
            if high > low:
                scaled = np.rint((wave - low) / (high - low) * 2**17)
                yield (
                    path.name,
                    scaled.astype(np.int64),
                    round(float(fields["fs_ppg"]) * 1000),
                )


@pytest.mark.skipif(not (DATA / "bidmc").is_dir(), reason="needs ../shared/data")
def test_real_recordings_are_within_one_step_of_the_sdk_and_alike_in_c(device):
    apart = []
    for name, counts, rate_mhz in recordings():
        fixed = FixedPointSignal(rate_mhz).push(counts)
        same(fixed, device(rate_mhz).push(counts))
        floating = windows_of(counts, rate_mhz / 1000)
        if fixed:
            apart.append(distance(fixed, floating))
            assert (apart[-1] <= 1).mean() >= 0.99, name
    everything = np.concatenate(apart)
    assert everything.size > 100_000
    assert (everything <= 1).mean() >= 0.999

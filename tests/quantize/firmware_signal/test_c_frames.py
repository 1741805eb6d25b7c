"""Bytes on the air: the C encoders and decoders against the SDK's, both ways."""

import ctypes
import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plethprint import Fingerprint
from plethprint.ble.frame import FrameStatus, PpgFrame, samples_per_frame
from plethprint.errors import FingerprintDecodeError, FrameError
from plethprint.fingerprint import unit_scale

OK, BAD_ARGUMENT, NO_ROOM, BAD_LENGTH, BAD_VERSION = 0, -1, -2, -3, -4
BAD_SHAPE, BAD_VALUE, BAD_MAGIC, BAD_CHECKSUM = -5, -6, -7, -8
MODEL = "plethprint-micro@1+0a1b2c3d"


class CFrame(ctypes.Structure):
    _fields_ = (
        ("first_index", ctypes.c_uint32),
        ("device_time_us", ctypes.c_uint32),
        ("sequence", ctypes.c_uint16),
        ("overflow_frames", ctypes.c_uint16),
        ("status", ctypes.c_uint8),
        ("channels", ctypes.c_uint8),
        ("samples", ctypes.c_uint8),
    )


class CFingerprint(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_uint64),
        ("duration_s", ctypes.c_uint32),
        ("quality", ctypes.c_uint32),
        ("missing", ctypes.c_uint32),
        ("heart_rate_bpm", ctypes.c_uint32),
        ("scale", ctypes.c_uint32),
        ("model", ctypes.c_void_p),
        ("vector", ctypes.c_void_p),
        ("dim", ctypes.c_uint16),
        ("model_bytes", ctypes.c_uint8),
    )


def f32(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def f64(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def c_encode_frame(library, frame, capacity=1024 * 4):
    counts = np.ascontiguousarray(frame.counts, np.int32)
    head = CFrame(
        frame.first_index,
        frame.device_time_us,
        frame.sequence,
        frame.overflow_frames,
        int(frame.status),
        frame.channels,
        frame.samples,
    )
    out, length = ctypes.create_string_buffer(capacity), ctypes.c_size_t(0)
    status = library.pp_frame_encode(
        ctypes.byref(head),
        counts.ctypes.data_as(ctypes.c_void_p),
        out,
        ctypes.c_size_t(capacity),
        ctypes.byref(length),
    )
    return status, out.raw[: length.value]


def c_decode_frame(library, data, capacity=1020):
    head, counts = CFrame(), np.zeros(1020, np.int32)
    status = library.pp_frame_decode(
        data,
        ctypes.c_size_t(len(data)),
        ctypes.byref(head),
        counts.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_size_t(capacity),
    )
    if status != OK:
        return status, None
    shape = (head.samples, head.channels)
    return status, PpgFrame(
        sequence=head.sequence,
        first_index=head.first_index,
        device_time_us=head.device_time_us,
        counts=counts[: math.prod(shape)].reshape(shape),
        overflow_frames=head.overflow_frames,
        status=FrameStatus(head.status),
    )


def c_encode(library, fingerprint, capacity=8192, **bits):
    model, vector = fingerprint.model.encode(), fingerprint.vector.tobytes()
    held = ctypes.create_string_buffer(model), ctypes.create_string_buffer(vector)
    rate = fingerprint.heart_rate_bpm
    fields = {
        "start": f64(fingerprint.start),
        "duration_s": f32(fingerprint.duration_s),
        "quality": f32(fingerprint.quality),
        "missing": f32(fingerprint.missing),
        "heart_rate_bpm": 0 if rate is None else f32(rate),
        "scale": f32(fingerprint.scale),
        "model": ctypes.addressof(held[0]),
        "vector": ctypes.addressof(held[1]),
        "dim": len(vector),
        "model_bytes": len(model),
    }
    out, length = ctypes.create_string_buffer(capacity), ctypes.c_size_t(0)
    given = CFingerprint(**{**fields, **bits})
    status = library.pp_fingerprint_encode(
        ctypes.byref(given), out, ctypes.c_size_t(capacity), ctypes.byref(length)
    )
    return status, out.raw[: length.value]


def c_decode(library, data):
    """Status, and the bytes that the decoded fingerprint encodes to again."""
    held = ctypes.create_string_buffer(data, len(data))
    found = CFingerprint()
    status = library.pp_fingerprint_decode(
        held, ctypes.c_size_t(len(data)), ctypes.byref(found)
    )
    if status != OK:
        return status, None
    out, length = ctypes.create_string_buffer(len(data)), ctypes.c_size_t(0)
    again = library.pp_fingerprint_encode(
        ctypes.byref(found), out, ctypes.c_size_t(len(data)), ctypes.byref(length)
    )
    assert again == OK
    return status, out.raw[: length.value]


# PPG frames

counts_of = st.tuples(st.integers(1, 255), st.integers(1, 4)).flatmap(
    lambda shape: st.integers(0, 2**32 - 1).map(
        lambda seed: np.random.default_rng(seed).integers(-(2**23), 2**23, shape)
    )
)
frames = st.builds(
    PpgFrame,
    sequence=st.integers(0, 2**16 - 1),
    first_index=st.integers(0, 2**32 - 1),
    device_time_us=st.integers(0, 2**32 - 1),
    counts=counts_of,
    overflow_frames=st.integers(0, 2**16 - 1),
    status=st.integers(0, 255).map(FrameStatus),
)


@given(frame=frames)
@settings(deadline=None)
def test_frames_have_the_same_bytes_both_ways(library, frame):
    assert c_encode_frame(library, frame) == (OK, frame.to_bytes())
    assert c_decode_frame(library, frame.to_bytes()) == (OK, frame)


@given(data=st.binary(max_size=80) | st.binary(max_size=80).map(lambda b: b"\x01" + b))
@example(bytes([1] + [0] * 13 + [1, 1]) + b"\xff\xff\x7f")
@settings(deadline=None)
def test_both_decoders_take_the_same_frames(library, data):
    status, found = c_decode_frame(library, data)
    try:
        expected = PpgFrame.from_bytes(data)
    except FrameError:
        assert status in (BAD_LENGTH, BAD_VERSION, BAD_SHAPE)
    else:
        assert (status, found) == (OK, expected)


@given(frame=frames, cut=st.integers(0, 3300), flip=st.integers(0, 127))
@settings(max_examples=50, deadline=None)
def test_damaged_frames_are_judged_alike(library, frame, cut, flip):
    data = bytearray(frame.to_bytes())
    data[flip // 8] ^= 1 << flip % 8
    for damaged in (frame.to_bytes()[:cut], bytes(data), frame.to_bytes() + b"\0"):
        status, found = c_decode_frame(library, damaged)
        try:
            assert PpgFrame.from_bytes(damaged) == found
        except FrameError:
            assert status != OK


def test_a_frame_without_room_is_refused(library):
    frame = PpgFrame(1, 2, 3, np.zeros((5, 3), int))
    assert c_encode_frame(library, frame, 60) == (NO_ROOM, b"")
    assert c_encode_frame(library, frame, 61)[0] == OK
    assert c_decode_frame(library, frame.to_bytes(), 14) == (NO_ROOM, None)
    assert library.pp_frame_decode(None, 0, None, None, 0) == BAD_ARGUMENT


def test_counts_beyond_24_bits_are_refused(library):
    head, out, length = CFrame(channels=1, samples=1), bytes(64), ctypes.c_size_t()
    for count, status in ((2**23 - 1, OK), (2**23, BAD_VALUE), (-(2**23) - 1, BAD_VALUE)):
        counts = (ctypes.c_int32 * 1)(count)
        assert status == library.pp_frame_encode(
            ctypes.byref(head), counts, out, ctypes.c_size_t(64), ctypes.byref(length)
        )


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_as_many_samples_fit_as_the_sdk_says(library, channels):
    for mtu in range(23, 600):
        assert library.pp_frame_samples(mtu, channels) == samples_per_frame(mtu, channels)
    assert library.pp_frame_samples(247, 0) == library.pp_frame_samples(0, 1) == 0


# Fingerprints


@st.composite
def fingerprints(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dim = draw(st.sampled_from([1, 2, 64, 255, 256, 4096]) | st.integers(1, 300))
    vector = rng.integers(-128, 128, dim).astype(np.int8)
    if draw(st.integers(0, 9)) == 0:
        vector[:] = draw(st.sampled_from([0, 1, -128]))
    share = st.floats(0, 1, width=32)
    positive = st.floats(0, exclude_min=True, allow_infinity=False, width=32)
    return Fingerprint(
        vector,
        unit_scale(vector) * (1 + 9e-4 * rng.uniform(-1, 1)),
        start=draw(st.floats(allow_nan=False, allow_infinity=False)),
        duration_s=draw(positive),
        quality=draw(share),
        model=draw(
            st.just(MODEL)
            | st.text(
                st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60
            ).filter(lambda text: len(text.encode()) < 256)
        ),
        missing=draw(share),
        heart_rate_bpm=draw(st.none() | positive),
    )


@given(fingerprint=fingerprints())
@settings(deadline=None)
def test_fingerprints_have_the_same_bytes_both_ways(library, fingerprint):
    data = fingerprint.to_bytes()
    assert c_encode(library, fingerprint) == (OK, data)
    assert c_decode(library, data) == (OK, data)


def judged_alike(library, data):
    status, again = c_decode(library, data)
    try:
        expected = Fingerprint.from_bytes(data)
    except FingerprintDecodeError:
        assert status != OK
        return
    assert (status, again) == (OK, expected.to_bytes())


def sealed(body):
    return bytes(body) + struct.pack("<I", zlib.crc32(bytes(body)))


def example_fingerprint():
    vector = np.arange(-32, 32).astype(np.int8)
    return Fingerprint(
        vector,
        unit_scale(vector),
        7.25,
        10.0,
        0.5,
        "pulsé✓@1+00",
        0.25,
        heart_rate_bpm=61.0,
    )


@given(changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=3))
@settings(max_examples=400, deadline=None)
def test_both_decoders_take_the_same_fingerprints(library, changes):
    body = bytearray(example_fingerprint().to_bytes()[:-4])
    for at, value in changes:
        body[at % len(body)] = value
    judged_alike(library, sealed(body))


SPECIAL = [0.0, -0.0, 1.0, 1.0000001, -1e-45, 1e-45, 1e-38, 3e38, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("value", SPECIAL)
def test_both_decoders_take_the_same_numbers(library, value):
    for flags in (0, 1, 2):
        for at in (16, 20, 24, 28, 32):
            body = bytearray(example_fingerprint().to_bytes()[:-4])
            body[5] = flags
            if not flags:
                body[28:32] = bytes(4)
            struct.pack_into("<f", body, at, value)
            judged_alike(library, sealed(body))
    body = bytearray(example_fingerprint().to_bytes()[:-4])
    struct.pack_into("<d", body, 8, value)
    judged_alike(library, sealed(body))
    body[-64:] = bytes(64)
    struct.pack_into("<f", body, 32, value)
    judged_alike(library, sealed(body))


@given(
    factor=st.floats(0.9985, 1.0015), fill=st.integers(-128, 127), dim=st.integers(1, 4096)
)
@settings(deadline=None)
def test_both_decoders_draw_the_same_line_at_the_scale(library, factor, fill, dim):
    vector = np.full(dim, fill, np.int8)
    fingerprint = Fingerprint(vector, unit_scale(vector), 0.0, 10.0, 1.0, MODEL)
    body = bytearray(fingerprint.to_bytes()[:-4])
    struct.pack_into("<f", body, 32, unit_scale(vector) * factor)
    judged_alike(library, sealed(body))


@given(text=st.binary(min_size=1, max_size=12))
@example(b"\xed\xa0\x80")
@example(b"\xc0\x80")
@example(b"\xf4\x90\x80\x80")
@example(b"\xf0\x8f\xbf\xbf")
@example("é€\U0010ffff".encode())
@settings(deadline=None)
def test_both_decoders_take_the_same_identities(library, text):
    whole = example_fingerprint().to_bytes()
    model_bytes = whole[36]
    body = whole[:36] + bytes([len(text)]) + text + whole[37 + model_bytes : -4]
    judged_alike(library, sealed(body))


def test_what_is_no_fingerprint_says_why(library):
    data = example_fingerprint().to_bytes()
    assert c_decode(library, data[:-1])[0] == BAD_LENGTH
    assert c_decode(library, data[:40])[0] == BAD_LENGTH
    assert c_decode(library, data + b"\0")[0] == BAD_LENGTH
    assert c_decode(library, b"PLFX" + data[4:])[0] == BAD_MAGIC
    assert c_decode(library, data[:4] + b"\2" + data[5:])[0] == BAD_VERSION
    assert c_decode(library, data[:-5] + b"\0" + data[-4:])[0] == BAD_CHECKSUM
    assert c_encode(library, example_fingerprint(), 30)[0] == NO_ROOM
    assert c_encode(library, example_fingerprint(), dim=0)[0] == BAD_SHAPE
    assert c_encode(library, example_fingerprint(), dim=4097)[0] == BAD_SHAPE
    assert c_encode(library, example_fingerprint(), model=None)[0] == BAD_ARGUMENT


# Numbers without floating point


@given(st.integers(0, 2**24 - 1), st.integers(1, 2**24 - 1))
@example(1, 255)
@example(2**24 - 1, 1)
@example(16777213, 16777214)
@settings(deadline=None)
def test_ratios_are_those_of_ieee_754(library, numerator, denominator):
    assert library.pp_f32_of_ratio(numerator, denominator) == f32(
        float(np.float32(numerator / denominator))
    )


def test_every_quality_and_share_has_the_bits_of_the_sdk(library):
    for top in (255, 640):
        found = [library.pp_f32_of_ratio(value, top) for value in range(top + 1)]
        exact = (np.arange(top + 1) / top).astype(np.float32).view(np.uint32)
        assert np.array_equal(found, exact)
    assert library.pp_f32_of_ratio(1, 0) == library.pp_f32_of_ratio(2**24, 3) == 0


@given(st.integers(0, 2**53 - 1))
@settings(deadline=None)
def test_times_are_those_of_ieee_754(library, microseconds):
    bits = library.pp_f64_of_us(ctypes.c_uint64(microseconds))
    assert bits == f64(microseconds / 1e6)


def test_the_scale_is_that_of_the_sdk(library):
    rng = np.random.default_rng(0)
    for trial in range(3000):
        dim = int(rng.integers(1, 300)) if trial else 4096
        vector = rng.integers(-128, 128, dim).astype(np.int8)
        vector[rng.random(dim) < rng.random()] = 0
        if not trial:
            vector[:] = -128
        found = library.pp_f32_unit_scale(vector.tobytes(), ctypes.c_size_t(dim))
        assert found == f32(unit_scale(vector))


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_the_checksum_is_that_of_zlib(library, data):
    assert library.pp_crc32(data, ctypes.c_size_t(len(data))) == zlib.crc32(data)

"""The fingerprint, its similarity and its bytes."""

import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.errors import (
    FingerprintDecodeError,
    FingerprintError,
    FingerprintMismatchError,
)
from plethprint.fingerprint import Fingerprint, similarity, unit_scale

VECTORS = hnp.arrays(np.int8, st.integers(1, 128))
SHARES = st.floats(0, 1, width=32)
MODELS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@st.composite
def fingerprints(draw):
    vector = draw(VECTORS)
    return Fingerprint(
        vector=vector,
        scale=unit_scale(vector),
        start=draw(st.floats(allow_nan=False, allow_infinity=False)),
        duration_s=draw(st.floats(0.001, 1e6)),
        quality=draw(SHARES),
        model=draw(MODELS),
        missing=draw(SHARES),
        heart_rate_bpm=draw(st.none() | st.floats(1, 400)),
    )


def make(vector=(3, -4), **changes):
    vector = np.array(vector, np.int8) if isinstance(vector, (tuple, list)) else vector
    fields = {
        "vector": vector,
        "scale": unit_scale(vector),
        "start": 12.5,
        "duration_s": 10.0,
        "quality": 0.9,
        "model": "toy@1+00000000",
    }
    return Fingerprint(**{**fields, **changes})


def sealed(body):
    """Bytes with the checksum that belongs to them."""
    return bytes(body) + struct.pack("<I", zlib.crc32(bytes(body)))


@given(fingerprints())
def test_what_comes_back_from_bytes_is_what_went_in(fingerprint):
    back = Fingerprint.from_bytes(fingerprint.to_bytes())
    assert back == fingerprint
    assert hash(back) == hash(fingerprint)
    assert back.to_dict() == fingerprint.to_dict()


@given(fingerprints())
def test_the_unit_vector_has_unit_length_or_is_zero(fingerprint):
    length = float(np.linalg.norm(fingerprint.unit()))
    assert length == pytest.approx(1.0 if fingerprint.vector.any() else 0.0, abs=1e-5)


def test_the_bytes_are_laid_out_as_documented():
    data = make(heart_rate_bpm=72.0).to_bytes()
    assert data[:8] == b"PLFP" + bytes([1, 1]) + struct.pack("<H", 2)
    assert struct.unpack_from("<dfffff", data, 8) == pytest.approx(
        (12.5, 10.0, 0.9, 0.0, 72.0, 0.2)
    )
    assert data[36] == 14
    assert data[37:51] == b"toy@1+00000000"
    assert data[51:53] == bytes([3, 256 - 4])
    assert data[53:] == struct.pack("<I", zlib.crc32(data[:53]))


@given(fingerprints(), st.data())
def test_a_single_flipped_bit_is_always_noticed(fingerprint, data):
    damaged = bytearray(fingerprint.to_bytes())
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FingerprintDecodeError):
        Fingerprint.from_bytes(damaged)


@given(fingerprints(), st.data())
def test_bytes_cut_off_or_added_are_refused(fingerprint, data):
    whole = fingerprint.to_bytes()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for wrong in (cut, whole + data.draw(st.binary(min_size=1, max_size=9))):
        with pytest.raises(FingerprintDecodeError):
            Fingerprint.from_bytes(wrong)


@given(st.binary(max_size=200))
def test_foreign_bytes_raise_nothing_but_the_decode_error(data):
    with pytest.raises(FingerprintDecodeError):
        Fingerprint.from_bytes(data)


@pytest.mark.parametrize(
    ("offset", "patch", "message"),
    [
        (4, b"\x02", "version 2 is not known"),
        (5, b"\x80", "flags 0x80"),
        (24, struct.pack("<f", 1.5), "missing must lie in 0..1"),
        (20, struct.pack("<f", math.nan), "quality must lie in 0..1"),
        (8, struct.pack("<d", math.inf), "start must be a finite time"),
        (16, struct.pack("<f", 0.0), "duration_s must be positive"),
        (28, struct.pack("<f", 60.0), "heart rate came without its flag"),
        (32, struct.pack("<f", 0.5), "unit length"),
        (37, b"\xff", "make no sense"),
    ],
)
def test_a_field_out_of_range_is_refused_even_with_a_right_checksum(offset, patch, message):
    body = bytearray(make().to_bytes()[:-4])
    body[offset : offset + len(patch)] = patch
    with pytest.raises(FingerprintDecodeError, match=message):
        Fingerprint.from_bytes(sealed(body))


@pytest.mark.parametrize(
    "changes",
    [
        {"vector": np.zeros(2)},
        {"vector": np.zeros((2, 2), np.int8)},
        {"vector": np.zeros(0, np.int8)},
        {"scale": 1.0},
        {"scale": 0.0},
        {"quality": -0.1},
        {"missing": math.nan},
        {"duration_s": 0.0},
        {"start": math.inf},
        {"model": ""},
        {"model": "x" * 256},
        {"model": "\ud800"},
        {"heart_rate_bpm": 0.0},
    ],
)
def test_a_fingerprint_with_a_field_out_of_range_cannot_be_made(changes):
    with pytest.raises(FingerprintError):
        make(**changes)


def test_a_fingerprint_cannot_be_changed_from_outside():
    vector = np.array([3, -4], np.int8)
    fingerprint = make(vector)
    vector[0] = 100
    assert fingerprint.vector[0] == 3
    with pytest.raises(ValueError, match="read-only"):
        fingerprint.vector[0] = 1


def test_bare_vectors_have_no_similarity_because_nobody_knows_their_model():
    with pytest.raises(FingerprintError, match=r"two fingerprints, not ndarray.*a @ b"):
        similarity(make(), make().unit())


def test_similarity_is_the_cosine():
    assert similarity(make([3, -4]), make([30, -40])) == pytest.approx(1.0)
    assert similarity(make([3, -4]), make([-3, 4])) == pytest.approx(-1.0)
    assert similarity(make([3, -4]), make([4, 3])) == pytest.approx(0.0)
    assert similarity(make([3, -4]), make([0, 0])) == 0.0


@given(hnp.arrays(np.int8, (2, 64)))
def test_similarity_is_symmetric_and_bounded(pair):
    a, b = make(pair[0]), make(pair[1])
    assert -1.0 <= similarity(a, b) <= 1.0
    assert similarity(a, b) == similarity(b, a)


def test_fingerprints_of_different_models_are_not_compared():
    with pytest.raises(FingerprintMismatchError, match=r"toy@1\+00000000.*toy@2\+00000000"):
        similarity(make(), make(model="toy@2+00000000"))
    with pytest.raises(FingerprintMismatchError):
        similarity(make(), make([1, 2, 3]))


def test_a_number_is_not_taken_for_the_length_of_some_bytes():
    with pytest.raises(TypeError):
        Fingerprint.from_bytes(1 << 40)

"""Protected fingerprints: alike under one key, strangers under two, the same everywhere."""

import hashlib
import hmac

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.errors import FingerprintMismatchError, ProtectionError
from plethprint.fingerprint import Fingerprint, similarity, unit_scale
from plethprint.protection import FORMS, KeyedProjection, is_protected

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
MODEL = "toy@1+00000000"


def made(vector, **changes):
    vector = np.asarray(vector, np.int8)
    fields = {"start": 12.5, "duration_s": 10.0, "quality": 0.8765, "model": MODEL}
    return Fingerprint(vector, unit_scale(vector), **{**fields, **changes})


def alike(rng, cosine, n):
    """Pairs of int8 vectors (n, 64) whose cosine is the one given, but for rounding."""
    a, b = rng.normal(size=(2, n, 64))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b -= (a * b).sum(axis=1, keepdims=True) * a
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    pair = a, cosine * a + np.sqrt(1 - cosine**2) * b
    return [np.rint(250 * x).clip(-127, 127).astype(np.int8) for x in pair]


def rows_cosine(a, b):
    a, b = a.astype(float), b.astype(float)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def as_documented(key, vector, form, size):
    """The module's text once more, with a whole matrix and the standard library alone."""
    dim = len(vector)
    n = 1
    while n < dim:
        n *= 2
    info = f"{form}|{dim}|{size}|{MODEL}".encode()
    extracted = hmac.digest(b"plethprint protection 1", key, "sha256")
    first = hmac.digest(extracted, info + b"\x01", "sha256")
    second = hmac.digest(extracted, first + info + b"\x02", "sha256")
    stream = hashlib.shake_256(first).digest(27 * n * -(-size // n))
    hadamard = [[(-1) ** bin(i & j).count("1") for j in range(n)] for i in range(n)]
    numbers = []
    while len(numbers) < size:
        v = [int(x) for x in vector] + [0] * (n - dim)
        for _ in range(3):
            words = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(n)]
            signs = [-1 if b & 1 else 1 for b in stream[8 * n : 9 * n]]
            stream = stream[9 * n :]
            order = sorted(range(n), key=words.__getitem__)
            moved = [s * v[p] for s, p in zip(signs, order, strict=True)]
            v = [sum(h * x for h, x in zip(row, moved, strict=True)) for row in hadamard]
        numbers += v
    numbers = numbers[:size]
    if form == "signs":
        return second[:4].hex(), [1 if x >= 0 else -1 for x in numbers]
    most = max(map(abs, numbers))
    rounded = [(254 * abs(x) + most) // (2 * most) for x in numbers]
    return second[:4].hex(), [
        r if x >= 0 else -r for r, x in zip(rounded, numbers, strict=True)
    ]


@pytest.mark.parametrize(
    ("form", "dim", "size"),
    [("signs", 64, 64), ("signs", 64, 150), ("rotation", 64, 64), ("rotation", 5, 8),
     ("rotation", 64, 20), ("signs", 1, 1), ("signs", 5, 3)],
)  # fmt: skip
def test_the_image_is_the_documented_one(form, dim, size):
    vector = np.random.default_rng(dim).integers(-128, 128, dim).astype(np.int8)
    projection = KeyedProjection(KEY, MODEL, dim, form=form, size=size)
    mark, expected = as_documented(KEY, vector, form, size)
    assert projection.apply(vector[None])[0].tolist() == expected
    assert projection.model == f"{MODEL}~k{mark}"


def test_the_golden_vector_is_the_same_on_every_platform():
    protected = made(range(-32, 32)).protect(KEY)
    assert protected.model == "toy@1+00000000~ka069a1c2"
    bits = np.packbits(protected.vector > 0).tobytes().hex()
    assert bits == "a797669b418d56a7"
    rotated = made(range(-32, 32)).protect(KEY, form="rotation")
    assert rotated.model == "toy@1+00000000~ka8852c61"
    assert rotated.vector[:8].tolist() == [-99, 18, 72, -73, 44, -7, 49, -102]


def test_a_rotation_keeps_every_similarity():
    rng = np.random.default_rng(0)
    projection = KeyedProjection(KEY, MODEL, 64, form="rotation")
    for cosine in (-0.5, 0.0, 0.6, 0.95):
        a, b = alike(rng, cosine, 300)
        kept = rows_cosine(projection.apply(a), projection.apply(b))
        assert np.abs(kept - rows_cosine(a, b)).max() < 0.008


@pytest.mark.parametrize("size", [64, 256])
def test_signs_keep_the_angle_within_the_stated_spread(size):
    rng = np.random.default_rng(1)
    for cosine in (-0.5, 0.0, 0.6, 0.95):
        a, b = alike(rng, cosine, 400)
        found = []
        for number in range(20):  # over keys as well as over fingerprints
            key = number.to_bytes(16, "big")
            p = KeyedProjection(key, MODEL, 64, size=size)
            found.append(rows_cosine(p.apply(a), p.apply(b)))
        expected = 2 / np.pi * np.arcsin(cosine)
        assert np.mean(found) == pytest.approx(expected, abs=0.02)
        assert np.std(found) < 1.1 / np.sqrt(size)


@pytest.mark.parametrize("form", FORMS)
def test_images_under_different_keys_are_strangers(form):
    rng = np.random.default_rng(2)
    vectors = rng.integers(-60, 61, (500, 64)).astype(np.int8)
    ours = KeyedProjection(KEY, MODEL, 64, form=form).apply(vectors)
    theirs = KeyedProjection(OTHER_KEY, MODEL, 64, form=form).apply(vectors)
    across = rows_cosine(ours, theirs)
    assert abs(across.mean()) < 0.02
    assert across.std() == pytest.approx(1 / 8, rel=0.15)  # as of random directions


@pytest.mark.parametrize("form", FORMS)
def test_one_bit_of_the_key_changes_everything(form):
    near = bytes([KEY[0] ^ 1]) + KEY[1:]
    ours, theirs = (KeyedProjection(k, MODEL, 64, form=form) for k in (KEY, near))
    vector = np.arange(-32, 32, dtype=np.int8)[None]
    assert abs(rows_cosine(ours.apply(vector), theirs.apply(vector))[0]) < 0.5
    assert ours.model != theirs.model


def test_similarity_refuses_to_compare_across_keys_forms_and_with_the_unprotected():
    fp = made([3, -4, 1, 0])
    protected = fp.protect(KEY)
    assert similarity(protected, made([3, -4, 1, 0]).protect(KEY)) == 1.0
    for stranger in (
        fp,
        fp.protect(OTHER_KEY),
        fp.protect(KEY, form="rotation"),
        made([3, -4, 1, 0], model="toy@2+00000000").protect(KEY),
    ):
        with pytest.raises(FingerprintMismatchError, match="one model and key"):
            similarity(protected, stranger)


def test_what_would_link_images_of_one_window_is_taken_out_or_made_coarse():
    protected = made([3, -4], heart_rate_bpm=71.3, missing=0.031).protect(KEY)
    assert protected.heart_rate_bpm is None
    assert protected.quality == pytest.approx(0.9)
    assert protected.missing == 0.0
    assert (protected.start, protected.duration_s) == (12.5, 10.0)


@given(
    hnp.arrays(np.int8, st.integers(1, 96)),
    st.binary(min_size=16, max_size=64),
    st.sampled_from(FORMS),
)
@settings(max_examples=60, deadline=None)
def test_a_protected_fingerprint_survives_the_wire(vector, key, form):
    protected = made(vector).protect(key, form=form)
    back = Fingerprint.from_bytes(protected.to_bytes())
    assert back == protected
    assert is_protected(back.model)
    assert similarity(back, protected) == (pytest.approx(1.0) if vector.any() else 0.0)


def test_nothing_stays_nothing():
    for form in FORMS:
        protected = made(np.zeros(64)).protect(KEY, form=form)
        assert not protected.vector.any()
        assert protected.scale == 0.0


@pytest.mark.parametrize(
    "key", [b"", b"x" * 15, "a password, not bytes", None, 16, np.zeros(16, np.uint8)]
)
def test_a_key_that_is_none_is_refused_and_never_repeated(key):
    with pytest.raises(ProtectionError, match="16 random bytes") as caught:
        made([3, -4]).protect(key)
    assert "password" not in str(caught.value)
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "rot13"}, "form is one of"),
        ({"size": 0}, "size is a whole number from 1 to 4096"),
        ({"size": 4097}, "size is a whole number"),
        ({"size": 2.0}, "size is a whole number"),
        ({"size": True}, "size is a whole number"),
        ({"size": 5, "form": "rotation"}, "from 1 to 4, not 5"),
    ],
)
def test_a_form_or_size_out_of_range_is_refused(changes, message):
    with pytest.raises(ProtectionError, match=message):
        made([3, -4, 1]).protect(KEY, **changes)


def test_a_fingerprint_is_protected_once():
    with pytest.raises(ProtectionError, match="protected already"):
        made([3, -4]).protect(KEY).protect(OTHER_KEY)


def test_vectors_that_are_no_fingerprints_are_refused():
    projection = KeyedProjection(KEY, MODEL, 64)
    for wrong in (np.zeros((2, 64)), np.zeros((2, 63), np.int8), np.zeros(64, np.int8)):
        with pytest.raises(ProtectionError, match="int8 of shape"):
            projection.apply(wrong)


def test_the_largest_vector_does_not_overflow():
    vector = np.full((1, 4096), -128, np.int8)
    projection = KeyedProjection(KEY, MODEL, 4096, form="rotation")
    turned = projection.turn(vector).astype(float)
    assert np.linalg.norm(turned) == pytest.approx(128 * 4096**0.5 * 4096**1.5)

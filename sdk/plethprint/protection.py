"""Protected fingerprints: a keyed, cancellable image of a fingerprint.

A fingerprint is turned by a matrix that only the key knows, and then, unless asked
otherwise, only the signs are kept. Under one key protected fingerprints compare with each
other; two of them under different keys have nothing to do with each other, but whole sets
have: a rotation keeps the shape of the cloud, by which the same windows under two keys are
linked. What that protects against, and what not, is measured in ``docs/privacy.md``. In
short: whoever has no key learns next to nothing from one protected fingerprint; whoever has
the key gets most of the fingerprint back; and whoever holds some tens of fingerprints *and*
their protected images needs no key.

The mathematics, version 1, in whole numbers only, so that every platform gives the same
bytes. N is the smallest power of two not below D, the length of the vector v.

1. A stream of bytes. HKDF-SHA256 (RFC 5869) with the key as input, the salt
   ``plethprint protection 1`` and as info the UTF-8 text ``FORM|D|SIZE|MODEL`` gives 36
   bytes: the first 32 seed SHAKE-256 (FIPS 202), whose output is the stream; the last four
   are the *key mark*, which says of two fingerprints whether their keys are the same.
2. A block: three rounds of v <- H (s * v[p]), v filled up with zeros to length N. H is
   the unnormalised Hadamard matrix in natural (Sylvester) order. Each round takes 8 N
   bytes as little-endian uint64, whose stable ascending order is the permutation p, then
   N bytes, whose lowest bit says whether s is -1 (1) or +1 (0). A block is orthogonal but
   for the factor N^1.5: all angles stay.
3. The first SIZE numbers of one block after the other, until there are SIZE.
4. ``signs``: +1 where the number is >= 0, else -1. ``rotation``: the numbers times 127
   over the largest magnitude, rounded to the nearest, halves away from zero.

A zero vector stays zero. Three rounds of random signs and Hadamard are practically as good
as a random rotation (Andoni et al. 2015, doi 10.48550/arXiv.1509.02897); the permutations
add key.

Similarity. A rotation keeps cosines but for the rounding to int8 (a standard deviation of
0.001 at D = 64). Signs measure angles: two fingerprints with cosine c have the similarity
(2 / pi) arcsin(c) on average, with a standard deviation of up to 1 / sqrt(SIZE).
"""

from __future__ import annotations

import hashlib
import re

import numpy as np
import numpy.typing as npt

from plethprint.errors import ProtectionError

__all__ = ["FORMS", "MIN_KEY_BYTES", "KeyedProjection", "is_protected"]

FORMS = ("signs", "rotation")
"""What may be kept of the turned vector: its signs, or all of it."""

MIN_KEY_BYTES = 16
"""Shortest key. A key is random (`secrets.token_bytes(32)`), never a password."""

MAX_SIZE = 4096

_ROUNDS = 3
_SALT = b"plethprint protection 1"
_MARK = re.compile(r"~k[0-9a-f]{8}\Z")

Int64Array = npt.NDArray[np.int64]


def is_protected(model: str) -> bool:
    """Whether a model identity carries a key mark.

    Examples
    --------
    >>> is_protected("toy@1+00000000"), is_protected("toy@1+00000000~k0123abcd")
    (False, True)
    """
    return _MARK.search(model) is not None


class KeyedProjection:
    """The keyed map of one key, for fingerprints of one model.

    `Fingerprint.protect` makes one for each call; make one yourself for many vectors.

    Parameters
    ----------
    key : bytes
        At least `MIN_KEY_BYTES` random bytes.
    model : str
        Identity of the model whose fingerprints are to be protected.
    dim : int
        Length of its vectors, D, 1..4096.
    form : {"signs", "rotation"}
        What is kept; see the module.
    size : int, optional
        Numbers of a protected vector, 1..4096; by default N. Fewer give less away and
        compare less well; a rotation has at most N.

    Raises
    ------
    ProtectionError
        If the key is no bytes or too short, the model is protected already, or form, dim
        or size are out of range.

    Examples
    --------
    >>> projection = KeyedProjection(bytes(range(16)), "toy@1+00000000", dim=4)
    >>> projection.apply(np.array([[3, -4, 0, 1]], np.int8)).tolist()
    [[1, 1, -1, -1]]
    """

    def __init__(
        self,
        key: bytes,
        model: str,
        dim: int,
        *,
        form: str = "signs",
        size: int | None = None,
    ) -> None:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        if not isinstance(key, (bytes, bytearray)) or len(key) < MIN_KEY_BYTES:
            # Neither the key nor a part of it belongs into a message.
            raise ProtectionError(
                f"a key is at least {MIN_KEY_BYTES} random bytes, "
                f"such as secrets.token_bytes(32) gives, not {_described(key)}"
            )
        if is_protected(model):
            raise ProtectionError(f"fingerprints of {model!r} are protected already")
        if form not in FORMS:
            raise ProtectionError(f"form is one of {', '.join(FORMS)}, not {form!r}")
        _check_count("dim", dim, MAX_SIZE)
        self._padded = 1 << (dim - 1).bit_length()
        size = self._padded if size is None else size
        _check_count("size", size, self._padded if form == "rotation" else MAX_SIZE)
        self.form = form
        self.dim = dim
        self.size = size
        """Numbers of a protected vector."""
        try:
            info = f"{form}|{dim}|{size}|{model}".encode()
        except UnicodeEncodeError as error:
            raise ProtectionError(f"model {model!r} cannot be written as UTF-8") from error
        derived = HKDF(SHA256(), length=36, salt=_SALT, info=info).derive(bytes(key))
        self.model = f"{model}~k{derived[32:].hex()}"
        """Identity of the protected fingerprints, ``name@version+hash8~kKEYMARK``."""
        self._blocks = self._keyed_blocks(derived[:32])

    def _keyed_blocks(
        self, seed: bytes
    ) -> list[list[tuple[npt.NDArray[np.intp], Int64Array]]]:
        n = self._padded
        count = -(-self.size // n)
        stream = hashlib.shake_256(seed).digest(count * _ROUNDS * 9 * n)
        blocks = []
        for block in range(count):
            rounds = []
            for turn in range(_ROUNDS):
                at = (block * _ROUNDS + turn) * 9 * n
                words = np.frombuffer(stream, "<u8", n, at)
                bits = np.frombuffer(stream, np.uint8, n, at + 8 * n) & 1
                signs = 1 - 2 * bits.astype(np.int64)
                rounds.append((np.argsort(words, kind="stable"), signs))
            blocks.append(rounds)
        return blocks

    def turn(self, vectors: npt.NDArray[np.int8]) -> Int64Array:
        """Turn vectors without quantising: exact, times N^1.5; (N, dim) -> (N, size).

        Raises
        ------
        ProtectionError
            If the vectors are not int8 of shape (N, dim).
        """
        if vectors.dtype != np.int8 or vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise ProtectionError(
                f"vectors to protect are int8 of shape (N, {self.dim}), "
                f"not {vectors.dtype} of shape {vectors.shape}"
            )
        filled = np.zeros((len(vectors), self._padded), np.int64)
        filled[:, : self.dim] = vectors
        parts = []
        for rounds in self._blocks:
            turned = filled
            for order, signs in rounds:
                turned = _hadamard(turned[:, order] * signs)
            parts.append(turned)
        return np.concatenate(parts, axis=1)[:, : self.size]

    def apply(self, vectors: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Protect vectors, int8 (N, dim) -> int8 (N, size).

        Raises
        ------
        ProtectionError
            If the vectors are not int8 of shape (N, dim).
        """
        turned = self.turn(vectors)
        if self.form == "signs":
            kept = np.where(turned >= 0, 1, -1)
        else:
            largest = np.maximum(np.abs(turned).max(axis=1, keepdims=True), 1)
            kept = np.sign(turned) * ((254 * np.abs(turned) + largest) // (2 * largest))
        # What means nothing must go on meaning nothing.
        return (kept * vectors.any(axis=1, keepdims=True)).astype(np.int8)


def _hadamard(rows: Int64Array) -> Int64Array:
    """Unnormalised Walsh-Hadamard transform of each row; 4096^3 x 128 is below 2^63."""
    n, half = rows.shape[1], 1
    while half < n:
        pairs = rows.reshape(len(rows), -1, 2, half)
        left, right = pairs[:, :, 0], pairs[:, :, 1]
        rows = np.stack([left + right, left - right], axis=2).reshape(len(rows), n)
        half *= 2
    return rows


def _check_count(name: str, value: object, most: int) -> None:
    counts = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not counts or not 1 <= value <= most:  # type: ignore[operator]
        raise ProtectionError(f"{name} is a whole number from 1 to {most}, not {value!r}")


def _described(key: object) -> str:
    if isinstance(key, (bytes, bytearray)):
        return f"{len(key)} bytes"
    return f"a {type(key).__name__}"

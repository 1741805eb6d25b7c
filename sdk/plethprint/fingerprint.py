"""The fingerprint of one window, how alike two are, and its bytes on the wire.

Wire format, version 1, little-endian:

======  =====  ========  =====================================================
offset  bytes  type      field
======  =====  ========  =====================================================
0       4      bytes     magic ``PLFP``
4       1      uint8     format version, 1
5       1      uint8     flags: bit 0 = a heart rate is given; others must be 0
6       2      uint16    D, the length of the vector, 1..4096
8       8      float64   start: seconds (Unix time, or since the recording began)
16      4      float32   duration_s, > 0
20      4      float32   quality, 0..1
24      4      float32   missing, 0..1
28      4      float32   heart_rate_bpm, > 0; 0 when bit 0 of flags is clear
32      4      float32   scale, 1 / length of the int8 vector; 0 if it is all zero
36      1      uint8     M, the length of the model identity in bytes, 1..255
37      M      UTF-8     model identity, ``name@version+hash8``; of a protected
                         fingerprint ``name@version+hash8~kKEYMARK``
37+M    D      int8      the vector
37+M+D  4      uint32    CRC-32 (zlib, ISO-HDLC) of every byte before it
======  =====  ========  =====================================================

A reader refuses other versions, unknown flags, trailing bytes and values out of range.
`Fingerprint.inverted` and `Fingerprint.quality_reason` do not travel: they are what a host
thinks of a stream, and devices in the field speak version 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import (
    FingerprintDecodeError,
    FingerprintError,
    FingerprintMismatchError,
)

__all__ = ["LOW_QUALITY", "Fingerprint", "similarity", "unit_scale"]

MAGIC = b"PLFP"
FORMAT_VERSION = 1
MAX_DIM = 4096

LOW_QUALITY = 0.5
"""Below this a fingerprint is `Fingerprint.flagged`: better left out of conclusions."""

_HEADER = struct.Struct("<4sBBHdfffffB")
_CRC = struct.Struct("<I")
_HAS_HEART_RATE = 0x01
_SCALE_TOLERANCE = 1e-3


def unit_scale(vector: npt.NDArray[np.int8]) -> float:
    """Return the factor that gives an int8 vector unit length.

    Parameters
    ----------
    vector : ndarray of int8, shape (D,)

    Returns
    -------
    float
        ``1 / ||vector||``, rounded to float32; 0.0 for the zero vector.
    """
    squared = int(np.square(vector.astype(np.int64)).sum())
    return float(np.float32(1.0 / math.sqrt(squared))) if squared else 0.0


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The fingerprint of one 10-second window.

    Real-valued fields but `start` are rounded to float32, so that what comes back from
    `from_bytes` equals what went into `to_bytes`.

    Raises
    ------
    FingerprintError
        If a field is out of range, or `scale` does not give the vector unit length.

    Examples
    --------
    >>> import numpy as np
    >>> vector = np.array([3, -4], dtype=np.int8)
    >>> fp = Fingerprint(vector, 0.2, start=0.0, duration_s=10.0, quality=0.9,
    ...                  model="toy@1+00000000")
    >>> fp.unit().round(3).tolist()
    [0.6000000238418579, -0.800000011920929]
    >>> Fingerprint.from_bytes(fp.to_bytes()) == fp
    True
    """

    vector: npt.NDArray[np.int8]
    """What the int8 encoder gave, shape (D,), -128..127; read-only."""
    scale: float
    """``1 / ||vector||``; 0 when the vector is all zero (see `unit_scale`)."""
    start: float
    """Start of the window: Unix time in s, or s from the start of the recording."""
    duration_s: float
    """Length of the window in s."""
    quality: float
    """Trust in the window, 0 (noise) to 1 (clean); see `plethprint.quality`."""
    model: str
    """Which model made it: ``name@version+hash8``."""
    missing: float = 0.0
    """Share of the window's samples that were missing and filled in, 0..1."""
    heart_rate_bpm: float | None = None
    """Heart rate in beats per minute; None when the window shows none."""
    inverted: float | None = None
    """Probability that the pulse the vector was made of stood upside down, from its stream
    so far (`plethprint.polarity`), 0..1; None when not judged, as after `from_bytes`. It
    is no part of equality."""
    quality_reason: str = ""
    """What lowers the quality most, a word of `plethprint.signal_quality.Reason`; empty
    when nothing does or nobody looked, as after `from_bytes`. It is no part of equality."""

    def __post_init__(self) -> None:
        vector = np.array(self.vector)  # a copy, so that nobody else can change it
        if vector.dtype != np.int8 or vector.ndim != 1:
            raise FingerprintError(
                "a fingerprint's vector must be one-dimensional int8, "
                f"not {vector.dtype} with shape {vector.shape}"
            )
        if not 1 <= vector.size <= MAX_DIM:
            raise FingerprintError(
                f"a fingerprint has 1 to {MAX_DIM} numbers, not {vector.size}"
            )
        vector.setflags(write=False)
        object.__setattr__(self, "vector", vector)
        object.__setattr__(self, "start", float(self.start))
        for name in ("scale", "duration_s", "quality", "missing"):
            object.__setattr__(self, name, _float32(getattr(self, name)))
        if self.heart_rate_bpm is not None:
            rate = _float32(self.heart_rate_bpm)
            object.__setattr__(self, "heart_rate_bpm", rate)
            if not (math.isfinite(rate) and rate > 0):
                raise FingerprintError(f"heart_rate_bpm must be positive, not {rate}")
        if not math.isfinite(self.start):
            raise FingerprintError(f"start must be a finite time in s, not {self.start}")
        if not (math.isfinite(self.duration_s) and self.duration_s > 0):
            raise FingerprintError(f"duration_s must be positive, not {self.duration_s}")
        for name in ("quality", "missing"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise FingerprintError(f"{name} must lie in 0..1, not {share}")
        if self.inverted is not None:
            object.__setattr__(self, "inverted", _float32(self.inverted))
            if not 0.0 <= self.inverted <= 1.0:
                raise FingerprintError(f"inverted must lie in 0..1, not {self.inverted}")
        length = self.scale * float(np.linalg.norm(vector.astype(np.float64)))
        if not (abs(length - 1.0) <= _SCALE_TOLERANCE or (not vector.any() and not length)):
            raise FingerprintError(
                f"scale must give the vector unit length, but {self.scale} gives {length}; "
                "use unit_scale(vector)"
            )
        if not isinstance(self.quality_reason, str):
            raise FingerprintError(
                f"quality_reason must be a word, not {self.quality_reason!r}"
            )
        if not 1 <= len(_utf8(self.model)) <= 255:
            raise FingerprintError(
                "model must be an identity of 1 to 255 bytes, "
                f"such as 'name@version+hash8', not {self.model!r}"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    @property
    def dim(self) -> int:
        """Number of values in the vector, D."""
        return self.vector.size

    @property
    def flagged(self) -> bool:
        """Whether the quality is below `LOW_QUALITY`: marked, not dropped."""
        return self.quality < LOW_QUALITY

    def unit(self) -> npt.NDArray[np.float32]:
        """Return the fingerprint as float32 of unit length, shape (D,)."""
        return np.multiply(self.vector, self.scale, dtype=np.float32)

    def protect(
        self, key: bytes, *, form: str = "signs", size: int | None = None
    ) -> Fingerprint:
        """Give the keyed image of this fingerprint that a third party may hold.

        Protected fingerprints compare under one key and refuse to under different ones; a
        lost key is cancelled by protecting anew with another. The heart rate is taken
        out, and quality and missing are rounded to tenths, since exact values would link
        a window's images under different keys. `start` stays and links them too: replace
        it where holders of different keys might meet. ``docs/privacy.md`` says, with
        figures, what this protects against and what not.

        Parameters
        ----------
        key : bytes
            At least 16 random bytes (`secrets.token_bytes(32)`), best one for each person
            and holder; never a password.
        form : {"signs", "rotation"}
            ``signs`` keeps one bit of each number; similarity then means angle.
            ``rotation`` keeps every angle, and whoever has the key can turn it back.
        size : int, optional
            Numbers that are kept, by default the next power of two from D.

        Raises
        ------
        ProtectionError
            If the key is no bytes or too short, the form or size is not known, or the
            fingerprint is protected already.

        Examples
        --------
        >>> fp = Fingerprint(np.array([3, -4], np.int8), 0.2, start=0.0, duration_s=10.0,
        ...                  quality=0.9, model="toy@1+00000000")
        >>> protected = fp.protect(bytes(range(16)))
        >>> protected.model
        'toy@1+00000000~k99ccd524'
        >>> similarity(protected, protected)
        1.0
        """
        from plethprint.protection import KeyedProjection

        projection = KeyedProjection(key, self.model, self.dim, form=form, size=size)
        vector = projection.apply(self.vector[None])[0]
        return replace(
            self,
            vector=vector,
            scale=unit_scale(vector),
            quality=round(self.quality, 1),
            model=projection.model,
            missing=round(self.missing, 1),
            heart_rate_bpm=None,
            quality_reason="",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain Python values, ready for JSON."""
        return {
            "start": self.start,
            "duration_s": self.duration_s,
            "quality": self.quality,
            "quality_reason": self.quality_reason,
            "flagged": self.flagged,
            "missing": self.missing,
            "heart_rate_bpm": self.heart_rate_bpm,
            "inverted": self.inverted,
            "model": self.model,
            "scale": self.scale,
            "vector": self.vector.tolist(),
        }

    def to_bytes(self) -> bytes:
        """Return the wire format described at the top of this module."""
        model = _utf8(self.model)
        has_rate = self.heart_rate_bpm is not None
        header = _HEADER.pack(
            MAGIC,
            FORMAT_VERSION,
            _HAS_HEART_RATE if has_rate else 0,
            self.vector.size,
            self.start,
            self.duration_s,
            self.quality,
            self.missing,
            self.heart_rate_bpm or 0.0,
            self.scale,
            len(model),
        )
        body = header + model + self.vector.tobytes()
        return body + _CRC.pack(zlib.crc32(body))

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Fingerprint:
        """Read a fingerprint back from its wire format.

        Parameters
        ----------
        data : bytes-like
            Exactly one fingerprint, as `to_bytes` writes it.

        Raises
        ------
        FingerprintDecodeError
            If the bytes are cut off, damaged, of another version, or out of range.
        """
        data = bytes(memoryview(data))  # bytes() alone would take a number for a length
        if len(data) < _HEADER.size + _CRC.size:
            raise FingerprintDecodeError(
                f"a fingerprint has at least {_HEADER.size + _CRC.size} bytes, "
                f"but {len(data)} came"
            )
        (magic, wire_version, flags, dim, start, duration_s, quality, missing, rate, scale,
         model_bytes) = _HEADER.unpack_from(data)  # fmt: skip
        if magic != MAGIC:
            raise FingerprintDecodeError(
                f"a fingerprint begins with {MAGIC!r}, but {magic!r} came"
            )
        if wire_version != FORMAT_VERSION:
            raise FingerprintDecodeError(
                f"fingerprint format version {wire_version} is not known; "
                f"this release reads version {FORMAT_VERSION}"
            )
        expected = _HEADER.size + model_bytes + dim + _CRC.size
        if len(data) != expected:
            raise FingerprintDecodeError(
                f"this fingerprint should have {expected} bytes, but {len(data)} came"
            )
        body = data[: -_CRC.size]
        if _CRC.unpack(data[-_CRC.size :])[0] != zlib.crc32(body):
            raise FingerprintDecodeError("the fingerprint is damaged: wrong checksum")
        if flags & ~_HAS_HEART_RATE:
            raise FingerprintDecodeError(f"fingerprint flags 0x{flags:02x} are not known")
        if not flags and rate != 0.0:
            raise FingerprintDecodeError("a heart rate came without its flag")
        try:
            return cls(
                vector=np.frombuffer(body, np.int8, dim, _HEADER.size + model_bytes),
                scale=scale,
                start=start,
                duration_s=duration_s,
                quality=quality,
                model=body[_HEADER.size : _HEADER.size + model_bytes].decode("utf-8"),
                missing=missing,
                heart_rate_bpm=rate if flags else None,
            )
        except (FingerprintError, UnicodeDecodeError) as error:
            raise FingerprintDecodeError(
                f"the fingerprint's bytes make no sense: {error}"
            ) from error


def similarity(a: Fingerprint, b: Fingerprint) -> float:
    """Return the cosine between two fingerprints of the same model.

    Parameters
    ----------
    a, b : Fingerprint

    Returns
    -------
    float
        -1..1; 0.0 when either vector is all zero (a flat window is like nothing).

    Raises
    ------
    FingerprintMismatchError
        If the two come from different models, or were protected with different keys (or
        only one of them): their numbers mean different things.
    FingerprintError
        If either is no fingerprint: bare vectors do not say which model made them.
    """
    for one in (a, b):
        if not isinstance(one, Fingerprint):
            raise FingerprintError(
                f"similarity compares two fingerprints, not {type(one).__name__}; of unit "
                "vectors, as embed_windows gives, it is a @ b"
            )
    if a.model != b.model or a.dim != b.dim:
        raise FingerprintMismatchError(
            "only fingerprints of one model and key can be compared, "
            f"but these come from {a.model!r} ({a.dim}) and {b.model!r} ({b.dim})"
        )
    x, y = a.vector.astype(np.int64), b.vector.astype(np.int64)
    norm = math.sqrt(int(x @ x) * int(y @ y))
    return max(-1.0, min(1.0, int(x @ y) / norm)) if norm else 0.0


def _float32(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FingerprintError(f"model {text!r} cannot be written as UTF-8") from error

"""One row of the log: a fingerprint, whose it is, and what the host knew of it.

The bytes of a row, version 1: one byte 1, the length of the facts as uint16 little-endian,
the facts as canonical JSON (keys sorted, UTF-8), and `Fingerprint.to_bytes`.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, replace
from typing import Any

from plethprint.errors import FingerprintError, StoreError, StoreIntegrityError
from plethprint.fingerprint import Fingerprint

__all__ = ["StoredFingerprint"]

_VERSION = 1
_HEAD = struct.Struct("<BH")
_MAX_LABEL_BYTES = 255
_MAX_REASON_BYTES = 64


@dataclass(frozen=True)
class StoredFingerprint:
    """A fingerprint with its wearer, its wearable and its two times.

    Raises
    ------
    StoreError
        If a label is no text of at most 255 bytes, or a number is out of range.
    """

    fingerprint: Fingerprint
    """Vector, model, quality; `Fingerprint.start` is the host's time, Unix s."""
    wearer: str
    """Label of the person, 1..255 bytes; best a pseudonym."""
    wearable: str = ""
    """Label of the wearable, such as its address; empty when there was none."""
    device_time_s: float | None = None
    """The wearable's own time of the first sample, s on its clock; None when unknown."""
    gap_fraction: float | None = None
    """Share of the window's samples that never came, 0..1; None takes `missing`."""

    def __post_init__(self) -> None:
        for name, least in (("wearer", 1), ("wearable", 0)):
            label = getattr(self, name)
            if not isinstance(label, str) or not (
                least <= _utf8_length(label) <= _MAX_LABEL_BYTES
            ):
                raise StoreError(
                    f"{name} must be a text of {least} to {_MAX_LABEL_BYTES} bytes of "
                    f"UTF-8, not {label!r}"
                )
        if _utf8_length(self.fingerprint.quality_reason) > _MAX_REASON_BYTES:
            raise StoreError(f"quality_reason is longer than {_MAX_REASON_BYTES} bytes")
        if self.gap_fraction is None:
            object.__setattr__(self, "gap_fraction", self.fingerprint.missing)
        for name, low, high in (
            ("device_time_s", -math.inf, math.inf),
            ("gap_fraction", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if not (math.isfinite(value) and low <= value <= high):
                raise StoreError(f"{name} must be a number in {low}..{high}, not {value}")
            object.__setattr__(self, name, float(value))

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain Python values, ready for JSON."""
        return {
            "wearer": self.wearer,
            "wearable": self.wearable,
            "device_time_s": self.device_time_s,
            "gap_fraction": self.gap_fraction,
            **self.fingerprint.to_dict(),
        }

    def to_bytes(self) -> bytes:
        """Return the bytes described at the top of this module; equal rows, equal bytes."""
        facts = {
            "wearer": self.wearer,
            "wearable": self.wearable,
            "device_time_s": self.device_time_s,
            "gap_fraction": self.gap_fraction,
            "inverted": self.fingerprint.inverted,
            "quality_reason": self.fingerprint.quality_reason,
        }
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        encoded = text.encode("utf-8")
        return _HEAD.pack(_VERSION, len(encoded)) + encoded + self.fingerprint.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> StoredFingerprint:
        """Read a row back.

        Raises
        ------
        StoreIntegrityError
            If the bytes are no row, or a damaged one.
        """
        try:
            version, length = _HEAD.unpack_from(data)
            if version != _VERSION:
                raise StoreIntegrityError(
                    f"row version {version} is not known; this release reads {_VERSION}"
                )
            facts = json.loads(data[_HEAD.size : _HEAD.size + length])
            fingerprint = replace(
                Fingerprint.from_bytes(data[_HEAD.size + length :]),
                inverted=facts.pop("inverted"),
                quality_reason=facts.pop("quality_reason"),
            )
            return cls(fingerprint, **facts)
        except StoreIntegrityError:
            raise
        except (
            struct.error,
            ValueError,  # JSON, UTF-8, and the errors of this package
            TypeError,
            AttributeError,
            KeyError,
            RecursionError,
            FingerprintError,
        ) as error:
            raise StoreIntegrityError(f"these bytes are no row: {error}") from error


def _utf8_length(text: str) -> int:
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return 1 << 30  # lone surrogates: no text, and longer than any limit

"""Fingerprints on the device against raw PPG over the air: who spends less, and when.

Raw PPG costs radio; a fingerprint costs computing and a little radio. Both sides keep the
same link, so that what stays is what is saved. Raw samples are counted without headers or
frame overhead, fingerprints with theirs: the comparison leans to raw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plethprint.cost.processors import Band, Processor
from plethprint.cost.radio import VARIANTS, RadioAssumptions, Traffic

__all__ = [
    "RAW_STREAMS",
    "SEND_EVERY_S",
    "Comparison",
    "RawStream",
    "break_even_bytes",
    "compare",
]

_LINK_EVERY_S = 1.0
"""Latency of a link that has nothing to send."""


@dataclass(frozen=True)
class RawStream:
    """A way to send PPG as it is."""

    name: str
    rate_hz: float
    bits: int
    channels: int = 1

    @property
    def bytes_per_s(self) -> float:
        """Payload, without headers."""
        return self.rate_hz * self.bits * self.channels / 8


RAW_STREAMS: tuple[RawStream, ...] = (
    RawStream("125 Hz x 24 bit, 3 channels", 125.0, 24, 3),
    RawStream("125 Hz x 24 bit", 125.0, 24),
    RawStream("64 Hz x 16 bit", 64.0, 16),
    RawStream("64 Hz x 8 bit, the network's own input", 64.0, 8),
    RawStream("25 Hz x 16 bit", 25.0, 16),
)
"""What fingerprints are compared with, from the dearest to the cheapest."""

SEND_EVERY_S: tuple[float, ...] = (0.1, 1.0, 10.0)
"""Live, gathered for a second, gathered for a window."""


@dataclass(frozen=True)
class Comparison:
    """One raw stream in one rhythm against fingerprints; energies per fingerprint."""

    raw: RawStream
    send_every_s: float
    raw_uj: Band
    """Over `VARIANTS` of the radio."""
    fingerprint_radio_uj: Band
    """Of a link of the same kind that carries fingerprints."""
    saving_uj: Band
    """Raw minus fingerprint, each variant with itself; may be below 0."""
    break_even_mmac: Mapping[str, Band]
    """By processor: the network, in million MACs, that would eat up the saving."""
    verdicts: Mapping[str, str]
    """By processor: ``"fingerprints"``, ``"raw"``, or ``"within the band"``."""


def compare(
    raw: RawStream,
    send_every_s: float,
    *,
    fingerprint_bytes: int,
    every_s: float,
    compute_uj: Mapping[str, Band],
    processors: Sequence[Processor],
    variants: Sequence[RadioAssumptions] = VARIANTS,
) -> Comparison:
    """Set one raw stream against fingerprints.

    Parameters
    ----------
    raw, send_every_s
        What goes over the air instead, and how long it is gathered before it goes.
    fingerprint_bytes
        Of one fingerprint on the wire.
    every_s
        Seconds between fingerprints.
    compute_uj
        Energy of computing one, by the processor's name; a name may be missing.
    processors
        For the network that would break even.
    """
    pairs = [
        _radio_uj(raw.bytes_per_s * every_s, send_every_s, fingerprint_bytes, every_s, v)
        for v in variants
    ]
    savings = [raw_uj - own_uj for raw_uj, own_uj in pairs]
    saving = Band(min(savings), max(savings))
    break_even = {
        processor.name: Band(
            max(saving.low, 0.0) / processor.uj_per_mmac.high,
            max(saving.high, 0.0) / processor.uj_per_mmac.low,
        )
        for processor in processors
        if processor.uj_per_mmac is not None
    }
    return Comparison(
        raw,
        send_every_s,
        _band([raw_uj for raw_uj, _ in pairs]),
        _band([own_uj for _, own_uj in pairs]),
        saving,
        break_even,
        {name: _verdict(saving, cost) for name, cost in compute_uj.items()},
    )


def break_even_bytes(
    compute_uj: float,
    send_every_s: float,
    *,
    fingerprint_bytes: int,
    every_s: float,
    variant: RadioAssumptions = VARIANTS[0],
    most: int = 1 << 20,
) -> int | None:
    """Fewest raw bytes per fingerprint at which computing on the device pays.

    Parameters
    ----------
    compute_uj
        Energy of computing one fingerprint.

    Returns
    -------
    int or None
        None where even `most` bytes do not pay.

    Examples
    --------
    >>> break_even_bytes(0.0, 10.0, fingerprint_bytes=132, every_s=10.0)
    132
    """

    def pays(raw_bytes: int) -> bool:
        raw, own = _radio_uj(raw_bytes, send_every_s, fingerprint_bytes, every_s, variant)
        return raw - own >= compute_uj

    low, high = 1, most
    if not pays(high):
        return None
    while low < high:  # more bytes never cost less
        middle = (low + high) // 2
        low, high = (low, middle) if pays(middle) else (middle + 1, high)
    return low


def _radio_uj(
    raw_bytes: float,
    send_every_s: float,
    fingerprint_bytes: int,
    every_s: float,
    variant: RadioAssumptions,
) -> tuple[float, float]:
    """Energy of the raw stream and of the fingerprint, in one period."""
    # A live stream keeps more events than a quiet link; one gathered for longer than the
    # quiet link's second lets the fingerprint's link sleep as long.
    gathered_s = min(send_every_s, every_s)
    link_every_s = max(gathered_s, min(_LINK_EVERY_S, every_s))
    raw = Traffic(raw_bytes, every_s, gathered_s, link_every_s)
    own = Traffic(fingerprint_bytes, every_s, every_s, link_every_s)
    return raw.uj(variant), own.uj(variant)


def _verdict(saving: Band, compute: Band) -> str:
    if saving.low > compute.high:
        return "fingerprints"
    return "raw" if saving.high < compute.low else "within the band"


def _band(values: Sequence[float]) -> Band:
    return Band(min(values), max(values))

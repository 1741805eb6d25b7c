"""What a demo is asked for, what each of its windows tells, and how it went."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["DemoOptions", "DemoReport", "DemoWindow"]


@dataclass(frozen=True)
class DemoOptions:
    """What is worn, for how long, and what goes wrong on the way."""

    seconds: float = 40.0
    """How long the wearable streams; less when a replayed recording is shorter."""
    seed: int = 1
    """Decides the wearer, the sensor's noise and the fate of every packet."""
    personality: str = "open"
    """Protocol of the virtual wearable, one of `plethprint_sim.personalities`."""
    rhythm: str = "sinus"
    """One of `RHYTHMS`; of the virtual wearer."""
    replay: Path | None = None
    """A recording to wear instead of a virtual wearer."""
    sample_rate_hz: float | None = None
    """Rate of `replay`, where the file does not say it."""
    column: str | None = None
    """PPG column of `replay`, where its name does not tell."""
    virtual_time: bool = False
    """As fast as the machine allows, the same bytes every time."""
    link_loss_at_s: float | None = None
    """Seconds of streaming after which the wearer walks out of range once."""
    link_loss_s: float = 6.0
    """Seconds out of range; the wearable itself remembers two of them."""
    firmware: Path | None = None
    """Firmware pack to make the wearable of; of `plethprint_sim.on_device_demo` alone."""
    fault: str | None = None
    """Damage to that firmware, one of `plethprint_sim.native_firmware.FAULTS`."""
    package: Path | None = None
    """Model package; the shipped one when None."""
    teacher: Path | None = None
    """Teacher package; the shipped one when None."""


@dataclass(frozen=True)
class DemoWindow:
    """One fingerprint as it came, and what the teacher says of the same moment."""

    start_s: float
    """Seconds from the first sample streamed to the window's first."""
    duration_s: float
    heart_rate_bpm: float | None
    quality: float
    missing: float
    """Share of the window that was absent, 0 to 1."""
    vector: tuple[int, ...]
    """int8, length D."""
    cosine: float
    """Raw cosine with the teacher's fingerprint: near 1 even for poor models."""
    centred_cosine: float
    """The same after the reference bank's means are taken off."""
    overlap_at_10: float
    """Share of the 10 nearest reference windows that both sides name, 0 to 1."""
    compute_ms: float
    """Time that this window takes from samples to fingerprint here, measured."""
    missing_samples: int | None
    """Samples absent so far; None where nobody can know."""
    link_gaps: int
    """Times the link was away so far."""


@dataclass(frozen=True)
class DemoReport:
    """How the demo went."""

    model: str
    teacher: str
    source: str
    """``wearer`` or the name of the recording."""
    personality: str
    """Protocol that the virtual wearable spoke."""
    device_runtime: str
    """Runtime of the encoder on the virtual wearable; empty when it has none."""
    host_runtime: str
    """Runtime that made the fingerprints from the stream."""
    seed: int
    rate_hz: float
    """Rate of the stream over the air."""
    fingerprints: int
    frames: int
    samples: int
    missing_samples: int | None
    duplicates: int
    link_gaps: int
    reconnects: int
    paired: bool
    """Whether pairing was done and a characteristic behind encryption could be read."""
    teacher_sees: str
    """``both`` ECG and PPG, or ``ppg``."""
    parity: dict[str, float | int]
    """``golden_max_lsb`` of the wearable's own encoder; over all windows, the measures of
    `plethprint.agreement` against the teacher, banks being the package's own."""
    stream_sha256: str
    """Over the payload of every PPG notification."""
    statistics: dict[str, Any]
    """All counts of the session, `StreamStatistics.to_dict`: what was absent, and why."""
    windows: tuple[DemoWindow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)

"""The cost report of one package: counted, measured and projected figures, kept apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from plethprint.cost.measured import FirmwareMeasurement
from plethprint.cost.processors import PROCESSORS, Band, Processor, Projection
from plethprint.cost.radio import VARIANTS
from plethprint.cost.streaming import (
    RAW_STREAMS,
    SEND_EVERY_S,
    Comparison,
    break_even_bytes,
    compare,
)

__all__ = ["SCHEMA", "CostReport", "Network", "Storage", "Turnover", "cost_report"]

SCHEMA = 1
"""Of `CostReport.to_dict`; raised when a key changes its meaning or goes."""

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Network:
    """What was counted in the files of a package."""

    model: str
    """Identity of the package."""
    dim: int
    window_s: float
    parameters: int
    macs: int
    """Per window."""
    constant_bytes: int
    """Weights and biases; no code, no scales."""
    activation_bytes: int
    """Largest input and output of one step, nothing computed in place."""
    file_bytes: Mapping[str, int]
    """By file name."""
    fingerprint_bytes: int
    """Of one fingerprint on the wire."""
    steps: Sequence[Mapping[str, Any]] = ()
    """Per operator: name, output_shape, macs, parameters."""


@dataclass(frozen=True)
class Storage:
    """What a day takes."""

    what: str
    bytes_per_day: int


@dataclass(frozen=True)
class Turnover:
    """Where raw streaming and fingerprints cost the same on a processor."""

    processor: str
    send_every_s: float
    raw_bytes: Mapping[str, int | None]
    """Per fingerprint, for the cheap and the dear end of the band; None: never pays."""


@dataclass(frozen=True)
class CostReport:
    """Everything that `plethprint report` tells."""

    network: Network
    every_s: float
    """Seconds between fingerprints."""
    firmware: FirmwareMeasurement | None
    projections: Sequence[Projection]
    comparisons: Sequence[Comparison]
    turnovers: Sequence[Turnover]
    storage: Sequence[Storage]

    def to_dict(self) -> dict[str, Any]:
        """Plain form for JSON; every energy in uJ, every time in ms, per window."""
        network = {k: v for k, v in asdict(self.network).items() if k != "steps"}
        return {
            "schema": SCHEMA,
            "network": {**network, "steps": [dict(step) for step in self.network.steps]},
            "every_s": self.every_s,
            "firmware": None
            if self.firmware is None
            else {
                "shape": self.firmware.shape,
                "cores": {
                    name: {
                        **asdict(core),
                        "instructions_per_window": core.instructions(self.every_s),
                    }
                    for name, core in self.firmware.cores.items()
                },
            },
            "projections": [asdict(p) | {"projection": True} for p in self.projections],
            "radio": {
                "assumptions": [asdict(variant) for variant in VARIANTS],
                "comparisons": [
                    {
                        **asdict(c),
                        "raw": c.raw.name,
                        "raw_bytes": round(c.raw.bytes_per_s * self.every_s),
                        "break_even_mmac": {
                            k: asdict(b) for k, b in c.break_even_mmac.items()
                        },
                        "verdicts": dict(c.verdicts),
                    }
                    for c in self.comparisons
                ],
                "turnovers": [asdict(t) for t in self.turnovers],
            },
            "storage_per_day": [asdict(s) for s in self.storage],
        }


def cost_report(
    network: Network,
    *,
    every_s: float | None = None,
    firmware: FirmwareMeasurement | None = None,
    processors: Sequence[Processor] = PROCESSORS,
) -> CostReport:
    """Work out what a package costs.

    Parameters
    ----------
    network
        Counted from the package.
    every_s
        Seconds between fingerprints, at most a minute; default: windows do not overlap.
    firmware
        Counts of the firmware of the same architecture; None where there are none.
    processors
        To project onto.

    Raises
    ------
    ValueError
        `every_s` outside 0.1 to 60.

    Examples
    --------
    >>> network = Network("m@1+0", 64, 10.0, 1000, 2_000_000, 1000, 500, {}, 132)
    >>> report = cost_report(network)
    >>> report.projections[0].processor, round(report.projections[0].ms.high)
    ('nRF52840 (tuned kernels)', 61)
    """
    every_s = network.window_s if every_s is None else every_s
    if not 0.1 <= every_s <= 60.0:
        raise ValueError(f"a fingerprint every 0.1 to 60 s, not {every_s!r}")
    projections = [processor.from_macs(network.macs) for processor in processors]
    compute = {p.processor: p.uj for p in projections if p.uj is not None}
    if firmware is not None:
        counted = _counted(firmware, processors, every_s)
        projections += counted
        compute |= {p.processor: p.uj for p in counted if p.uj is not None}
    comparisons = [
        compare(
            raw,
            send_every_s,
            fingerprint_bytes=network.fingerprint_bytes,
            every_s=every_s,
            compute_uj=compute,
            processors=processors,
        )
        for raw in RAW_STREAMS
        for send_every_s in SEND_EVERY_S
    ]
    storage = [
        Storage(f"raw, {raw.name}", round(raw.bytes_per_s * _SECONDS_PER_DAY))
        for raw in RAW_STREAMS
    ]
    own = round(network.fingerprint_bytes * _SECONDS_PER_DAY / every_s)
    storage.append(Storage(f"fingerprints, one every {every_s:g} s", own))
    return CostReport(
        network,
        every_s,
        firmware,
        projections,
        comparisons,
        _turnovers(network, every_s, compute),
        storage,
    )


def _counted(
    firmware: FirmwareMeasurement, processors: Sequence[Processor], every_s: float
) -> list[Projection]:
    """Projections from counted instructions, one for each chip and not for each kernel."""
    found: dict[str, Projection] = {}
    for processor in processors:
        core = firmware.cores.get(processor.core)
        made = (
            None
            if core is None
            else processor.from_instructions(core.instructions(every_s))
        )
        chip = processor.name.partition(" (")[0]
        if made is not None and chip not in found:
            name = f"{chip} (this firmware)"
            found[chip] = Projection(name, made.ms, made.uj, made.basis, made.source)
    return list(found.values())


def _turnovers(
    network: Network, every_s: float, compute: Mapping[str, Band]
) -> list[Turnover]:
    return [
        Turnover(
            name,
            send_every_s,
            {
                end: break_even_bytes(
                    value,
                    send_every_s,
                    fingerprint_bytes=network.fingerprint_bytes,
                    every_s=every_s,
                )
                for end, value in (("low", cost.low), ("high", cost.high))
            },
        )
        for name, cost in compute.items()
        for send_every_s in SEND_EVERY_S
    ]

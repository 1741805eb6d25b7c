"""The cost report in words: what a person reads in a terminal, and the plain verdicts."""

from __future__ import annotations

from collections.abc import Iterator

from plethprint.cost.processors import Band
from plethprint.cost.radio import VARIANTS
from plethprint.cost.report import CostReport
from plethprint.cost.streaming import Comparison

__all__ = [
    "LEFT_OUT",
    "NOT_MEASURED",
    "band",
    "lines",
    "plain_verdicts",
    "rhythm",
    "turnover",
]

NOT_MEASURED = (
    "not measured with this architecture, so that code size, RAM, stack and instructions "
    "are not told: python -m plethprint_quantize.firmware.measure counts them, and "
    "--firmware FILE reads what it wrote"
)

LEFT_OUT = (
    "Left out, for both sides alike: sensor and light, sleep between windows, "
    "retransmission, and what the phone spends. Left out on the fingerprint's side: "
    "preprocessing, unless instructions were counted. Left out on raw's side: frame "
    "headers. Networks with few channels run slower than the published ones: in CHRIS "
    "(arXiv 2306.06129, a smartwatch with an STM32WB55), sending the whole input took "
    "about 326 uJ and a small network on the watch about 542 uJ, derived from the ratios "
    "in the abstract: there too, the radio was the cheaper way."
)
"""What the figures do not hold."""


def band(value: Band | None, unit: str = "") -> str:
    """A band for a reader, ``"480 to 592 uJ"``; a dash where there is none."""
    if value is None:
        return "-"
    low, high = _number(value.low), _number(value.high)
    told = low if low == high else f"{low} to {high}"
    return f"{told} {unit}" if unit else told


def rhythm(send_every_s: float) -> str:
    """How a stream is sent, in words."""
    if send_every_s < 1:
        return f"live, every {1e3 * send_every_s:g} ms"
    return f"gathered for {send_every_s:g} s"


def turnover(raw_bytes: int | None) -> str:
    """Bytes from which fingerprints pay."""
    if raw_bytes is None:
        return "never"
    return "any" if raw_bytes <= 1 else f"{raw_bytes:,} B"


def plain_verdicts(report: CostReport) -> list[str]:
    """One sentence for each raw stream and rhythm: which way costs less energy."""
    return [_verdict(comparison, report) for comparison in report.comparisons]


def _verdict(comparison: Comparison, report: CostReport) -> str:
    raw = f"{comparison.raw.name}, {rhythm(comparison.send_every_s)}"
    spent = f"{band(comparison.raw_uj)} uJ of radio every {report.every_s:g} s"
    by: dict[str, list[str]] = {}
    for processor, verdict in comparison.verdicts.items():
        by.setdefault(verdict, []).append(processor)
    if not by:
        return f"{raw}: {spent}; no processor here has a published energy."
    if list(by) == ["raw"]:
        return f"{raw}: streaming raw PPG is CHEAPER on every processor here ({spent})."
    if list(by) == ["fingerprints"]:
        return f"{raw}: fingerprints are cheaper on every processor here ({spent})."
    parts = []
    if "raw" in by:
        parts.append(f"streaming raw PPG is CHEAPER on {', '.join(by['raw'])}")
    if "fingerprints" in by:
        parts.append(f"fingerprints are cheaper on {', '.join(by['fingerprints'])}")
    if "within the band" in by:
        parts.append(f"too close to tell on {', '.join(by['within the band'])}")
    return f"{raw}: {'; '.join(parts)} ({spent})."


def lines(report: CostReport) -> Iterator[str]:
    """The report for a terminal, line by line."""
    network = report.network
    yield f"{network.model}: what it costs, for one window of {network.window_s:g} s"
    yield ""
    yield "counted in the package"
    rows = {
        "parameters": f"{network.parameters:,}",
        "multiply-accumulates": f"{network.macs:,}",
        "weights and biases": f"{network.constant_bytes:,} B of flash, without code",
        "largest step": f"{network.activation_bytes:,} B of RAM, nothing in place",
        "fingerprint": f"{network.fingerprint_bytes} B on the wire",
        **{name: f"{count:,} B" for name, count in network.file_bytes.items()},
    }
    for name, told in rows.items():
        yield f"  {name:<22} {told}"
    yield ""
    yield "firmware, counted in an emulator"
    if report.firmware is None:
        yield f"  {NOT_MEASURED}"
    else:
        for name, core in report.firmware.cores.items():
            yield (
                f"  {name:<6} {core.instructions(report.every_s):>11,} instructions, "
                f"{core.flash_bytes:,} B flash, {core.workspace_bytes:,} B RAM, "
                f"{core.stack_bytes:,} B stack"
            )
    yield ""
    yield "time and energy for one window (all of it projection; sources with --json)"
    for p in report.projections:
        yield (
            f"  {p.processor:<27} {band(p.ms, 'ms'):>16} {band(p.uj, 'uJ'):>20}   "
            f"projection from {p.basis}"
        )
    yield ""
    yield f"radio, and who spends less (a fingerprint every {report.every_s:g} s)"
    for sentence in plain_verdicts(report):
        yield f"  {sentence}"
    yield ""
    yield f"raw bytes for each fingerprint from which computing pays ({VARIANTS[0].name})"
    for t in report.turnovers:
        ends = " to ".join(dict.fromkeys(turnover(n) for n in t.raw_bytes.values()))
        yield f"  {t.processor:<27} {rhythm(t.send_every_s):<22} {ends}"
    yield ""
    yield "storage for a day"
    for kept in report.storage:
        yield f"  {kept.what:<44} {kept.bytes_per_day / 1e6:8.2f} MB"
    yield ""
    yield LEFT_OUT


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

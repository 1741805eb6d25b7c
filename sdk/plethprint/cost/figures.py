"""Figures of the cost report as inline SVG: plain strings, no scripts, no fonts, no net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from plethprint.cost.processors import Band
from plethprint.cost.radio import VARIANTS
from plethprint.cost.report import CostReport
from plethprint.cost.streaming import SEND_EVERY_S, RawStream, compare
from plethprint.cost.words import band, rhythm

__all__ = ["energy_bars", "radio_curve", "step_bars"]

_COLOURS = ("#0b62a8", "#d1711a", "#2f8f4e", "#8a4fa3", "#8c6d1f", "#3d7f8f", "#a33d5c")
_ROW = 22


def step_bars(report: CostReport) -> str:
    """A bar for each operator: its share of the multiply-accumulates."""
    most = max((step["macs"] for step in report.network.steps), default=0)
    rows = [
        (str(step["name"]), Band(0.0, step["macs"] / 1e6), f"{step['macs']:,}")
        for step in report.network.steps
    ]
    return _bars(rows, most / 1e6, "multiply-accumulates of each step")


def energy_bars(report: CostReport) -> str:
    """A floating bar for each projected energy: from the low to the high end."""
    rows = [
        (p.processor, p.uj, f"{band(p.uj)} uJ")
        for p in report.projections
        if p.uj is not None
    ]
    most = max((row[1].high for row in rows), default=0.0)
    return _bars(rows, most, "energy of one window, projection")


def radio_curve(report: CostReport, *, most_bytes: int = 8000) -> str:
    """Radio energy saved over raw bytes, against the energy of computing.

    Where a curve is above a processor's band, fingerprints pay; below it, raw streaming.
    """
    width, height, left, right, foot = 720, 380, 70, 30, 46
    points = list(range(100, most_bytes + 1, 100))
    curves = []
    for send_every_s in SEND_EVERY_S:
        saved = []
        for count in points:
            raw = RawStream("", count * 8 / report.every_s, 1)
            made = compare(
                raw,
                send_every_s,
                fingerprint_bytes=report.network.fingerprint_bytes,
                every_s=report.every_s,
                compute_uj={},
                processors=(),
                variants=VARIANTS[:1],
            )
            saved.append(made.saving_uj.low)
        curves.append(saved)
    bands = [(p.processor, p.uj) for p in report.projections if p.uj is not None]
    top = 1.1 * max(max(map(max, curves)), *(b.high for _, b in bands), 1.0)

    def x(count: float) -> float:
        return left + (width - left - right) * count / most_bytes

    def y(uj: float) -> float:
        return height - foot - (height - foot - 10) * max(uj, 0.0) / top

    shapes = [
        f"<rect x='{left}' y='10' width='{width - left - right}' "
        f"height='{height - foot - 10}'"
        " fill='none' stroke='#bbb'/>"
    ]
    for (name, uj), colour in zip(bands, _COLOURS, strict=False):
        thick = max(y(uj.low) - y(uj.high), 1.0)
        shapes.append(
            f"<rect x='{left}' y='{y(uj.high):.1f}' width='{width - left - right}' "
            f"height='{thick:.1f}' fill='{colour}' fill-opacity='.18' stroke='{colour}'>"
            f"<title>{escape(name)}: {band(uj)} uJ</title></rect>"
        )
    for saved, send_every_s, dash in zip(
        curves, SEND_EVERY_S, ("6 3", "2 3", ""), strict=True
    ):
        line = " ".join(
            f"{x(n):.1f},{y(uj):.1f}" for n, uj in zip(points, saved, strict=True)
        )
        shapes.append(
            f"<polyline points='{line}' fill='none' stroke='#222' stroke-width='1.6' "
            f"stroke-dasharray='{dash}'><title>{rhythm(send_every_s)}</title></polyline>"
        )
    shapes += [
        f"<text x='{x(count):.0f}' y='{height - foot + 16}' "
        f"text-anchor='middle'>{count:,}</text>"
        for count in range(0, most_bytes + 1, 2000)
    ]
    shapes += [
        f"<text x='{left - 6}' y='{y(uj) + 4:.0f}' text-anchor='end'>{uj:,}</text>"
        for uj in range(0, int(top), _round_step(top))
    ]
    shapes.append(
        f"<text x='{width / 2}' y='{height - 6}' text-anchor='middle'>raw bytes for each "
        f"fingerprint</text><text x='14' y='{height / 2}' text-anchor='middle' "
        f"transform='rotate(-90 14 {height / 2})'>uJ saved, uJ of computing</text>"
    )
    key = "".join(
        f"<span style='color:{colour}'>■ {escape(name)}</span> "
        for (name, _), colour in zip(bands, _COLOURS, strict=False)
    )
    dashes = "dashed: live, every 100 ms; dotted: gathered for 1 s; whole: for 10 s"
    return _figure(
        width,
        height,
        "".join(shapes),
        "radio saved against computing",
        f"{key}<br>{dashes}",
    )


def _round_step(top: float) -> int:
    """About eight steps to the top, each a one, two or five and zeros."""
    least = max(top / 8, 1.0)
    power = int(10 ** math.floor(math.log10(least)))
    steps: list[int] = [n * power for n in (1, 2, 5, 10) if n * power >= least]
    return steps[0]


def _bars(rows: Sequence[tuple[str, Band, str]], most: float, label: str) -> str:
    width, left, right = 720, 220, 130
    span = width - left - right
    shapes = []
    for place, (name, value, told) in enumerate(rows):
        top = place * _ROW
        start = span * value.low / most if most > 0 else 0.0
        length = span * (value.high - value.low) / most if most > 0 else 0.0
        shapes.append(
            f"<text x='{left - 8}' y='{top + 15}' text-anchor='end'>{escape(name)}</text>"
            f"<rect x='{left + start:.1f}' y='{top + 3}' width='{max(length, 1.5):.1f}' "
            f"height='{_ROW - 6}' fill='{_COLOURS[0]}'/>"
            f"<text x='{left + start + length + 6:.1f}' y='{top + 15}'>"
            f"{escape(told)}</text>"
        )
    return _figure(width, _ROW * max(len(rows), 1), "".join(shapes), label, escape(label))


def _figure(width: int, height: int, shapes: str, label: str, caption: str) -> str:
    return (
        f"<figure><svg width='{width}' height='{height}' viewBox='0 0 {width} {height}' "
        f"font-size='12' fill='#333' role='img' aria-label='{escape(label)}'>{shapes}</svg>"
        f"<figcaption>{caption}</figcaption></figure>"
    )

"""The cost report as one HTML page without scripts, fonts or anything from the net."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from html import escape

from plethprint.cost.figures import energy_bars, radio_curve, step_bars
from plethprint.cost.radio import VARIANTS, RadioAssumptions
from plethprint.cost.report import CostReport
from plethprint.cost.words import (
    LEFT_OUT,
    NOT_MEASURED,
    band,
    plain_verdicts,
    rhythm,
    turnover,
)

__all__ = ["html_page"]

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}
h1{line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;
margin:.8rem 0;display:block;overflow-x:auto}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #e5e5e5}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #888}
td.words{text-align:left;font-size:.85em;color:#555;min-width:22rem}
.raw{background:#fdf0e3;font-weight:600}.fingerprints{background:#e8f4ea}
.projection{font-style:italic;color:#8a4fa3}code{background:#f3f3f3;padding:.1rem .3rem}
figure{margin:.8rem 0;overflow-x:auto}figcaption{font-size:.85rem;color:#555}
"""


def html_page(report: CostReport, *, command: str = "") -> str:
    """The whole page.

    Parameters
    ----------
    report
        From `plethprint.cost.cost_report`.
    command
        What made it, told at the foot.

    Examples
    --------
    >>> from plethprint.cost import Network, cost_report
    >>> network = Network("m@1+0", 64, 10.0, 1000, 2_000_000, 1000, 500, {}, 132)
    >>> html_page(cost_report(network)).startswith("<!doctype html>")
    True
    """
    network = report.network
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>plethprint: cost of {escape(network.model)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>What <code>{escape(network.model)}</code> costs on a device</h1>",
        f"<p>For one window of {network.window_s:g} s, a fingerprint every "
        f"{report.every_s:g} s. What was counted stands as it is; what nobody measured "
        "with this network is a <span class='projection'>projection</span> and is marked "
        "so.</p>",
        "<h2>Counted in the package</h2>",
        _counted(report),
        step_bars(report),
        "<h2>Firmware, counted in an emulator</h2>",
        _firmware(report),
        "<h2>Time and energy: <span class='projection'>projection</span></h2>",
        _projections(report),
        energy_bars(report),
        "<h2>Radio: where streaming raw PPG is cheaper</h2>",
        "<ul>",
        *(f"<li>{escape(sentence)}</li>" for sentence in plain_verdicts(report)),
        "</ul>",
        _comparisons(report),
        radio_curve(report),
        _turnovers(report),
        f"<p>{escape(LEFT_OUT)}</p>",
        "<h2>Storage for a day</h2>",
        _table(
            ("what", "MB"),
            [(s.what, f"{s.bytes_per_day / 1e6:.2f}") for s in report.storage],
        ),
        "<h2>Assumptions of the radio</h2>",
        _assumptions(),
    ]
    if command:
        parts.append(f"<h2>How to make this page</h2><p><code>{escape(command)}</code></p>")
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _counted(report: CostReport) -> str:
    network = report.network
    rows = [
        ("parameters", f"{network.parameters:,}"),
        ("multiply-accumulates", f"{network.macs:,}"),
        ("weights and biases, flash without code", f"{network.constant_bytes:,} B"),
        (
            "largest step, RAM with nothing computed in place",
            f"{network.activation_bytes:,} B",
        ),
        ("fingerprint on the wire", f"{network.fingerprint_bytes:,} B"),
        *((name, f"{count:,} B") for name, count in network.file_bytes.items()),
    ]
    return _table(("what", "how much"), rows)


def _firmware(report: CostReport) -> str:
    if report.firmware is None:
        return f"<p>{escape(NOT_MEASURED)}.</p>"
    return _table(
        ("core", "instructions, all in", "of them the network", "flash", "RAM", "stack"),
        [
            (
                name,
                f"{core.instructions(report.every_s):,}",
                f"{core.instructions_encode:,}",
                f"{core.flash_bytes:,} B",
                f"{core.workspace_bytes:,} B",
                f"{core.stack_bytes:,} B",
            )
            for name, core in report.firmware.cores.items()
        ],
    )


def _projections(report: CostReport) -> str:
    rows = "".join(
        f"<tr><td>{escape(p.processor)}</td><td>{band(p.ms)}</td><td>{band(p.uj)}</td>"
        f"<td><span class='projection'>projection</span> from {escape(p.basis)}</td>"
        f"<td class='words'>{escape(p.source)}</td></tr>"
        for p in report.projections
    )
    return (
        "<table><thead><tr><th>processor</th><th>ms</th><th>uJ</th><th></th><th>source</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _comparisons(report: CostReport) -> str:
    names = list(report.comparisons[0].verdicts) if report.comparisons else []
    head = "".join(
        f"<th>{escape(word)}</th>"
        for word in ("raw PPG", "sent", "raw, uJ", "fingerprint, uJ", "saved, uJ", *names)
    )
    rows = []
    for c in report.comparisons:
        cells = [
            f"<td>{escape(word)}</td>"
            for word in (
                c.raw.name,
                rhythm(c.send_every_s),
                band(c.raw_uj),
                band(c.fingerprint_radio_uj),
                band(c.saving_uj),
            )
        ]
        cells += [
            f"<td class='{verdict.split()[0]}'>{verdict}</td>"
            for verdict in c.verdicts.values()
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        "<p>Radio alone in the three columns of energy; the last columns say who spends "
        "less once computing is added.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _turnovers(report: CostReport) -> str:
    rows = [
        (
            t.processor,
            rhythm(t.send_every_s),
            " to ".join(dict.fromkeys(turnover(n) for n in t.raw_bytes.values())),
        )
        for t in report.turnovers
    ]
    return (
        f"<p>Break-even: raw bytes for each fingerprint from which computing it pays "
        f"({escape(VARIANTS[0].name)}).</p>"
        + _table(("processor", "raw is sent", "from"), rows)
    )


def _assumptions() -> str:
    names = [field.name for field in fields(RadioAssumptions) if field.name != "name"]
    rows = [
        (name, *(f"{getattr(variant, name)}" for variant in VARIANTS)) for name in names
    ]
    return _table(("", *(variant.name for variant in VARIANTS)), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"

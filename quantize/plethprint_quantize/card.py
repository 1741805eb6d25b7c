"""Writes the model card, the README.md of a package, from its manifest's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plethprint_quantize.checkpoint import About

__all__ = ["student_card"]


def student_card(
    fields: Mapping[str, Any], described: Mapping[str, Any], about: About
) -> str:
    """Return the Markdown card of a student package.

    Parameters
    ----------
    fields : mapping
        The manifest's fields.
    described : mapping
        From :func:`plethprint_quantize.report.report`.
    about : About
        Its notes end the card.
    """
    pre = fields["preprocessing"]
    low, high = pre["band_hz"]
    samples = round(pre["rate_hz"] * pre["window_s"])
    parts = [
        "---",
        "library_name: plethprint",
        "tags: [ppg, photoplethysmography, embedding, int8, tinyml]",
        "---",
        f"# {fields['name']} {fields['version']}",
        "",
        f"Turns {pre['window_s']:g} s of PPG into a fingerprint of {fields['dim']} int8 "
        "numbers, on the device.",
        "",
        "| | |",
        "|---|---|",
        f"| input | int8, {samples} samples at {pre['rate_hz']:g} Hz, causal band-pass "
        f"{low:g}–{high:g} Hz, one step is {fields['input_scale']:.6f} sd |",
        f"| output | int8, {fields['dim']} numbers, zero point 0 |",
        f"| parameters | {fields['parameters']:,} |",
        f"| multiply-accumulates a window | {fields['macs']:,} |",
        *(f"| `{name}` | {size:,} bytes |" for name, size in described["bytes"].items()),
        f"| operators | {', '.join(fields['ops'])} |",
        f"| teacher | {fields['teacher'] or 'none'} |",
        "",
        "## Agreement",
        "",
        "On the golden windows in this folder, which no model was trained on. "
        "`plethprint parity` measures it again.",
        "",
        *_agreement_table(fields["parity"]),
    ]
    parts += ["", "## Training data", "", "| corpus | licence | windows | people |"]
    parts.append("|---|---|---|---|")
    for corpus in about.training_data:
        cells = (
            str(corpus.get(key, "")) for key in ("name", "licence", "windows", "people")
        )
        parts.append(f"| {' | '.join(cells)} |")
    if about.notes:
        parts += ["", about.notes.strip()]
    return "\n".join(parts) + "\n"


def _agreement_table(parity: Mapping[str, Any]) -> list[str]:
    """One row a figure, one column a runtime; a bar stands behind the figure it is for."""
    runtimes = list(parity)
    rows = [
        f"| level | figure | {' | '.join(runtimes)} |",
        "|---" * (2 + len(runtimes)) + "|",
    ]
    for level in parity[runtimes[0]]:
        names = [
            n for n, value in parity[runtimes[0]][level].items() if type(value) is float
        ]
        for name in names:
            cells = (_cell(parity[runtime][level], name) for runtime in runtimes)
            rows.append(f"| {level} | {name} | {' | '.join(cells)} |")
    return rows


def _cell(found: Mapping[str, Any], name: str) -> str:
    for bars, sign in ((found["at_least"], "≥"), (found["at_most"], "≤")):
        if name in bars:
            return f"{found[name]:.4g} ({sign} {bars[name]:g})"
    return f"{found[name]:.4g}"

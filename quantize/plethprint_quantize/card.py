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
        "On the golden windows in this folder, from people the models were not trained on. "
        "`plethprint parity` measures it again.",
        "",
        "| runtime | level | figure | measured | bar |",
        "|---|---|---|---|---|",
    ]
    for runtime, levels in fields["parity"].items():
        for level, found in levels.items():
            bars = {**found["at_least"], **found["at_most"]}
            parts += [
                f"| {runtime} | {level} | {name} | {value:.4g} | {bars.get(name, '')} |"
                for name, value in found.items()
                if isinstance(value, float)
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

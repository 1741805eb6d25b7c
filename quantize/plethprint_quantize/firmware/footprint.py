"""What a pack costs on each core: measured once per architecture, kept beside the code.

``measured.json`` is written by ``python -m plethprint_quantize.firmware.measure``; a model
of another architecture (`Plan.shape_id`) has no figures until it is measured too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "BUDGET",
    "MEASURED_FILE",
    "Budget",
    "CoreCost",
    "footprint_table",
    "load_measured",
    "over_budget",
]

MEASURED_FILE = Path(__file__).with_name("measured.json")


@dataclass(frozen=True)
class CoreCost:
    """What one core was measured to need."""

    core: str
    """Name in the pack's Makefile, such as ``"m4f"``."""
    arithmetic: str
    """``"dsp"``, ``"mve"`` or ``"c"``."""
    flash_bytes: int
    """Code and constants of the library."""
    workspace_bytes: int
    """Static RAM of one wearer; the library itself has none."""
    stack_bytes: int
    """Deepest stack while samples are pushed and windows fingerprinted."""
    instructions_encode: int
    """Int8 window to fingerprint."""
    instructions_fingerprint: int
    """The same with normalisation and quality."""
    instructions_all_in: int
    """A hop of 5 s at 100 Hz: every sample pushed, and one fingerprint."""
    golden_vectors: int
    golden_differing: int
    stream_differing: int
    self_test: int
    """0 when it passes."""


@dataclass(frozen=True)
class Budget:
    """Upper bounds that the tests hold."""

    instructions_all_in: int
    flash_bytes: int
    ram_bytes: int
    """Workspace and stack together."""
    stack_bytes: int


BUDGET = Budget(9_000_000, 190_000, 24_000, 2_000)
"""For the Cortex-M4F."""


def over_budget(cost: CoreCost, budget: Budget = BUDGET) -> list[str]:
    """Return one sentence for each bound that a core exceeds.

    Examples
    --------
    >>> over_budget(load_measured()["cores"]["m4f"])  # doctest: +SKIP
    []
    """
    spent = {
        "instructions_all_in": cost.instructions_all_in,
        "flash_bytes": cost.flash_bytes,
        "ram_bytes": cost.workspace_bytes + cost.stack_bytes,
        "stack_bytes": cost.stack_bytes,
    }
    return [
        f"{cost.core}: {name} is {spent[name]:,}, the budget is {bound:,}"
        for name, bound in asdict(budget).items()
        if spent[name] > bound
    ]


def load_measured(path: Path = MEASURED_FILE) -> dict[str, Any]:
    """Read measured.json; ``cores`` becomes a dict of `CoreCost`.

    Returns
    -------
    dict
        ``shape`` (of the architecture measured), ``tools`` (their versions), ``cores``.
    """
    fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    fields["cores"] = {name: CoreCost(**values) for name, values in fields["cores"].items()}
    return fields


def footprint_table(cores: Mapping[str, CoreCost]) -> str:
    """Return the costs as a Markdown table, one row per core."""
    lines = [
        "| core | arithmetic | flash, bytes | RAM, bytes | stack, bytes "
        "| encoder, M instr. | per window all in, M instr. |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {cost.core} | {cost.arithmetic} | {cost.flash_bytes:,} "
        f"| {cost.workspace_bytes:,} | {cost.stack_bytes:,} "
        f"| {cost.instructions_encode / 1e6:.2f} | {cost.instructions_all_in / 1e6:.2f} |"
        for cost in cores.values()
    ]
    return "\n".join(lines) + "\n"

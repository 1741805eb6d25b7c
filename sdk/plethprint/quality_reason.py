"""The words for what is wrong with a window."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["REASONS", "Reason"]

Reason = Literal[
    "", "noise", "motion", "contact", "clipping", "baseline", "gaps", "perfusion", "flat"
]
"""What lowers a quality most; empty for a window that is not low."""

REASONS: tuple[Reason, ...] = get_args(Reason)

"""What a log of fingerprints holds, in figures."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StoreSummary"]


@dataclass(frozen=True)
class StoreSummary:
    """What a log holds, in figures."""

    rows: int
    wearers: tuple[str, ...]
    """Labels, sorted."""
    first_start_s: float | None
    """Start of the earliest window, Unix s; None when the log is empty."""
    last_start_s: float | None
    """Start of the latest window, Unix s; None when the log is empty."""
    encrypted: bool
    removed_rows: int
    """Rows that were pruned."""

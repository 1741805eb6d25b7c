"""`plethprint recover`: the recording out of a journal that was never finished."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plethprint.cli.output import JsonOption, print_json

if TYPE_CHECKING:
    from plethprint.recording import RecordingSummary

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("recover")(recover)


def recover(
    journal: Annotated[
        Path, typer.Argument(help="The .journal, or the recording it is to become.")
    ],
    out: Annotated[Path | None, typer.Option(help="Another .npz or .edf to write.")] = None,
    look: Annotated[
        bool, typer.Option("--look", help="Say what it holds, and change nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Finish a recording that was cut off: by a kill, a power cut or a full disk.

    The journal is removed once the recording is whole and on the disk; a file that is
    there already is not written over.

    Example: [bold]plethprint recover walk.npz.journal[/bold]
    """
    from plethprint.recording import finish_recording, read_summary

    if look:
        facts = _facts(read_summary(journal), None)
    else:
        written, summary = finish_recording(journal, out)
        facts = _facts(summary, written)
    if as_json:
        print_json(facts)
        return
    for key, value in facts.items():
        if key != "statistics":
            typer.echo(f"{key:14} {'-' if value is None else value}")


def _facts(summary: RecordingSummary, written: Path | None) -> dict[str, Any]:
    head = summary.head
    return {
        "out": written,
        "journal": summary.journal,
        "wearable": None if head is None else head.name,
        "sample_rate_hz": None if head is None else head.sample_rate_hz,
        "start": summary.start,
        "duration_s": summary.duration_s,
        "samples": summary.received,
        "absent": summary.samples - summary.received,
        "epochs": summary.epochs,
        "ended": summary.ended,
        "unread_bytes": summary.unread_bytes,
        "statistics": summary.statistics,
    }

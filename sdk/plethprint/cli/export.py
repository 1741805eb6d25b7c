"""`plethprint export`: a log of fingerprints as CSV, Parquet or FHIR."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plethprint.cli.output import JsonOption, print_json
from plethprint.cli.store_options import KeyFileOption, StoreOption, moment_s, open_store

if TYPE_CHECKING:
    from plethprint.store import StoredFingerprint

__all__ = ["register"]


class ExportFormat(str, Enum):
    """Formats that a log can be written as."""

    CSV = "csv"
    PARQUET = "parquet"
    FHIR = "fhir"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("export")(export)


def export(
    store: StoreOption,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: stdout.")
    ] = None,
    format_: Annotated[
        ExportFormat, typer.Option("--format", help="csv, parquet, or fhir (R5).")
    ] = ExportFormat.CSV,
    wearer: Annotated[str | None, typer.Option(help="Whose; default: everybody's.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="First moment: Unix s or ISO 8601.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Moment to stop before, likewise.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Identity of the model.")] = None,
    min_quality: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Leave out what is below this.")
    ] = 0.0,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a log of fingerprints as CSV, Parquet or FHIR R5 Observations.

    What is written is not encrypted. FHIR goes into one Bundle, or an Observation a line
    when the file ends in .ndjson.

    Example: [bold]plethprint export --store log.db --format parquet --out log.parquet
    --wearer ada --from 2026-01-31 --key-file log.key[/bold]
    """
    if out is None and (as_json or format_ is ExportFormat.PARQUET):
        raise typer.BadParameter(
            "needed by --json and by parquet, which are not for a terminal",
            param_hint="--out",
        )
    from_s, to_s = moment_s(from_), moment_s(to)
    with open_store(store, key_file) as log:
        rows = log.query(
            wearer=wearer, from_s=from_s, to_s=to_s, model=model, min_quality=min_quality
        )
        written = _write(rows, format_, out)
    what = "Observations" if format_ is ExportFormat.FHIR else "fingerprints"
    if as_json:
        print_json({"out": out, "format": format_.value, "written": written, "what": what})
    elif out is not None:
        typer.echo(f"wrote {written} {what} to {out}", err=True)


def _write(
    rows: Iterable[StoredFingerprint], format_: ExportFormat, out: Path | None
) -> int:
    from plethprint.store import fhir, table

    if out is None:
        write = fhir.write_bundle if format_ is ExportFormat.FHIR else table.write_csv
        return write(rows, sys.stdout)
    # What fails half-way, at a damaged row or a full disk, leaves no half file.
    part = out.with_name(f".{out.name}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        if format_ is ExportFormat.PARQUET:
            count = table.write_parquet(rows, part)
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                if format_ is ExportFormat.CSV:
                    count = table.write_csv(rows, file)
                elif out.suffix == ".ndjson":
                    count = fhir.write_ndjson(rows, file)
                else:
                    count = fhir.write_bundle(rows, file)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return count

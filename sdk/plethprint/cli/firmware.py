"""`plethprint firmware`: hand over to the firmware generator, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plethprint.cli.handover import hand_over
from plethprint.cli.output import JsonOption, PackageOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("firmware")(firmware)


def firmware(
    out: Annotated[
        Path, typer.Option("--out", help="Folder to make; an earlier pack is replaced.")
    ],
    package: PackageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a C99 firmware pack that fingerprints on the wearable itself.

    It needs no compiler and no extra; docs/firmware.md tells how to build and embed it.

    Example: [bold]plethprint firmware --out fw[/bold]
    """
    arguments = ["--out", str(out)]
    if package is not None:
        arguments += ["--package", str(package)]
    if as_json:
        arguments.append("--json")
    raise typer.Exit(
        hand_over(
            "plethprint_quantize.firmware",
            arguments,
            extra="quantize",
            needs=[],
            purpose="Writing firmware",
            as_json=False,  # the generator speaks JSON itself
        )
    )

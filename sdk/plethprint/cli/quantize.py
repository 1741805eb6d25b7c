"""`plethprint quantize`: hand over to the quantiser, where the extra is there."""

from __future__ import annotations

from typing import Annotated

import typer

from plethprint.cli.handover import hand_over
from plethprint.cli.output import JsonOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "quantize",
        # Every option but --json belongs to the quantiser.
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
    )(quantize)


def quantize(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Options of python -m plethprint_quantize.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a trained student into a signed int8 model package.

    Runs python -m plethprint_quantize; `plethprint quantize -- --help` lists its options.

    Example: [bold]plethprint quantize --student runs/student --out runs/package[/bold]
    """
    given = [*(arguments or []), *context.args]
    if given in ([], ["--help"]):
        typer.echo(context.get_help())
        return
    raise typer.Exit(
        hand_over(
            "plethprint_quantize",
            given,
            extra="quantize",
            needs=["torch", "onnx"],
            purpose="Quantising a student",
            as_json=as_json,
        )
    )

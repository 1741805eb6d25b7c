"""`plethprint train`: hand over to the training package, where the extra is there."""

from __future__ import annotations

from typing import Annotated

import typer

from plethprint.cli.handover import hand_over
from plethprint.cli.output import JsonOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "train",
        # Every option but --json belongs to the stage, its --help too.
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
    )(train)


def train(
    context: typer.Context,
    stage: Annotated[
        str, typer.Argument(help="A stage such as pretrain or distill, then its options.")
    ] = "--help",
    as_json: JsonOption = False,
) -> None:
    """Train a teacher and distil a student: python -m plethprint_distill STAGE.

    Example: [bold]plethprint train pretrain --help[/bold]
    """
    if stage == "--help":
        typer.echo(context.get_help())
        return
    raise typer.Exit(
        hand_over(
            "plethprint_distill",
            [stage, *context.args],
            extra="train",
            needs=["torch"],
            purpose="Training",
            as_json=as_json,
        )
    )

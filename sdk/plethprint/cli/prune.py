"""`plethprint prune`: take old fingerprints, or a wearer's, out of a log for good."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from plethprint.cli.output import JsonOption, print_json
from plethprint.cli.store_options import KeyFileOption, StoreOption, open_store

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("prune")(prune)


def prune(
    store: StoreOption,
    older_than_days: Annotated[
        float | None, typer.Option(min=0.0, help="Take out what is older than this.")
    ] = None,
    wearer: Annotated[
        str | None, typer.Option(help="Take out what is this person's.")
    ] = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take fingerprints out of a log for good: the old ones, a wearer's, or both at once.

    Example: [bold]plethprint prune --store log.db --older-than-days 90[/bold]
    """
    if older_than_days is None and wearer is None:
        raise typer.BadParameter("say which: --older-than-days, --wearer or both")
    before_s = None if older_than_days is None else time.time() - 86400.0 * older_than_days
    with open_store(store, key_file) as log:
        removed = log.prune(before_s=before_s, wearer=wearer)
        left = log.summary().rows
    if as_json:
        print_json({"removed": removed, "left": left})
    else:
        typer.echo(f"took out {removed} fingerprints, {left} are left")

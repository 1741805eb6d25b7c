"""`plethprint evaluate`: hand over to the benchmark, where the extra is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plethprint.cli.handover import hand_over
from plethprint.cli.output import JsonOption, PackageOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "evaluate",
        # Further options belong to the benchmark: --corpus takes several folders, --tasks
        # several names, which only its own parser knows.
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(evaluate)


def evaluate(
    context: typer.Context,
    package: PackageOption = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="HTML page to write.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a package on open recordings, beside its teacher, controls and baselines.

    --corpus DIR ... names folders of corpora, or one that holds them; what is not there is
    told and left out. --also PACKAGE ... adds the rows of further packages. Runs
    python -m plethprint_distill benchmark, whose --help lists the further options.

    Example: [bold]plethprint evaluate --corpus data --report out.html[/bold]
    """
    given = list(context.args)
    if package is not None:
        given += ["--package", str(package)]
    if report is not None:
        given += ["--report", str(report)]
    raise typer.Exit(
        hand_over(
            "plethprint_distill",
            ["benchmark", *given, *(["--json"] if as_json else [])],
            extra="train",
            needs=["torch", "sklearn", "scipy"],
            purpose="Evaluating a package",
            # The benchmark itself prints the JSON.
            as_json=False,
        )
    )

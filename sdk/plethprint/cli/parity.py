"""`plethprint parity`: does this machine compute what the teacher meant?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from plethprint.cli.output import JsonOption, PackageOption, print_json

if TYPE_CHECKING:
    from plethprint.parity import ParityLevel

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("parity")(parity)


def parity(package: PackageOption = None, as_json: JsonOption = False) -> None:
    """Check every installed runtime at three levels: golden, quantisation, teacher.

    Exits 1 when a figure misses its threshold, or when a file of the package is changed.

    Example: [bold]plethprint parity --package runs/package --json[/bold]
    """
    from plethprint.package import ModelPackage
    from plethprint.parity import check_parity

    report = check_parity(ModelPackage.load(package))
    if as_json:
        print_json(report.to_dict())
    else:
        typer.echo(f"{report.model}, {report.windows} golden windows")
        for level in report.levels:
            typer.echo(_line(level))
    for sentence in report.failures:
        typer.echo(f"plethprint: {sentence}", err=True)
    if not report.ok:
        raise typer.Exit(1)


def _line(level: ParityLevel) -> str:
    figures = []
    for name, value in level.figures.items():
        bar = ""
        if name in level.at_least:
            bar = f" (at least {level.at_least[name]:g})"
        elif name in level.at_most:
            bar = f" (at most {level.at_most[name]:g})"
        figures.append(f"{name} {value:.4g}{bar}")
    verdict = "ok  " if not level.failures else "FAIL"
    return f"{verdict} {level.runtime:<7} {level.level:<13} {', '.join(figures)}"

"""`plethprint soak`: hours of wearing with everything that goes wrong, on virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plethprint.cli.demo import require_simulator
from plethprint.cli.output import JsonOption, PackageOption, print_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("soak")(soak)


def soak(
    minutes: Annotated[
        float, typer.Option(min=0.5, max=1e5, help="Virtual minutes for each fault.")
    ] = 60.0,
    personality: Annotated[
        list[str] | None,
        typer.Option(help="Protocol to soak; again for more. Default: all."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Part of a fault's name; again for more. Default: all."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write the results as JUnit XML to this file.")
    ] = None,
    package: PackageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Soak virtual wearables in faults: every sample must be accounted for.

    Exit code 1 when one did not come through; with --json, one JSON object per line.

    Example: [bold]plethprint soak --minutes 5 --personality open --junit soak.xml[/bold]
    """
    require_simulator("The soak")
    from plethprint.package import ModelPackage
    from plethprint_sim.faults import FAULTS
    from plethprint_sim.soak import SoakResult, known_personalities
    from plethprint_sim.soak import soak as run
    from plethprint_sim.soak_report import table_row, table_title, write_junit

    known = known_personalities()
    for name in personality or ():
        if name not in known:
            raise typer.BadParameter(
                f"{name!r} has no virtual wearable; known are {', '.join(known)}",
                param_hint="--personality",
            )
    faults = [f for f in FAULTS if not fault or any(part in f.name for part in fault)]
    if not faults:
        raise typer.BadParameter(
            f"no fault is called so; there are {', '.join(f.name for f in FAULTS)}",
            param_hint="--fault",
        )

    def tell(result: SoakResult) -> None:
        if as_json:
            print_json(result.to_dict(), one_line=True)
        else:
            typer.echo(table_row(result))

    if not as_json:
        typer.echo(f"{minutes:g} virtual minutes for each fault")
        typer.echo(table_title())
    results = run(
        minutes=minutes,
        wanted=personality or None,
        faults=faults,
        package=ModelPackage.load(package),
        on_result=tell,
    )
    if junit is not None:
        write_junit(results, junit)
    failed = sum(not result.passed for result in results)
    if failed:
        typer.echo(f"plethprint: {failed} of {len(results)} did not come through", err=True)
        raise typer.Exit(1)

"""`plethprint soak`: hours of wearing with everything that goes wrong, on virtual time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plethprint.cli.demo import require_simulator
from plethprint.cli.output import JsonOption, PackageOption, print_json

if TYPE_CHECKING:
    from plethprint_sim.soak_result import SoakResult

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
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes at once. Default: one for each core."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Keep each result in this file (JSON Lines); what it holds of the same "
            "minutes, model and release is not run again."
        ),
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

    Example: [bold]plethprint soak --jobs 2 --out soak.jsonl[/bold], and again to go on
    """
    require_simulator("The soak")
    from plethprint.package import ModelPackage
    from plethprint_sim.faults import FAULTS
    from plethprint_sim.soak import known_personalities
    from plethprint_sim.soak_cells import cores
    from plethprint_sim.soak_cells import soak as run
    from plethprint_sim.soak_log import SoakLog
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
    if junit is not None and not junit.parent.is_dir():  # not after hours of soaking
        raise typer.BadParameter(
            f"{junit.parent} is no folder to write {junit.name} into", param_hint="--junit"
        )
    wanted = tuple(dict.fromkeys(personality or known))
    model = ModelPackage.load(package)
    log = None if out is None else SoakLog(out, minutes=minutes, model_id=model.model_id)
    if not as_json:
        typer.echo(f"{minutes:g} virtual minutes for each fault")
        typer.echo(table_title())
    cells = [(who, f.name) for who in wanted for f in faults]
    with _progress(len(cells)) as advance:
        table = ResultTable(cells, lambda result: typer.echo(table_row(result)))

        def tell(result: SoakResult) -> None:
            if as_json:
                print_json(result.to_dict(), one_line=True)
            else:
                table.take(result)
            advance(result)

        results = run(
            minutes=minutes,
            wanted=wanted,
            faults=faults,
            package=model,
            jobs=jobs or cores(),
            log=log,
            on_result=tell,
        )
    if junit is not None:
        write_junit(results, junit)
    failed = sum(not result.passed for result in results)
    if failed:
        typer.echo(f"plethprint: {failed} of {len(results)} did not come through", err=True)
        raise typer.Exit(1)


class ResultTable:
    """Rows in their order, each as soon as those before it are there."""

    def __init__(
        self, cells: Sequence[tuple[str, str]], say: Callable[[SoakResult], None]
    ) -> None:
        self._left = list(reversed(cells))
        self._there: dict[tuple[str, str], SoakResult] = {}
        self._say = say

    def take(self, result: SoakResult) -> None:
        """Say it, and what waited for it, or let it wait."""
        self._there[result.cell] = result
        while self._left and self._left[-1] in self._there:
            self._say(self._there[self._left.pop()])


@contextmanager
def _progress(cells: int) -> Iterator[Callable[[SoakResult], None]]:
    """A bar on stderr, if somebody watches it; yields what to tell of each result."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # above the bar, but into a pipe untouched
    )
    with bar:
        task = bar.add_task("soak", total=cells)
        yield lambda result: bar.update(
            task, advance=1, description=f"{result.personality}, {result.fault}"
        )

"""`plethprint scan`: which PPG wearables advertise nearby."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from plethprint.cli.output import JsonOption, print_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("scan")(scan)


def scan(
    seconds: Annotated[
        float, typer.Option(min=0.5, max=3600.0, help="How long to listen.")
    ] = 5.0,
    name: Annotated[
        str | None, typer.Option(help="Only these names; * and ? as in a shell.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Only this address.")] = None,
    personality: Annotated[
        str | None, typer.Option(help="Only this protocol, such as open.")
    ] = None,
    min_rssi: Annotated[
        int | None, typer.Option(help="Leave out what is weaker than this, dBm.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the PPG wearables that advertise nearby, strongest first.

    Example: [bold]plethprint scan --seconds 10 --name "pleth-*" --json[/bold]
    """
    from plethprint.ble.scan import scan as listen

    if personality is not None and personality not in _known():
        raise typer.BadParameter(
            f"{personality!r} is not known; known are {', '.join(_known())}",
            param_hint="--personality",
        )
    found = asyncio.run(
        listen(
            seconds,
            name=name,
            address=address,
            personality=personality,
            min_rssi_dbm=min_rssi,
        )
    )
    if as_json:
        print_json({"wearables": [wearable.to_dict() for wearable in found]})
        return
    for wearable in found:
        typer.echo(
            f"{wearable.address}  {wearable.rssi_dbm:4d} dBm  {wearable.personality:<6} "
            f"{wearable.name or '(no name)'}"
        )
    if not found:
        typer.echo("no PPG wearable advertised; is it charged, worn and near?", err=True)


def _known() -> list[str]:
    from plethprint.ble.personality import personalities

    return [known.name for known in personalities()]

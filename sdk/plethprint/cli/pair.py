"""`plethprint pair`: pair with a wearable once, so that its links are encrypted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plethprint.cli.output import JsonOption, print_json

if TYPE_CHECKING:
    from plethprint.ble.scan import BluetoothBackend

__all__ = ["pair_with", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("pair")(pair)


def pair(
    address: Annotated[
        str | None, typer.Option(help="Bluetooth address, as `plethprint scan` tells it.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Advertised name.")] = None,
    timeout_s: Annotated[
        float, typer.Option(min=0.5, max=600.0, help="How long to look for it.")
    ] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Pair with a wearable: exits 1 when it refuses, and never goes on unencrypted.

    The operating system keeps the bond; macOS pairs by itself when it is needed.

    Example: [bold]plethprint pair --name my-ring[/bold]
    """
    facts = asyncio.run(pair_with(address=address, name=name, timeout_s=timeout_s))
    if as_json:
        print_json(facts)
    else:
        typer.echo(f"paired with {facts['name'] or facts['address']}")


async def pair_with(
    *, backend: BluetoothBackend | None = None, **how: Any
) -> dict[str, Any]:
    """Pair and say with what; `how` goes to `plethprint.connect`.

    Raises
    ------
    PairingError
        Refused, failed or not answered.
    LinkError
        It was not found, or the link failed.
    """
    from plethprint.session import connect

    async with connect(backend=backend, pair=True, **how) as wearable:
        return {
            "name": wearable.name,
            "address": wearable.address,
            "paired": wearable.paired,
            "model": wearable.info.model,
            "firmware": wearable.info.firmware,
        }

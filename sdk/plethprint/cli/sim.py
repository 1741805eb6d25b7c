"""`plethprint sim`: be a wearable, on a Bluetooth controller or inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plethprint.cli.demo import (
    PersonalityOption,
    Rhythm,
    check_personality,
    require_simulator,
)
from plethprint.cli.on_device import (
    ON_DEVICE,
    FaultOption,
    FirmwareOption,
    on_device_personality,
)
from plethprint.cli.output import JsonOption, PackageOption, print_json
from plethprint.errors import LinkError, PackageError

if TYPE_CHECKING:
    from plethprint.io import Recording
    from plethprint_sim.peripheral import Peripheral
    from plethprint_sim.source import SignalSource

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("sim")(sim)


def sim(
    transport: Annotated[
        str | None,
        typer.Option(
            help="bumble transport, such as serial:/dev/ttyACM0,1000000 or usb:0."
        ),
    ] = None,
    personality: PersonalityOption = "open",
    name: Annotated[
        str | None,
        typer.Option(help="Name to advertise; default: as such are called."),
    ] = None,
    rhythm: Annotated[
        Rhythm, typer.Option(help="What the virtual heart does.")
    ] = Rhythm.SINUS,
    seed: Annotated[int, typer.Option(min=0, help="Which virtual wearer.")] = 1,
    replay: Annotated[
        Path | None, typer.Option(help="Wear a recording (.npz, .csv, WFDB) instead.")
    ] = None,
    sample_rate_hz: Annotated[
        float | None, typer.Option("--sample-rate-hz", help="Of --replay, if it is silent.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="PPG column of --replay.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, max=1e8, help="Stop after this long; default: until Ctrl-C."),
    ] = None,
    firmware: FirmwareOption = None,
    fault: FaultOption = None,
    package: PackageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a virtual wearable that phones and computers can see, on a Bluetooth controller.

    Without --transport it advertises on a virtual radio inside this process, is read
    once over Bluetooth, and what it says of itself is printed.

    Example: [bold]plethprint sim --transport serial:/dev/ttyACM0,1000000 --rhythm af[/bold]
    A Verity Sense: [bold]plethprint sim --personality polar --transport usb:0[/bold]
    Made of firmware, and checked: [bold]plethprint sim --firmware fw[/bold]
    """
    from plethprint.io import read_recording

    require_simulator("The virtual wearable")
    check_personality(personality)
    personality = on_device_personality(personality, firmware, fault)
    worn = None
    if replay is not None:
        worn = read_recording(replay, sample_rate_hz=sample_rate_hz, column=column)
    source = _source(personality, rhythm, seed, worn)
    options: dict[str, Any] = {} if name is None else {"name": name}
    if personality == "open":
        options |= _model(package)
    if personality == ON_DEVICE:
        options |= {"pack": firmware, "fault": fault}
    if transport is None:
        _run(_look_at(personality, source, options, package, as_json))
        return

    def on_ready(wearable: Peripheral) -> None:
        name = wearable.name
        facts = {"name": name, "address": wearable.address, "transport": transport}
        if as_json:
            print_json(facts, one_line=True)
        else:
            typer.echo(
                f"{name} ({wearable.address}) advertises on {transport}; Ctrl-C ends it"
            )

    _run(_serve(transport, personality, source, options, on_ready, seconds))


def _source(
    personality: str, rhythm: Rhythm, seed: int, worn: Recording | None
) -> SignalSource:
    from plethprint_sim.personalities import PERSONALITIES
    from plethprint_sim.replay import ReplayStream
    from plethprint_sim.stream import WearerStream
    from plethprint_sim.wearer import random_wearer

    if worn is None:
        return WearerStream(
            random_wearer(seed, rhythm=rhythm.value),
            seed=seed,
            sample_rate_hz=PERSONALITIES[personality].sample_rate_hz,
        )
    return ReplayStream(worn, PERSONALITIES[personality].rate_for(worn.sample_rate_hz))


def _model(package: Path | None) -> dict[str, Any]:
    """Encoder and fingerprinter for the device; without a shipped package, none."""
    from plethprint.fingerprinter import Fingerprinter

    try:
        fingerprinter = Fingerprinter(package)
    except PackageError as error:
        if package is not None:
            raise
        typer.echo(f"plethprint: streams PPG only: {error}", err=True)
        return {}
    return {
        "encoder": fingerprinter.encoder,
        "fingerprinter": fingerprinter,
        "model": fingerprinter.model,
    }


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def _serve(
    transport: str,
    personality: str,
    source: SignalSource,
    options: dict[str, Any],
    on_ready: Callable[[Peripheral], None],
    seconds: float | None,
) -> None:
    from plethprint_sim.wearable import serve

    serving = serve(
        transport, source, personality=personality, on_ready=on_ready, **options
    )
    try:
        await asyncio.wait_for(serving, seconds)
    except asyncio.TimeoutError:
        return
    except (ValueError, OSError) as error:
        raise LinkError(f"cannot use transport {transport}: {error}") from error
    raise LinkError(f"the controller behind {transport} went away")


async def _look_at(
    personality: str,
    source: SignalSource,
    options: dict[str, Any],
    package: Path | None,
    as_json: bool,
) -> None:
    from plethprint.session import connect
    from plethprint_sim.personalities import virtual_wearable
    from plethprint_sim.world import VirtualWorld

    is_open = personality in ("open", ON_DEVICE)
    pair = True if is_open else None  # others have nothing to pair for
    async with (
        VirtualWorld(virtual_wearable(personality, source, **options)) as world,
        connect(backend=world.backend, pair=pair, package=package) as wearable,
    ):
        info = wearable.info
        facts: dict[str, Any] = {
            "personality": personality,
            "name": wearable.name,
            "address": wearable.address,
            "paired": wearable.paired,
            "rates_hz": info.rates_hz,
            "channels": [
                {
                    "kind": channel.kind.name.lower(),
                    "polarity": channel.polarity,
                    "wavelength_nm": channel.wavelength_nm,
                }
                for channel in info.channels
            ],
            "bits": info.bits,
            "model": info.model,
            "firmware": info.firmware,
            "profile": ".".join(map(str, info.version)) if is_open else None,
        }
        check = await wearable.check_firmware() if personality == ON_DEVICE else None
    if check is not None:
        facts |= {"fault": check.fault, "check": check.sentences()}
    if as_json:
        print_json(facts)
    else:
        for key, value in facts.items():
            for line in value if key == "check" else [value]:
                typer.echo(f"{key:<10} {line}")
    if check is not None and not check.ok:
        raise typer.Exit(1)

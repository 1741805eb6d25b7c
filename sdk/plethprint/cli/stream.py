"""`plethprint stream`: fingerprints from a wearable, a line each, as they happen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plethprint.cli.output import (
    JsonOption,
    PackageOption,
    PolarityName,
    polarity_named,
    print_json,
    sparkline,
)
from plethprint.cli.recorder import Recorder

if TYPE_CHECKING:
    from plethprint.ble.scan import BluetoothBackend
    from plethprint.live_fingerprints import LiveFingerprint
    from plethprint.polarity import Polarity
    from plethprint.session import Wearable

__all__ = ["follow", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("stream")(stream)


def stream(
    address: Annotated[
        str | None, typer.Option(help="Bluetooth address, as `plethprint scan` tells it.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Advertised name.")] = None,
    personality: Annotated[
        str | None, typer.Option(help="Protocol it must speak, such as open.")
    ] = None,
    hop_s: Annotated[
        float, typer.Option(help="Seconds from one window to the next.")
    ] = 5.0,
    polarity: Annotated[
        PolarityName | None,
        typer.Option(help="up, down or auto; default: what the wearable says of itself."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, max=1e8, help="Stop after this long; default: until Ctrl-C."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Keep the raw PPG in this .npz.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="How long to look for it.")] = 10.0,
    allow_unencrypted: Annotated[
        bool,
        typer.Option("--allow-unencrypted", help="Go on in the open where pairing fails."),
    ] = False,
    package: PackageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stream fingerprints from a wearable; with --json, one JSON object per line.

    A lost link is brought back; gaps are counted and no window spans one.

    Example: [bold]plethprint stream --name my-ring --record walk.npz[/bold]
    """
    from plethprint.ble.personality import personalities

    known = [known.name for known in personalities()]
    if personality is not None and personality not in known:
        raise typer.BadParameter(
            f"{personality!r} is not known; known are {', '.join(known)}",
            param_hint="--personality",
        )
    recorder = None if record is None else Recorder(record)
    asyncio.run(
        follow(
            recorder=recorder,
            as_json=as_json,
            hop_s=hop_s,
            polarity=None if polarity is None else polarity_named(polarity),
            seconds=seconds,
            address=address,
            name=name,
            personality=personality,
            timeout_s=timeout_s,
            allow_unencrypted=allow_unencrypted,
            package=package,
        )
    )


async def follow(
    *,
    recorder: Recorder | None = None,
    as_json: bool = False,
    hop_s: float = 5.0,
    polarity: Polarity | None = None,
    seconds: float | None = None,
    backend: BluetoothBackend | None = None,
    **how: Any,
) -> None:
    """Print what a wearable gives until it is over; `how` goes to `plethprint.connect`.

    Parameters
    ----------
    recorder : Recorder, optional
        Keeps the raw PPG, also when interrupted.
    as_json : bool
        One JSON object per line instead of text.
    hop_s : float
        Seconds from one window to the next.
    polarity : {1, -1, "auto"}, optional
        By default what the wearable says of its channel.
    seconds : float, optional
        Stop after this long.
    backend : BluetoothBackend, optional
        Another Bluetooth stack than the operating system's.
    """
    from plethprint.session import connect

    async with connect(backend=backend, **how) as wearable:
        typer.echo(_greeting(wearable), err=True)
        async with _recording(recorder, wearable):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(
                    _print_all(wearable, hop_s, polarity, as_json), seconds
                )
        stats = wearable.stats
    typer.echo(
        f"{stats.frames} frames, missing samples {stats.missing_samples}, "
        f"link gaps {stats.link_gaps}, reconnects {stats.reconnects}",
        err=True,
    )


async def _print_all(
    wearable: Wearable, hop_s: float, polarity: Polarity | None, as_json: bool
) -> None:
    async for fingerprint in wearable.fingerprints(hop_s, polarity=polarity):
        if as_json:
            print_json(_fields(fingerprint, wearable), one_line=True)
        else:
            typer.echo(_line(fingerprint, wearable))


@contextlib.asynccontextmanager
async def _recording(recorder: Recorder | None, wearable: Wearable) -> AsyncIterator[None]:
    if recorder is None:
        yield
        return
    keeping = asyncio.create_task(recorder.keep(wearable))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        written = recorder.write()
        typer.echo(f"wrote {written:.1f} s of PPG to {recorder.path}", err=True)


def _greeting(wearable: Wearable) -> str:
    security = "paired" if wearable.paired else "not paired"
    return f"connected to {wearable.name or wearable.address} ({security}), Ctrl-C ends it"


def _fields(fingerprint: LiveFingerprint, wearable: Wearable) -> dict[str, Any]:
    stats = wearable.stats
    return {
        "start": fingerprint.start,
        "duration_s": fingerprint.duration_s,
        "quality": fingerprint.quality,
        "missing": fingerprint.missing,
        "gap_fraction": fingerprint.gap_fraction,
        "heart_rate_bpm": fingerprint.heart_rate_bpm,
        "inverted": fingerprint.inverted,
        "model": fingerprint.model,
        "scale": fingerprint.scale,
        "vector": fingerprint.vector,
        "first_index": fingerprint.first_index,
        "missing_samples": stats.missing_samples,
        "link_gaps": stats.link_gaps,
        "statistics": stats.to_dict(),
    }


def _line(fingerprint: LiveFingerprint, wearable: Wearable) -> str:
    from datetime import datetime

    moment = datetime.fromtimestamp(fingerprint.start).astimezone()
    rate = fingerprint.heart_rate_bpm
    return (
        f"{moment:%H:%M:%S}  quality {fingerprint.quality:.2f}  "
        f"{'   -' if rate is None else f'{rate:4.0f}'} bpm  "
        f"{sparkline(fingerprint.vector)}  gaps {wearable.stats.link_gaps}"
    )

"""`plethprint stream`: fingerprints from a wearable, a line each, as they happen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
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
from plethprint.cli.sinks import LogSink, LslSink, Sink
from plethprint.cli.store_options import KeyFileOption, open_store
from plethprint.errors import ProtocolError

if TYPE_CHECKING:
    from plethprint.ble.scan import BluetoothBackend
    from plethprint.fingerprint import Fingerprint
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
    on_device: Annotated[
        bool,
        typer.Option(
            "--on-device",
            help="Check the wearable's firmware, then take what it fingerprints itself.",
        ),
    ] = False,
    record: Annotated[
        Path | None, typer.Option(help="Keep the raw PPG in this .npz or .edf.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Append the fingerprints to this log.")
    ] = None,
    wearer: Annotated[
        str, typer.Option(help="Label of the person, for the log; best a pseudonym.")
    ] = "unknown",
    key_file: KeyFileOption = None,
    keep_days: Annotated[
        float | None,
        typer.Option(min=0.0, help="Take out of the log what is older than this."),
    ] = None,
    lsl: Annotated[
        bool, typer.Option("--lsl", help="Send them over Lab Streaming Layer as well.")
    ] = False,
    no_motion: Annotated[
        bool,
        typer.Option("--no-motion", help="Do not ask for acceleration beside PPG."),
    ] = False,
    timeout_s: Annotated[float, typer.Option(help="How long to look for it.")] = 10.0,
    allow_unencrypted: Annotated[
        bool,
        typer.Option("--allow-unencrypted", help="Go on in the open where pairing fails."),
    ] = False,
    package: PackageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stream fingerprints from a wearable; with --json, one JSON object per line.

    A lost link is brought back; gaps are counted and no window spans one. A log that is
    new is encrypted when --key-file is given; the key is made where there is none yet.

    Example: [bold]plethprint stream --name my-ring --record walk.npz --store log.db
    --wearer ada --key-file log.key[/bold]
    """
    from plethprint.ble.personality import personalities

    known = [known.name for known in personalities()]
    if personality is not None and personality not in known:
        raise typer.BadParameter(
            f"{personality!r} is not known; known are {', '.join(known)}",
            param_hint="--personality",
        )
    for option, name_ in ((key_file, "--key-file"), (keep_days, "--keep-days")):
        if store is None and option is not None:
            raise typer.BadParameter("means nothing without --store", param_hint=name_)
    if on_device and polarity is not None:
        raise typer.BadParameter("not with --on-device", param_hint="--polarity")
    recorder = None if record is None else Recorder(record)
    sinks: list[Sink] = [LslSink()] if lsl else []
    if store is not None:
        keep_s = None if keep_days is None else 86400.0 * keep_days
        log = open_store(store, key_file, create=True)
        sinks.append(LogSink(log, wearer, keep_s))
    asyncio.run(
        follow(
            sinks=sinks,
            recorder=recorder,
            as_json=as_json,
            on_device=on_device,
            hop_s=hop_s,
            polarity=None if polarity is None else polarity_named(polarity),
            seconds=seconds,
            address=address,
            name=name,
            personality=personality,
            motion=not no_motion,
            timeout_s=timeout_s,
            allow_unencrypted=allow_unencrypted,
            package=package,
        )
    )


async def follow(
    *,
    recorder: Recorder | None = None,
    sinks: Sequence[Sink] = (),
    as_json: bool = False,
    on_device: bool = False,
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
    sinks : sequence of Sink, optional
        Get every fingerprint before it is printed; closed in the end.
    as_json : bool
        One JSON object per line instead of text.
    on_device : bool
        Take the fingerprints that the wearable makes itself, and no raw PPG for them; none
        from one whose firmware does not pass `Wearable.check_firmware`.
    hop_s : float
        Seconds from one window to the next.
    polarity : {1, -1, "auto"}, optional
        By default what the wearable says of its channel.
    seconds : float, optional
        Stop after this long.
    backend : BluetoothBackend, optional
        Another Bluetooth stack than the operating system's.

    Raises
    ------
    ProtocolError
        With `on_device`: the check found the wearable's firmware at fault.
    """
    from plethprint.session import connect

    async with connect(backend=backend, **how) as wearable, _closing(sinks):
        typer.echo(_greeting(wearable), err=True)
        if on_device:
            await _demand_sound(wearable)
            prints: AsyncGenerator[Fingerprint, None] = wearable.device_fingerprints(hop_s)
        else:
            prints = wearable.fingerprints(hop_s, polarity=polarity)
        async with _recording(recorder, wearable):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(
                    _print_all(wearable, prints, sinks, as_json), seconds
                )
        stats = wearable.stats
    made = f"{stats.device_fingerprints} fingerprints of its own, " if on_device else ""
    typer.echo(
        f"{made}{stats.frames} frames, missing samples {stats.missing_samples}, "
        f"link gaps {stats.link_gaps}, reconnects {stats.reconnects}",
        err=True,
    )


async def _print_all(
    wearable: Wearable,
    prints: AsyncIterator[Fingerprint],
    sinks: Sequence[Sink],
    as_json: bool,
) -> None:
    async for fingerprint in prints:
        for sink in sinks:
            await sink.take(fingerprint, wearable)
        if as_json:
            print_json(_fields(fingerprint, wearable), one_line=True)
        else:
            typer.echo(_line(fingerprint, wearable))


@contextlib.asynccontextmanager
async def _closing(sinks: Sequence[Sink]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for sink in sinks:
            typer.echo(sink.close(), err=True)


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


async def _demand_sound(wearable: Wearable) -> None:
    check = await wearable.check_firmware()
    for sentence in check.sentences():
        typer.echo(sentence, err=True)
    if not check.ok:
        raise ProtocolError(
            f"the wearable's firmware is at fault: {check.fault}; its fingerprints are "
            "not taken (without --on-device they are made here)"
        )


def _fields(fingerprint: Fingerprint, wearable: Wearable) -> dict[str, Any]:
    stats = wearable.stats
    # One that the wearable made knows neither its sample nor its gaps.
    return {
        "start": fingerprint.start,
        "duration_s": fingerprint.duration_s,
        "quality": fingerprint.quality,
        "quality_reason": fingerprint.quality_reason,
        "flagged": fingerprint.flagged,
        "missing": fingerprint.missing,
        "gap_fraction": getattr(fingerprint, "gap_fraction", None),
        "motion_g": getattr(fingerprint, "motion_g", None),
        "motion_fraction": getattr(fingerprint, "motion_fraction", None),
        "perfusion": getattr(fingerprint, "perfusion", None),
        "heart_rate_bpm": fingerprint.heart_rate_bpm,
        "inverted": fingerprint.inverted,
        "model": fingerprint.model,
        "scale": fingerprint.scale,
        "vector": fingerprint.vector,
        "first_index": getattr(fingerprint, "first_index", None),
        "missing_samples": stats.missing_samples,
        "link_gaps": stats.link_gaps,
        "statistics": stats.to_dict(),
    }


def _line(fingerprint: Fingerprint, wearable: Wearable) -> str:
    from datetime import datetime

    moment = datetime.fromtimestamp(fingerprint.start).astimezone()
    rate = fingerprint.heart_rate_bpm
    return (
        f"{moment:%H:%M:%S}  quality {fingerprint.quality:.2f}  "
        f"{'   -' if rate is None else f'{rate:4.0f}'} bpm  "
        f"{sparkline(fingerprint.vector)}  gaps {wearable.stats.link_gaps}"
        f"{f'  {fingerprint.quality_reason}' if fingerprint.flagged else ''}"
    )

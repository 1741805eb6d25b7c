"""`plethprint demo`: the whole path, live, without hardware."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plethprint.cli.on_device import (
    FaultOption,
    FirmwareOption,
    on_device_personality,
    show,
)
from plethprint.cli.output import JsonOption, PackageOption, print_json, sparkline
from plethprint.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from rich.console import Group
    from rich.table import Table

    from plethprint_sim.demo import DemoReport, DemoWindow

_LOGGER = logging.getLogger("plethprint")

__all__ = [
    "PersonalityOption",
    "Rhythm",
    "check_personality",
    "register",
    "require_simulator",
]

PersonalityOption = Annotated[
    str,
    typer.Option(help="Protocol it speaks: open, polar, muse, openring or colmi."),
]
"""Which virtual wearable."""


class Rhythm(str, Enum):
    """Rhythms that the virtual wearer's heart knows."""

    SINUS = "sinus"
    BRADY = "brady"
    TACHY = "tachy"
    AF = "af"
    PVC = "pvc"
    PAC = "pac"
    BIGEMINY = "bigeminy"
    SVT = "svt"
    VT = "vt"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("demo")(demo)


def require_simulator(purpose: str) -> None:
    """Raise `MissingExtraError` unless the simulator and its Bluetooth stack are there."""
    if any(importlib.util.find_spec(name) is None for name in ("plethprint_sim", "bumble")):
        raise MissingExtraError("sim", purpose)


def check_personality(personality: str) -> None:
    """Refuse, as wrong usage, a virtual wearable that there is none of."""
    from plethprint_sim.personalities import PERSONALITIES

    if personality not in PERSONALITIES:
        raise typer.BadParameter(
            f"{personality!r} is not known; known are {', '.join(PERSONALITIES)}",
            param_hint="--personality",
        )


def demo(
    seconds: Annotated[
        float, typer.Option(min=12.0, max=86400.0, help="How long the wearable streams.")
    ] = 40.0,
    virtual_time: Annotated[
        bool, typer.Option("--virtual-time", help="As fast as the machine allows.")
    ] = False,
    replay: Annotated[
        Path | None, typer.Option(help="Wear a recording (.npz, .csv, WFDB) instead.")
    ] = None,
    sample_rate_hz: Annotated[
        float | None, typer.Option("--sample-rate-hz", help="Of --replay, if it is silent.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="PPG column of --replay.")] = None,
    personality: PersonalityOption = "open",
    rhythm: Annotated[
        Rhythm, typer.Option(help="What the virtual heart does.")
    ] = Rhythm.SINUS,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 1,
    link_loss_at: Annotated[
        float | None,
        typer.Option("--link-loss-at", min=0.0, help="Walk out of range after S seconds."),
    ] = None,
    link_loss_s: Annotated[
        float,
        typer.Option("--link-loss-s", min=0.0, max=3600.0, help="How long out of range."),
    ] = 6.0,
    firmware: FirmwareOption = None,
    fault: FaultOption = None,
    package: PackageOption = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Folder of a teacher; default: the shipped one.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(hidden=True)] = None,
    as_json: JsonOption = False,
) -> None:
    """Stream a virtual wearer's pulse over Bluetooth and check each fingerprint.

    A virtual wearable is scanned, connected, paired and streamed; every window prints a
    line: time, heart rate, quality, fingerprint, agreement with the ECG-PPG teacher.

    Example: [bold]plethprint demo --seconds 60 --rhythm af --virtual-time[/bold]
    As a Verity Sense: [bold]plethprint demo --personality polar[/bold]
    Made of firmware: [bold]plethprint demo --firmware fw --fault filter[/bold]
    """
    require_simulator("The demo")
    check_personality(personality)
    personality = on_device_personality(personality, firmware, fault)
    if firmware is not None and link_loss_at is not None:
        raise typer.BadParameter("not with --firmware", param_hint="--link-loss-at")
    from plethprint_sim.demo import DemoOptions, run_demo

    options = DemoOptions(
        seconds=seconds,
        virtual_time=virtual_time,
        replay=replay,
        sample_rate_hz=sample_rate_hz,
        column=column,
        personality=personality,
        rhythm=rhythm.value,
        seed=seed,
        link_loss_at_s=link_loss_at,
        link_loss_s=link_loss_s,
        firmware=firmware,
        fault=fault,
        package=package,
        teacher=teacher,
    )
    if firmware is not None:
        with _quieter():
            made = show(options, as_json=as_json)
        raise typer.Exit(int(made.fingerprints == 0))
    screen = None if as_json else _Screen(svg)
    with _quieter():
        if screen is None:
            report = run_demo(options)
        else:
            with screen:
                report = run_demo(
                    options,
                    on_window=screen.show,
                    on_event=screen.tell,
                    on_pulse=screen.pulse,
                )
    if screen is None:
        print_json(report.to_dict())
    else:
        screen.finish(report)
    raise typer.Exit(int(report.fingerprints == 0))


@contextlib.contextmanager
def _quieter() -> Iterator[None]:
    """The table tells of lost links itself; a log line would tear it."""
    level = _LOGGER.level
    _LOGGER.setLevel(min(logging.ERROR, _LOGGER.getEffectiveLevel() + 10))
    try:
        yield
    finally:
        _LOGGER.setLevel(level)


class _Screen:
    """The live table on a terminal; one plain line per window anywhere else."""

    def __init__(self, svg: Path | None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._svg = svg
        self._console = Console(
            record=svg is not None, width=_PICTURE_WIDTH if svg else None
        )
        self._events = Console(stderr=True)
        self._table = _table()
        self._pulse = ""
        self._live = (
            Live(self._picture(), console=self._console, refresh_per_second=8)
            if self._console.is_terminal and svg is None
            else None
        )

    def __enter__(self) -> None:
        if self._live is not None:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def pulse(self, samples: npt.NDArray[np.float32]) -> None:
        """Show the raw signal of the last seconds as it arrives."""
        if self._live is None and self._svg is None:
            return
        self._pulse = sparkline(samples, _PULSE_CHARACTERS)
        if self._live is not None:
            self._live.update(self._picture())

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        return Group(self._table, Text(f" ♥ {self._pulse}", style="red"))

    def tell(self, event: str) -> None:
        """Say what happens on the link."""
        console = self._console if self._live is not None or self._svg else self._events
        console.print(f"[dim]{event}[/dim]", highlight=False, soft_wrap=True)

    def show(self, window: DemoWindow) -> None:
        """Add the line of one window."""
        cells = _cells(window)
        self._table.add_row(*cells)
        if self._live is None and self._svg is None:
            typer.echo("  ".join(_unstyled(cell) for cell in cells))

    def finish(self, report: DemoReport) -> None:
        """Print the summary, and save the picture if one is wanted."""
        if self._svg is not None:
            self._console.print(self._picture())
        for line in _summary(report):
            self._console.print(line, highlight=False, soft_wrap=self._svg is None)
        if self._svg is not None:
            drawing = self._console.export_svg(title="make demo")
            # The fonts would be fetched from somewhere by whoever looks at the picture.
            drawing = re.sub(r"@font-face \{.*?\}", "", drawing, flags=re.DOTALL)
            self._svg.write_text(drawing, encoding="utf-8")


_PULSE_CHARACTERS = 90
_PICTURE_WIDTH = 116
_QUALITY_COLOURS = ((0.75, "green"), (0.5, "yellow"), (0.0, "red"))


def _table() -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title="virtual wearer → wearable → Bluetooth → int8 fingerprints",
        box=box.SIMPLE_HEAD,
        title_style="bold",
        caption="like the teacher: centred cosine, and nearest reference windows shared",
    )
    table.add_column("time", justify="right")
    table.add_column("heart", justify="right")
    table.add_column("quality", justify="right")
    table.add_column("fingerprint (64 × int8)", style="cyan", no_wrap=True)
    table.add_column("like the teacher", justify="right")
    table.add_column("gaps", justify="right")
    table.add_column("ms", justify="right")
    return table


def _cells(window: DemoWindow) -> list[str]:
    rate = "–" if window.heart_rate_bpm is None else f"{window.heart_rate_bpm:.0f} bpm"
    colour = next(name for least, name in _QUALITY_COLOURS if window.quality >= least)
    return [
        f"{window.start_s:.0f}–{window.start_s + window.duration_s:.0f} s",
        rate,
        f"[{colour}]{window.quality:.2f}[/{colour}]",
        sparkline(window.vector, 32),
        f"{window.centred_cosine:+.2f}  {round(window.overlap_at_10 * 10)}/10",
        str(window.link_gaps),
        f"{window.compute_ms:.1f}",
    ]


def _unstyled(cell: str) -> str:
    from rich.text import Text

    return Text.from_markup(cell).plain


def _summary(report: DemoReport) -> list[str]:
    parity = report.parity
    if not report.fingerprints:
        return [
            f"no window of 10 s without a gap among {report.frames} frames: stream longer"
        ]
    seen = "ECG and PPG" if report.teacher_sees == "both" else "PPG only"
    return [
        f"{report.fingerprints} fingerprints from {report.frames} frames; "
        f"missing samples {report.missing_samples}, duplicates {report.duplicates}, "
        f"link gaps {report.link_gaps}, reconnects {report.reconnects}, "
        f"{'paired and encrypted' if report.paired else 'not paired'}",
        f"against the teacher ({seen}): centred cosine {parity['centred_cosine']:.3f}, "
        f"{parity['overlap_at_10'] * 10:.1f} of 10 nearest neighbours shared",
        f"the wearable's own encoder ({report.device_runtime}): at most "
        f"{parity['golden_max_lsb']} LSB from the golden vectors"
        if "golden_max_lsb" in parity
        else f"a wearable of the {report.personality} protocol: no encoder of its own",
        f"{report.model}, stream SHA-256 {report.stream_sha256[:16]}…",
    ]

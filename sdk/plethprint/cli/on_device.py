"""`--firmware` and `--fault` of `sim` and `demo`: a wearable made of a firmware pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plethprint.cli.output import print_json, sparkline

if TYPE_CHECKING:
    from plethprint_sim.demo_report import DemoOptions
    from plethprint_sim.on_device_demo import OnDevicePrint, OnDeviceReport

__all__ = ["ON_DEVICE", "FaultOption", "FirmwareOption", "on_device_personality", "show"]

ON_DEVICE = "open-ondevice"
"""Personality of a virtual wearable that is made of a pack."""

FirmwareOption = Annotated[
    Path | None,
    typer.Option(
        help="Make the wearable of this pack of `plethprint firmware`; needs a C compiler."
    ),
]
FaultOption = Annotated[
    str | None,
    typer.Option(help="Damage that firmware first: weight, filter or rounding."),
]


def on_device_personality(
    personality: str, firmware: Path | None, fault: str | None
) -> str:
    """Name the personality that is meant; refuse, as wrong usage, what contradicts."""
    if firmware is None:
        if fault is not None:
            raise typer.BadParameter(
                "means nothing without --firmware", param_hint="--fault"
            )
        if personality == ON_DEVICE:
            raise typer.BadParameter(
                f"{ON_DEVICE} needs --firmware, a folder of `plethprint firmware`",
                param_hint="--personality",
            )
        return personality
    if personality not in ("open", ON_DEVICE):
        raise typer.BadParameter(
            f"firmware speaks the open profile, not {personality}", param_hint="--firmware"
        )
    from plethprint_sim.native_firmware import FAULTS

    if fault is not None and fault not in FAULTS:
        raise typer.BadParameter(
            f"{fault!r} is not known; known are {', '.join(FAULTS)}", param_hint="--fault"
        )
    return ON_DEVICE


def show(options: DemoOptions, *, as_json: bool) -> OnDeviceReport:
    """Run the demo of a wearable that is made of a pack, and print what it does."""
    from plethprint_sim.on_device_demo import run_on_device_demo

    if as_json:
        report = run_on_device_demo(options)
        print_json(report.to_dict())
        return report
    report = run_on_device_demo(
        options,
        on_event=lambda sentence: typer.echo(sentence, err=True),
        on_print=lambda one: typer.echo(_line(one)),
    )
    for line in _summary(report):
        typer.echo(line)
    return report


def _line(one: OnDevicePrint) -> str:
    return (
        f"{one.start_s:6.0f} s  quality {one.quality:.2f}  {sparkline(one.vector, 32)}  "
        f"like the teacher {one.centred_cosine:+.2f}"
    )


def _summary(report: OnDeviceReport) -> list[str]:
    if report.fault:
        return [
            f"the wearable's firmware is at fault: {report.fault}; no fingerprint was taken"
        ]
    if not report.fingerprints:
        return ["firmware sound, but no window of 10 s was finished: stream longer"]
    return [
        f"{report.fingerprints} fingerprints made by the pack's C, {report.model}",
        f"{report.fingerprint_bytes_per_s:.1f} bytes/s; raw PPG took "
        f"{report.raw_bytes_per_s:.0f} bytes/s, {report.bytes_ratio:.1f} times as many",
        f"against the teacher: centred cosine {report.parity['centred_cosine']:.3f}, "
        f"{report.parity['overlap_at_10'] * 10:.1f} of 10 nearest neighbours shared",
    ]

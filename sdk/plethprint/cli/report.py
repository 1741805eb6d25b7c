"""`plethprint report`: what a package costs on a device, and where it does not pay."""

from __future__ import annotations

import errno
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plethprint.cli.output import JsonOption, PackageOption, print_json

if TYPE_CHECKING:
    from plethprint.cost import FirmwareMeasurement, Network
    from plethprint.package import ModelPackage

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("report")(report)


def report(
    package: PackageOption = None,
    firmware: Annotated[
        Path | None,
        typer.Option(help="measured.json of its firmware; default: the shipped counts."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one self-contained page here.")
    ] = None,
    every_s: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=60.0, help="Seconds between fingerprints; default: the window."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a package costs: flash, RAM, time, energy, radio, storage.

    Counted where it can be counted, else projected from published runs, and marked so;
    and where streaming raw PPG would be cheaper, that too.

    Example: [bold]plethprint report --html cost.html[/bold]
    """
    from plethprint.cost import cost_report
    from plethprint.cost.page import html_page
    from plethprint.cost.words import lines
    from plethprint.package import ModelPackage

    if html is not None and html.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file to write", str(html))
    opened = ModelPackage.load(package)
    made = cost_report(
        _network(opened), every_s=every_s, firmware=_measurement(opened, firmware)
    )
    if html is not None:
        arguments = [f"--package {shlex.quote(str(package))}"] if package else []
        arguments += [f"--firmware {shlex.quote(str(firmware))}"] if firmware else []
        arguments += [f"--every-s {every_s:g}"] if every_s is not None else []
        command = " ".join(
            ["plethprint report", *arguments, f"--html {shlex.quote(str(html))}"]
        )
        page = html_page(made, command=command)
        half = html.with_name(f"{html.name}.part")
        try:
            half.write_text(page, encoding="utf-8")
            half.replace(html)
        finally:
            half.unlink(missing_ok=True)
        typer.echo(f"wrote {html}", file=sys.stderr)
    if as_json:
        print_json(made.to_dict())
    elif html is None:
        for line in lines(made):
            typer.echo(line)


def _network(package: ModelPackage) -> Network:
    """Count a package's graph; what it says of itself must agree."""
    # The reader of flatbuffers lies above the SDK, in the same wheel, and needs numpy only.
    from plethprint.cost import Network
    from plethprint.errors import PackageIncompatibleError
    from plethprint_quantize.flatbuffer import read_tflite
    from plethprint_quantize.graph_cost import graph_cost

    manifest = package.manifest
    cost = graph_cost(read_tflite(package.read_bytes("encoder.tflite")))
    # 0 stands for a manifest that does not say.
    for what, stated, found in (
        ("parameters", manifest.parameters, cost.parameters),
        ("macs", manifest.macs, cost.macs),
    ):
        if stated not in (0, found):
            raise PackageIncompatibleError(
                f"manifest.json says {stated:,} {what}, but encoder.tflite has {found:,}"
            )
    return Network(
        model=package.model_id,
        dim=manifest.dim,
        window_s=float(manifest.preprocessing["window_s"]),
        parameters=cost.parameters,
        macs=cost.macs,
        constant_bytes=cost.constant_bytes,
        activation_bytes=cost.activation_bytes,
        file_bytes={
            name: manifest.files[name].bytes for name in ("encoder.tflite", "encoder.onnx")
        },
        fingerprint_bytes=_wire_bytes(package),
        steps=[
            {
                "name": step.name,
                "output_shape": list(step.output_shape),
                "macs": step.macs,
                "parameters": step.parameters,
                "live_bytes": step.live_bytes,
            }
            for step in cost.steps
        ],
    )


def _measurement(package: ModelPackage, given: Path | None) -> FirmwareMeasurement | None:
    """Counts of this architecture's firmware; None where nobody has counted them."""
    from plethprint.cost import read_measurement
    from plethprint.errors import PackageIncompatibleError
    from plethprint_quantize.firmware.footprint import MEASURED_FILE
    from plethprint_quantize.firmware.plan import make_plan
    from plethprint_quantize.flatbuffer import read_tflite

    try:
        plan = make_plan(read_tflite(package.read_bytes("encoder.tflite")))
        return read_measurement(given or MEASURED_FILE, shape=plan.shape_id)
    except PackageIncompatibleError:
        if given is not None:
            raise
        return None  # another architecture than the one that was counted


def _wire_bytes(package: ModelPackage) -> int:
    """Length of a fingerprint of this package as it travels."""
    from plethprint.fingerprint import Fingerprint, unit_scale

    vector = package.golden().vectors[0]
    sent = Fingerprint(
        vector=vector,
        scale=unit_scale(vector),
        model=package.model_id,
        start=0.0,
        duration_s=float(package.manifest.preprocessing["window_s"]),
        quality=1.0,
        missing=0.0,
        heart_rate_bpm=60.0,
    )
    return len(sent.to_bytes())

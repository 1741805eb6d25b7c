"""`plethprint info`: what a model package is, said from its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from plethprint.cli.output import JsonOption, PackageOption, print_json

if TYPE_CHECKING:
    from plethprint.package import ModelPackage

__all__ = ["register"]

_FORMATS = {"onnx": "encoder.onnx", "tflite": "encoder.tflite"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("info")(info)


def info(package: PackageOption = None, as_json: JsonOption = False) -> None:
    """Say what a model package is: size, cost, operators, training data, parity.

    The package is verified first; a changed file or a wrong signature exits 1.

    Example: [bold]plethprint info --json[/bold]
    """
    from plethprint.package import ModelPackage

    facts = _facts(ModelPackage.load(package))
    if as_json:
        print_json(facts)
        return
    for key, value in facts.items():
        if isinstance(value, dict):
            typer.echo(f"{key}")
            for name, figure in value.items():
                typer.echo(f"  {name:<18} {_short(figure)}")
        elif key == "training_data":
            typer.echo(key)
            for corpus in value:
                typer.echo("  " + ", ".join(f"{k} {v}" for k, v in corpus.items()))
        else:
            typer.echo(f"{key:<20} {_short(value)}")


def _facts(package: ModelPackage) -> dict[str, Any]:
    from plethprint.cli.output import plain

    manifest = package.manifest
    preprocessing = plain(manifest.preprocessing)
    files = plain(manifest.files)
    return {
        "model": manifest.name,
        "version": manifest.version,
        "model_id": package.model_id,
        "dim": manifest.dim,
        "rate_hz": preprocessing["rate_hz"],
        "window_s": preprocessing["window_s"],
        "parameters": manifest.parameters,
        "mmac": manifest.macs / 1e6,
        "bytes": {
            name: files[file]["bytes"] for name, file in _FORMATS.items() if file in files
        },
        "ops": plain(manifest.ops),
        "teacher": manifest.teacher,
        "training_data": plain(manifest.training_data),
        "parity": plain(manifest.parity),
        "thresholds": plain(manifest.thresholds),
        "preprocessing": preprocessing,
        "path": package.path,
    }


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""`plethprint info`: what a model package is, or what a log of fingerprints holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plethprint.cli.output import JsonOption, PackageOption, print_json
from plethprint.cli.store_options import KeyFileOption, open_store

if TYPE_CHECKING:
    from plethprint.package import ModelPackage

__all__ = ["register"]

_TOLD = ("max_lsb", "cosine", "centred_cosine", "overlap_at_10")
_FORMATS = {"onnx": "encoder.onnx", "tflite": "encoder.tflite"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("info")(info)


def info(
    package: PackageOption = None,
    store: Annotated[
        Path | None, typer.Option(help="Tell of this log of fingerprints instead.")
    ] = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a model package is: size, cost, operators, training data, parity.

    The package is verified first; a changed file or a wrong signature exits 1. Of a log
    every row is read and holes are looked for; a row that does not hold exits 1.

    Example: [bold]plethprint info --json[/bold]

    Example: [bold]plethprint info --store log.db --key-file log.key[/bold]
    """
    from plethprint.package import ModelPackage

    if store is None:
        facts = _facts(ModelPackage.load(package))
    else:
        facts = _log_facts(store, key_file)
    if as_json:
        print_json(facts)
        return
    for line in _lines(facts):
        typer.echo(line)


def _log_facts(store: Path, key_file: Path | None) -> dict[str, Any]:
    from plethprint.store.table import utc_text

    with open_store(store, key_file) as log:
        verified = log.verify()
        summary = log.summary()
    ends = (summary.first_start_s, summary.last_start_s)
    first, last = (None if end is None else utc_text(end) for end in ends)
    return {
        "store": store,
        "encrypted": summary.encrypted,
        "rows": summary.rows,
        "verified_rows": verified,
        "pruned_rows": summary.removed_rows,
        "wearers": summary.wearers,
        "first": first,
        "last": last,
        "bytes": store.stat().st_size,
    }


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


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The facts for a person: a line each, tables indented under their name."""
    for key, value in facts.items():
        if key == "parity":
            yield key
            yield from _parity_lines(value)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            yield key
            yield from (f"  {_short(item)}" for item in value)
        elif isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
            yield key
            yield from (f"  {name:<18} {_short(item)}" for name, item in value.items())
        else:
            yield f"{key:<20} {_short(value)}"


def _parity_lines(parity: Mapping[str, Any]) -> Iterator[str]:
    for runtime, levels in parity.items():
        for level, figures in levels.items():
            told = {name: figures[name] for name in _TOLD if name in figures}
            yield f"  {runtime:<7} {level:<12} {_short(told)}"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_short(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""`plethprint embed`: the fingerprints of a recording in a file, no Bluetooth.

The polarity is not found out unless that is asked for: a known polarity is exact, while
finding it out errs at times in a wrist in motion (``docs/shift.md``), and a recording
turned over half-way is worse than a suspicion told on stderr.
"""

from __future__ import annotations

import sys
import tempfile
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
from plethprint.errors import RecordingError, SampleRateError

if TYPE_CHECKING:
    from plethprint.fingerprint import Fingerprint
    from plethprint.io import Recording

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("embed")(embed)


def embed(
    file: Annotated[
        Path,
        typer.Argument(
            help="Recording: .csv, .npz, .edf or WFDB (.hea); - for CSV on stdin."
        ),
    ],
    sample_rate_hz: Annotated[
        float | None,
        typer.Option(
            "--sample-rate-hz", help="Samples per second, where the file is silent."
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Column or channel that holds the PPG.")
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(
            "--time-column",
            help="Column of a table that holds the time; none: go by --sample-rate-hz.",
        ),
    ] = None,
    hop_s: Annotated[
        float, typer.Option(help="Seconds from one window to the next.")
    ] = 5.0,
    polarity: Annotated[
        PolarityName,
        typer.Option(
            help="up: counts rise when the vessel fills; down: they fall; "
            "auto: found out. A pulse that looks upside down is told either way."
        ),
    ] = PolarityName.UP,
    out: Annotated[
        Path | None, typer.Option(help="Write vectors, times and qualities to this .npz.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="auto, onnx or litert.")] = "auto",
    package: PackageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fingerprint every window of a recording.

    Example: [bold]plethprint embed walk.csv --sample-rate-hz 64 --out fp.npz[/bold]
    """
    from plethprint.fingerprinter import Fingerprinter

    recording = _read(
        file, sample_rate_hz=sample_rate_hz, column=column, time_column=time_column
    )
    fingerprinter = Fingerprinter(package, runtime)
    fingerprints = fingerprinter.embed(
        recording.ppg,
        recording.sample_rate_hz,
        hop_s=hop_s,
        start=recording.start,
        polarity=polarity_named(polarity),
    )
    if not fingerprints:
        length_s = recording.ppg.size / recording.sample_rate_hz
        raise RecordingError(
            f"{file} holds {length_s:.1f} s of signal, less than one window: "
            "record more than 10 s."
        )
    if out is not None:
        _write(out, fingerprints)
    if as_json:
        print_json(
            {
                "file": str(file),
                "sample_rate_hz": recording.sample_rate_hz,
                "model": fingerprints[0].model,
                "hop_s": hop_s,
                "polarity": polarity.value,
                "out": out,
                "windows": [_fields(fingerprint) for fingerprint in fingerprints],
            }
        )
        return
    for fingerprint in fingerprints:
        typer.echo(_line(fingerprint))
    if out is not None:
        typer.echo(f"wrote {len(fingerprints)} fingerprints to {out}", err=True)


def _read(file: Path, **options: Any) -> Recording:
    from plethprint.io import read_recording

    if str(file) != "-":
        return read_recording(file, **options)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin.csv"
        copy.write_bytes(sys.stdin.buffer.read())
        try:
            return read_recording(copy, **options)
        except (RecordingError, SampleRateError) as error:
            told = str(error).replace(str(copy), "standard input")
            raise type(error)(told) from error


def _fields(fingerprint: Fingerprint) -> dict[str, Any]:
    return {
        "start_s": fingerprint.start,
        "duration_s": fingerprint.duration_s,
        "quality": fingerprint.quality,
        "low_quality": fingerprint.flagged,
        "quality_reason": fingerprint.quality_reason,
        "missing": fingerprint.missing,
        "heart_rate_bpm": fingerprint.heart_rate_bpm,
        "inverted": fingerprint.inverted,
        "vector": fingerprint.vector,
        "scale": fingerprint.scale,
    }


def _line(fingerprint: Fingerprint) -> str:
    heart_rate = fingerprint.heart_rate_bpm
    return (
        f"{fingerprint.start:9.2f} s  quality {fingerprint.quality:.2f}  "
        f"{'   -' if heart_rate is None else f'{heart_rate:4.0f}'} bpm  "
        f"{sparkline(fingerprint.vector)}"
        f"{f'  low quality: {fingerprint.quality_reason}' if fingerprint.flagged else ''}"
    )


def _write(out: Path, fingerprints: list[Fingerprint]) -> None:
    """Columns of equal length, one row per window; see the names for the units."""
    import numpy as np

    rates = [np.nan if f.heart_rate_bpm is None else f.heart_rate_bpm for f in fingerprints]
    # Through a handle, because numpy would add .npz to another name without a word.
    with out.open("wb") as handle:
        np.savez_compressed(
            handle,
            vectors=np.stack([f.vector for f in fingerprints]),
            scale=np.array([f.scale for f in fingerprints], dtype=np.float32),
            start_s=np.array([f.start for f in fingerprints]),
            duration_s=np.array([f.duration_s for f in fingerprints]),
            quality=np.array([f.quality for f in fingerprints], dtype=np.float32),
            quality_reason=np.array([f.quality_reason for f in fingerprints]),
            missing=np.array([f.missing for f in fingerprints], dtype=np.float32),
            heart_rate_bpm=np.array(rates, dtype=np.float32),
            inverted=np.array([f.inverted for f in fingerprints], dtype=np.float32),
            model=np.array(fingerprints[0].model),
        )

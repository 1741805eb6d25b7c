"""`plethprint bench`: time the boxes between the samples and the fingerprint."""

from __future__ import annotations

import importlib.util
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from plethprint.cli.output import JsonOption, PackageOption, print_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("bench")(bench)


def bench(
    rounds: Annotated[
        int, typer.Option(min=3, help="Runs per box; the median is told.")
    ] = 50,
    package: PackageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time preprocessing, every installed runtime and the whole path, on this machine.

    Example: [bold]plethprint bench --json[/bold]
    """
    figures = _measure(package, rounds)
    if as_json:
        print_json(figures)
        return
    typer.echo(f"{figures['machine']}, one window at a time, median of {rounds}")
    for name, milliseconds in figures["ms_per_window"].items():
        typer.echo(f"  {name:<22} {milliseconds:8.3f} ms")
    typer.echo("in batches")
    for name, rate in figures["windows_per_s"].items():
        typer.echo(f"  {name:<22} {rate:8d} windows/s")
    typer.echo(
        f"{figures['wearables']['wearables_per_core']} wearables at 125 Hz in real time on "
        "one core, from notifications to fingerprints"
    )


def _measure(package_path: Any, rounds: int) -> dict[str, Any]:
    import numpy as np

    from plethprint.cli.bench_wearables import measure_wearables
    from plethprint.encoder import installed_runtimes, load_encoder
    from plethprint.fingerprinter import Fingerprinter
    from plethprint.package import ModelPackage
    from plethprint.quality import assess
    from plethprint.signal import PPG, windows_of

    package = ModelPackage.load(package_path)
    rate_hz = 125.0
    length = round(PPG.window_s * rate_hz)
    times = np.arange(6 * length) / rate_hz
    beat = 2 * np.pi * 1.2 * times
    pulse = np.sin(beat) + 0.35 * np.sin(2 * beat + 0.8)
    windows = windows_of(pulse, rate_hz, hop_s=PPG.window_s)
    one = windows[0].samples[None]
    ms: dict[str, float] = {
        "preprocessing": _median_ms(
            lambda: windows_of(pulse, rate_hz, hop_s=PPG.window_s), rounds
        )
        / len(windows),
        "quality": _median_ms(lambda: assess(one), rounds),
    }
    for runtime in installed_runtimes():
        ms[f"encoder {runtime}"] = _median_ms(
            partial(load_encoder(package, runtime).run, one), rounds
        )
    fingerprinter = Fingerprinter(package)
    ms["whole path"] = _median_ms(
        lambda: fingerprinter.embed(pulse, rate_hz, hop_s=PPG.window_s), rounds
    ) / len(windows)
    rows = np.stack([pulse[k : k + length] for k in range(0, 1000, 4)])
    seconds_each = {
        "embed_windows": _median_ms(lambda: fingerprinter.embed_windows(rows, rate_hz), 3)
        / 1e3
        / len(rows)
    }
    if importlib.util.find_spec("plethprint_sim") is not None:
        from plethprint_sim.batch import simulate_batch

        seconds_each["virtual wearers"] = (
            _median_ms(lambda: simulate_batch(256, seed=1), 3) / 1e3 / 256
        )
    return {
        "model": package.model_id,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "rounds": rounds,
        "sample_rate_hz": rate_hz,
        "ms_per_window": {name: round(value, 4) for name, value in ms.items()},
        "wearables": measure_wearables(package),
        "windows_per_s": {name: round(1 / each) for name, each in seconds_each.items()},
    }


def _median_ms(work: Callable[[], object], rounds: int) -> float:
    """Median wall time of one call, after two calls to warm up."""
    spent = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return 1e3 * sorted(spent[2:])[rounds // 2]

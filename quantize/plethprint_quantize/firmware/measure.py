"""`python -m plethprint_quantize.firmware.measure`: what a pack costs on emulated cores.

Builds the pack with GCC for each core, runs its checks under QEMU with one instruction per
nanosecond of virtual time, and reads what they print. ``--update`` keeps the figures in
``measured.json``, from which READMEs and docs take them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from plethprint.errors import EncoderError, PlethprintError
from plethprint_quantize.firmware.footprint import (
    MEASURED_FILE,
    CoreCost,
    footprint_table,
    over_budget,
)
from plethprint_quantize.firmware.pack import PACK_FILE

__all__ = ["CORES", "main", "measure_core", "missing_tools"]

CORES = ("m3", "m4f", "m7", "m33", "m55", "rv32")
_PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    "qemu-system-riscv32": "qemu-system-misc",
    "make": "make",
}


def missing_tools(core: str) -> list[str]:
    """Return the programs that a core needs and that are not there."""
    arm = ("arm-none-eabi-gcc", "qemu-system-arm", "make")
    riscv = ("riscv64-unknown-elf-gcc", "qemu-system-riscv32", "make")
    return [tool for tool in (riscv if core == "rv32" else arm) if not shutil.which(tool)]


def measure_core(pack: str | Path, core: str) -> CoreCost:
    """Build a pack for one core, run its checks there and return what it cost.

    Parameters
    ----------
    pack : path
        Folder of a firmware pack; ``build/`` is made in it.
    core : str
        One of `CORES`.

    Raises
    ------
    EncoderError
        A tool is missing, the pack does not compile, or its checks fail on the core.

    Examples
    --------
    >>> measure_core("fw", "m4f").stack_bytes < 2000  # doctest: +SKIP
    True
    """
    if core not in CORES:
        raise EncoderError(f"no core {core!r}; there are {', '.join(CORES)}")
    missing = missing_tools(core)
    if missing:
        packages = " ".join(_PACKAGES[tool] for tool in missing)
        raise EncoderError(
            f"{', '.join(missing)} not found; on Debian: "
            f"apt-get install --no-install-recommends {packages}"
        )
    sizes = _make(pack, f"size-{core}").splitlines()[-1].split()
    flash, data, bss = (int(text) for text in sizes[:3])
    if data or bss:
        raise EncoderError(
            f"{core}: the library has {data + bss} bytes of writable globals"
        )
    told = dict(
        line.split(maxsplit=1)
        for line in _make(pack, f"qemu-{core}").splitlines()
        if len(line.split()) == 2
    )
    try:
        return CoreCost(
            core=core,
            arithmetic=told["arithmetic"],
            flash_bytes=flash,
            workspace_bytes=int(told["workspace"]),
            stack_bytes=int(told["stack"]),
            instructions_encode=int(told["instructions_encode"]),
            instructions_fingerprint=int(told["instructions_fingerprint"]),
            instructions_all_in=int(told["instructions_all_in"]),
            golden_vectors=int(told["golden_vectors"]),
            golden_differing=int(told["golden_differing"]),
            stream_differing=int(told["stream_differing"]),
            self_test=int(told["self_test"]),
        )
    except KeyError as error:
        raise EncoderError(f"{core}: the emulated core did not tell {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Measure cores; 0 when all are exact and the M4F is within budget, else 1."""
    parser = argparse.ArgumentParser(
        "plethprint_quantize.firmware.measure", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--pack", type=Path, required=True, help="folder of a pack")
    parser.add_argument(
        "--cores", nargs="+", choices=CORES, help="default: those whose tools are here"
    )
    parser.add_argument("--update", action="store_true", help="write measured.json")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    arguments = parser.parse_args(argv)
    try:
        shape = json.loads((arguments.pack / PACK_FILE).read_text("utf-8"))["shape"]
        cores = {}
        for core in arguments.cores or CORES:
            missing = missing_tools(core)
            if missing and not arguments.cores:
                sys.stderr.write(f"{core} left out: needs {', '.join(missing)}\n")
                continue
            sys.stderr.write(f"{core} ...\n")
            cores[core] = measure_core(arguments.pack, core)
    except (PlethprintError, OSError) as error:
        sys.stderr.write(f"plethprint_quantize.firmware.measure: {error}\n")
        return 1
    measured = {
        "shape": shape,
        "tools": _tools(cores),
        "cores": {name: asdict(cost) for name, cost in cores.items()},
    }
    text = json.dumps(measured, indent=2) + "\n"
    if arguments.update:
        MEASURED_FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(text if arguments.json else footprint_table(cores))
    over = over_budget(cores["m4f"]) if "m4f" in cores else []
    for sentence in over:
        sys.stderr.write(f"over budget: {sentence}\n")
    return 1 if over else 0


def _make(pack: str | Path, target: str) -> str:
    done = subprocess.run(
        ["make", "-s", "-C", str(pack), target],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise EncoderError(f"make {target} failed: {' / '.join(lines[-6:])}")
    return done.stdout


def _tools(cores: Collection[str]) -> dict[str, str]:
    programs = {"GCC for Arm": "arm-none-eabi-gcc", "QEMU": "qemu-system-arm"}
    if "rv32" in cores:
        programs["GCC for RISC-V"] = "riscv64-unknown-elf-gcc"
    return {name: _version(program) for name, program in programs.items()}


def _version(program: str) -> str:
    try:
        text = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    # "name (packager's version) 12.2.1 20221205", "QEMU emulator version 7.2.22 (...)"
    numbers = [word for word in text.splitlines()[0].split() if word[:1].isdigit()]
    return numbers[0] if "QEMU" in text else next((n for n in numbers if "-" not in n), "?")


if __name__ == "__main__":
    raise SystemExit(main())

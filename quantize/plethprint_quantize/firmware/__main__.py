"""`python -m plethprint_quantize.firmware`: a signed package in, a C99 pack out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from plethprint.errors import PlethprintError
from plethprint_quantize.firmware.pack import write_pack

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 on success, 1 with one sentence on stderr otherwise."""
    parser = argparse.ArgumentParser("plethprint_quantize.firmware", description=__doc__)
    parser.add_argument(
        "--package", type=Path, help="folder of a model package; default: the shipped one"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    arguments = parser.parse_args(argv)
    try:
        pack = write_pack(arguments.package, arguments.out)
    except (PlethprintError, OSError) as error:
        if arguments.json:
            told = {"error": str(error), "type": type(error).__name__}
            sys.stdout.write(json.dumps(told) + "\n")
        else:
            sys.stderr.write(f"plethprint_quantize.firmware: {error}\n")
        return 1
    if arguments.json:
        fields = {**vars(pack), "out": str(pack.out)}
        sys.stdout.write(json.dumps(fields) + "\n")
        return 0
    sys.stdout.write(
        f"{pack.out}: {pack.model} in C99, {len(pack.files)} files\n"
        f"  {pack.macs:,} multiplications a window, {pack.table_bytes:,} bytes of tables, "
        f"{pack.activation_bytes + pack.scratch_bytes:,} bytes of working memory\n"
        f"  next: make -C {pack.out} test\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

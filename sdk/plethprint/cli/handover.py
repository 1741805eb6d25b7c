"""Running the training side, which lives above the SDK, as a command of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence

from plethprint.cli.output import print_json
from plethprint.errors import MissingExtraError

__all__ = ["hand_over"]


def hand_over(
    module: str,
    arguments: Sequence[str],
    *,
    extra: str,
    needs: Sequence[str],
    purpose: str,
    as_json: bool,
) -> int:
    """Run ``python -m module arguments`` and return its exit code.

    A process of its own, because the SDK must not import what lies above it.

    Parameters
    ----------
    module : str
        Package to run, such as ``"plethprint_distill"``.
    arguments : sequence of str
        Passed on as they are.
    extra, needs, purpose : str, sequence of str, str
        The extra that brings the modules `needs`, and what for; told when one is missing.
    as_json : bool
        Send the command's own output to stderr and end with one JSON object on stdout.

    Raises
    ------
    MissingExtraError
        One of `needs` is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in (module, *needs)):
        raise MissingExtraError(extra, purpose)
    command = [sys.executable, "-m", module, *arguments]
    began = time.monotonic()
    sys.stdout.flush()
    code = subprocess.run(
        command, stdout=sys.stderr if as_json else None, check=False
    ).returncode
    if as_json:
        print_json(
            {
                "command": ["python", *command[1:]],
                "exit_code": code,
                "seconds": round(time.monotonic() - began, 3),
            }
        )
    return code if code >= 0 else 1

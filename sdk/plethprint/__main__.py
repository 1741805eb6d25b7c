"""`python -m plethprint`, and the `plethprint` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line on `sys.argv` and return the exit code."""
    from plethprint.cli.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

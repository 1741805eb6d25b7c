"""The `plethprint` command: its verbs, its exit codes and how errors are told.

Exit codes: 0 done, 1 a clear failure (one sentence on stderr), 2 wrong usage, 130 Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from plethprint.cli import (
    bench,
    demo,
    embed,
    evaluate,
    export,
    firmware,
    info,
    pair,
    parity,
    prune,
    quantize,
    recover,
    report,
    scan,
    sim,
    soak,
    stream,
    train,
)
from plethprint.cli.output import print_json
from plethprint.errors import PlethprintError

__all__ = ["app", "run"]

app = typer.Typer(
    name="plethprint",
    help="Int8 fingerprints of the pulse wave: PPG over Bluetooth in, vectors out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)

_VERBS = (
    demo,
    scan,
    pair,
    stream,
    recover,
    export,
    prune,
    embed,
    parity,
    evaluate,
    info,
    report,
    sim,
    soak,
    bench,
    train,
    quantize,
    firmware,
)
for _verb in _VERBS:
    _verb.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        import plethprint

        typer.echo(plethprint.__version__)
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, help="Log to stderr; twice for more."),
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Say it, and go."
        ),
    ] = False,
) -> None:
    """Int8 fingerprints of the pulse wave: PPG over Bluetooth in, vectors out."""
    levels = [logging.WARNING, logging.INFO, logging.DEBUG]
    logging.basicConfig(
        level=levels[min(verbose, 2)],
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if verbose < 2:
        # The Bluetooth stack logs whole packets and every expected disconnection.
        logging.getLogger("bumble").setLevel(logging.CRITICAL)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str
        What follows the program's name, such as ``["info", "--json"]``.

    Returns
    -------
    int
        0 done, 1 a failure that was explained, 2 wrong usage, 130 interrupted.
    """
    try:
        app(args=list(arguments), prog_name="plethprint", standalone_mode=True)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except KeyboardInterrupt:
        return 130
    except PlethprintError as error:
        return _tell(error, str(error), arguments)
    except BrokenPipeError:
        # The reader of our stdout is gone (`| head`): nothing is left to be said to it, and
        # the interpreter's last flush must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _tell(error, f"{place}{error.strerror or error}", arguments)
    return 0


def _tell(error: Exception, message: str, arguments: Sequence[str]) -> int:
    """One sentence on stderr, or with ``--json`` one object on stdout; exit code 1."""
    sentence = " ".join(message.split())
    if "--json" in arguments:
        print_json({"error": sentence, "type": type(error).__name__})
    else:
        typer.echo(f"plethprint: {sentence}", err=True)
    logging.getLogger(__name__).debug("where it came from", exc_info=error)
    return 1

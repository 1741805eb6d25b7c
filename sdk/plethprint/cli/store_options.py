"""What the verbs that use a log of fingerprints share: options, keys and moments."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plethprint.store import FingerprintStore

__all__ = ["KeyFileOption", "StoreOption", "moment_s", "open_store"]

StoreOption = Annotated[Path, typer.Option("--store", help="The log of fingerprints.")]
KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", help="File with the log's key, where it is encrypted."),
]


def open_store(
    path: Path, key_file: Path | None, *, create: bool = False
) -> FingerprintStore:
    """Open a log; with `create`, make it, and its key file, where neither is there.

    Raises
    ------
    StoreError
        See `FingerprintStore`; a key file is never made for a log that exists.
    """
    from plethprint.store import FingerprintStore, create_key_file, read_key_file

    if key_file is None:
        return FingerprintStore(path, create=create)
    if create and not path.exists() and not key_file.exists():
        key = create_key_file(key_file)
        typer.echo(
            f"made the key {key_file}: keep a copy elsewhere, nothing reads "
            f"{path} without it",
            err=True,
        )
    else:
        key = read_key_file(key_file)
    return FingerprintStore(path, key=key, create=create)


def moment_s(text: str | None) -> float | None:
    """A moment on the command line as Unix time: seconds, or ISO 8601 (local time).

    Raises
    ------
    typer.BadParameter
        If it is neither.

    Examples
    --------
    >>> moment_s("1970-01-02T00:00:00+00:00"), moment_s("12.5")
    (86400.0, 12.5)
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        # Python 3.10 does not know the Z.
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise typer.BadParameter(
            f"{text!r} is no moment: give Unix seconds or ISO 8601, as 2026-01-31T08:00"
        ) from error

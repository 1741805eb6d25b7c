"""What a soak has found so far, a line of JSON each, so that it goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plethprint
from plethprint.errors import RecordingError
from plethprint_sim.soak_result import SoakResult

__all__ = ["SoakLog"]

_BEGIN = b'{"personality": '  # of every line; see `SoakResult`


class SoakLog:
    """A file of finished results; one that a killed soak left behind is read again.

    A result counts as found only for what it was found with: as many minutes, the same
    model, the same release. The last line for a cell is the one that counts. A last line
    that was cut off by a crash is passed over, and its cell runs again.

    Parameters
    ----------
    path : Path
        The file (JSON Lines, UTF-8); need not exist, its folder must.
    minutes : float
        Virtual minutes of each cell.
    model_id : str
        Model of the fingerprints, `ModelPackage.model_id`.

    Raises
    ------
    RecordingError
        The file can't be read or holds something else than results, or its folder does
        not exist.
    """

    def __init__(self, path: Path, *, minutes: float, model_id: str) -> None:
        self._path = path
        self._with = {
            "minutes": float(minutes),
            "model_id": model_id,
            "release": plethprint.__version__,
        }
        self.found: dict[tuple[str, str], SoakResult] = {}
        """Results by their cell, ``(personality, fault)``."""
        self._read()

    def add(self, result: SoakResult) -> None:
        """Append a result; it is on its way to the disk when this returns.

        Raises
        ------
        RecordingError
            The file can't be written.
        """
        line = json.dumps({**result.to_dict(), **self._with}, ensure_ascii=False)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise RecordingError(
                f"{self._path} can't be written: {error.strerror}"
            ) from error
        self.found[result.cell] = result

    def _read(self) -> None:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            if not self._path.parent.is_dir():  # told now, not after the first cell
                raise RecordingError(
                    f"{self._path.parent} is no folder to write {self._path.name} into"
                ) from None
            return
        except OSError as error:
            raise RecordingError(f"{self._path} can't be read: {error.strerror}") from error
        *lines, torn = raw.split(b"\n")
        for number, line in enumerate(lines, start=1):
            if line.strip():
                self._take(line, number)
        if not torn:
            return
        if torn[: len(_BEGIN)] != _BEGIN[: len(torn)]:  # nothing that a soak began
            self._take(torn, len(lines) + 1)
        with self._path.open("r+b") as file:  # so that what comes next begins a line
            file.truncate(len(raw) - len(torn))

    def _take(self, line: bytes, number: int) -> None:
        try:
            told: dict[str, Any] = json.loads(line)
            result = SoakResult.from_dict(told)
        except (ValueError, TypeError, AttributeError) as error:
            raise RecordingError(
                f"line {number} of {self._path} is not the result of a soak ({error}); "
                "give --out another file"
            ) from error
        if all(told.get(name) == value for name, value in self._with.items()):
            self.found[result.cell] = result

"""What was counted of the firmware on emulated cores: ``measured.json`` of its generator.

It is written by ``python -m plethprint_quantize.firmware.measure``: the architecture that
was measured (``shape``) and, for each core, sizes in bytes and instructions. Counts hold
for every model of that architecture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from plethprint.errors import PackageIncompatibleError, PackageIntegrityError
from plethprint.manifest import read_regular_file

__all__ = ["CoreMeasurement", "FirmwareMeasurement", "read_measurement"]

_MAX_BYTES = 1 << 20


_HOP_S = 5.0
"""Of the signal in ``instructions_all_in``, at 100 Hz."""


@dataclass(frozen=True, kw_only=True)
class CoreMeasurement:
    """What the firmware costs on one core, counted and not projected."""

    flash_bytes: int
    """Code and constants."""
    workspace_bytes: int
    """Static RAM of one wearer: activations, signal path, window ring."""
    stack_bytes: int
    """Deepest use, by painting."""
    instructions_encode: int
    """Int8 window to fingerprint."""
    instructions_fingerprint: int
    """The same with normalisation and quality."""
    instructions_all_in: int
    """The same with 5 s of samples at 100 Hz pushed before it."""

    def instructions(self, every_s: float) -> int:
        """Instructions for each fingerprint, all in, at another distance between them.

        Examples
        --------
        >>> sizes = {"flash_bytes": 1, "workspace_bytes": 1, "stack_bytes": 1}
        >>> counts = {"instructions_encode": 80, "instructions_fingerprint": 90}
        >>> CoreMeasurement(**sizes, **counts, instructions_all_in=100).instructions(10.0)
        110
        """
        pushed = self.instructions_all_in - self.instructions_fingerprint
        return self.instructions_fingerprint + round(pushed * every_s / _HOP_S)


@dataclass(frozen=True)
class FirmwareMeasurement:
    """A firmware's counts, by core."""

    shape: str
    """Identity of the architecture that was measured."""
    cores: Mapping[str, CoreMeasurement]


def read_measurement(path: str | Path, *, shape: str) -> FirmwareMeasurement:
    """Read ``measured.json``, strictly: figures of another architecture are refused.

    Parameters
    ----------
    path
        The file.
    shape
        Identity of the architecture that it must be of.

    Raises
    ------
    PackageIntegrityError
        There is no such file, or it is not JSON.
    PackageIncompatibleError
        It was measured with another architecture, or lacks a figure, or holds one that is
        none.
    """
    path = Path(path)
    try:
        data = read_regular_file(path, _MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        raw = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise PackageIntegrityError(
            f"{path} cannot be read as a firmware measurement: {error}", file=path.name
        ) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("cores"), dict):
        raise PackageIncompatibleError(
            f'{path} is no firmware measurement: "shape" and "cores" were expected'
        )
    if raw.get("shape") != shape:
        raise PackageIncompatibleError(
            f"{path} was measured with the architecture {raw.get('shape')!r}, this "
            f"package's is {shape!r}: generate and measure its firmware"
        )
    if not raw["cores"]:
        raise PackageIncompatibleError(f"{path} holds no core")
    cores = {name: _core(path, name, core) for name, core in raw["cores"].items()}
    return FirmwareMeasurement(shape, cores)


def _core(path: Path, name: str, raw: Any) -> CoreMeasurement:
    values: dict[str, int] = {}
    for field in fields(CoreMeasurement):
        value = raw.get(field.name) if isinstance(raw, dict) else None
        # A core may tell more than is known here: what it adds is left aside.
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise PackageIncompatibleError(
                f"in {path}, {field.name} of {name} must be a whole number of 0 or more, "
                f"not {value!r}"
            )
        values[field.name] = value
    if values["instructions_all_in"] < values["instructions_fingerprint"]:
        raise PackageIncompatibleError(f"in {path}, {name} is cheaper all in than in part")
    return CoreMeasurement(**values)

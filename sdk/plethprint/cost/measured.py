"""What was counted of the firmware in an emulator: ``measured.json`` of a firmware pack.

::

    {"model": "name@version+hash8",
     "cores": {"cortex-m4f": {"instructions_per_window": ..., "text_bytes": ...,
                              "rodata_bytes": ..., "ram_bytes": ..., "stack_bytes": ...}}}
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


@dataclass(frozen=True, kw_only=True)
class CoreMeasurement:
    """What the firmware costs on one core, counted and not projected."""

    instructions_per_window: int
    """All in: preprocessing, network, normalisation of the output."""
    text_bytes: int
    rodata_bytes: int
    ram_bytes: int
    """Static workspace, activations and window ring."""
    stack_bytes: int
    """Deepest use, by painting."""

    @property
    def flash_bytes(self) -> int:
        """Code and constants."""
        return self.text_bytes + self.rodata_bytes


@dataclass(frozen=True)
class FirmwareMeasurement:
    """A firmware pack's counts, by core."""

    model: str
    """Identity of the package that the pack was made from."""
    cores: Mapping[str, CoreMeasurement]


def read_measurement(path: str | Path, *, model: str) -> FirmwareMeasurement:
    """Read ``measured.json``, strictly: figures of another model are refused.

    Parameters
    ----------
    path
        The file.
    model
        Identity that the measurement must be of.

    Raises
    ------
    PackageIntegrityError
        There is no such file, or it is not JSON.
    PackageIncompatibleError
        It was measured with another model, or lacks a figure, or holds one that is none.
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
            f'{path} is no firmware measurement: "model" and "cores" were expected'
        )
    if raw.get("model") != model:
        raise PackageIncompatibleError(
            f"{path} was measured with the model {raw.get('model')!r}, this package is "
            f"{model}: generate and measure the firmware again"
        )
    if not raw["cores"]:
        raise PackageIncompatibleError(f"{path} holds no core")
    cores = {name: _core(path, name, core) for name, core in raw["cores"].items()}
    return FirmwareMeasurement(model, cores)


def _core(path: Path, name: str, raw: Any) -> CoreMeasurement:
    values = {}
    for field in fields(CoreMeasurement):
        value = raw.get(field.name) if isinstance(raw, dict) else None
        # A core may tell more than is known here: what it adds is left aside.
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise PackageIncompatibleError(
                f"in {path}, {field.name} of {name} must be a whole number of 0 or more, "
                f"not {value!r}"
            )
        values[field.name] = value
    return CoreMeasurement(**values)

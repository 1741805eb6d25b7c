"""Virtual wearers, the wearables they wear, and the radio between.

What needs a Bluetooth stack is loaded on first use: wearers alone need numpy and no more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plethprint.errors import MissingExtraError
from plethprint_sim.replay import ReplayStream
from plethprint_sim.source import SignalSource
from plethprint_sim.stream import WearerStream
from plethprint_sim.wearer import (
    RHYTHMS,
    SEXES,
    SITES,
    Waveforms,
    Wearer,
    random_wearer,
    simulate_batch,
)

if TYPE_CHECKING:
    from plethprint_sim.wearable import VirtualWearable, serve
    from plethprint_sim.world import VirtualWorld

__all__ = [
    "RHYTHMS",
    "SEXES",
    "SITES",
    "ReplayStream",
    "SignalSource",
    "VirtualWearable",
    "VirtualWorld",
    "Waveforms",
    "Wearer",
    "WearerStream",
    "random_wearer",
    "serve",
    "simulate_batch",
]

_NEEDS_BUMBLE = {
    "VirtualWearable": "plethprint_sim.wearable",
    "VirtualWorld": "plethprint_sim.world",
    "serve": "plethprint_sim.wearable",
}


def __getattr__(name: str) -> Any:
    """Load what needs a Bluetooth stack the first time it is asked for."""
    home = _NEEDS_BUMBLE.get(name)
    if home is None:
        raise AttributeError(f"module 'plethprint_sim' has no attribute {name!r}")
    try:
        value = getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "bumble":
            raise
        raise MissingExtraError("sim", "A virtual wearable") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

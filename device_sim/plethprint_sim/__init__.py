"""Virtual wearers, the wearables they wear, and the radio between."""

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

__all__ = [
    "RHYTHMS",
    "SEXES",
    "SITES",
    "ReplayStream",
    "SignalSource",
    "Waveforms",
    "Wearer",
    "WearerStream",
    "random_wearer",
    "simulate_batch",
]

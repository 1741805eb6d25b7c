"""The virtual wearer."""

from __future__ import annotations

from plethprint_sim.batch import Waveforms, simulate_batch
from plethprint_sim.rhythm import RHYTHMS

__all__ = ["RHYTHMS", "Waveforms", "simulate_batch"]

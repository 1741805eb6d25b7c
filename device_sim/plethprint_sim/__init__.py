"""Virtual wearers, the wearables they wear, and the radio between."""

from plethprint_sim.wearer import RHYTHMS, Waveforms, simulate_batch

__all__ = ["RHYTHMS", "Waveforms", "simulate_batch"]

"""A pack compiled for this machine; the loader lives with the virtual wearable."""

from __future__ import annotations

from plethprint_sim.native_firmware import (
    FAULTS,
    DeviceFingerprint,
    NativeDevice,
    NativeFirmware,
    damage,
)

__all__ = ["FAULTS", "DeviceFingerprint", "NativeDevice", "NativeFirmware", "damage"]

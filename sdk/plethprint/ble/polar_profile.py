"""Polar's Measurement Data protocol (PMD): control point, PPG and acceleration.

Spoken by the OH1, the Verity Sense and the Polar 360. Pure encoding and decoding, no
Bluetooth. Sources: ``technical_documentation/online_measurement.pdf`` and the parsers of
github.com/polarofficial/polar-ble-sdk, checked against their published test vectors
and a real Verity Sense frame (``tests/sdk/test_polar_profile.py`` quotes both).

What a PMD stream does not say: how many frames it has (there is no sequence number), and
which wavelengths its channels have. What it does say is the time of each frame's *last*
sample, by the device's clock, in nanoseconds since 2000-01-01.

==============  =========================================  ==========================
characteristic  from the wearable                          to the wearable
==============  =========================================  ==========================
control         features (read), `PmdResponse` (indicate)  `PmdRequest` (write)
data            `PmdFrame` or `PmdAcceleration` (notify)
==============  =========================================  ==========================
"""

from plethprint.ble.polar_acceleration import PmdAcceleration
from plethprint.ble.polar_control import (
    PmdMeasurement,
    PmdOpcode,
    PmdRequest,
    PmdResponse,
    PmdSetting,
    PmdSettings,
    PmdStatus,
    features_from_bytes,
    features_to_bytes,
)
from plethprint.ble.polar_frame import LAYOUTS, Layout, PmdFrame
from plethprint.ble.polar_header import PMD_HEADER_BYTES

__all__ = [
    "LAYOUTS",
    "PMD_CONTROL_UUID",
    "PMD_DATA_UUID",
    "PMD_EPOCH_UNIX_S",
    "PMD_HEADER_BYTES",
    "PMD_SERVICE_UUID",
    "Layout",
    "PmdAcceleration",
    "PmdFrame",
    "PmdMeasurement",
    "PmdOpcode",
    "PmdRequest",
    "PmdResponse",
    "PmdSetting",
    "PmdSettings",
    "PmdStatus",
    "features_from_bytes",
    "features_to_bytes",
]

PMD_SERVICE_UUID = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
"""The primary service."""
PMD_CONTROL_UUID = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
"""read, write, indicate: features, requests and their responses."""
PMD_DATA_UUID = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
"""notify: frames."""
PMD_EPOCH_UNIX_S = 946_684_800
"""Unix time of 2000-01-01, where the device's time begins."""

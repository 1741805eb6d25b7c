"""UUIDs of the open profile: one random 128-bit base, one number per attribute.

The base is random on purpose. A base of the form ``0000xxxx-0000-1000-8000-...``
belongs to the Bluetooth SIG, and tools would print a SIG name for our service.
"""

__all__ = [
    "CALIBRATION_UUID",
    "CONTROL_UUID",
    "FINGERPRINT_UUID",
    "INFO_UUID",
    "PPG_UUID",
    "SELF_TEST_UUID",
    "SERVICE_UUID",
    "uuid_of",
]


def uuid_of(number: int) -> str:
    """Full UUID of attribute `number` (0..0xFFFF), lower case.

    Examples
    --------
    >>> uuid_of(1)
    'd20f0001-bab5-4761-a4a5-84c1ef319dbd'
    """
    return f"d20f{number:04x}-bab5-4761-a4a5-84c1ef319dbd"


SERVICE_UUID = uuid_of(0x0001)
"""The primary service; wearables advertise it."""
INFO_UUID = uuid_of(0x0002)
"""read: what the device is and can do."""
CONTROL_UUID = uuid_of(0x0003)
"""write + indicate: requests and their responses."""
PPG_UUID = uuid_of(0x0004)
"""notify: raw PPG frames."""
FINGERPRINT_UUID = uuid_of(0x0005)
"""notify: fingerprints computed on the device."""
SELF_TEST_UUID = uuid_of(0x0006)
"""write + notify: a golden window in, the device's own fingerprint out."""
CALIBRATION_UUID = uuid_of(0x0007)
"""read, encrypted link only: gains, offsets and LED currents of this unit."""

"""What a virtual wearable tells everybody: its name, its service and its address."""

from __future__ import annotations

import zlib

from bumble.core import UUID, AdvertisingData

from plethprint.ble import open_profile as profile

__all__ = ["advertisement", "static_address"]

ADVERT_BYTES = 31
"""Room in a legacy advertisement, and in its scan response."""


def static_address(name: str) -> str:
    """Return a static random address that always goes with this name."""
    tail = zlib.crc32(name.encode()).to_bytes(4, "big")
    return ":".join(f"{byte:02X}" for byte in b"\xd2\x0f" + tail)


def advertisement(name: str) -> tuple[bytes, bytes]:
    """Return advertisement and scan response of a device with the open profile.

    A name too long for the first is shortened there and whole in the second.

    Raises
    ------
    ValueError
        The name is empty or longer than 29 bytes of UTF-8.
    """
    if not 1 <= len(name.encode()) <= ADVERT_BYTES - 2:
        raise ValueError(f"a name has 1..{ADVERT_BYTES - 2} bytes, got {name!r}")
    kinds = AdvertisingData.Type
    flags = bytes(
        [
            AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE
            | AdvertisingData.Flags.BR_EDR_NOT_SUPPORTED
        ]
    )
    services = bytes(UUID(profile.SERVICE_UUID))
    entries = [
        (kinds.FLAGS, flags),
        (kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, services),
    ]
    room = ADVERT_BYTES - len(bytes(AdvertisingData(entries))) - 2
    full = name.encode()
    if len(full) <= room:
        entries.append((kinds.COMPLETE_LOCAL_NAME, full))
        return bytes(AdvertisingData(entries)), b""
    short = full[:room].decode(errors="ignore").encode()
    entries.append((kinds.SHORTENED_LOCAL_NAME, short))
    response = AdvertisingData([(kinds.COMPLETE_LOCAL_NAME, full)])
    return bytes(AdvertisingData(entries)), bytes(response)

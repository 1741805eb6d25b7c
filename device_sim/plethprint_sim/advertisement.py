"""What a virtual wearable tells everybody: its name, its service and its address."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from bumble.core import UUID, AdvertisingData

from plethprint.ble import open_profile as profile
from plethprint.ble.standard_services import sig_uuid

__all__ = ["advertisement", "static_address"]

ADVERT_BYTES = 31
"""Room in a legacy advertisement, and in its scan response."""


def static_address(name: str) -> str:
    """Return a static random address that always goes with this name."""
    tail = zlib.crc32(name.encode()).to_bytes(4, "big")
    return ":".join(f"{byte:02X}" for byte in b"\xd2\x0f" + tail)


def advertisement(
    name: str, services: Sequence[str] = (profile.SERVICE_UUID,)
) -> tuple[bytes, bytes]:
    """Return advertisement and scan response of a device with these services.

    A name too long for the first is shortened there and whole in the second.

    Parameters
    ----------
    name : str
        1..29 bytes of UTF-8.
    services : sequence of str, optional
        Full UUIDs, all of the SIG's 16-bit ones or all of 128 bits; by default the open
        profile's.

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
    entries = [(kinds.FLAGS, flags)]
    numbers = [_sig_number(uuid) for uuid in services]
    if services and all(numbers):
        listed = b"".join(struct.pack("<H", number) for number in numbers)
        entries.append((kinds.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, listed))
    elif services:
        listed = b"".join(bytes(UUID(uuid)) for uuid in services)
        entries.append((kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, listed))
    room = ADVERT_BYTES - len(bytes(AdvertisingData(entries))) - 2
    full = name.encode()
    if len(full) <= room:
        entries.append((kinds.COMPLETE_LOCAL_NAME, full))
        return bytes(AdvertisingData(entries)), b""
    short = full[:room].decode(errors="ignore").encode()
    entries.append((kinds.SHORTENED_LOCAL_NAME, short))
    response = AdvertisingData([(kinds.COMPLETE_LOCAL_NAME, full)])
    return bytes(AdvertisingData(entries)), bytes(response)


def _sig_number(uuid: str) -> int:
    """Number that the SIG assigned, 0 for a UUID of 128 bits."""
    return int(uuid[4:8], 16) if uuid == sig_uuid(int(uuid[4:8], 16)) else 0

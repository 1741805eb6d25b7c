"""bleak's scanner interface on a bumble device."""

from __future__ import annotations

import asyncio
import uuid as uuid_module
from typing import Any, ClassVar

from bleak.backends.scanner import (
    AdvertisementData,
    AdvertisementDataCallback,
    BaseBleakScanner,
)
from bleak.exc import BleakError
from bumble.core import UUID, AdvertisingData
from bumble.device import Advertisement

from plethprint_sim.central import Central

__all__ = ["BumbleScanner", "uuid_text"]

_Type = AdvertisingData.Type
_MOST_REMEMBERED = 1024  # devices; addresses can be made up without end
# Kinds of entry that hold UUIDs, and the size of one, bytes.
_SERVICE_LISTS: dict[int, int] = {
    _Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    _Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    _Type.COMPLETE_LIST_OF_32_BIT_SERVICE_CLASS_UUIDS: 4,
    _Type.INCOMPLETE_LIST_OF_32_BIT_SERVICE_CLASS_UUIDS: 4,
    _Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    _Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
}
_SERVICE_DATA: dict[int, int] = {
    _Type.SERVICE_DATA_16_BIT_UUID: 2,
    _Type.SERVICE_DATA_32_BIT_UUID: 4,
    _Type.SERVICE_DATA_128_BIT_UUID: 16,
}


def uuid_text(uuid: UUID) -> str:
    """Return a UUID the way bleak writes it: 128 bits, lower case, with dashes."""
    return str(uuid_module.UUID(bytes=uuid.uuid_128_bytes[::-1]))


class BumbleScanner(BaseBleakScanner):
    """Scanner backend; `BumbleBackend` binds it to a device."""

    central: ClassVar[Central]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None = None,
        service_uuids: list[str] | None = None,
        scanning_mode: str = "active",
        **kwargs: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._running = False

    async def start(self) -> None:
        """Start listening.

        Raises
        ------
        BleakError
            This scanner listens already.
        """
        if self._running:
            raise BleakError("the scanner is already running")
        self._running = True
        self.seen_devices = {}
        self.central.device.on("advertisement", self._on_advertisement)
        try:
            await self.central.start_scanning(active=self._active)
        except asyncio.CancelledError:  # nobody would stop what its caller never saw start
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening; fine when it does not."""
        if not self._running:
            return
        self._running = False
        self.central.device.remove_listener("advertisement", self._on_advertisement)
        await self.central.stop_scanning()

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        address = advertisement.address
        key = str(address)
        heard = _heard(advertisement)
        if (known := self.seen_devices.get(key)) is not None:
            # The name may come in the scan response alone, which is not always heard.
            before = known[1]
            heard = heard._replace(
                local_name=heard.local_name or before.local_name,
                service_uuids=heard.service_uuids or before.service_uuids,
            )
        if not self.is_allowed_uuid(heard.service_uuids):
            return
        if known is None and len(self.seen_devices) >= _MOST_REMEMBERED:
            del self.seen_devices[next(iter(self.seen_devices))]  # the oldest
        device = self.create_or_update_device(
            key,
            address.to_string(with_type_qualifier=False),
            heard.local_name,
            address,
            heard,
        )
        self.call_detection_callbacks(device, heard)


def _heard(advertisement: Advertisement) -> AdvertisementData:
    manufacturer: dict[int, bytes] = {}
    service_data: dict[str, bytes] = {}
    services: list[str] = []
    names: dict[int, str] = {}
    tx_power: int | None = None
    # Raw structures: bumble's own decoder raises on malformed ones.
    for kind, body in advertisement.data.ad_structures:
        if kind in _SERVICE_LISTS:
            size = _SERVICE_LISTS[kind]
            services.extend(
                uuid_text(UUID.from_bytes(body[at : at + size]))
                for at in range(0, len(body) - size + 1, size)
            )
        elif kind in _SERVICE_DATA:
            size = _SERVICE_DATA[kind]
            if len(body) >= size:
                service_data[uuid_text(UUID.from_bytes(body[:size]))] = body[size:]
        elif kind == _Type.MANUFACTURER_SPECIFIC_DATA and len(body) >= 2:
            manufacturer[int.from_bytes(body[:2], "little")] = body[2:]
        elif kind in (_Type.COMPLETE_LOCAL_NAME, _Type.SHORTENED_LOCAL_NAME):
            names[kind] = body.decode("utf-8", "replace")
        elif kind == _Type.TX_POWER_LEVEL and len(body) == 1:
            tx_power = int.from_bytes(body, "little", signed=True)
    name = names.get(_Type.COMPLETE_LOCAL_NAME) or names.get(_Type.SHORTENED_LOCAL_NAME)
    return AdvertisementData(
        local_name=name,
        manufacturer_data=manufacturer,
        service_data=service_data,
        service_uuids=services,
        tx_power=tx_power,
        rssi=advertisement.rssi,
        platform_data=(advertisement,),
    )

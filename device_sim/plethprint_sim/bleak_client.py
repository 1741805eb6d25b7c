"""bleak's client interface on a bumble device.

Every operation ends: with its result, with `BleakError` when the link dies under it, or
with a timeout. bumble itself cancels a request in flight when the link dies, which would
look to the caller as if its own task had been cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble import hci
from bumble.att import ATT_Error
from bumble.core import BaseBumbleError
from bumble.device import Connection, Peer

from plethprint_sim.bleak_scanner import BumbleScanner, uuid_text
from plethprint_sim.central import Central

__all__ = ["BumbleClient"]

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")

_WANTED_MTU = 517
_ATT_HEADER_BYTES = 3
# ATT errors that encrypting the link with a stored key cures.
_NEEDS_ENCRYPTION = {0x05, 0x0F}


class BumbleClient(BaseBleakClient):
    """Client backend; `BumbleBackend` binds it to a device."""

    central: ClassVar[Central]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None = None,
        timeout: float = 30.0,
        services: set[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=disconnected_callback,
            timeout=timeout,
        )
        self._device = (
            address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        )
        self._wanted_services = services
        self._peer: Peer | None = None
        self._lost: asyncio.Future[Any] | None = None
        # What is under way, and whether it may be cancelled; ordered, unlike a set.
        self._calls: dict[asyncio.Future[Any], bool] = {}
        self._subscriptions: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """Advertised name, or the address with dashes."""
        known = None if self._device is None else self._device.name
        return known or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """ATT MTU of the link, bytes; 23 without one."""
        return 23 if self._peer is None else int(self._peer.connection.att_mtu)

    @property
    def is_connected(self) -> bool:
        """Whether there is a link."""
        return self._lost is not None and not self._lost.done()

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connect, exchange the MTU and discover everything.

        Raises
        ------
        BleakDeviceNotFoundError
            Nobody advertises under the address.
        asyncio.TimeoutError
            The device did not answer in time.
        BleakError
            Connected already, or the link died on the way.
        """
        if self.is_connected:
            raise BleakError("already connected")
        address = await self._find()
        try:
            connection = await self.central.connect(address, self._timeout)
        except BaseBumbleError as error:
            raise BleakError(f"connecting failed: {error}") from error
        self._peer, self._lost = (
            Peer(connection),
            asyncio.get_running_loop().create_future(),
        )
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        try:
            await self._call("exchanging the MTU", self._peer.request_mtu(_WANTED_MTU))
            if pair:
                await self.pair()
            self.services = await self._call("discovering services", self._discover())
        except BaseException:
            await asyncio.shield(self.disconnect())
            raise

    async def disconnect(self) -> None:
        """End the link; fine when there is none."""
        if not self.is_connected or self._peer is None or self._lost is None:
            return
        connection, lost = self._peer.connection, self._lost
        ending = asyncio.ensure_future(connection.disconnect())
        self._keep(ending, may_be_cancelled=False)
        await asyncio.wait({lost}, timeout=self.central.operation_timeout_s)

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Encrypt the link, with the stored key or by pairing.

        Raises
        ------
        BleakError
            Pairing failed or was refused.
        """
        connection = self._connection()
        if connection.is_encrypted:
            return
        if await self.central.is_bonded(connection.peer_address):
            await self._call("encrypting", connection.encrypt(), is_command=True)
        else:
            await self._call("pairing", connection.pair(), is_command=True)

    async def uses_secure_connections(self) -> bool:
        """Whether the link is encrypted with a key made by LE Secure Connections."""
        connection = self._connection()
        return bool(connection.is_encrypted) and await self.central.has_secure_bond(
            connection.peer_address
        )

    async def unpair(self) -> None:
        """Delete the stored key, and disconnect."""
        address = self._connection().peer_address
        await self.central.forget(address)
        await self.disconnect()

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,
        **kwargs: Any,
    ) -> bytearray:
        """Read a characteristic, long ones to their end."""
        return await self._read(characteristic.obj)

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Read a descriptor."""
        return await self._read(descriptor.obj)

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        """Write a characteristic."""
        payload = bytes(data)
        if not response and len(payload) > self.mtu_size - _ATT_HEADER_BYTES:
            raise BleakError(
                f"a write without response takes {self.mtu_size - _ATT_HEADER_BYTES} "
                f"bytes, got {len(payload)}"
            )
        target = characteristic.obj
        await self._encrypting(
            "writing", lambda: target.write_value(payload, with_response=response)
        )

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        """Write a descriptor."""
        target, payload = descriptor.obj, bytes(data)
        await self._encrypting(
            "writing", lambda: target.write_value(payload, with_response=True)
        )

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **kwargs: Any,
    ) -> None:
        """Subscribe, to notifications where there is a choice."""
        handle = characteristic.handle
        if handle in self._subscriptions:
            raise BleakError(f"already subscribed to {characteristic.uuid}")
        loop = asyncio.get_running_loop()

        def on_value(value: bytes) -> None:
            try:
                callback(bytearray(value))
            except Exception as error:  # the Bluetooth stack must survive its users
                context = {"message": "a notification callback failed", "exception": error}
                loop.call_exception_handler(context)

        self._subscriptions[handle] = on_value
        target = characteristic.obj
        try:
            await self._encrypting("subscribing", lambda: target.subscribe(on_value))
        except BaseException:
            self._subscriptions.pop(handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe; fine when there was no subscription."""
        on_value = self._subscriptions.pop(characteristic.handle, None)
        if on_value is not None:
            target = characteristic.obj
            await self._call("unsubscribing", target.unsubscribe(on_value))

    async def _find(self) -> hci.Address:
        if self._device is not None and isinstance(self._device.details, hci.Address):
            return self._device.details
        scanner = type("Finder", (BumbleScanner,), {"central": self.central})()
        heard: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

        def on_device(device: BLEDevice, _: Any) -> None:
            if device.address.lower() == self.address.lower() and not heard.done():
                heard.set_result(device)

        scanner.register_detection_callback(on_device)
        await scanner.start()
        try:
            await asyncio.wait({heard}, timeout=self._timeout)
        finally:
            await scanner.stop()
        if not heard.done():
            raise BleakDeviceNotFoundError(
                self.address, f"no device with address {self.address} was found"
            )
        self._device = heard.result()
        address: hci.Address = self._device.details
        return address

    async def _discover(self) -> BleakGATTServiceCollection:
        assert self._peer is not None
        await self._peer.discover_services()
        collection = BleakGATTServiceCollection()
        for service in self._peer.services:
            uuid = uuid_text(service.uuid)
            if self._wanted_services and uuid not in self._wanted_services:
                continue
            known = BleakGATTService(service, service.handle, uuid)
            collection.add_service(known)
            for characteristic in await service.discover_characteristics():
                entry = BleakGATTCharacteristic(
                    characteristic,
                    characteristic.handle,
                    uuid_text(characteristic.uuid),
                    sorted(gatt_char_props_to_strs(int(characteristic.properties))),
                    lambda: self.mtu_size - _ATT_HEADER_BYTES,
                    known,
                )
                collection.add_characteristic(entry)
                for descriptor in await characteristic.discover_descriptors():
                    collection.add_descriptor(
                        BleakGATTDescriptor(
                            descriptor,
                            descriptor.handle,
                            uuid_text(descriptor.type),
                            entry,
                        )
                    )
        return collection

    async def _read(self, attribute: Any) -> bytearray:
        return bytearray(await self._encrypting("reading", attribute.read_value))

    async def _encrypting(
        self, doing: str, call: Callable[[], Coroutine[Any, Any, _T]]
    ) -> _T:
        """Call; where the device wants encryption and a key is there, encrypt, retry."""
        try:
            return await self._call(doing, call())
        except BleakGATTProtocolError as error:
            connection = self._connection()
            bonded = await self.central.is_bonded(connection.peer_address)
            if (
                error.args[0] not in _NEEDS_ENCRYPTION
                or connection.is_encrypted
                or not bonded
            ):
                raise
        await self._call("encrypting", connection.encrypt(), is_command=True)
        return await self._call(doing, call())

    async def _call(
        self, doing: str, coroutine: Coroutine[Any, Any, _T], *, is_command: bool = False
    ) -> _T:
        """Await a request; ones that contain an HCI command are never cut short."""
        lost = self._lost
        if lost is None or lost.done():
            coroutine.close()
            raise BleakError(f"not connected; {doing} is not possible")
        # When our caller is cancelled the request stays in flight: its answer, coming
        # after the next request, would be taken for that one's.
        call = asyncio.ensure_future(coroutine)
        self._keep(call, may_be_cancelled=not is_command)
        waited_for: set[asyncio.Future[Any]] = {call, lost}
        await asyncio.wait(
            waited_for,
            timeout=self.central.operation_timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not call.done():
            if lost.done():
                raise BleakError(f"disconnected during GATT operation ({doing})")
            # The ATT bearer is unusable once a transaction has timed out.
            self._keep(asyncio.ensure_future(self.disconnect()), may_be_cancelled=False)
            raise asyncio.TimeoutError(f"the device did not answer while {doing}")
        try:
            return call.result()
        except asyncio.CancelledError:
            raise BleakError(f"disconnected during GATT operation ({doing})") from None
        except ATT_Error as error:
            raise BleakGATTProtocolError(int(error.error_code)) from error
        except BaseBumbleError as error:
            raise BleakError(f"{doing} failed: {error}") from error

    def _keep(self, call: asyncio.Future[Any], *, may_be_cancelled: bool) -> None:
        self._calls[call] = may_be_cancelled
        call.add_done_callback(self._let_go)

    def _let_go(self, call: asyncio.Future[Any]) -> None:
        self._calls.pop(call, None)
        if not call.cancelled() and (error := call.exception()) is not None:
            _LOGGER.debug("%s: %r", self.address, error)

    def _connection(self) -> Connection:
        if self._peer is None or not self.is_connected:
            raise BleakError("not connected")
        return self._peer.connection

    def _on_disconnection(self, reason: int) -> None:
        _LOGGER.debug("%s disconnected, reason 0x%02x", self.address, reason)
        self.services = None
        self._subscriptions.clear()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        for call, may_be_cancelled in list(self._calls.items()):
            if may_be_cancelled:
                call.cancel()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

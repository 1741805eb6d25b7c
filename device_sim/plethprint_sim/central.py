"""The host side of a bumble device, shared by every bleak scanner and client on it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from bumble import hci
from bumble.core import BaseBumbleError, PhysicalTransport
from bumble.device import Connection, Device
from bumble.pairing import PairingConfig, PairingDelegate

__all__ = ["Central", "just_works", "no_pairing", "to_the_end"]

_T = TypeVar("_T")

_HCI_ANSWERS_S = 5.0


def just_works(_: Connection) -> PairingConfig:
    """Pairing without screen or keyboard: LE Secure Connections, encrypted, bonded."""
    # No identity keys: bumble would look for a resolvable address before each connection.
    keys = PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY
    delegate = PairingDelegate(
        io_capability=PairingDelegate.NO_OUTPUT_NO_INPUT,
        local_initiator_key_distribution=keys,
        local_responder_key_distribution=keys,
    )
    return PairingConfig(sc=True, mitm=False, bonding=True, delegate=delegate)


class _Refusal(PairingDelegate):
    async def accept(self) -> bool:
        return False


def no_pairing(_: Connection) -> PairingConfig:
    """Turn every pairing down."""
    return PairingConfig(delegate=_Refusal())


async def to_the_end(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Await a coroutine that must not be cut short; cancellation is raised afterwards.

    bumble's host hands the answer to an abandoned HCI command to the next one, and is out
    of step with its controller from then on.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_HCI_ANSWERS_S)
        raise


class Central:
    """One radio, many users: counts scanners, and connects one device at a time.

    Parameters
    ----------
    device : bumble.device.Device
        Powered on.
    operation_timeout_s : float
        Longest time that a GATT call may take.
    """

    def __init__(self, device: Device, operation_timeout_s: float) -> None:
        self.device = device
        self.operation_timeout_s = operation_timeout_s
        self._connecting = asyncio.Lock()
        self._scanning = asyncio.Lock()
        self._scanners = 0

    async def start_scanning(self, *, active: bool) -> None:
        """Join the scan; the first scanner decides whether it is active."""
        await to_the_end(self._join_scan(active))

    async def stop_scanning(self) -> None:
        """Leave the scan; the last one turns it off."""
        await to_the_end(self._leave_scan())

    async def _join_scan(self, active: bool) -> None:
        async with self._scanning:
            if self._scanners == 0:
                await self.device.start_scanning(active=active)
            self._scanners += 1

    async def _leave_scan(self) -> None:
        async with self._scanning:
            self._scanners -= 1
            if self._scanners == 0:
                await self.device.stop_scanning()

    async def connect(self, address: hci.Address, timeout_s: float) -> Connection:
        """Open a link.

        Raises
        ------
        asyncio.TimeoutError
            The device did not answer in time.
        BaseBumbleError
            The controller refused.
        """
        async with self._connecting:  # a controller knows one pending connection
            dialling = asyncio.ensure_future(
                self.device.connect(
                    address,
                    transport=PhysicalTransport.LE,
                    own_address_type=hci.OwnAddressType.RANDOM,
                    timeout=None,
                )
            )
            try:
                done, _ = await asyncio.wait({dialling}, timeout=timeout_s)
                if done:
                    return dialling.result()
            finally:
                if not dialling.done():
                    await to_the_end(self._hang_up(dialling))
            raise asyncio.TimeoutError(f"no answer from {address} within {timeout_s:g} s")

    async def _hang_up(self, dialling: asyncio.Future[Connection]) -> None:
        # The controller would otherwise go on and connect when nobody waits any more.
        await self.device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
        await asyncio.wait({dialling}, timeout=_HCI_ANSWERS_S)
        dialling.cancel()
        if not dialling.cancelled() and dialling.done() and dialling.exception() is None:
            await dialling.result().disconnect()

    async def is_bonded(self, address: hci.Address) -> bool:
        """Whether there is a key for that device."""
        store = self.device.keystore
        return store is not None and await store.get(str(address)) is not None

    async def has_secure_bond(self, address: hci.Address) -> bool:
        """Whether the key for that device was made by LE Secure Connections."""
        store = self.device.keystore
        keys = None if store is None else await store.get(str(address))
        # Legacy pairing gives each side a key of its own.
        return keys is not None and keys.ltk is not None

    async def forget(self, address: hci.Address) -> None:
        """Delete the key for that device."""
        store = self.device.keystore
        if store is None or not await self.is_bonded(address):
            return
        try:
            await store.delete(str(address))
        except (KeyError, BaseBumbleError):
            return

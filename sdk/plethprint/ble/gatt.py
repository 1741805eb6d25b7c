"""One GATT link: every call has a timeout, every error is one of ours.

:class:`GattLink` is the only place that calls bleak's client. What bleak, its backends
and the stacks beneath them raise is translated at the border, by
:func:`plethprint.ble.stack_errors.translated`; nothing foreign passes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from plethprint.ble.stack_errors import Trouble, advice, translated
from plethprint.errors import (
    LinkLostError,
    LinkTimeoutError,
    PairingError,
    PlethprintError,
    ProtocolError,
    WearableBusyError,
)

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.service import BleakGATTServiceCollection

__all__ = ["GattLink", "translated"]

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")

_ATT_HEADER_BYTES = 3
_GRACE_S = 1.0  # for a cancelled call to let go


class GattLink:
    """A connected client with timeouts; one link, never reused after it is lost.

    Parameters
    ----------
    make_client : callable
        Takes the callback for a lost link and gives a bleak client.
    timeout_s : float
        Longest time that any single call may take.
    connect_timeout_s, pair_timeout_s : float, optional
        Longest time for connecting, discovery included, and for pairing, which may wait
        for somebody who has to confirm it; `timeout_s`, half as much again, when None.
    """

    def __init__(
        self,
        make_client: Callable[[Callable[[BleakClient], None]], BleakClient],
        *,
        timeout_s: float,
        connect_timeout_s: float | None = None,
        pair_timeout_s: float | None = None,
    ) -> None:
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._client = make_client(self._on_disconnected)
        self._timeout_s = timeout_s
        # bleak applies its timeout to the connection alone; discovery comes on top.
        self._connect_timeout_s = connect_timeout_s or 1.5 * timeout_s
        self._pair_timeout_s = pair_timeout_s or 1.5 * timeout_s
        self._closing = False
        self.pairs_by_itself = False
        """Whether the system has no call for pairing and does it when needed (macOS);
        known after `pair`."""

    @property
    def is_lost(self) -> bool:
        """Whether the link is gone."""
        return self._lost.done()

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done once the link is gone; for `asyncio.wait`."""
        return self._lost

    @property
    def service_uuids(self) -> frozenset[str]:
        """Services that the wearable has, lower case."""
        return frozenset(service.uuid.lower() for service in self._services())

    def mtu(self, uuid: str) -> int:
        """ATT MTU, bytes, of the link that carries a characteristic; 23 at least."""
        # `client.mtu_size` is always 23 on BlueZ; the characteristic knows better.
        characteristic = self._services().get_characteristic(uuid)
        if characteristic is None:
            raise ProtocolError(f"the wearable lacks characteristic {uuid}")
        return characteristic.max_write_without_response_size + _ATT_HEADER_BYTES

    def _services(self) -> BleakGATTServiceCollection:
        # Backends forget the services with the link, and bleak then raises.
        if self.is_lost or self._closing:
            raise LinkLostError("the link is gone, and what it offered with it")
        try:
            return self._client.services
        except Exception as error:
            raise translated(error, "looking up the services") from error

    async def connect(self) -> None:
        """Connect and discover the services."""
        await self._call("connecting", self._client.connect, self._connect_timeout_s)

    async def pair(self) -> None:
        """Pair, and with it encrypt the link.

        Raises
        ------
        PairingError
            Refused, failed or not answered.
        LinkError
            The link or the stack failed otherwise.
        """
        try:
            await self._call("pairing", self._client.pair, self._pair_timeout_s)
        except (LinkLostError, PairingError, WearableBusyError):
            raise
        except PlethprintError as error:
            if isinstance(error.__cause__, NotImplementedError):  # macOS
                self.pairs_by_itself = True
                raise PairingError("this system pairs by itself when needed") from error
            remedy = advice(Trouble.REFUSED)
            raise PairingError(f"pairing failed: {error}; {remedy}") from error

    async def uses_secure_connections(self) -> bool | None:
        """Whether the bond was made by LE Secure Connections; None where nobody tells.

        bleak has no call for it. Stacks of our own tell it; BlueZ can be told to take
        nothing less (``SecureConnections = only`` in ``/etc/bluetooth/main.conf``).
        """
        backend = getattr(self._client, "_backend", None)
        tell = getattr(backend, "uses_secure_connections", None)
        if tell is None:
            return None
        return bool(await self._call("asking how the link is encrypted", tell))

    async def read(self, uuid: str, name: str) -> bytes:
        """Read a characteristic; `name` is for messages."""
        return bytes(
            await self._call(f"reading {name}", lambda: self._client.read_gatt_char(uuid))
        )

    async def write(
        self, uuid: str, name: str, payload: bytes, *, response: bool | None = True
    ) -> None:
        """Write a characteristic and wait for the wearable's acknowledgement.

        With ``response=None`` only where the characteristic has one to give.
        """
        await self._call(
            f"writing {name}",
            lambda: self._client.write_gatt_char(uuid, payload, response=response),
        )

    async def subscribe(
        self, uuid: str, name: str, on_payload: Callable[[bytes], None]
    ) -> None:
        """Have every notification or indication of a characteristic handed over."""
        await self._call(
            f"subscribing to {name}",
            lambda: self._client.start_notify(
                uuid, lambda _, data: on_payload(bytes(data))
            ),
        )

    async def unsubscribe(self, uuid: str, name: str) -> None:
        """End a subscription."""
        await self._call(
            f"unsubscribing from {name}", lambda: self._client.stop_notify(uuid)
        )

    async def close(self) -> None:
        """Disconnect; never raises, for there is nothing more that a caller could do."""
        self._closing = True
        task = asyncio.ensure_future(self._client.disconnect())
        try:
            await asyncio.wait({task}, timeout=self._timeout_s)
        finally:
            await _let_go(task)
            if not self._lost.done():
                self._lost.set_result(None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.debug("disconnecting: %r", error)

    def _on_disconnected(self, _: BleakClient) -> None:
        if not self._lost.done():
            self._lost.set_result(None)

    async def _call(
        self, doing: str, call: Callable[[], Awaitable[_T]], timeout_s: float | None = None
    ) -> _T:
        if self.is_lost or self._closing:
            raise LinkLostError(f"the link is gone; {doing} is not possible")
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        task: asyncio.Future[_T] = asyncio.ensure_future(call())
        try:
            # Some stacks leave a call hanging when the link dies: do not wait for it.
            either: set[asyncio.Future[Any]] = {task, self._lost}
            await asyncio.wait(
                either,
                timeout=timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return _result(task, doing)
        finally:
            await _let_go(task)
        if self.is_lost:
            raise LinkLostError(f"the link dropped while {doing}")
        raise LinkTimeoutError(
            f"the wearable did not answer within {timeout_s:g} s while {doing}"
        )


def _result(task: asyncio.Future[_T], doing: str) -> _T:
    if task.cancelled():
        raise translated(asyncio.CancelledError(), doing)
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, (Exception, asyncio.CancelledError)):
        raise translated(error, doing) from error
    raise error


async def _let_go(task: asyncio.Future[Any]) -> None:
    """Cancel a call that is still under way; leave it behind if it does not react."""
    if task.done():
        return
    task.cancel()
    await asyncio.wait({task}, timeout=_GRACE_S)
    if task.done() and not task.cancelled():
        task.exception()  # seen, and of no interest any more

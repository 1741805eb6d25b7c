"""bleak on bumble: a Bluetooth stack for bleak in place of the operating system's.

bleak's public API stays on top, so what runs here is the code that talks to real devices::

    backend = BumbleBackend(device)                 # a powered-on bumble Device
    await BleakScanner.discover(backend=backend.scanner)
    async with BleakClient(found, backend=backend.client) as client: ...

`BumbleBackend` itself may be passed as ``backend=`` to both. The device may sit on a
virtual radio (`plethprint_sim.world`) or on a real one (``usb:``, ``serial:``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner
from bumble import hci
from bumble.device import Device
from bumble.transport import open_transport

from plethprint_sim.bleak_client import BumbleClient
from plethprint_sim.bleak_scanner import BumbleScanner
from plethprint_sim.central import Central, just_works

__all__ = ["BumbleBackend", "open_backend"]


class BumbleBackend:
    """Scanner and client classes bound to one bumble device.

    Parameters
    ----------
    device : bumble.device.Device
        The central, powered on. Bonds live in its key store.
    operation_timeout_s : float
        Longest time that a GATT call may take; the ATT transaction timeout is 30 s.

    Examples
    --------
    ::

        async with VirtualWorld(wearable) as world:
            found = await BleakScanner.discover(backend=world.backend.scanner)
    """

    scanner: type[BaseBleakScanner]
    """Class for ``BleakScanner(backend=...)``."""
    client: type[BaseBleakClient]
    """Class for ``BleakClient(backend=...)``."""

    __name__ = "bumble"  # bleak reads the name of the class it is given

    def __init__(self, device: Device, *, operation_timeout_s: float = 30.0) -> None:
        device.pairing_config_factory = just_works
        central = Central(device, operation_timeout_s)
        self.scanner = type("BoundBumbleScanner", (BumbleScanner,), {"central": central})
        self.client = type("BoundBumbleClient", (BumbleClient,), {"central": central})

    def __call__(self, *args: Any, **kwargs: Any) -> BaseBleakScanner | BaseBleakClient:
        """Make whichever bleak asks for, so that ``backend=backend`` works for both."""
        return (self.client if "disconnected_callback" in kwargs else self.scanner)(
            *args, **kwargs
        )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Be the backend of every bleak client and scanner made meanwhile.

        So programs that know nothing of backends, such as somebody else's driver for a
        wearable, talk to virtual ones, unmodified.

        Examples
        --------
        ::

            with world.backend.installed():
                async with PolarDevice(address) as polar: ...
        """
        with (
            mock.patch(
                "bleak.get_platform_client_backend_type",
                return_value=(self.client, self.__name__),
            ),
            mock.patch(
                "bleak.get_platform_scanner_backend_type",
                return_value=(self.scanner, self.__name__),
            ),
        ):
            yield


_CONTROLLER_ANSWERS_S = 5.0
_HOST_ADDRESS = "C0:11:00:00:00:02"


@asynccontextmanager
async def open_backend(
    transport_name: str, *, operation_timeout_s: float = 30.0
) -> AsyncIterator[BumbleBackend]:
    """Use a Bluetooth controller that the operating system does not know.

    Parameters
    ----------
    transport_name : str
        A bumble transport with a controller at its end, such as ``"usb:0"``,
        ``"serial:/dev/ttyACM0,1000000"`` or ``"tcp-client:127.0.0.1:9000"``.
    operation_timeout_s : float
        Longest time that a GATT call may take.

    Raises
    ------
    ValueError
        The transport's name is not understood.
    OSError
        The transport cannot be opened, or no controller answers on it.

    Examples
    --------
    ::

        async with open_backend("usb:0") as backend:
            async with plethprint.connect(backend=backend) as wearable: ...
    """
    async with await open_transport(transport_name) as transport:
        device = Device.with_hci(
            "host", hci.Address(_HOST_ADDRESS), transport.source, transport.sink
        )
        try:
            await asyncio.wait_for(device.power_on(), _CONTROLLER_ANSWERS_S)
        except asyncio.TimeoutError:
            raise OSError(f"no Bluetooth controller answers on {transport_name}") from None
        try:
            yield BumbleBackend(device, operation_timeout_s=operation_timeout_s)
        finally:
            for connection in list(device.connections.values()):
                await asyncio.wait_for(connection.disconnect(), _CONTROLLER_ANSWERS_S)
            await device.power_off()

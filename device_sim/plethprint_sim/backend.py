"""bleak on bumble: a Bluetooth stack for bleak in place of the operating system's.

bleak's public API stays on top, so what runs here is the code that talks to real devices::

    backend = BumbleBackend(device)                 # a powered-on bumble Device
    await BleakScanner.discover(backend=backend.scanner)
    async with BleakClient(found, backend=backend.client) as client: ...

`BumbleBackend` itself may be passed as ``backend=`` to both. The device may sit on a
virtual radio (`plethprint_sim.world`) or on a real one (``usb:``, ``serial:``).
"""

from __future__ import annotations

from typing import Any

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner
from bumble.device import Device

from plethprint_sim.bleak_client import BumbleClient
from plethprint_sim.bleak_scanner import BumbleScanner
from plethprint_sim.central import Central, just_works

__all__ = ["BumbleBackend"]


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

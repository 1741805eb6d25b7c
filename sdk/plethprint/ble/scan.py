"""Finding wearables: who advertises a PPG service nearby."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from plethprint.ble.gatt import translated
from plethprint.ble.personality import Personality, personalities, personality_named
from plethprint.errors import WearableNotFoundError

if TYPE_CHECKING:
    from bleak import BleakScanner
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData, BaseBleakScanner

__all__ = ["BluetoothBackend", "FoundWearable", "find", "scan"]

_LOGGER = logging.getLogger(__name__)


class BluetoothBackend(Protocol):
    """A Bluetooth stack for bleak in place of the operating system's own.

    ``plethprint_sim.backend`` has one on a virtual radio, and on any HCI dongle.
    """

    @property
    def scanner(self) -> type[BaseBleakScanner]:
        """Class for ``BleakScanner(backend=...)``."""

    @property
    def client(self) -> type[BaseBleakClient]:
        """Class for ``BleakClient(backend=...)``."""


@dataclass(frozen=True)
class FoundWearable:
    """One wearable that advertised."""

    address: str
    """Bluetooth address (a UUID on macOS); `plethprint.connect` takes it."""
    name: str
    """Advertised name, empty when there is none."""
    rssi_dbm: int
    """Received signal strength, dBm."""
    personality: str
    """Protocol it advertises, such as ``"open"``; empty when none is known."""
    device: BLEDevice = field(repr=False, compare=False)
    """What bleak connects to."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "address": self.address,
            "name": self.name,
            "rssi_dbm": self.rssi_dbm,
            "personality": self.personality,
        }


async def scan(
    timeout_s: float = 5.0,
    *,
    personality: str | None = None,
    backend: BluetoothBackend | None = None,
) -> list[FoundWearable]:
    """Listen for PPG wearables and list them, strongest first.

    Parameters
    ----------
    timeout_s : float, optional
        How long to listen, seconds.
    personality : str, optional
        Look for this protocol alone.
    backend : BluetoothBackend, optional
        Another Bluetooth stack than the operating system's.

    Raises
    ------
    LinkError
        Bluetooth is missing, off or not allowed.
    ValueError
        The personality is not known.

    Examples
    --------
    ::

        for wearable in await plethprint.scan():
            print(wearable.address, wearable.name, wearable.rssi_dbm)
    """
    wanted = _wanted(personality)
    found: dict[str, FoundWearable] = {}

    def on_advertisement(device: BLEDevice, data: AdvertisementData) -> None:
        wearable = _found(device, data, wanted)
        if wearable.personality:
            found[wearable.address] = wearable

    scanner = _scanner(on_advertisement, wanted, backend)
    await _listen(scanner, asyncio.Event(), timeout_s)
    return sorted(found.values(), key=lambda wearable: -wearable.rssi_dbm)


async def find(
    *,
    timeout_s: float,
    address: str | None = None,
    name: str | None = None,
    personality: str | None = None,
    backend: BluetoothBackend | None = None,
) -> FoundWearable:
    """Listen until the first wearable that fits; the arguments are those of `connect`.

    Raises
    ------
    WearableNotFoundError
        None advertised in time.
    LinkError
        Bluetooth is missing, off or not allowed.
    """
    wanted = _wanted(personality)
    seen: set[str] = set()
    found: list[FoundWearable] = []
    enough = asyncio.Event()

    def on_advertisement(device: BLEDevice, data: AdvertisementData) -> None:
        wearable = _found(device, data, wanted)
        seen.add(wearable.address)
        if address is not None and wearable.address.lower() != address.lower():
            return
        if name is not None and wearable.name.casefold() != name.casefold():
            return
        # Some wearables advertise a name alone; asked for by address or name, that will do.
        if not wearable.personality and address is None and name is None:
            return
        found.append(wearable)
        enough.set()

    filtered = wanted if address is None and name is None else ()
    scanner = _scanner(on_advertisement, filtered, backend)
    await _listen(scanner, enough, timeout_s)
    if not found:
        asked = [
            f"{what} {value!r}"
            for what, value in (
                ("address", address),
                ("name", name),
                ("personality", personality),
            )
            if value is not None
        ]
        raise WearableNotFoundError(
            f"no wearable{' with ' + ' and '.join(asked) if asked else ''} advertised "
            f"within {timeout_s:g} s ({len(seen)} other devices did); "
            "is it charged, worn, near and not connected elsewhere?"
        )
    return found[0]


def _wanted(personality: str | None) -> tuple[Personality, ...]:
    return personalities() if personality is None else (personality_named(personality),)


def _found(
    device: BLEDevice, data: AdvertisementData, wanted: Iterable[Personality]
) -> FoundWearable:
    advertised = {uuid.lower() for uuid in data.service_uuids}
    name = data.local_name or device.name or ""
    spoken = next((p.name for p in wanted if p.is_advertised_by(advertised, name)), "")
    return FoundWearable(device.address, name, data.rssi, spoken, device)


def _scanner(
    on_advertisement: Any, wanted: Iterable[Personality], backend: BluetoothBackend | None
) -> BleakScanner:
    from bleak import BleakScanner

    wanted = tuple(wanted)
    # A filter by service would hide those that are known by their name alone.
    by_name = any(personality.name_prefixes for personality in wanted)
    uuids = [] if by_name else [personality.service_uuid for personality in wanted]
    try:
        return BleakScanner(
            on_advertisement,
            service_uuids=uuids or None,
            backend=None if backend is None else backend.scanner,
        )
    except Exception as error:
        raise translated(error, "preparing a scan") from error


async def _listen(scanner: BleakScanner, enough: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(scanner.start(), timeout_s + 5.0)
    except Exception as error:
        raise translated(error, "scanning") from error
    try:
        await asyncio.wait_for(enough.wait(), timeout_s)
    except (TimeoutError, asyncio.TimeoutError):
        pass  # nobody, or not enough; the caller sees
    finally:
        try:
            await asyncio.wait_for(scanner.stop(), 5.0)
        except Exception as error:  # what was heard is good all the same
            _LOGGER.debug("ending a scan: %r", error)

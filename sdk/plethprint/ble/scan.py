"""Finding wearables: who advertises a PPG service nearby."""

from __future__ import annotations

import asyncio
import fnmatch
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from plethprint.ble.personality import Personality, personalities, personality_named
from plethprint.ble.stack_errors import translated
from plethprint.errors import WearableNotFoundError

if TYPE_CHECKING:
    from bleak import BleakScanner
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData, BaseBleakScanner

__all__ = ["BluetoothBackend", "FoundWearable", "find", "scan"]

_LOGGER = logging.getLogger(__name__)

_MOST_FOUND = 256  # wearables that one scan lists
_MOST_SEEN = 1024  # devices that are counted for a message
_LONGEST_NAME = 64


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


@dataclass(frozen=True)
class _Filter:
    """Which advertisements are of interest."""

    address: str | None = None
    name: str | None = None
    min_rssi_dbm: int | None = None

    def takes(self, wearable: FoundWearable) -> bool:
        if self.address is not None and wearable.address.lower() != self.address.lower():
            return False
        if self.name is not None and not _is_named(wearable.name, self.name):
            return False
        return self.min_rssi_dbm is None or wearable.rssi_dbm >= self.min_rssi_dbm

    def asked(self, personality: str | None) -> str:
        """What was asked for, as part of a sentence."""
        told = [
            f"{what} {value!r}"
            for what, value in (
                ("address", self.address),
                ("name", self.name),
                ("personality", personality),
            )
            if value is not None
        ]
        if self.min_rssi_dbm is not None:
            told.append(f"at least {self.min_rssi_dbm} dBm")
        return f" with {' and '.join(told)}" if told else ""


def _is_named(name: str, wanted: str) -> bool:
    name, wanted = name.casefold(), wanted.casefold()
    return name == wanted or fnmatch.fnmatchcase(name, wanted)


async def scan(
    timeout_s: float = 5.0,
    *,
    personality: str | None = None,
    address: str | None = None,
    name: str | None = None,
    min_rssi_dbm: int | None = None,
    backend: BluetoothBackend | None = None,
) -> list[FoundWearable]:
    """Listen for PPG wearables and list them, strongest first.

    Parameters
    ----------
    timeout_s : float, optional
        How long to listen, seconds.
    personality : str, optional
        Look for this protocol alone.
    address : str, optional
        Look for this Bluetooth address (a UUID on macOS) alone.
    name : str, optional
        Look for this name alone; ``*`` and ``?`` stand for what they do in a shell, and
        capitals do not matter.
    min_rssi_dbm : int, optional
        Leave out what is received more weakly, such as -70.
    backend : BluetoothBackend, optional
        Another Bluetooth stack than the operating system's.

    Returns
    -------
    list of FoundWearable
        At most 256, however many advertise.

    Raises
    ------
    BluetoothUnavailableError, BluetoothPermissionError, LinkError
        Bluetooth is missing, off or not allowed.
    ValueError
        The personality is not known.

    Examples
    --------
    ::

        for wearable in await plethprint.scan(name="pleth-*", min_rssi_dbm=-70):
            print(wearable.address, wearable.name, wearable.rssi_dbm)
    """
    wanted = _wanted(personality)
    fits = _Filter(address, name, min_rssi_dbm)
    found: dict[str, FoundWearable] = {}

    def on_advertisement(device: BLEDevice, data: AdvertisementData) -> None:
        wearable = _found(device, data, wanted)
        if wearable.personality and fits.takes(wearable):
            _keep_strongest(found, wearable)

    scanner = _scanner(on_advertisement, wanted, backend)
    await _listen(scanner, asyncio.Event(), timeout_s)
    return sorted(found.values(), key=lambda wearable: -wearable.rssi_dbm)


def _keep_strongest(found: dict[str, FoundWearable], wearable: FoundWearable) -> None:
    """Take it in; of too many, those that are nearest stay: inventing them is cheap."""
    if wearable.address not in found and len(found) >= _MOST_FOUND:
        weakest = min(found.values(), key=lambda known: known.rssi_dbm)
        if weakest.rssi_dbm >= wearable.rssi_dbm:
            return
        del found[weakest.address]
    found[wearable.address] = wearable


async def find(
    *,
    timeout_s: float,
    address: str | None = None,
    name: str | None = None,
    personality: str | None = None,
    min_rssi_dbm: int | None = None,
    backend: BluetoothBackend | None = None,
) -> FoundWearable:
    """Listen until the first wearable that fits; the arguments are those of `scan`.

    Raises
    ------
    WearableNotFoundError
        None advertised in time.
    BluetoothUnavailableError, BluetoothPermissionError, LinkError
        Bluetooth is missing, off or not allowed.
    """
    wanted = _wanted(personality)
    fits = _Filter(address, name, min_rssi_dbm)
    seen: set[str] = set()
    found: list[FoundWearable] = []
    enough = asyncio.Event()

    def on_advertisement(device: BLEDevice, data: AdvertisementData) -> None:
        wearable = _found(device, data, wanted)
        if len(seen) < _MOST_SEEN:
            seen.add(wearable.address)
        if found or not fits.takes(wearable):
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
        heard = f"{len(seen)}{' or more' if len(seen) == _MOST_SEEN else ''}"
        raise WearableNotFoundError(
            f"no wearable{fits.asked(personality)} advertised within {timeout_s:g} s "
            f"({heard} other devices did); "
            "is it charged, worn, near and not connected elsewhere?"
        )
    return found[0]


def _wanted(personality: str | None) -> tuple[Personality, ...]:
    return personalities() if personality is None else (personality_named(personality),)


def _found(
    device: BLEDevice, data: AdvertisementData, wanted: Iterable[Personality]
) -> FoundWearable:
    advertised = {uuid.lower() for uuid in data.service_uuids}
    name = _printable(data.local_name or device.name or "")
    spoken = next((p.name for p in wanted if p.is_advertised_by(advertised, name)), "")
    return FoundWearable(device.address, name, data.rssi, spoken, device)


def _printable(name: str) -> str:
    """A name that may be logged: whoever advertises it chose it."""
    return "".join(c if c.isprintable() else "?" for c in name[:_LONGEST_NAME])


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

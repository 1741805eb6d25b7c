"""From "that wearable" to a link that speaks its protocol, as often as needed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plethprint.ble.calibration import Calibration
from plethprint.ble.gatt import GattLink, translated
from plethprint.ble.personality import (
    Driver,
    Personality,
    personalities,
    personality_named,
)
from plethprint.ble.scan import BluetoothBackend, FoundWearable, find
from plethprint.errors import (
    LinkError,
    LinkTimeoutError,
    PairingError,
    ProtocolError,
    WearableNotFoundError,
)

if TYPE_CHECKING:
    from bleak import BleakClient

__all__ = ["Backoff", "Connection", "Connector"]

_LOGGER = logging.getLogger(__name__)

_FIRST_ATTEMPTS = 3  # a link that dies during discovery is common, and passes


@dataclass(frozen=True)
class Backoff:
    """How long to wait between attempts to get a link back.

    Examples
    --------
    >>> delays = Backoff(first_s=0.25, longest_s=1.0, jitter=0.0).delays()
    >>> [next(delays) for _ in range(4)]
    [0.25, 0.5, 1.0, 1.0]
    """

    first_s: float = 0.25
    """First wait, seconds."""
    factor: float = 2.0
    """Growth from one wait to the next."""
    longest_s: float = 15.0
    """Longest wait, seconds."""
    jitter: float = 0.25
    """Share by which a wait varies at random, so that many hosts do not march in step."""
    seed: int | None = None
    """Seed of that variation; None takes the system's randomness."""

    def delays(self) -> Iterator[float]:
        """Waits in seconds, without end."""
        rng = random.Random(self.seed)
        delay_s = self.first_s
        while True:
            yield delay_s * (1.0 + self.jitter * rng.uniform(-1.0, 1.0))
            delay_s = min(delay_s * self.factor, self.longest_s)


@dataclass(frozen=True)
class Connection:
    """A link with somebody who speaks at its end."""

    found: FoundWearable
    """As it advertised."""
    link: GattLink
    """The GATT link."""
    driver: Driver
    """The protocol on it, opened."""
    paired: bool
    """Whether pairing was done, or an encrypted read succeeded, on this link."""
    calibration: Calibration | None
    """Calibration of the unit; None when it has none or the link is not encrypted."""


class Connector:
    """Finds, connects and opens one wearable; remembers it for the next time.

    Parameters
    ----------
    address, name, personality : str, optional
        What to look for.
    backend : BluetoothBackend, optional
        Another Bluetooth stack than the operating system's.
    timeout_s : float
        For finding, and for each GATT call.
    pair : bool, optional
        True pairs at once, False never, None when something needs it.
    host_time : callable
        Seconds since 1970, for wearables that want to know the time of day.
    """

    def __init__(
        self,
        *,
        address: str | None,
        name: str | None,
        personality: str | None,
        backend: BluetoothBackend | None,
        timeout_s: float,
        pair: bool | None,
        host_time: Callable[[], float],
    ) -> None:
        self._address = address
        self._name = name
        self._personality = None if personality is None else personality_named(personality)
        self._backend = backend
        self._timeout_s = timeout_s
        self._pair = pair
        self._host_time = host_time
        self._driver: Driver | None = None  # of the newest link

    async def first(self) -> Connection:
        """Establish the first link; a link that dies on the way is tried again.

        Raises
        ------
        WearableNotFoundError, LinkTimeoutError, LinkLostError, PairingError, LinkError
            No link.
        ProtocolError
            The wearable speaks something else.
        """
        delays = Backoff().delays()
        for attempt in range(1, _FIRST_ATTEMPTS + 1):
            try:
                return await self.establish()
            except (WearableNotFoundError, LinkTimeoutError, PairingError):
                raise
            except LinkError as error:
                if attempt == _FIRST_ATTEMPTS:
                    raise
                _LOGGER.info("attempt %d to connect: %s", attempt, error)
                await asyncio.sleep(next(delays))
        raise AssertionError("unreachable")

    async def establish(self) -> Connection:
        """Find, connect, open and, where wanted, pair; once."""
        found = await find(
            timeout_s=self._timeout_s,
            address=self._address,
            name=None if self._address is not None else self._name,
            personality=None if self._personality is None else self._personality.name,
            backend=self._backend,
        )
        link = GattLink(self._client_of(found), timeout_s=self._timeout_s)
        try:
            await link.connect()
            personality = self._spoken(found, link)
            driver = personality.driver(link, self._host_time)
            if self._driver is not None:
                driver.succeed(self._driver)
            await driver.open()
            paired, calibration = await self._secure(link, driver)
        except BaseException:
            await link.close()
            raise
        # From now on it is this very wearable, whatever else advertises.
        self._address, self._personality = found.address, personality
        self._driver = driver
        return Connection(found, link, driver, paired, calibration)

    def _client_of(
        self, found: FoundWearable
    ) -> Callable[[Callable[[BleakClient], None]], BleakClient]:
        def make(on_disconnected: Callable[[BleakClient], None]) -> BleakClient:
            from bleak import BleakClient

            try:
                return BleakClient(
                    found.device,
                    disconnected_callback=on_disconnected,
                    timeout=self._timeout_s,
                    backend=None if self._backend is None else self._backend.client,
                )
            except Exception as error:
                raise translated(error, "preparing a connection") from error

        return make

    def _spoken(self, found: FoundWearable, link: GattLink) -> Personality:
        if self._personality is not None:
            return self._personality
        offered = link.service_uuids
        for personality in personalities():
            if personality.name == found.personality or personality.service_uuid in offered:
                return personality
        raise ProtocolError(
            f"{found.name or found.address} speaks no PPG protocol known here; it offers "
            f"{', '.join(sorted(offered)) or 'no services'}"
        )

    async def _secure(
        self, link: GattLink, driver: Driver
    ) -> tuple[bool, Calibration | None]:
        if self._pair is False:
            return False, None
        if self._pair:
            await link.pair()
            return True, await _calibration_of(driver)
        try:
            calibration = await _calibration_of(driver)
            return calibration is not None, calibration
        except PairingError:
            pass
        except LinkTimeoutError as error:
            # BlueZ without a pairing agent leaves an encrypted read hanging.
            _LOGGER.warning("no calibration: %s", error)
            return False, None
        try:
            await link.pair()
        except PairingError as error:
            _LOGGER.warning("no calibration, the stream is not encrypted: %s", error)
            return False, None
        return True, await _calibration_of(driver)


async def _calibration_of(driver: Driver) -> Calibration | None:
    """Read it; a damaged one is as good as none, and no reason not to stream."""
    try:
        return await driver.read_calibration()
    except ProtocolError as error:
        _LOGGER.warning("no calibration: %s", error)
        return None

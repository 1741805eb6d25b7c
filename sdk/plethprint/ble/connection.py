"""From "that wearable" to a link that speaks its protocol, as often as needed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plethprint.ble.calibration import Calibration
from plethprint.ble.gatt import GattLink
from plethprint.ble.personality import (
    Driver,
    Personality,
    personalities,
    personality_named,
)
from plethprint.ble.scan import BluetoothBackend, FoundWearable, find
from plethprint.ble.security import SecurityPolicy, secure
from plethprint.ble.stack_errors import translated
from plethprint.errors import (
    BluetoothPermissionError,
    BluetoothUnavailableError,
    LinkError,
    LinkTimeoutError,
    PairingError,
    WearableNotFoundError,
    WrongPersonalityError,
)

if TYPE_CHECKING:
    from bleak import BleakClient

__all__ = ["Backoff", "Connection", "Connector", "Timeouts"]

_LOGGER = logging.getLogger(__name__)

_FIRST_ATTEMPTS = 3  # a link that dies during discovery is common, and passes
_SERVICES_SHOWN = 12
# What a second attempt at once would not cure.
_NO_SECOND_ATTEMPT = (
    BluetoothPermissionError,
    BluetoothUnavailableError,
    LinkTimeoutError,
    PairingError,
    WearableNotFoundError,
)


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
class Timeouts:
    """How long each step towards a stream may take, seconds.

    Examples
    --------
    >>> Timeouts.of(10.0).pair_s
    30.0
    """

    scan_s: float
    """Until the wearable advertised."""
    connect_s: float
    """Until it is connected to and its services are known."""
    pair_s: float
    """Until the link is encrypted: somebody may have to confirm it."""
    call_s: float
    """For any other GATT call: a read, a write, a subscription."""

    @classmethod
    def of(cls, timeout_s: float, pair_timeout_s: float | None = None) -> Timeouts:
        """The same for all, but half as much again to connect and three times to pair."""
        pair_s = 3.0 * timeout_s if pair_timeout_s is None else pair_timeout_s
        return cls(timeout_s, 1.5 * timeout_s, pair_s, timeout_s)


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
    timeouts : Timeouts
        How long each step may take.
    security : SecurityPolicy
        What is asked of a link before it is used.
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
        timeouts: Timeouts,
        security: SecurityPolicy,
        host_time: Callable[[], float],
    ) -> None:
        self._address = address
        self._name = name
        self._personality = None if personality is None else personality_named(personality)
        self._backend = backend
        self._timeouts = timeouts
        self._security = security
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
            except _NO_SECOND_ATTEMPT:
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
            timeout_s=self._timeouts.scan_s,
            address=self._address,
            name=None if self._address is not None else self._name,
            personality=None if self._personality is None else self._personality.name,
            backend=self._backend,
        )
        link = GattLink(
            self._client_of(found),
            timeout_s=self._timeouts.call_s,
            connect_timeout_s=self._timeouts.connect_s,
            pair_timeout_s=self._timeouts.pair_s,
        )
        try:
            await link.connect()
            personality = self._spoken(found, link)
            driver = personality.driver(link, self._host_time)
            if self._driver is not None:
                driver.succeed(self._driver)
            await driver.open()
            secured = await secure(link, driver, personality, self._security)
        except BaseException:
            await link.close()
            raise
        # From now on it is this very wearable, whatever else advertises.
        self._address, self._personality = found.address, personality
        self._driver = driver
        return Connection(found, link, driver, secured.paired, secured.calibration)

    def _client_of(
        self, found: FoundWearable
    ) -> Callable[[Callable[[BleakClient], None]], BleakClient]:
        def make(on_disconnected: Callable[[BleakClient], None]) -> BleakClient:
            from bleak import BleakClient

            try:
                return BleakClient(
                    found.device,
                    disconnected_callback=on_disconnected,
                    timeout=self._timeouts.call_s,
                    backend=None if self._backend is None else self._backend.client,
                )
            except Exception as error:
                raise translated(error, "preparing a connection") from error

        return make

    def _spoken(self, found: FoundWearable, link: GattLink) -> Personality:
        offered = link.service_uuids
        if (wanted := self._personality) is not None:
            if wanted.is_offered_by(offered):
                return wanted
            raise WrongPersonalityError(
                f"{found.name or found.address} does not speak the {wanted.name} protocol: "
                f"service {wanted.service_uuid} is not among the {len(offered)} it offers; "
                "connect without `personality` to have its protocol found out"
            )
        # What it advertises decides between protocols on the same service.
        known = sorted(personalities(), key=lambda p: p.name != found.personality)
        for personality in known:
            if personality.is_offered_by(offered):
                return personality
        shown = ", ".join(sorted(offered)[:_SERVICES_SHOWN])
        raise WrongPersonalityError(
            f"{found.name or found.address} speaks no PPG protocol known here (known: "
            f"{', '.join(p.name for p in personalities())}); it offers "
            f"{shown or 'no services'}"
        )

"""Encrypting a link, or refusing to go on without.

A link that should be encrypted and is not carries a person's pulse in the open, and
takes commands from whoever answers to the wearable's name. So a wearable whose protocol
offers pairing is paired with by LE Secure Connections before anything is streamed; where
that fails the connection is refused, never quietly downgraded.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from plethprint.ble.calibration import Calibration
from plethprint.ble.gatt import GattLink
from plethprint.ble.personality import Driver, Personality
from plethprint.ble.stack_errors import Trouble, advice
from plethprint.errors import (
    LinkTimeoutError,
    PairingError,
    ProtocolError,
    UnencryptedLinkError,
)

__all__ = ["Secured", "SecurityPolicy", "calibration_of", "secure"]

_LOGGER = logging.getLogger(__name__)

_GO_ON_OPEN = "`allow_unencrypted=True` would go on in the open"


@dataclass(frozen=True)
class SecurityPolicy:
    """What is asked of a link before it is used."""

    pair: bool | None = None
    """True pairs, whatever the protocol; False never; None where the protocol offers it."""
    allow_unencrypted: bool = False
    """Whether to go on in the open where pairing is offered but fails or is not wanted."""


@dataclass(frozen=True)
class Secured:
    """What came of it."""

    paired: bool
    """Whether pairing was done, or an encrypted read succeeded, on this link."""
    calibration: Calibration | None = None
    """Calibration of the unit, which only an encrypted link shows."""


async def secure(
    link: GattLink, driver: Driver, personality: Personality, policy: SecurityPolicy
) -> Secured:
    """Encrypt a link as the policy asks.

    Raises
    ------
    UnencryptedLinkError
        It stays in the open, or is encrypted by legacy pairing, and that is not allowed.
    PairingError
        Pairing failed.
    LinkError
        The link failed.
    """
    offered = personality.offers_pairing
    if policy.pair is False:
        if offered and not policy.allow_unencrypted:
            raise UnencryptedLinkError(
                f"a wearable of the {personality.name} protocol is to be paired with; "
                f"without pairing {_GO_ON_OPEN}"
            )
        return Secured(False)
    if policy.pair or (offered and not policy.allow_unencrypted):
        return await _strictly(link, driver, policy)
    return await _if_needed(link, driver)


async def _strictly(link: GattLink, driver: Driver, policy: SecurityPolicy) -> Secured:
    try:
        await link.pair()
    except PairingError as error:
        if not link.pairs_by_itself:
            if policy.allow_unencrypted:  # pairing was asked for: its own error will do
                raise
            raise type(error)(f"{error}; {_GO_ON_OPEN}") from error
        # macOS pairs when an encrypted characteristic is read, and says no more of it.
        calibration = await driver.read_calibration()
        if calibration is None:
            raise UnencryptedLinkError(
                "this system does not tell whether the link is encrypted, and the wearable "
                f"has nothing that would show it; {_GO_ON_OPEN}"
            ) from error
        return Secured(True, calibration)
    if await link.uses_secure_connections() is False and not policy.allow_unencrypted:
        raise UnencryptedLinkError(
            "the wearable pairs by the legacy method alone, whose key an eavesdropper "
            f"finds; LE Secure Connections are required; {_GO_ON_OPEN}"
        )
    return Secured(True, await calibration_of(driver))


async def _if_needed(link: GattLink, driver: Driver) -> Secured:
    try:
        calibration = await calibration_of(driver)
        return Secured(calibration is not None, calibration)
    except PairingError:
        pass
    except LinkTimeoutError as error:
        # BlueZ without a pairing agent leaves an encrypted read hanging.
        _LOGGER.warning("no calibration: %s; %s", error, advice(Trouble.REFUSED))
        return Secured(False)
    try:
        await link.pair()
    except PairingError as error:
        _LOGGER.warning("no calibration, the stream is not encrypted: %s", error)
        return Secured(False)
    return Secured(True, await calibration_of(driver))


async def calibration_of(driver: Driver) -> Calibration | None:
    """Read it; a damaged one is as good as none, and no reason not to stream."""
    try:
        return await driver.read_calibration()
    except ProtocolError as error:
        _LOGGER.warning("no calibration: %s", error)
        return None

"""The border to foreign Bluetooth stacks: every error becomes one of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any, cast

import pytest
from bleak import exc as bleak_errors

from plethprint import errors
from plethprint.ble.connection import Backoff
from plethprint.ble.gatt import GattLink
from plethprint.ble.personality import personalities, personality_named


def test_a_call_that_the_stack_leaves_hanging_ends_with_the_link() -> None:
    class Hanging:
        """What some stacks do when the link dies under a call: nothing."""

        def __init__(self, on_disconnected: Callable[[Any], None]) -> None:
            self.on_disconnected = on_disconnected

        async def read_gatt_char(self, _: str) -> bytearray:
            asyncio.get_running_loop().call_later(0.02, self.on_disconnected, self)
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    async def read() -> None:
        link = GattLink(cast("Any", Hanging), timeout_s=30.0)
        with pytest.raises(errors.LinkLostError, match="while reading info"):
            await link.read("2a37", "info")
        assert link.is_lost
        with pytest.raises(errors.LinkLostError, match="is gone"):
            await link.read("2a37", "info")
        assert len(asyncio.all_tasks()) == 2  # this one and who waits for it

    asyncio.run(asyncio.wait_for(read(), 5.0))


class Forgetful:
    """What bleak is like once the link is gone, before anybody was told."""

    def __init__(self, _: Callable[[Any], None]) -> None:
        pass

    @property
    def services(self) -> Any:
        raise bleak_errors.BleakError("Service Discovery has not been performed yet")

    async def pair(self) -> None:
        raise NotImplementedError

    async def start_notify(self, *_: Any) -> None:
        raise NotImplementedError


def test_services_that_went_with_the_link_are_an_error_of_ours() -> None:
    async def look() -> None:
        link = GattLink(cast("Any", Forgetful), timeout_s=1.0)
        with pytest.raises(errors.LinkError, match="services"):
            _ = link.service_uuids
        with pytest.raises(errors.LinkError, match="services"):
            link.mtu("2a37")
        cast("Any", link.lost).set_result(None)
        with pytest.raises(errors.LinkLostError):
            link.mtu("2a37")

    asyncio.run(look())


def test_what_a_system_cannot_do_is_an_error_of_ours() -> None:
    async def ask() -> None:
        link = GattLink(cast("Any", Forgetful), timeout_s=1.0)
        with pytest.raises(errors.PairingError, match="pairs by itself"):
            await link.pair()
        with pytest.raises(errors.LinkError, match="subscribing to ppg"):
            await link.subscribe("2a37", "ppg", lambda _: None)

    asyncio.run(ask())


def test_waits_between_attempts_grow_to_a_limit_and_repeat_with_a_seed() -> None:
    backoff = Backoff(first_s=0.5, factor=2.0, longest_s=4.0, jitter=0.25, seed=3)
    waits = list(islice(backoff.delays(), 8))
    assert waits == list(islice(backoff.delays(), 8))
    plain = [0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    assert all(0.75 * p <= wait <= 1.25 * p for wait, p in zip(waits, plain, strict=True))
    assert waits != plain


def test_an_unknown_personality_is_refused_with_the_known_ones() -> None:
    assert personalities()[0].name == "open"
    with pytest.raises(ValueError, match=r"'closed'; known: open"):
        personality_named("closed")

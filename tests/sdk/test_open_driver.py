"""The host's side of the open profile against wearables that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from plethprint.ble import open_profile as profile
from plethprint.ble.open_driver import OpenDriver
from plethprint.errors import ControlError, LinkTimeoutError

INFO = profile.Info(
    channels=(profile.Channel(profile.ChannelKind.GREEN, 1, 525),),
    rates_mhz=(125_000,),
    features=profile.Features.SELF_TEST,
)
RUNNING = profile.StreamState(profile.StreamFlags.STREAMING, 1, 125_000, 0, 0, 0)


class Link:
    """A link to a wearable whose answers a test makes up."""

    def __init__(self, respond: Callable[[str, bytes], list[bytes]]) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_lost = False
        self._respond = respond
        self._takers: dict[str, Callable[[bytes], None]] = {}

    def mtu(self, _: str) -> int:
        return 247

    async def read(self, *_: str) -> bytes:
        return INFO.to_bytes()

    async def subscribe(self, uuid: str, _: str, taker: Callable[[bytes], None]) -> None:
        self._takers[uuid] = taker

    def say(self, uuid: str, value: bytes) -> None:
        self._takers[uuid](value)

    async def write(self, uuid: str, _: str, value: bytes) -> None:
        for answer in self._respond(uuid, value):
            self.say(uuid, answer)


def with_driver(
    respond: Callable[[str, bytes], list[bytes]],
    scenario: Callable[[OpenDriver, Link], Awaitable[Any]],
) -> Any:
    async def whole() -> Any:
        link = Link(respond)
        driver = OpenDriver(cast("Any", link), lambda: 0.0)
        await driver.open()
        return await scenario(driver, link)

    return asyncio.run(asyncio.wait_for(whole(), 10.0))


@pytest.mark.parametrize("state", [{"channel_mask": 0}, {"rate_mhz": 0}, None])
def test_a_stream_of_nothing_is_refused(state: dict[str, int] | None) -> None:
    said = None if state is None else replace(RUNNING, **state)
    answer = profile.ControlResponse(
        profile.Opcode.START, profile.ControlStatus.OK, state=said
    ).to_bytes()

    async def start(driver: OpenDriver, _: Link) -> None:
        with pytest.raises(ControlError, match=r"nothing streams|stream state"):
            await driver.start(lambda _: None, sample_rate_hz=None, channels=None)

    with_driver(lambda *_: [answer], start)


def test_chatter_is_no_answer_and_does_not_put_off_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plethprint.ble.open_driver._ANSWER_S", 0.3)
    other = profile.ControlResponse(
        profile.Opcode.STOP, profile.ControlStatus.OK, state=RUNNING
    ).to_bytes()

    async def ask(driver: OpenDriver, link: Link) -> float:
        loop = asyncio.get_running_loop()

        async def chatter() -> None:
            while True:
                link.say(profile.CONTROL_UUID, other)
                await asyncio.sleep(0.02)

        chattering = asyncio.ensure_future(chatter())
        began_s = loop.time()
        with pytest.raises(LinkTimeoutError, match="did not answer STATE"):
            await driver.request(profile.ControlRequest(profile.Opcode.STATE))
        chattering.cancel()
        return loop.time() - began_s

    assert with_driver(lambda *_: [], ask) < 2.0


def test_a_flood_before_the_request_does_not_hide_the_answer() -> None:
    answer = profile.ControlResponse(
        profile.Opcode.STATE, profile.ControlStatus.OK, state=RUNNING
    )

    async def ask(driver: OpenDriver, link: Link) -> None:
        for _ in range(5000):
            link.say(profile.CONTROL_UUID, b"noise")
        response = await driver.request(profile.ControlRequest(profile.Opcode.STATE))
        assert response == answer

    with_driver(lambda *_: [answer.to_bytes()], ask)


def test_what_an_earlier_self_test_left_behind_is_not_taken_for_the_answer() -> None:
    vector = np.arange(8, dtype=np.int8)

    def respond(uuid: str, value: bytes) -> list[bytes]:
        if uuid != profile.SELF_TEST_UUID or value[0] != 3:  # RUN
            return []
        result = profile.SelfTestResult(value[1], profile.SelfTestStatus.OK, vector)
        return result.to_messages(247)

    async def test(driver: OpenDriver, link: Link) -> None:
        for _ in range(2):
            given = await driver.self_test(np.zeros(640, np.int8))
            np.testing.assert_array_equal(given, vector)
            link.say(profile.SELF_TEST_UUID, b"half an answer")

    with_driver(respond, test)

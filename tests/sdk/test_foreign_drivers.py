"""The host's side of wearables that are not ours, against ones that misbehave."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

import numpy as np
import pytest

from plethprint.ble import muse_profile as muse
from plethprint.ble import polar_profile as pmd
from plethprint.ble.muse_driver import MuseDriver
from plethprint.ble.personality import personalities, personality_named
from plethprint.ble.polar_driver import PolarDriver
from plethprint.ble.standard_services import sig_uuid
from plethprint.errors import ControlError, FrameError, LinkTimeoutError, ProtocolError

PPG, SDK = pmd.PmdMeasurement.PPG, pmd.PmdMeasurement.SDK_MODE
ON_OFFER = bytes.fromhex("0001 3700 0101 1600 0401 04")
Respond = Callable[[bytes], list[bytes]]


def accepted(value: bytes, parameters: bytes = b"", *, more: bool = False) -> bytes:
    return pmd.PmdResponse(value[0], value[1], 0, parameters, more).to_bytes()


def verity(value: bytes) -> list[bytes]:
    """What a Verity Sense answers."""
    offer = ON_OFFER if value[0] == pmd.PmdOpcode.GET_SETTINGS else b""
    return [accepted(value, offer)]


class Link:
    """A link to a wearable whose answers a test makes up."""

    def __init__(self, respond: Respond, features: set[pmd.PmdMeasurement]) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_lost = False
        self.service_uuids: frozenset[str] = frozenset()
        self.written: list[bytes] = []
        self._respond = respond
        self._features = features
        self._takers: dict[str, Callable[[bytes], None]] = {}

    def mtu(self, uuid: str) -> int:
        if uuid in muse.MUSE_PPG_UUIDS:
            raise ProtocolError("the wearable lacks it")
        return 247

    async def read(self, *_: str) -> bytes:
        return pmd.features_to_bytes(self._features)

    async def subscribe(self, uuid: str, _: str, taker: Callable[[bytes], None]) -> None:
        assert uuid not in self._takers, "subscribed twice"
        self._takers[uuid] = taker

    async def unsubscribe(self, uuid: str, _: str) -> None:
        del self._takers[uuid]

    def say(self, uuid: str, value: bytes) -> None:
        self._takers[uuid](value)

    async def write(self, uuid: str, _: str, value: bytes, **__: Any) -> None:
        self.written.append(value)
        for answer in self._respond(value):
            self.say(uuid, answer)


def with_polar(
    scenario: Callable[[PolarDriver, Link], Awaitable[Any]],
    respond: Respond = verity,
    features: set[pmd.PmdMeasurement] | None = None,
) -> Any:
    async def whole() -> Any:
        link = Link(respond, {PPG} if features is None else features)
        driver = PolarDriver(cast("Any", link), lambda: 0.0)
        await driver.open()
        return await scenario(driver, link)

    return asyncio.run(asyncio.wait_for(whole(), 20.0))


async def nothing(_: PolarDriver, __: Link) -> None:
    """Open it and no more."""


async def start(driver: PolarDriver, rate_hz: float | None = None) -> Any:
    return await driver.start(lambda _: None, sample_rate_hz=rate_hz, channels=None)


def test_a_chest_strap_is_told_from_a_ppg_wearable() -> None:
    with pytest.raises(ProtocolError, match=r"no PPG.*ECG"):
        with_polar(nothing, features={pmd.PmdMeasurement.ECG})


@pytest.mark.parametrize("offer", ["", "0001 0000", "0001 3700 0401 07", "0101 1600"])
def test_settings_that_no_stream_can_have_are_refused(offer: str) -> None:
    with pytest.raises(ProtocolError):
        with_polar(nothing, lambda value: [accepted(value, bytes.fromhex(offer))])


def test_settings_in_several_parts_are_put_together() -> None:
    def respond(value: bytes) -> list[bytes]:
        return [
            accepted(value, ON_OFFER[:3], more=True),
            b"\x0f\x2e\x02",  # BlueZ tells a read of the features like this
            accepted(b"\x03\x01"),  # an answer to something else
            accepted(value, ON_OFFER[3:]),
        ]

    async def look(driver: PolarDriver, _: Link) -> None:
        assert driver.info.rates_hz == (55.0,)
        assert (driver.info.bits, len(driver.info.channels)) == (22, 4)

    with_polar(look, respond)


def test_an_answer_without_end_is_cut_off() -> None:
    def respond(value: bytes) -> list[bytes]:
        return [accepted(value, ON_OFFER, more=True)] * 200

    async def look(driver: PolarDriver, _: Link) -> None:
        assert driver.info.rates_hz == (55.0,)

    with_polar(look, respond)


def test_no_answer_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plethprint.ble.polar_driver._ANSWER_S", 0.1)
    with pytest.raises(LinkTimeoutError, match="did not answer GET_SETTINGS PPG"):
        with_polar(nothing, lambda _: [])


def test_a_factor_is_applied() -> None:
    half = struct.unpack("<I", struct.pack("<f", 0.5))[0]
    factor = bytes([pmd.PmdSetting.FACTOR, 1]) + half.to_bytes(4, "little")

    def respond(value: bytes) -> list[bytes]:
        return [accepted(value, factor)] if value[0] == 2 else verity(value)

    async def scaled(driver: PolarDriver, _: Link) -> list[list[int]]:
        await start(driver)
        frame = pmd.PmdFrame(8 * 10**17, 0, np.array([[10, 20, -30, 7]]))
        return driver.decode(frame.to_bytes()).counts.tolist()

    assert with_polar(scaled, respond) == [[5, 10, -15, 3]]


def test_a_stream_that_runs_already_is_stopped_and_started_once() -> None:
    refused = [True]

    def respond(value: bytes) -> list[bytes]:
        if value[0] == pmd.PmdOpcode.START and refused.pop():
            refused.append(False)
            return [pmd.PmdResponse(2, 1, pmd.PmdStatus.ERROR_ALREADY_IN_STATE).to_bytes()]
        if value[0] == pmd.PmdOpcode.START:
            refused.append(False)
        return verity(value)

    async def begin(driver: PolarDriver, link: Link) -> list[int]:
        await start(driver)
        return [value[0] for value in link.written]

    assert with_polar(begin, respond) == [1, 2, 3, 2]


def test_a_wearable_that_always_streams_already_is_an_error() -> None:
    def respond(value: bytes) -> list[bytes]:
        if value[0] == pmd.PmdOpcode.START:
            return [pmd.PmdResponse(2, 1, pmd.PmdStatus.ERROR_ALREADY_IN_STATE).to_bytes()]
        return verity(value)

    async def begin(driver: PolarDriver, _: Link) -> None:
        for _ in range(2):  # the subscription of the first attempt serves the second
            with pytest.raises(ControlError) as refusal:
                await start(driver)
            assert refusal.value.status == pmd.PmdStatus.ERROR_ALREADY_IN_STATE

    with_polar(begin, respond)


@pytest.mark.parametrize(
    "status",
    [
        pmd.PmdStatus.ERROR_DEVICE_IN_CHARGER,
        pmd.PmdStatus.ERROR_INVALID_SAMPLE_RATE,
        pmd.PmdStatus.ERROR_INVALID_STATE,
        77,
    ],
)
def test_every_other_refusal_keeps_its_status(status: int) -> None:
    def respond(value: bytes) -> list[bytes]:
        if value[0] == pmd.PmdOpcode.START:
            return [pmd.PmdResponse(2, 1, status).to_bytes()]
        return verity(value)

    async def begin(driver: PolarDriver, _: Link) -> None:
        with pytest.raises(ControlError) as refusal:
            await start(driver)
        assert refusal.value.status == status

    with_polar(begin, respond)


def test_stopping_what_does_not_run_is_fine() -> None:
    def respond(value: bytes) -> list[bytes]:
        if value[0] == pmd.PmdOpcode.STOP:
            return [pmd.PmdResponse(3, 1, pmd.PmdStatus.ERROR_ALREADY_IN_STATE).to_bytes()]
        return verity(value)

    async def stop(driver: PolarDriver, _: Link) -> None:
        await start(driver)
        await driver.stop()
        await driver.stop()

    with_polar(stop, respond)


def test_a_frame_before_any_start_is_refused() -> None:
    async def early(driver: PolarDriver, _: Link) -> None:
        with pytest.raises(FrameError, match="before any stream"):
            driver.decode(pmd.PmdFrame(1, 0, np.ones((1, 4), int)).to_bytes())

    with_polar(early)


def test_some_channels_alone_are_not_to_be_had() -> None:
    async def begin(driver: PolarDriver, _: Link) -> None:
        with pytest.raises(ProtocolError, match="streams all its channels"):
            await driver.start(lambda _: None, sample_rate_hz=None, channels=[0])

    with_polar(begin)


def test_what_such_wearables_cannot_do_is_said() -> None:
    async def ask(driver: PolarDriver, _: Link) -> None:
        assert await driver.read_calibration() is None
        with pytest.raises(ProtocolError, match="no self-test"):
            await driver.self_test(np.zeros(640, np.int8))
        with pytest.raises(ProtocolError, match="no fingerprints"):
            await driver.start_fingerprints(lambda _: None, hop_s=5.0)
        await driver.stop_fingerprints()

    with_polar(ask)


def test_a_muse_without_ppg_characteristics_is_told_apart() -> None:
    async def look() -> None:
        driver = MuseDriver(cast("Any", Link(verity, set())), lambda: 0.0)
        with pytest.raises(ProtocolError, match="Athena"):
            await driver.open()

    asyncio.run(look())


@pytest.mark.parametrize(
    ("personality", "services", "name"),
    [
        ("open", ["d20f0001-bab5-4761-a4a5-84c1ef319dbd"], "pleth-01"),
        ("polar", ["0000180d-0000-1000-8000-00805f9b34fb"], "Polar Sense A1B2C3D4"),
        ("polar", [], "Polar OH1 A1B2C3D4"),
        ("polar", [], "Polar 360 A1B2C3D4"),
        ("muse", ["0000fe8d-0000-1000-8000-00805f9b34fb"], "MuseS-A1B2"),
        ("openring", ["bae80001-4f05-4503-8e65-3af1f7329d1f"], ""),
        ("colmi", [], "R02_A1B2"),
    ],
)
def test_a_personality_is_known_by_its_advertisement(
    personality: str, services: list[str], name: str
) -> None:
    spoken = [p.name for p in personalities() if p.is_advertised_by(services, name)]
    assert spoken == [personality]


@pytest.mark.parametrize("name", ["", "Polar H10 A1B2C3D4", "JBL Flip", "R2D2"])
def test_others_are_not_taken_for_one(name: str) -> None:
    services = [sig_uuid(0x180D), sig_uuid(0xFEEE)]  # a Polar chest strap has both
    assert not [p for p in personalities() if p.is_advertised_by(services, name)]


def test_an_unknown_personality_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="open, polar, muse, openring, colmi"):
        personality_named("morse")

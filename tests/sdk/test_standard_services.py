"""The SIG's services beside the PPG: heart rate, battery, device information."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plethprint.ble.standard_services import (
    DEVICE_INFORMATION_UUID,
    DeviceInformation,
    HeartRateMeasurement,
    battery_percent,
    read_battery_percent,
    read_device_information,
    sig_uuid,
)
from plethprint.errors import FrameError, ProtocolError

u16 = st.integers(0, 0xFFFF)


@given(
    st.builds(
        HeartRateMeasurement,
        u16,
        st.sampled_from([None, True, False]),
        st.none() | u16,
        st.lists(u16.map(lambda ticks: ticks / 1024), max_size=9).map(tuple),
    )
)
def test_measurements_survive_a_round_trip(measurement: HeartRateMeasurement) -> None:
    assert HeartRateMeasurement.from_bytes(measurement.to_bytes()) == measurement


@pytest.mark.parametrize(
    ("value", "bpm", "on_skin", "energy_kj", "intervals_s"),
    [
        ("0048", 72, None, None, ()),
        ("064b", 75, True, None, ()),
        ("0448", 72, False, None, ()),
        ("012c01", 300, None, None, ()),
        ("0848e803", 72, None, 1000, ()),
        ("16480004ff03", 72, True, None, (1.0, 1023 / 1024)),
    ],
)
def test_flags_say_what_follows(
    value: str,
    bpm: int,
    on_skin: bool | None,
    energy_kj: int | None,
    intervals_s: tuple[float, ...],
) -> None:
    measurement = HeartRateMeasurement.from_bytes(bytes.fromhex(value))
    assert measurement == HeartRateMeasurement(bpm, on_skin, energy_kj, intervals_s)


@pytest.mark.parametrize("bad", ["", "00", "0148", "08480a", "10480004ff"])
def test_measurements_that_are_cut_are_refused(bad: str) -> None:
    with pytest.raises(FrameError):
        HeartRateMeasurement.from_bytes(bytes.fromhex(bad))


def test_measurements_that_do_not_fit_are_refused() -> None:
    for bad in (
        HeartRateMeasurement(70_000),
        HeartRateMeasurement(1, None, None, (100.0,)),
    ):
        with pytest.raises(FrameError, match="out of range"):
            bad.to_bytes()


@pytest.mark.parametrize("bad", [b"", b"\x65", b"\x01\x02"])
def test_what_is_no_battery_level_is_refused(bad: bytes) -> None:
    with pytest.raises(FrameError):
        battery_percent(bad)


class Link:
    """A link to a wearable that has what a test gives it."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self._values = values
        self.service_uuids = frozenset({DEVICE_INFORMATION_UUID})

    async def read(self, uuid: str, _: str) -> bytes:
        if uuid not in self._values:
            raise ProtocolError("lacks it")
        return self._values[uuid]


def test_device_information_is_taken_as_far_as_it_goes() -> None:
    hostile = b"\x1b[31m" + b"x" * 500
    link = Link({sig_uuid(0x2A29): b"Polar\0", sig_uuid(0x2A26): hostile})
    told = asyncio.run(read_device_information(cast("Any", link)))
    assert told.manufacturer == "Polar"
    assert told.model == ""
    assert told.firmware == "?[31m" + "x" * 59


def test_a_wearable_without_the_services_tells_nothing() -> None:
    link = Link({})
    link.service_uuids = frozenset()
    assert asyncio.run(read_battery_percent(cast("Any", link))) is None
    told = asyncio.run(read_device_information(cast("Any", link)))
    assert told == DeviceInformation()

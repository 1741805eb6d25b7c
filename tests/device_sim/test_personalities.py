"""Virtual wearables of other makers: what can be made, and how they answer nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakGATTProtocolError

from plethprint.ble import colmi_profile as colmi
from plethprint.ble import muse_profile as muse
from plethprint.ble import openring_profile as ring
from plethprint.ble import polar_profile as pmd
from plethprint_sim import virtual_time
from plethprint_sim.optics import Optics
from plethprint_sim.personalities import PERSONALITIES, virtual_wearable
from plethprint_sim.world import VirtualWorld


class Ramp:
    """Counts that tell their index."""

    length = None

    def __init__(self, sample_rate_hz: float) -> None:
        self.sample_rate_hz = sample_rate_hz

    def counts(self, start_index: int, count: int) -> np.ndarray:
        return np.arange(start_index, start_index + count, dtype=np.int32) * 100


def worn(personality: str, **options: Any) -> Any:
    source = Ramp(PERSONALITIES[personality].sample_rate_hz)
    return virtual_wearable(personality, source, **options)


def play(scenario: Callable[[VirtualWorld, BleakClient], Any], wearable: Any) -> Any:
    """Run a scenario with a connected client, on virtual time."""

    async def whole() -> Any:
        async with VirtualWorld(wearable) as world:
            found = await BleakScanner.find_device_by_address(
                wearable.address, backend=world.backend.scanner
            )
            assert found is not None
            async with BleakClient(found, backend=world.backend.client) as client:
                return await scenario(world, client)

    return virtual_time.run(whole())


@pytest.mark.parametrize(
    "personality", [name for name, what in PERSONALITIES.items() if not what.needs]
)
def test_every_personality_has_the_services_of_the_sig_beside_it(personality: str) -> None:
    async def scenario(_: VirtualWorld, client: BleakClient) -> set[str]:
        return {service.uuid[4:8] for service in client.services}

    assert {"180a", "180d", "180f"} <= play(scenario, worn(personality))


def test_an_installed_backend_serves_programs_that_know_nothing_of_it() -> None:
    async def whole() -> list[str]:
        async with VirtualWorld(worn("muse")) as world:
            with world.backend.installed():
                return [device.name or "" for device in await BleakScanner.discover(1.0)]

    assert virtual_time.run(whole()) == ["Muse-0A1B"]


@pytest.mark.parametrize(
    ("personality", "options", "match"),
    [
        ("morse", {}, "known: open, open-ondevice, polar, muse"),
        ("polar", {"model": "h10"}, "unknown Polar model"),
        ("open-ondevice", {}, "not made without pack="),
    ],
)
def test_what_there_is_none_of_is_refused(
    personality: str, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        virtual_wearable(personality, Ramp(55.0), **options)


@pytest.mark.parametrize("personality", ["polar", "muse", "openring"])
def test_a_source_of_another_rate_is_refused(personality: str) -> None:
    with pytest.raises(ValueError, match="not"):
        virtual_wearable(personality, Ramp(99.5))


REQUEST = {
    "polar": (pmd.PMD_CONTROL_UUID, pmd.PMD_CONTROL_UUID, True),
    "muse": (muse.MUSE_CONTROL_UUID, muse.MUSE_CONTROL_UUID, False),
    "openring": (ring.RING_WRITE_UUID, ring.RING_NOTIFY_UUID, True),
    "colmi": (colmi.COLMI_WRITE_UUID, colmi.COLMI_NOTIFY_UUID, True),
}


@pytest.mark.parametrize("personality", REQUEST)
def test_nonsense_is_answered_or_ignored_and_the_wearable_lives(personality: str) -> None:
    write_uuid, notify_uuid, response = REQUEST[personality]
    device = worn(personality)

    async def scenario(_: VirtualWorld, client: BleakClient) -> None:
        await client.start_notify(notify_uuid, lambda *_: None)
        rng = np.random.default_rng(3)
        for size in (0, 1, 2, 4, 11, 16, 20, 20, 20):
            noise = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
            await client.write_gatt_char(write_uuid, noise, response=response)
            await asyncio.sleep(0.1)
        assert device.is_connected
        assert not device.device_firmware.is_streaming

    play(scenario, device)


def test_a_polar_request_without_indications_is_refused() -> None:
    async def scenario(_: VirtualWorld, client: BleakClient) -> None:
        with pytest.raises(BleakGATTProtocolError):
            await client.write_gatt_char(pmd.PMD_CONTROL_UUID, b"\x01\x01", response=True)

    play(scenario, worn("polar"))


def test_optics_make_channels_of_one_source() -> None:
    optics = Optics(Ramp(100.0), gains=(1.0, 0.5, 0.0), bits=24, polarity=1, keep_every=4)
    counts = optics.counts(0, 50)
    assert optics.sample_rate_hz == 25.0
    assert counts.shape == (50, 3)
    assert counts[:, 0].tolist() == [400 * at for at in range(50)]
    np.testing.assert_allclose(counts[:, 1], counts[:, 0] / 2, atol=1)
    assert np.ptp(counts[:, 2]) < 0.01 * (1 << 23)
    turned = Optics(Ramp(100.0), gains=(1.0,), bits=24, polarity=-1).counts(5, 3)
    assert turned.ravel().tolist() == [(1 << 23) - 1 - 100 * at for at in (5, 6, 7)]
    np.testing.assert_array_equal(optics.counts(10, 5), counts[10:15])
    assert optics.contact(0, 3).all()
    assert not optics.motion(0, 3).any()
    with pytest.raises(ValueError, match="polarity"):
        Optics(Ramp(100.0), gains=(1.0,), bits=24, polarity=0)

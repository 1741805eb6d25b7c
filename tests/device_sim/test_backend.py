"""bleak's public API on bumble: every call ends, with its result or with bleak's error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import (
    BleakCharacteristicNotFoundError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from plethprint.ble import open_profile as profile
from plethprint_sim import virtual_time
from plethprint_sim.backend import open_backend
from plethprint_sim.wearable import VirtualWearable, serve
from plethprint_sim.world import VirtualWorld

Connected = Callable[..., Any]

BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"
MANUFACTURER = "00002a29-0000-1000-8000-00805f9b34fb"


def play(
    scenario: Callable[[VirtualWorld], Any], *wearables: VirtualWearable, **world: Any
) -> Any:
    """Run a scenario in a virtual world, on virtual time."""

    async def whole() -> Any:
        async with VirtualWorld(*wearables, **world) as made:
            return await scenario(made)

    return virtual_time.run(whole())


def test_a_scanner_hears_name_service_and_address(ramp: Any) -> None:
    wearable = VirtualWearable(ramp())

    async def scenario(world: VirtualWorld) -> None:
        found = await BleakScanner.discover(
            timeout=1.0, return_adv=True, backend=world.backend.scanner
        )
        ((device, heard),) = found.values()
        assert device.name == heard.local_name == "pleth-01"
        assert device.address == wearable.address
        assert heard.service_uuids == [profile.SERVICE_UUID]
        assert -127 <= heard.rssi < 0

    play(scenario, wearable)


def test_a_scanner_filters_by_service(ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> list[int]:
        return [
            len(
                await BleakScanner.discover(
                    timeout=1.0, service_uuids=[uuid], backend=world.backend.scanner
                )
            )
            for uuid in (profile.SERVICE_UUID, BATTERY_LEVEL)
        ]

    assert play(scenario, VirtualWearable(ramp())) == [1, 0]


def test_two_scanners_share_the_radio(ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> None:
        backend = world.backend.scanner
        async with BleakScanner(backend=backend) as one:
            async with BleakScanner(backend=backend) as two:
                await asyncio.sleep(0.5)
            seen = len(one.discovered_devices), len(two.discovered_devices)
            assert seen == (1, 1)
            with pytest.raises(BleakError, match="already"):
                await one.start()

    play(scenario, VirtualWearable(ramp()))


def test_the_backend_itself_serves_scanner_and_client(ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> bytes:
        backend: Any = world.backend
        (found,) = await BleakScanner.discover(timeout=1.0, backend=backend)
        async with BleakClient(found, backend=backend) as client:
            return bytes(await client.read_gatt_char(BATTERY_LEVEL))

    assert play(scenario, VirtualWearable(ramp(), battery_percent=63)) == b"\x3f"


def test_all_attributes_are_discovered_with_their_properties(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            properties = {
                c.uuid: set(c.properties)
                for c in host.client.services.get_service(
                    profile.SERVICE_UUID
                ).characteristics
            }
            assert properties == {
                profile.INFO_UUID: {"read"},
                profile.CONTROL_UUID: {"write", "indicate"},
                profile.PPG_UUID: {"notify"},
                profile.FINGERPRINT_UUID: {"notify"},
                profile.SELF_TEST_UUID: {"write", "notify"},
                profile.CALIBRATION_UUID: {"read"},
            }
            assert await host.client.read_gatt_char(MANUFACTURER) == b"plethprint"
            ppg = host.client.services.get_characteristic(profile.PPG_UUID)
            assert ppg.max_write_without_response_size == host.client.mtu_size - 3
            (cccd,) = ppg.descriptors
            assert await host.client.read_gatt_descriptor(cccd.handle) == b"\0\0"

    play(scenario, VirtualWearable(ramp()))


def test_the_smaller_mtu_counts_and_long_values_are_read_whole(
    connected: Connected, ramp: Any
) -> None:
    wearable = VirtualWearable(ramp(), max_mtu=23, model="plethprint-micro@1+0a1b2c3d")

    async def scenario(world: VirtualWorld) -> tuple[int, bytes]:
        async with connected(world) as host:
            info = await host.client.read_gatt_char(profile.INFO_UUID)
            return host.client.mtu_size, bytes(info)

    mtu, info = play(scenario, wearable)
    assert mtu == 23
    assert len(info) > 22
    assert profile.Info.from_bytes(info) == wearable.info


def test_connecting_by_address_finds_the_device_first(ramp: Any) -> None:
    wearable = VirtualWearable(ramp())

    async def scenario(world: VirtualWorld) -> bool:
        async with BleakClient(
            wearable.address.lower(), backend=world.backend.client
        ) as client:
            return client.is_connected

    assert play(scenario, wearable)


def test_connecting_to_an_address_that_nobody_has_is_refused(ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> None:
        client = BleakClient("D2:0F:00:00:00:00", backend=world.backend.client, timeout=2.0)
        with pytest.raises(BleakDeviceNotFoundError):
            await client.connect()

    play(scenario, VirtualWearable(ramp()))


def test_a_lost_link_is_told_and_the_next_connection_works(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        lost: list[BleakClient] = []
        async with connected(world, disconnected_callback=lost.append) as host:
            assert world.link_loss() == 1
            await asyncio.sleep(0.1)
            assert lost == [host.client]
            assert not host.client.is_connected
            with pytest.raises(BleakError):
                await host.client.read_gatt_char(BATTERY_LEVEL)
        async with connected(world) as host:
            assert await host.client.read_gatt_char(BATTERY_LEVEL) == b"\x57"

    play(scenario, VirtualWearable(ramp()))


def test_one_client_connects_again_after_a_lost_link(ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> None:
        (found,) = await BleakScanner.discover(timeout=1.0, backend=world.backend.scanner)
        client = BleakClient(found, backend=world.backend.client)
        for _ in range(3):
            await client.connect()
            assert await client.read_gatt_char(BATTERY_LEVEL) == b"\x57"
            world.link_loss()
            await asyncio.sleep(0.1)
            assert not client.is_connected

    play(scenario, VirtualWearable(ramp()))


def test_a_read_in_flight_when_the_link_dies_is_a_bleak_error(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            reads = [
                asyncio.ensure_future(host.client.read_gatt_char(BATTERY_LEVEL))
                for _ in range(3)
            ]
            await asyncio.sleep(0.001)
            world.link_loss()
            outcomes = await asyncio.gather(*reads, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [BleakError] * 3
            assert "disconnected" in str(outcomes[0])

    play(scenario, VirtualWearable(ramp()))


def test_the_link_dying_while_connecting_is_a_bleak_error(ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> None:
        (found,) = await BleakScanner.discover(timeout=1.0, backend=world.backend.scanner)
        client = BleakClient(found, backend=world.backend.client)
        connecting = asyncio.ensure_future(client.connect())
        await asyncio.sleep(0.4)
        assert world.link_loss() == 1
        with pytest.raises(BleakError, match="disconnected"):
            await connecting
        async with client:
            assert client.is_connected

    play(scenario, VirtualWearable(ramp()))


def test_a_device_that_does_not_answer_times_out_and_loses_its_link(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            loop = asyncio.get_running_loop()
            world.air.stalled = True
            began_s = loop.time()
            with pytest.raises(asyncio.TimeoutError):
                await host.client.read_gatt_char(BATTERY_LEVEL)
            assert loop.time() - began_s == pytest.approx(3.0, abs=0.01)
            world.air.stalled = False
            await asyncio.sleep(0.5)
            assert not host.client.is_connected

    play(
        scenario,
        VirtualWearable(ramp()),
        operation_timeout_s=3.0,
        supervision_timeout_s=30.0,
    )


def test_a_cancelled_call_does_not_spoil_the_next_one(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            for _ in range(5):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(host.client.read_gatt_char(BATTERY_LEVEL), 0.005)
                assert await host.client.read_gatt_char(MANUFACTURER) == b"plethprint"

    play(scenario, VirtualWearable(ramp()))


def test_what_the_device_refuses_is_a_protocol_error_with_its_code(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            with pytest.raises(BleakGATTProtocolError) as caught:
                await host.client.read_gatt_char(profile.CALIBRATION_UUID)
            assert caught.value.code == 0x0F
            with pytest.raises(BleakGATTProtocolError) as caught:
                await host.client.write_gatt_char(
                    profile.CONTROL_UUID, b"\x02", response=True
                )
            assert caught.value.code == 0xFD
            with pytest.raises(BleakCharacteristicNotFoundError):
                await host.client.read_gatt_char("00002a00-1111-1000-8000-00805f9b34fb")

    play(scenario, VirtualWearable(ramp()))


def test_pairing_encrypts_and_the_bond_outlives_link_and_client(
    connected: Connected, ramp: Any
) -> None:
    wearable = VirtualWearable(ramp())

    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            with pytest.raises(BleakGATTProtocolError):
                await host.client.read_gatt_char(profile.CALIBRATION_UUID)
            await host.client.pair()
            await host.client.pair()  # already done: fine
            first = await host.client.read_gatt_char(profile.CALIBRATION_UUID)
            assert profile.Calibration.from_bytes(first) == wearable.calibration
            world.link_loss()
        async with connected(world) as host:  # encrypts by itself, with the stored key
            again = await host.client.read_gatt_char(profile.CALIBRATION_UUID)
            assert again == first
            await host.client.unpair()
            assert not host.client.is_connected
        async with connected(world) as host:
            with pytest.raises(BleakGATTProtocolError):
                await host.client.read_gatt_char(profile.CALIBRATION_UUID)

    play(scenario, wearable)


def test_pairing_can_be_part_of_connecting(connected: Connected, ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> int:
        async with connected(world, pair=True) as host:
            return len(await host.client.read_gatt_char(profile.CALIBRATION_UUID))

    assert play(scenario, VirtualWearable(ramp())) == 20


def test_subscribing_twice_is_refused_and_unsubscribing_silences(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(1.0)
            with pytest.raises(BleakError, match="already"):
                await host.client.start_notify(profile.PPG_UUID, lambda *_: None)
            await host.client.stop_notify(profile.PPG_UUID)
            heard = len(host.notified)
            assert heard > 5
            await asyncio.sleep(1.0)
            assert len(host.notified) == heard
            await host.client.stop_notify(profile.PPG_UUID)

    play(scenario, VirtualWearable(ramp()))


def test_a_callback_that_fails_is_reported_and_the_stream_goes_on(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context)
        )
        calls = 0

        def broken(*_: Any) -> None:
            nonlocal calls
            calls += 1
            raise ValueError("mine")

        async with connected(world) as host:
            await host.listen()
            await host.client.stop_notify(profile.PPG_UUID)
            await host.client.start_notify(profile.PPG_UUID, broken)
            await host.start()
            await asyncio.sleep(1.0)
            assert host.client.is_connected
        assert calls > 5
        assert len(reported) == calls
        assert isinstance(reported[0]["exception"], ValueError)

    play(scenario, VirtualWearable(ramp()))


def test_two_clients_stream_at_once(connected: Connected, ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with (
            connected(world, "pleth-01") as one,
            connected(world, "pleth-02") as two,
        ):
            for host in (one, two):
                await host.listen()
                await host.start()
            await asyncio.sleep(3.0)
            for host in (one, two):
                counts = host.counts[:, 0].tolist()
                assert counts == list(range(len(counts)))
                assert len(counts) > 300

    wearables = [VirtualWearable(ramp(), name=f"pleth-0{i}") for i in (1, 2)]
    play(scenario, *wearables)


def test_a_write_without_response_longer_than_the_mtu_is_refused(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            with pytest.raises(BleakError, match="takes 20 bytes, got 21"):
                await host.client.write_gatt_char(
                    profile.CONTROL_UUID, bytes(21), response=False
                )

    play(scenario, VirtualWearable(ramp(), max_mtu=23))


def test_a_wearable_served_on_a_transport_is_reached_from_another_host(
    connected: Connected, ramp: Any
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def scenario() -> list[int]:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        serving = asyncio.ensure_future(
            serve(
                f"tcp-server:127.0.0.1:{port}",
                ramp(),
                on_ready=lambda _: ready.set_result(None),
            )
        )
        await asyncio.wait_for(ready, 5.0)
        try:
            async with open_backend(f"tcp-client:127.0.0.1:{port}") as backend:
                (found,) = await BleakScanner.discover(timeout=0.5, backend=backend.scanner)
                async with BleakClient(found, backend=backend.client) as client:
                    heard: list[bytes] = []
                    await client.start_notify(profile.CONTROL_UUID, lambda *_: None)
                    await client.start_notify(
                        profile.PPG_UUID, lambda _, value: heard.append(bytes(value))
                    )
                    start = profile.ControlRequest(
                        profile.Opcode.START, rate_mhz=125_000, channel_mask=1
                    )
                    await client.write_gatt_char(
                        profile.CONTROL_UUID, start.to_bytes(), response=True
                    )
                    while len(heard) < 4:
                        await asyncio.sleep(0.05)
            return [int(profile.PpgFrame.from_bytes(h).counts[0, 0]) for h in heard[:4]]
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    assert asyncio.run(asyncio.wait_for(scenario(), 20.0)) == [0, 16, 32, 48]


@pytest.mark.parametrize("name", ["nonsense:1", "serial:/dev/no-such-port"])
def test_a_transport_that_cannot_be_opened_is_refused(name: str, ramp: Any) -> None:
    with pytest.raises((ValueError, OSError)):
        asyncio.run(asyncio.wait_for(serve(name, ramp()), 10.0))

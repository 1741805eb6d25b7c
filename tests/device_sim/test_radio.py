"""The virtual air: what a fault does to a stream, and what it must not do."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner

from plethprint_sim import virtual_time
from plethprint_sim.radio import AirLink
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

Connected = Callable[..., Any]


def stream(
    connected: Connected, ramp: Any, seconds: float = 20.0, **radio: Any
) -> tuple[Any, Any]:
    """Stream for a while; the host (with what it heard) and the air's statistics."""

    async def scenario() -> tuple[Any, Any]:
        async with VirtualWorld(VirtualWearable(ramp()), **radio) as world:
            async with connected(world) as host:
                await host.listen()
                await host.start()
                await asyncio.sleep(seconds)
            return host, world.statistics

    return virtual_time.run(scenario())


def delays_s(host: Any) -> np.ndarray:
    """Delay of each frame, from its last sample to its arrival."""
    frames = host.frames
    begun_s = frames[0].device_time_us / 1e6 - frames[0].first_index / 125.0
    taken = np.array([begun_s + (f.first_index + f.samples - 1) / 125.0 for f in frames])
    return np.asarray(host.arrivals_s - taken)


def test_data_arrives_at_connection_events_only(connected: Connected, ramp: Any) -> None:
    host, _ = stream(connected, ramp, connection_interval_s=0.05)
    events = host.arrivals_s / 0.05
    assert len(events) > 100
    assert np.abs(events - np.rint(events)).max() < 1e-6


def test_a_longer_connection_interval_means_a_longer_delay(
    connected: Connected, ramp: Any
) -> None:
    short, _ = stream(connected, ramp, connection_interval_s=0.015)
    long, _ = stream(connected, ramp, connection_interval_s=0.1)
    assert delays_s(short).mean() < 0.016 < delays_s(long).mean() < 0.1 + 1e-6


def test_packet_errors_delay_and_lose_nothing(connected: Connected, ramp: Any) -> None:
    clean, _ = stream(connected, ramp, connection_interval_s=0.03)
    noisy, statistics = stream(
        connected, ramp, connection_interval_s=0.03, packet_error=0.1
    )
    counts = noisy.counts[:, 0]
    assert np.array_equal(counts, np.arange(len(counts)))
    assert [f.sequence for f in noisy.frames] == list(range(len(noisy.frames)))
    assert not any(f.overflow_frames for f in noisy.frames)
    assert statistics.retransmissions > 5
    assert delays_s(noisy).mean() > delays_s(clean).mean() + 0.001
    assert delays_s(noisy).max() >= delays_s(clean).max() + 0.03 - 1e-6


def test_the_same_seed_gives_the_same_bytes_at_the_same_times(
    connected: Connected, ramp: Any
) -> None:
    def digest(seed: int) -> str:
        host, _ = stream(connected, ramp, packet_error=0.2, adv_loss=0.5, seed=seed)
        heard = hashlib.sha256()
        for time_s, value in host.notified:
            heard.update(value + f"{time_s:.9f}".encode())
        return heard.hexdigest()

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_a_stall_delays_in_one_burst_and_loses_nothing(
    connected: Connected, ramp: Any
) -> None:
    async def scenario() -> Any:
        async with VirtualWorld(VirtualWearable(ramp(), buffer_s=5.0)) as world:
            async with connected(world) as host:
                await host.listen()
                await host.start()
                await asyncio.sleep(5.0)
                await world.stall(3.0)
                await asyncio.sleep(5.0)
            return host

    host = virtual_time.run(scenario())
    counts = host.counts[:, 0]
    assert np.array_equal(counts, np.arange(len(counts)))
    assert 2.9 < np.diff(host.arrivals_s).max() < 3.3
    assert not any(f.overflow_frames for f in host.frames)


def test_a_stall_beyond_the_supervision_timeout_ends_the_link(
    connected: Connected, ramp: Any
) -> None:
    async def scenario() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[float] = loop.create_future()
        world = VirtualWorld(VirtualWearable(ramp()), supervision_timeout_s=2.0)
        async with (
            world,
            connected(world, disconnected_callback=lambda _: lost.set_result(loop.time())),
        ):
            began_s = loop.time()
            await world.stall(10.0)
            return await lost - began_s, world.statistics.links_lost

    silence_s, links_lost = virtual_time.run(scenario())
    assert silence_s == pytest.approx(2.0, abs=0.01)
    assert links_lost == 1


def test_lost_advertisements_make_a_device_harder_to_find(ramp: Any) -> None:
    async def found(adv_loss: float) -> bool:
        async with VirtualWorld(VirtualWearable(ramp()), adv_loss=adv_loss) as world:
            return bool(
                await BleakScanner.discover(timeout=5.0, backend=world.backend.scanner)
            )

    assert virtual_time.run(found(0.8))
    assert not virtual_time.run(found(1.0))


def test_packets_per_event_limit_the_throughput(connected: Connected, ramp: Any) -> None:
    class Fast(type(ramp())):  # type: ignore[misc]
        sample_rate_hz = 2000.0

    def frames(packets_per_event: int) -> int:
        async def scenario() -> int:
            world = VirtualWorld(
                VirtualWearable(Fast(), frame_s=0.01),
                connection_interval_s=0.05,
                packets_per_event=packets_per_event,
            )
            async with world, connected(world) as host:
                await host.listen()
                await host.start(rate_mhz=2_000_000)
                await asyncio.sleep(5.0)
                return len(host.frames)

        return virtual_time.run(scenario())

    assert frames(1) == pytest.approx(5.0 / 0.05, abs=3)
    assert frames(3) == pytest.approx(3 * 5.0 / 0.05, abs=6)


def test_losing_one_device_leaves_the_other_connected(
    connected: Connected, ramp: Any
) -> None:
    async def scenario() -> None:
        one = VirtualWearable(ramp(), name="pleth-01")
        two = VirtualWearable(ramp(), name="pleth-02")
        async with (
            VirtualWorld(one, two) as world,
            connected(world, "pleth-01") as first,
            connected(world, "pleth-02") as second,
        ):
            assert world.air.lose_link(address=one.address) == 1
            await asyncio.sleep(0.1)
            assert not first.client.is_connected
            assert second.client.is_connected

    virtual_time.run(scenario())


def test_a_connection_given_up_is_not_made_later(ramp: Any) -> None:
    async def scenario() -> None:
        wearable = VirtualWearable(ramp())
        async with VirtualWorld(wearable) as world:
            (found,) = await BleakScanner.discover(
                timeout=1.0, backend=world.backend.scanner
            )
            world.air.adv_loss = 1.0
            client = BleakClient(found, backend=world.backend.client, timeout=2.0)
            with pytest.raises(asyncio.TimeoutError):
                await client.connect()
            world.air.adv_loss = 0.0
            await asyncio.sleep(5.0)
            assert not wearable.is_connected
            async with client:
                assert wearable.is_connected

    virtual_time.run(scenario())


def test_a_name_in_the_scan_response_is_heard_by_active_scanners_only(ramp: Any) -> None:
    async def scenario() -> list[str | None]:
        wearable = VirtualWearable(ramp(), name="plethprint number seven")
        async with VirtualWorld(wearable) as world:
            names = []
            for mode in ("active", "passive"):
                async with BleakScanner(
                    scanning_mode=mode, backend=world.backend.scanner
                ) as scanner:
                    await asyncio.sleep(1.0)
                names.append(scanner.discovered_devices[0].name)
            return names

    assert virtual_time.run(scenario()) == ["plethprint number seven", "plethpri"]


@pytest.mark.parametrize(
    "radio",
    [
        {"connection_interval_s": 0.001},
        {"packet_error": 1.0},
        {"packet_error": -0.1},
        {"adv_loss": 1.1},
        {"packets_per_event": 0},
        {"supervision_timeout_s": 0.01},
    ],
)
def test_an_impossible_radio_is_refused(radio: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|at least"):
        AirLink(**radio)

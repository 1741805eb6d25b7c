"""A small host on bleak's public API, and sources whose every sample is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner

from plethprint.ble import open_profile as profile
from plethprint_sim.world import VirtualWorld


class Ramp:
    """Sample i is i (modulo a million); column c is that plus 1000 c."""

    sample_rate_hz = 125.0

    def __init__(self, *, columns: int = 1, length: int | None = None) -> None:
        self.columns = columns
        self.length = length

    def counts(self, start_index: int, count: int) -> np.ndarray:
        ramp = np.arange(start_index, start_index + count) % 1_000_000
        return (ramp[:, None] + 1000 * np.arange(self.columns)).astype(np.int32)


class Host:
    """What a host does with the open profile, and every notification with its time."""

    def __init__(self, client: BleakClient) -> None:
        self.client = client
        self.notified: list[tuple[float, bytes]] = []
        self.fingerprints: list[bytes] = []
        self._responses: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def frames(self) -> list[profile.PpgFrame]:
        return [profile.PpgFrame.from_bytes(value) for _, value in self.notified]

    @property
    def counts(self) -> np.ndarray:
        return np.concatenate([frame.counts for frame in self.frames])

    @property
    def arrivals_s(self) -> np.ndarray:
        return np.array([time_s for time_s, _ in self.notified])

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        await self.client.start_notify(
            profile.CONTROL_UUID, lambda _, value: self._responses.put_nowait(bytes(value))
        )
        await self.client.start_notify(
            profile.PPG_UUID,
            lambda _, value: self.notified.append((loop.time(), bytes(value))),
        )

    async def ask(self, request: bytes | profile.ControlRequest) -> profile.ControlResponse:
        value = request if isinstance(request, bytes) else request.to_bytes()
        await self.client.write_gatt_char(profile.CONTROL_UUID, value, response=True)
        raw = await asyncio.wait_for(self._responses.get(), 5.0)
        return profile.ControlResponse.from_bytes(raw)

    async def start(
        self, channel_mask: int = 1, rate_mhz: int = 125_000
    ) -> profile.ControlResponse:
        return await self.ask(
            profile.ControlRequest(
                profile.Opcode.START, rate_mhz=rate_mhz, channel_mask=channel_mask
            )
        )


@asynccontextmanager
async def connect_to(
    world: VirtualWorld, name: str = "pleth-01", **options: Any
) -> AsyncIterator[Host]:
    found = await BleakScanner.find_device_by_name(
        name, timeout=10.0, backend=world.backend.scanner
    )
    assert found is not None
    async with BleakClient(found, backend=world.backend.client, **options) as client:
        yield Host(client)


@pytest.fixture
def connected() -> Callable[..., AbstractAsyncContextManager[Host]]:
    """Scan, connect and get a `Host`: ``async with connected(world) as host``."""
    return connect_to


@pytest.fixture
def ramp() -> type[Ramp]:
    """Source whose sample i is i."""
    return Ramp

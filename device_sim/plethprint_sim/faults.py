"""Faults that a soak puts a session through, each a name, a radio and what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from plethprint_sim.mischief import Mischief
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.world import VirtualWorld

__all__ = ["FAULTS", "Fault"]

Happening = Callable[[VirtualWorld, Peripheral, float], Awaitable[None]]


async def _nothing(world: VirtualWorld, worn: Peripheral, seconds: float) -> None:
    await asyncio.sleep(seconds)


def _every(period_s: float, happen: Happening) -> Happening:
    """Let it happen again and again; on a short run more often, so that it happens."""

    async def repeat(world: VirtualWorld, worn: Peripheral, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        pause_s = min(period_s, seconds / 3)
        while loop.time() + pause_s < until_s:
            await asyncio.sleep(pause_s)
            await happen(world, worn, seconds)
        await asyncio.sleep(max(0.0, until_s - loop.time()))

    return repeat


async def _stall(world: VirtualWorld, worn: Peripheral, seconds: float) -> None:
    await world.stall(3.0)


async def _long_stall(world: VirtualWorld, worn: Peripheral, seconds: float) -> None:
    await world.stall(5.0)  # short of the supervision timeout, beyond any buffer


async def _drop(world: VirtualWorld, worn: Peripheral, seconds: float) -> None:
    world.link_loss()


async def _reboot(world: VirtualWorld, worn: Peripheral, seconds: float) -> None:
    await world.reboot(worn)


async def _battery(world: VirtualWorld, worn: Peripheral, seconds: float) -> None:
    await asyncio.sleep(seconds * 2 / 3)
    await world.switch_off(worn)
    await asyncio.sleep(seconds / 3)


@dataclass(frozen=True)
class Fault:
    """One row of the table."""

    name: str
    """What is wrong."""
    happening: Happening = _nothing
    """What happens while the session runs; takes world, wearable and seconds."""
    radio: dict[str, Any] = field(default_factory=dict)
    """Parameters of the virtual air."""
    wearable: dict[str, Any] = field(default_factory=dict)
    """Parameters of the virtual wearable."""
    mischief: Callable[[], Mischief] | None = None
    """What befalls notifications."""
    ends: bool = False
    """Whether the session is to end with `LinkLostError`, for nobody is there any more."""
    may_refuse: bool = False
    """Whether a protocol may be refused under it, by a clear error."""


FAULTS: tuple[Fault, ...] = (
    Fault("clean"),
    Fault("10 % packet error", radio={"packet_error": 0.1, "connection_interval_s": 0.03}),
    Fault("40 % packet error", radio={"packet_error": 0.4, "connection_interval_s": 0.03}),
    Fault("3 s stall, every 2 min", _every(120.0, _stall)),
    Fault("link drop, every 5 min", _every(300.0, _drop)),
    Fault("reboot, every 10 min", _every(600.0, _reboot)),
    Fault("firmware overflow", _every(120.0, _long_stall)),
    Fault(
        "duplicated, reordered",
        mischief=lambda: Mischief(repeat=0.02, swap=0.02, seed=1),
    ),
    Fault("lost by a host queue", mischief=lambda: Mischief(lose=0.005, seed=1)),
    Fault("clock +200 ppm", wearable={"clock_error_ppm": 200.0}),
    Fault("clock -200 ppm", wearable={"clock_error_ppm": -200.0}),
    Fault("battery death", _battery, ends=True),
    Fault("MTU 23", wearable={"max_mtu": 23}, may_refuse=True),
)
"""What `plethprint soak` runs, in order."""

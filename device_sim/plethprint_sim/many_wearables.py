"""Many wearables on one host at once, on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from plethprint.package import ModelPackage
from plethprint.session import Backoff, connect
from plethprint_sim import virtual_time
from plethprint_sim.soak import TablePulse
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

__all__ = ["ManyResult", "stream_many"]

_RATE_HZ = 125.0


@dataclass(frozen=True)
class ManyResult:
    """What came of many at once."""

    wearables: int
    seconds: float
    """Virtual seconds that all of them streamed."""
    samples: int
    """Samples received, of all."""
    missing_samples: int
    fingerprints: int
    computed_s: float
    """Processor seconds for both sides: wearables, radio, Bluetooth stacks and SDK."""

    @property
    def real_time_factor(self) -> float:
        """Seconds of one wearable's stream for each processor second."""
        return self.wearables * self.seconds / self.computed_s


def stream_many(
    wearables: int, *, seconds: float, package: ModelPackage | None = None, seed: int = 1
) -> ManyResult:
    """Connect to so many virtual wearables at once, and stream from all of them.

    Parameters
    ----------
    wearables : int
        Sessions, each with a wearable of its own.
    seconds : float
        Virtual seconds from the moment that the last one streams.
    package : ModelPackage, optional
        Model of the fingerprints; the shipped one when None.
    seed : int, optional
        Of the radio and the waits.

    Examples
    --------
    >>> stream_many(32, seconds=60.0).missing_samples  # doctest: +SKIP
    0
    """
    package = package or ModelPackage.load()
    return virtual_time.run(_stream(wearables, seconds, package, seed))


async def _stream(
    wearables: int, seconds: float, package: ModelPackage, seed: int
) -> ManyResult:
    loop = asyncio.get_running_loop()
    source = TablePulse(_RATE_HZ)
    worn = [VirtualWearable(source, name=f"pleth-{k:02d}") for k in range(wearables)]
    prints = 0
    async with (
        VirtualWorld(*worn, seed=seed) as world,
        contextlib.AsyncExitStack() as stack,
    ):
        sessions = [
            await stack.enter_async_context(
                connect(
                    backend=world.backend,
                    address=wearable.address,
                    package=package,
                    backoff=Backoff(seed=seed),
                    wall_clock=loop.time,
                )
            )
            for wearable in worn
        ]

        async def take(number: int) -> None:
            nonlocal prints
            async for _ in sessions[number].fingerprints():
                prints += 1

        began_s = time.process_time()
        taking = [asyncio.ensure_future(take(number)) for number in range(wearables)]
        await asyncio.sleep(seconds)
        computed_s = time.process_time() - began_s
        told = [session.statistics() for session in sessions]
        for task in taking:
            task.cancel()
        await asyncio.wait(taking)
    return ManyResult(
        wearables=wearables,
        seconds=seconds,
        samples=sum(stats.samples for stats in told),
        missing_samples=sum(stats.missing_samples or 0 for stats in told),
        fingerprints=prints,
        computed_s=round(computed_s, 3),
    )

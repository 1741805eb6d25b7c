"""An hour of wearing, with something that goes wrong, in a minute of computing.

A personality goes through a fault on virtual time, through a real Bluetooth stack.
A `Witness` knows what the wearable's converter gave and holds every received sample and
every fingerprint to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.ble.personality import personalities
from plethprint.errors import LinkLostError, PlethprintError
from plethprint.package import ModelPackage
from plethprint.session import Backoff, Wearable, connect
from plethprint.stream_statistics import StreamStatistics
from plethprint_sim import virtual_time
from plethprint_sim.faults import Fault
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.personalities import PERSONALITIES, virtual_wearable
from plethprint_sim.soak_result import SoakResult
from plethprint_sim.source import FULL_SCALE_COUNTS
from plethprint_sim.witness import Witness
from plethprint_sim.world import VirtualWorld

__all__ = ["TablePulse", "known_personalities", "soak_one"]

_logger = logging.getLogger(__name__)

_GIVE_UP_S = 60.0
_PERIOD_S = 64.0  # after which the table of a pulse begins anew
_OBJECTS_GROWN = 20_000  # Python objects a run may have more at its end than early on
_WALL_S = 1.7e9
_TURNS = 10  # of the event loop


class TablePulse:
    """A pulse with noise from a table: cheap for hours, and no two seconds are alike.

    Parameters
    ----------
    sample_rate_hz : float
        Rate of the source.
    seed : int
        Which noise.
    """

    length = None

    def __init__(self, sample_rate_hz: float, seed: int = 0) -> None:
        self.sample_rate_hz = sample_rate_hz
        at_s = np.arange(round(_PERIOD_S * sample_rate_hz)) / sample_rate_hz
        beat = 2 * np.pi * 1.25 * at_s  # 80 beats in the period, so that it joins
        pulse = np.sin(beat) + 0.35 * np.sin(2 * beat + 0.8)
        noise = np.random.default_rng(seed).normal(0.0, 0.05, len(at_s))
        share = 0.5 + 0.02 * (pulse + noise)
        self._table = np.rint(share * FULL_SCALE_COUNTS).astype(np.int32)

    def counts(self, start_index: int, count: int) -> npt.NDArray[np.int32]:
        """ADC counts, int32 (count,)."""
        at = np.arange(start_index, start_index + count) % len(self._table)
        return self._table[at]


def known_personalities() -> tuple[str, ...]:
    """Personalities that the SDK speaks and that have a virtual wearable."""
    return tuple(p.name for p in personalities() if p.name in PERSONALITIES)


def soak_one(
    personality: str, fault: Fault, minutes: float, package: ModelPackage
) -> SoakResult:
    """Put one personality through one fault.

    An error that should not be is a failure of this result, not the end of a soak.

    Raises
    ------
    ValueError
        The personality has no virtual wearable.

    Examples
    --------
    >>> from plethprint_sim.faults import FAULTS
    >>> clean, package = FAULTS[0], ModelPackage.load()
    >>> soak_one("open", clean, 1.0, package).passed  # doctest: +SKIP
    True
    """
    began_s = time.perf_counter()
    run = _Run(personality, fault, minutes, package)
    try:
        with _quiet():
            result = virtual_time.run(run.result())
    except Exception as error:
        _logger.exception("%s, %s", personality, fault.name)
        result = {**run.told(), **_raised(error)}
    return SoakResult(**{**result, "wall_s": round(time.perf_counter() - began_s, 2)})


def _raised(error: Exception) -> dict[str, Any]:
    outcome = f"raised: {type(error).__name__}: {error}"
    return {"outcome": outcome, "failures": (outcome,)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that a fault makes anybody say is news here."""
    loggers = [logging.getLogger(n) for n in ("plethprint", "plethprint_sim", "bumble")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Run:
    """One personality through one fault."""

    def __init__(
        self, personality: str, fault: Fault, minutes: float, package: ModelPackage
    ) -> None:
        self._personality = personality
        self._fault = fault
        self._minutes = minutes
        self._package = package
        source = TablePulse(PERSONALITIES[personality].sample_rate_hz)
        self._worn: Peripheral = virtual_wearable(personality, source, **fault.wearable)
        self._witness: Witness | None = None
        self._statistics: StreamStatistics | None = None
        self._objects = 0
        self._slow = False

    def told(self) -> dict[str, Any]:
        """Which run it is: the first fields of a `SoakResult`."""
        return {
            "personality": self._personality,
            "fault": self._fault.name,
            "minutes": self._minutes,
        }

    async def result(self) -> dict[str, Any]:
        """Run it; the fields of a `SoakResult`."""
        fault, worn = self._fault, self._worn
        if fault.mischief is not None:
            fault.mischief().befall(worn)
        told = self.told()
        async with VirtualWorld(worn, seed=1, **fault.radio) as world:
            before = asyncio.all_tasks()
            try:
                outcome = await self._wear(world)
            except PlethprintError as error:
                refusal = f"refused: {type(error).__name__}: {error}"
                failures = () if fault.may_refuse else (refusal,)
                return {**told, "outcome": refusal, "failures": failures}
            await asyncio.sleep(1.0)  # what stacks do on a broken link ends by itself
            leaked = [task for task in asyncio.all_tasks() - before if _is_ours(task)]
            return {**told, **self._judge(outcome, leaked)}

    async def _wear(self, world: VirtualWorld) -> str:
        loop = asyncio.get_running_loop()
        seconds = 60.0 * self._minutes
        outcome = "streamed"
        async with connect(
            backend=world.backend,
            personality=self._personality,
            package=self._package,
            backoff=Backoff(seed=1),
            give_up_after_s=min(_GIVE_UP_S, seconds / 6),
            wall_clock=lambda: _WALL_S + loop.time(),
        ) as wearable:
            self._witness = Witness(self._worn)
            takers = [
                asyncio.ensure_future(self._take(wearable)),
                asyncio.ensure_future(self._see(wearable)),
            ]
            fault = asyncio.ensure_future(self._happen(world, seconds))
            counting = asyncio.ensure_future(self._count_objects(seconds))
            try:
                await asyncio.wait({fault}, timeout=2 * seconds)
                for _ in range(_TURNS):  # what just came is taken too
                    await asyncio.sleep(0)
                self._statistics = wearable.statistics()
                for taker in takers:
                    taker.cancel()
                ends = await asyncio.gather(*takers, return_exceptions=True)
                if any(isinstance(end, LinkLostError) for end in ends):
                    outcome = "gave up"
                for end in (*ends, fault.exception() if fault.done() else None):
                    expected = (LinkLostError, asyncio.CancelledError)
                    if isinstance(end, BaseException) and not isinstance(end, expected):
                        raise end
            finally:
                for task in (fault, counting, *takers):
                    task.cancel()
        return outcome

    async def _happen(self, world: VirtualWorld, seconds: float) -> None:
        await self._fault.happening(_Watched(world, self._rewatch), self._worn, seconds)

    def _rewatch(self) -> None:
        if self._witness is not None:
            self._witness.watch()

    async def _take(self, wearable: Wearable) -> None:
        async for block in wearable.frames():
            if self._witness is not None:
                self._witness.take(block)

    async def _see(self, wearable: Wearable) -> None:
        if self._worn_rate_hz() < 20.0:
            self._slow = True
            return
        async for fingerprint in wearable.fingerprints():
            if self._witness is not None:
                self._witness.see(fingerprint)

    def _worn_rate_hz(self) -> float:
        running: Any = self._worn._booted()
        return float(running.sampling.rate_hz)

    async def _count_objects(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 5)
        gc.collect()
        self._objects = len(gc.get_objects())

    def _judge(self, outcome: str, leaked: list[Any]) -> dict[str, Any]:
        stats, witness = self._statistics, self._witness
        assert stats is not None
        assert witness is not None
        missing = stats.missing_samples
        gc.collect()
        grown = len(gc.get_objects()) - self._objects if self._objects else 0
        # A device reset ends an epoch: what was under way then is nobody's to know.
        checks = {
            f"the session {outcome}": (outcome == "gave up") != self._fault.ends,
            f"{stats.samples} + {missing} of {witness.sent} sent": (
                missing is not None and stats.samples + missing != witness.sent
            ),
            f"{witness.received} handed on of {stats.samples}": (
                witness.received != stats.samples
            ),
            f"{witness.misplaced} misplaced": missing is not None and witness.misplaced > 0,
            f"{witness.unplaced} unplaced": missing is not None and witness.unplaced > 0,
            f"{witness.unflagged} unflagged": witness.unflagged > 0,
            f"{witness.spanning} fingerprints span a gap": witness.spanning > 0,
            "no samples": witness.received == 0,
            "no fingerprints": witness.fingerprints == 0 and not self._slow,
            f"tasks left: {leaked}": bool(leaked),
            f"{grown} objects more": grown > _OBJECTS_GROWN,
        }
        return {
            "outcome": outcome,
            "sent": witness.sent,
            "received": stats.samples,
            "missing": missing,
            "fingerprints": witness.fingerprints,
            "failures": tuple(what for what, failed in checks.items() if failed),
            "statistics": stats.to_dict(),
            "objects_grown": grown,
        }


class _Watched(VirtualWorld):
    """The same world; a reboot is told to whoever watches the front end."""

    def __init__(self, world: VirtualWorld, on_reboot: Callable[[], None]) -> None:
        self.__dict__ = world.__dict__
        self._told_of_reboot = on_reboot

    async def _switch_on(self, wearable: Peripheral) -> None:
        await super()._switch_on(wearable)
        self._told_of_reboot()


def _is_ours(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "plethprint/" in code.co_filename

"""The cells of a soak's table, each a personality in a fault, run side by side.

A cell is computing alone and shares nothing with another, so that processes, not threads,
make use of several cores; and each is the same in whichever process it runs.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait

from plethprint.errors import PlethprintError
from plethprint.package import ModelPackage
from plethprint_sim.faults import FAULTS, Fault
from plethprint_sim.soak import known_personalities, soak_one
from plethprint_sim.soak_log import SoakLog
from plethprint_sim.soak_result import SoakResult

__all__ = ["cores", "soak"]

Cell = tuple[str, Fault]


def cores() -> int:
    """Cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone tells what a container leaves us
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def soak(
    *,
    minutes: float = 60.0,
    wanted: Sequence[str] | None = None,
    faults: Sequence[Fault] = FAULTS,
    package: ModelPackage | None = None,
    jobs: int = 1,
    log: SoakLog | None = None,
    on_result: Callable[[SoakResult], None] = lambda _: None,
) -> list[SoakResult]:
    """Put personalities through faults.

    Parameters
    ----------
    minutes : float, optional
        Virtual minutes each.
    wanted : sequence of str, optional
        Personalities; all that are known when None.
    faults : sequence of Fault, optional
        Rows of the table; with several jobs they are of `FAULTS`.
    package : ModelPackage, optional
        Model of the fingerprints; the shipped one when None.
    jobs : int, optional
        Processes at once; with 1 all runs in this one.
    log : SoakLog, optional
        What it holds is not run again, and what is found is added.
    on_result : callable, optional
        Told of each result as it is there: first those of the log, then the others as they
        come, which with several jobs is not the order of the table.

    Returns
    -------
    list of SoakResult
        In the order of the table, personality by personality.

    Raises
    ------
    ValueError
        There are less than one job, or several and a fault that is not of `FAULTS`.
    PlethprintError
        A process was killed; what it had not finished is not in the log.

    Examples
    --------
    >>> (result,) = soak(minutes=1, wanted=["open"], faults=FAULTS[:1])  # doctest: +SKIP
    >>> result.passed                                                    # doctest: +SKIP
    True
    """
    if jobs < 1:
        raise ValueError(f"a soak needs at least one job, not {jobs}")
    package = package or ModelPackage.load()
    cells = [(who, fault) for who in wanted or known_personalities() for fault in faults]
    found = {} if log is None else log.found
    told = {name: found[name] for name in map(_name, cells) if name in found}
    for result in told.values():
        on_result(result)
    left = [cell for cell in cells if _name(cell) not in told]
    with contextlib.closing(_results(left, minutes, package, min(jobs, len(left)))) as new:
        for result in new:
            told[result.cell] = result
            if log is not None:
                log.add(result)
            on_result(result)
    return [told[_name(cell)] for cell in cells]


def _name(cell: Cell) -> tuple[str, str]:
    return cell[0], cell[1].name


def _results(
    cells: Sequence[Cell], minutes: float, package: ModelPackage, jobs: int
) -> Generator[SoakResult, None, None]:
    if jobs <= 1:
        for personality, fault in cells:
            yield soak_one(personality, fault, minutes, package)
        return
    names = [fault.name for fault in FAULTS]  # a fault holds functions: its name travels
    if strange := [fault.name for _, fault in cells if fault not in FAULTS]:
        raise ValueError(f"with several jobs a fault is one of FAULTS, not {strange[0]!r}")
    # A forked process would inherit the threads' locks of the model's runtime, held.
    spawning = multiprocessing.get_context("spawn")
    lifeline, held = spawning.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=spawning,
        initializer=_begin,
        initargs=(lifeline, logging.getLogger().level),
    )
    try:
        futures = [
            pool.submit(_run, who, names.index(fault.name), minutes, package)
            for who, fault in cells
        ]
        for future in as_completed(futures):
            yield future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise PlethprintError(
            "a process of the soak was killed, maybe for want of memory; take fewer jobs "
            "and, with a log, go on where it stopped"
        ) from error
    finally:
        held.close()  # whoever is still at a cell leaves it
        pool.shutdown(cancel_futures=True)
        lifeline.close()


def _run(personality: str, fault: int, minutes: float, package: ModelPackage) -> SoakResult:
    return soak_one(personality, FAULTS[fault], minutes, package)


def _begin(lifeline: Connection, log_level: int) -> None:
    """Begin a process: it logs like the one that began it, and ends when that lets go.

    The other end of the lifeline closes when the soak ends in whatever way, kill -9 too.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that began it
    logging.basicConfig(level=log_level)

    def follow() -> None:
        wait([lifeline])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()

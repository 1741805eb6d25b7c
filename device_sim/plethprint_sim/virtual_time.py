"""An event loop whose clock jumps to the next timer: an hour of Bluetooth in seconds.

Nothing waits for real time, so a run takes as long as its computing, and the same program
meets its events in the same order every time. Works for everything in process; code that
waits for sockets or other processes belongs on an ordinary loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["DeadlockError", "VirtualTimeLoop", "run"]

_Result = TypeVar("_Result")

_DEADLOCK_S = 5.0  # real seconds without any timer before we call it a deadlock


class DeadlockError(RuntimeError):
    """Every task waits for something that no timer and no callback will bring."""


class _JumpingSelector(selectors.DefaultSelector):
    """Turns waiting into moving the clock forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            # No timer at all: only another thread can still wake us up.
            events = super().select(_DEADLOCK_S)
            if not events:
                raise DeadlockError(
                    "virtual time stands still: every task waits and no timer is set; "
                    "something awaits an event that will never come"
                )
        else:
            events = super().select(0)
            if not events and timeout > 0:
                self.now_s += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Event loop on virtual time; `time` starts at 0.0 s.

    Work handed to an executor (``asyncio.to_thread``) runs at once on the loop's own
    thread: a real thread would finish at a moment that differs from run to run.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now_s

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., _Result], *args: Any
    ) -> asyncio.Future[_Result]:
        """Run `func` now and return its outcome as a future that is already done."""
        future: asyncio.Future[_Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end on virtual time, like ``asyncio.run``.

    Parameters
    ----------
    main : coroutine
        The program. ``asyncio.get_running_loop().time()`` is its clock.

    Returns
    -------
    object
        What `main` returns.

    Raises
    ------
    DeadlockError
        Every task waits and no timer is set.

    Examples
    --------
    >>> async def hour():
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run(hour())
    3600.0
    """
    loop = VirtualTimeLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        try:
            _finish(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _finish(loop: VirtualTimeLoop) -> None:
    leftover = asyncio.all_tasks(loop)
    for task in leftover:
        task.cancel()
    if leftover:
        loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())

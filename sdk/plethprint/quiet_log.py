"""Warnings that a device can cause, but not without end."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

__all__ = ["QuietLog"]


class QuietLog:
    """A logger's warnings, at most so many in so long; then it says so, once, and waits.

    Parameters
    ----------
    logger : logging.Logger
        Where they go.
    most : int, optional
        Warnings that pass within `per_s`.
    per_s : float, optional
        Seconds.
    clock : callable, optional
        Seconds of a clock that never goes back.

    Examples
    --------
    >>> log = QuietLog(logging.getLogger("example"), most=2, per_s=60.0)
    >>> [log.warning("reset number %d", number) for number in range(5)]
    [True, True, False, False, False]
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        most: int = 10,
        per_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._per_s = per_s
        self._clock = clock
        self._said_s: deque[float] = deque(maxlen=most)
        self._told = False

    def warning(self, message: str, *values: object) -> bool:
        """Log it, unless there were too many; say whether it was logged."""
        now_s = self._clock()
        full = len(self._said_s) == self._said_s.maxlen
        if full and now_s - self._said_s[0] < self._per_s:
            if not self._told:
                self._told = True
                self._logger.warning(
                    "more such warnings follow; they are left out for %.0f s", self._per_s
                )
            return False
        self._told = False
        self._said_s.append(now_s)
        self._logger.warning(message, *values)
        return True

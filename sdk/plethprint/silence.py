"""The watchdog's ear: how long a stream has been silent, and what that means."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Silence"]


class Silence:
    """Knows when a stream was last heard.

    A link can look alive and carry nothing: the link layer waits up to 32 s before it
    gives a peer up, and firmware can hang. Both limits grow with the frames: a stream of
    one frame a second is not silent after two.

    Parameters
    ----------
    uptime_s : callable
        Seconds of a clock that nobody sets, such as ``loop.time``.
    stall_after_s, silent_after_s : float
        See `StreamOptions`.

    Examples
    --------
    >>> now_s = [0.0]
    >>> silence = Silence(lambda: now_s[0], stall_after_s=1.5, silent_after_s=8.0)
    >>> silence.begin()
    >>> now_s[0] = 2.0
    >>> silence.judge(), silence.stalls
    (False, 1)
    >>> now_s[0] = 9.0
    >>> silence.judge(), silence.stalls
    (True, 1)
    """

    def __init__(
        self, uptime_s: Callable[[], float], *, stall_after_s: float, silent_after_s: float
    ) -> None:
        self._uptime_s = uptime_s
        self._stall_after_s = stall_after_s
        self._silent_after_s = silent_after_s
        self._heard_s = 0.0  # when a frame last came, or the stream was last started
        self._useful_s = 0.0  # when a frame last came, or the first start was wanted
        self._frame_period_s = 0.0
        self._stalled = False
        self.stalls = 0
        """Silences beyond the first limit so far."""

    @property
    def unheard_s(self) -> float:
        """Seconds since a frame came, however often the stream was started meanwhile."""
        return self._uptime_s() - self._useful_s

    @property
    def lasts_s(self) -> float:
        """Seconds of silence on this link."""
        return self._uptime_s() - self._heard_s

    def want(self) -> None:
        """Somebody wants the stream from now on."""
        self._useful_s = self._uptime_s()

    def begin(self) -> None:
        """The stream was started, on a first link or the next one."""
        self._heard_s = self._uptime_s()
        self._stalled = False

    def hear(self, frame_period_s: float) -> None:
        """A frame came that covers so many seconds."""
        self._heard_s = self._useful_s = self._uptime_s()
        self._frame_period_s = frame_period_s
        self._stalled = False

    def judge(self) -> bool:
        """Count a stall where there is one; say whether the link is to be given up."""
        silent = self.lasts_s >= self._limit(self._silent_after_s, 8)
        if (silent or self.lasts_s >= self._limit(self._stall_after_s, 4)) and (
            not self._stalled
        ):
            self._stalled = True
            self.stalls += 1
        return silent

    def next_judgement_s(self) -> float:
        """Seconds until `judge` may say something else."""
        stalled_s = self._limit(self._stall_after_s, 4)
        limit_s = self._limit(self._silent_after_s, 8) if self._stalled else stalled_s
        return limit_s - self.lasts_s

    def _limit(self, after_s: float, frames: int) -> float:
        return max(after_s, frames * self._frame_period_s)

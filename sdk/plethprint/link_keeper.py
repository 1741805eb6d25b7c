"""Keeps one wearable's link: notices that it is gone, brings it back, or gives it up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

from plethprint.ble.connection import Connection, Connector
from plethprint.errors import BondLostError, LinkError, LinkLostError, ProtocolError
from plethprint.quiet_log import QuietLog
from plethprint.silence import Silence
from plethprint.stream_options import StreamOptions

__all__ = ["LinkKeeper"]

_LOGGER = logging.getLogger(__name__)

_IDLE_CHECK_S = 1.0
_YIELD_S = 0.01
# Waiting brings no key back; but whoever stands in for the wearable has none either, and
# shall not end a session at its first try.
_BOND_LOST_TIMES = 3
_STEADY_S = 10.0  # a link that lasted so long is worth going back to at once


class LinkKeeper:
    """Owns the link; one task watches over it, from `open` to `stop_watching`.

    Parameters
    ----------
    connector : Connector
        Makes links.
    options : StreamOptions
        How long to seek, and how often.
    silence : Silence
        The watchdog.
    is_streaming : callable
        Whether frames are expected: only then is silence a fault.
    on_lost : callable
        Told that the link is gone, before it is sought.
    resume : async callable
        Takes up on a new link what ran on the old one.
    on_failure : callable
        Told why no link will come any more.
    """

    def __init__(
        self,
        connector: Connector,
        options: StreamOptions,
        silence: Silence,
        *,
        is_streaming: Callable[[], bool],
        on_lost: Callable[[], None],
        resume: Callable[[Connection], Awaitable[None]],
        on_failure: Callable[[LinkError | ProtocolError], None],
    ) -> None:
        self._connector = connector
        self._options = options
        self._silence = silence
        self._is_streaming = is_streaming
        self._on_lost = on_lost
        self._resume = resume
        self._on_failure = on_failure
        self._log = QuietLog(_LOGGER)
        self._uptime_s = asyncio.get_running_loop().time
        self._current: Connection | None = None
        self._failure: LinkError | ProtocolError | None = None
        self._watchman: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # a link is there, or none will come
        self.reconnects = 0
        """Times the link came back."""

    @property
    def connection(self) -> Connection:
        """The link as it is now.

        Raises
        ------
        LinkLostError
            There is none, and none is coming.
        """
        if self._failure is not None:
            raise self._failure
        if self._current is None:
            raise LinkLostError("the session is not open")
        return self._current

    @property
    def last_connection(self) -> Connection | None:
        """The link as it is, or was last; None before the first."""
        return self._current

    @property
    def is_watched(self) -> bool:
        """Whether the session is open."""
        return self._watchman is not None

    async def open(self) -> None:
        """Establish the first link and begin to watch over it."""
        self._current = await self._connector.first()
        self._settled.set()
        self._watchman = asyncio.create_task(self._watch(), name="plethprint link watch")

    async def stop_watching(self) -> None:
        """End the watch; the link stays."""
        watchman, self._watchman = self._watchman, None
        if watchman is not None:
            watchman.cancel()
            await asyncio.wait({watchman})

    async def close(self) -> None:
        """Disconnect; whoever asks for a link from now on is told that there is none."""
        self._failure = self._failure or LinkLostError("the session is closed")
        self._settled.set()
        if self._current is not None:
            await self._current.link.close()

    async def on_a_link(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Do it on a link that lives; again on the next one when it drops meanwhile."""
        while True:
            await self._settled.wait()
            connection = self.connection
            try:
                await work(connection)
                return
            except LinkLostError:
                # It dropped just now; the watch brings it back, or gives up and says so.
                if not (connection.link.is_lost and self._options.reconnect):
                    raise
                await asyncio.sleep(_YIELD_S)

    async def _watch(self) -> None:
        delays = self._options.backoff.delays()
        try:
            while True:
                connection = self.connection
                linked_s = self._uptime_s()
                await self._trouble(connection)
                self._settled.clear()
                self._on_lost()
                await connection.link.close()
                self._judge(connection)
                if self._uptime_s() - linked_s >= _STEADY_S:
                    delays = self._options.backoff.delays()
                else:  # one that takes every link and drops it is not to be hammered
                    await asyncio.sleep(next(delays))
                await self._restore(connection, delays)
                self._settled.set()
        except (LinkError, ProtocolError) as error:
            self._fail(error)
        except Exception as error:
            _LOGGER.exception("the link watch failed")
            self._fail(LinkError(f"the link watch failed: {error!r}"))

    async def _trouble(self, connection: Connection) -> None:
        """Return once the link is lost, or silent for too long."""
        link = connection.link
        while not link.is_lost:
            wait_s = _IDLE_CHECK_S
            if self._is_streaming():
                if self._silence.judge():
                    self._log.warning(
                        "%s sent nothing for %.1f s though the link is up; connecting anew",
                        _named(connection),
                        self._silence.lasts_s,
                    )
                    return
                wait_s = self._silence.next_judgement_s()
            # Never a zero timer: rounding would make it an endless loop.
            await asyncio.wait({link.lost}, timeout=max(wait_s, _YIELD_S))

    def _judge(self, connection: Connection) -> None:
        """Raise where it makes no sense to connect anew."""
        if not self._options.reconnect:
            raise LinkLostError(f"the link to {_named(connection)} dropped")
        unheard_s = self._silence.unheard_s
        if self._is_streaming() and unheard_s > self._options.give_up_after_s:
            raise LinkLostError(
                f"{_named(connection)} can be connected to, but has sent nothing "
                f"for {unheard_s:.0f} s"
            )

    async def _restore(self, lost: Connection, delays: Iterator[float]) -> None:
        self._log.warning("the link to %s dropped; bringing it back", _named(lost))
        began_s = self._uptime_s()
        bond_lost = 0
        for delay_s in delays:
            try:
                connection = await self._connector.establish()
                try:
                    self._current = connection
                    await self._resume(connection)
                except BaseException:
                    await connection.link.close()
                    raise
                self.reconnects += 1
                _LOGGER.info("the link to %s is back", _named(connection))
                return
            except (LinkError, ProtocolError) as error:
                bond_lost = bond_lost + 1 if isinstance(error, BondLostError) else 0
                if bond_lost == _BOND_LOST_TIMES:
                    raise
                away_s = self._uptime_s() - began_s
                _LOGGER.info("not back after %.1f s: %s", away_s, error)
                if away_s + delay_s > self._options.give_up_after_s:
                    raise LinkLostError(
                        f"the link to {_named(lost)} dropped and did not come back within "
                        f"{self._options.give_up_after_s:g} s: {error}"
                    ) from error
            await asyncio.sleep(delay_s)

    def _fail(self, error: LinkError | ProtocolError) -> None:
        self._failure = error
        self._on_failure(error)
        self._settled.set()


def _named(connection: Connection) -> str:
    return connection.found.name or connection.found.address

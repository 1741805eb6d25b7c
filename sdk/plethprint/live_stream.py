"""One wearable's stream, kept alive: watchdog, reconnection, counting, fan-out."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from plethprint.ble.connection import Backoff, Connection, Connector
from plethprint.ble.personality import StreamFormat
from plethprint.block import Block
from plethprint.bounded_queue import BoundedQueue
from plethprint.clock import HostClock
from plethprint.device_fingerprints import DeviceFingerprints
from plethprint.errors import (
    FrameError,
    LinkError,
    LinkLostError,
    PlethprintError,
    ProtocolError,
)
from plethprint.fingerprint import Fingerprint
from plethprint.stream_statistics import StreamStatistics
from plethprint.timeline import Timeline

__all__ = ["LiveStream", "StreamOptions"]

_LOGGER = logging.getLogger(__name__)


_MAX_EARLY = 256  # notifications kept until the answer to START
_MAX_KINDS = 32  # kinds of decode error that are logged
_IDLE_CHECK_S = 1.0
_YIELD_S = 0.01
_STEADY_S = 10.0  # a link that lasted so long is worth going back to at once


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is kept alive."""

    sample_rate_hz: float | None = None
    """Rate to ask for; None takes the lowest on offer that the model can use."""
    channels: tuple[int, ...] | None = None
    """Channels to ask for, positions in ``info.channels``; None takes all that fit."""
    reconnect: bool = True
    """Whether a lost link is brought back."""
    backoff: Backoff = field(default_factory=Backoff)
    """Waits between attempts to bring it back."""
    give_up_after_s: float = 600.0
    """How long a lost link is sought before `LinkLostError`."""
    stall_after_s: float = 1.5
    """Silence that counts as a stall; the link layer often recovers by itself."""
    silent_after_s: float = 8.0
    """Silence after which the link is cut and made anew, though it looks alive."""
    queue_s: float = 60.0
    """Signal that is held for a slow consumer before the oldest is dropped."""


class LiveStream:
    """Owns the link and the timeline; hands blocks to any number of consumers.

    The stream runs while somebody subscribes. One task watches over the link, from
    `open` to `close`.

    Parameters
    ----------
    connector : Connector
        Makes links.
    options : StreamOptions
        How to keep alive.
    host_clock : HostClock
        Time of arrivals.
    """

    def __init__(
        self, connector: Connector, options: StreamOptions, host_clock: HostClock
    ) -> None:
        self._connector = connector
        self._options = options
        self._host_clock = host_clock
        self._connection: Connection | None = None
        self._format: StreamFormat | None = None
        self._timeline: Timeline | None = None
        self._queues: list[BoundedQueue[Block]] = []
        self._device_prints = DeviceFingerprints()
        self._start_stop = asyncio.Lock()
        self._streaming = False
        self._start_cut_short = False  # START may have reached it: nobody waited to hear
        self._wanted: object | None = None  # stands for the stream whose frames are taken
        self._watchman: asyncio.Task[None] | None = None
        self._link_settled = asyncio.Event()  # a link is there, or none will come
        # Waiting is measured on a clock that nobody sets.
        self._uptime_s = asyncio.get_running_loop().time
        self._last_frame_s = 0.0  # or when the stream was last started
        self._heard_s = 0.0  # when a frame last came, or the session first streamed
        self._frame_period_s = 0.0
        self._stalled = False
        self._failure: LinkError | ProtocolError | None = None
        self._digest = hashlib.sha256()
        self._decode_errors = 0
        self._warned: set[str] = set()
        self._stalls = 0
        self._reconnects = 0
        self._dropped = 0

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
        if self._connection is None:
            raise LinkLostError("the session is not open")
        return self._connection

    @property
    def format(self) -> StreamFormat | None:
        """Format of the stream; None before it was first started."""
        return self._format

    @property
    def statistics(self) -> StreamStatistics:
        """Counts up to now."""
        timeline = self._timeline
        counts = {} if timeline is None else asdict(timeline.counts)
        statistics = StreamStatistics(
            **counts,
            reconnects=self._reconnects,
            stalls=self._stalls,
            decode_errors=self._decode_errors + self._device_prints.decode_errors,
            device_fingerprints=self._device_prints.received,
            dropped_fingerprints=self._device_prints.dropped,
            dropped_frames=self._dropped + sum(queue.dropped for queue in self._queues),
            clock_drift_ppm=0.0 if timeline is None else timeline.clock.drift_ppm,
            stream_sha256=self._digest.hexdigest(),
        )
        told = self._format is None or self._format.tells_loss
        return statistics if told else statistics.with_losses_unknown()

    async def open(self) -> None:
        """Establish the first link and begin to watch over it."""
        self._connection = await self._connector.first()
        self._link_settled.set()
        self._watchman = asyncio.create_task(self._watch(), name="plethprint link watch")

    async def close(self) -> None:
        """Stop the stream, end every consumer's iteration, disconnect; leave no task."""
        watchman, self._watchman = self._watchman, None
        try:
            if watchman is not None:
                watchman.cancel()
                await asyncio.wait({watchman})
            connection = self._connection
            if connection is not None and self._streaming and not connection.link.is_lost:
                with contextlib.suppress(PlethprintError):
                    await connection.driver.stop()
            await self._stop_fingerprints()
        finally:
            self._streaming = False
            self._wanted = None
            if self._timeline is not None:
                self._hand_out(self._timeline.flush())
            for queue in self._queues:
                queue.end()
            self._device_prints.end()
            self._failure = self._failure or LinkLostError("the session is closed")
            if self._connection is not None:
                await self._connection.link.close()

    @contextlib.asynccontextmanager
    async def subscribe(self) -> AsyncIterator[tuple[BoundedQueue[Block], StreamFormat]]:
        """Have the stream run, and its blocks put into a queue.

        Raises
        ------
        LinkError, ProtocolError
            The stream could not be started.
        """
        queue = BoundedQueue[Block]("samples", lambda block: len(block.samples))
        self._queues.append(queue)  # before the start: the first frame may come with it
        try:
            stream_format = await self._started()
            queue.limit(round(self._options.queue_s * stream_format.sample_rate_hz))
            yield queue, stream_format
        finally:
            self._queues.remove(queue)
            self._dropped += queue.dropped
            if not self._queues and self._watchman is not None:
                await self._stop()

    @contextlib.asynccontextmanager
    async def subscribe_fingerprints(
        self, hop_s: float
    ) -> AsyncIterator[BoundedQueue[Fingerprint]]:
        """Have the wearable make fingerprints itself, and these put into a queue.

        Raises
        ------
        LinkError, ProtocolError
            They could not be started.
        ValueError
            Somebody else takes them at another hop.
        """
        prints = self._device_prints
        try:
            with prints.consumer(hop_s) as queue:
                await self._on_a_link(lambda connection: prints.start(connection.driver))
                yield queue
        finally:
            if self._watchman is not None:
                async with self._start_stop:
                    await self._stop_fingerprints()

    async def _stop_fingerprints(self) -> None:
        prints = self._device_prints
        connection = self._connection
        if prints.hop_s is None or connection is None:
            return
        if self._watchman is not None and prints.has_consumers:
            return
        with contextlib.suppress(PlethprintError):
            await prints.stop(connection.driver)

    async def _on_a_link(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Do it on a link that lives; again on the next one when it drops meanwhile."""
        while True:
            await self._link_settled.wait()
            connection = self.connection
            try:
                async with self._start_stop:
                    await work(connection)
                return
            except LinkLostError:
                # It dropped just now; the watch brings it back, or gives up and says so.
                if not (connection.link.is_lost and self._options.reconnect):
                    raise
                await asyncio.sleep(_YIELD_S)

    async def _started(self) -> StreamFormat:
        async def start(connection: Connection) -> None:
            if not self._streaming:
                self._heard_s = self._uptime_s()
                await self._start(connection)
                self._streaming = True

        await self._on_a_link(start)
        assert self._format is not None
        return self._format

    async def _start(self, connection: Connection) -> None:
        early: list[tuple[bytes, float]] = []
        ready = False
        self._wanted = this = object()

        def on_payload(payload: bytes) -> None:
            if this is not self._wanted:
                return  # what an old link, or a stream that would not stop, still delivers
            if ready:
                self._on_payload(payload, self._host_clock.now(), connection)
            elif len(early) < _MAX_EARLY:
                early.append((payload, self._host_clock.now()))

        # Frames may come before the answer to START says what they are.
        try:
            stream_format = await connection.driver.start(
                on_payload,
                sample_rate_hz=self._options.sample_rate_hz,
                channels=self._options.channels,
            )
        except asyncio.CancelledError:
            self._start_cut_short = True
            raise
        if self._format is None:
            self._format = stream_format
            self._timeline = Timeline(stream_format.sample_rate_hz)
        elif stream_format != self._format:
            raise ProtocolError(
                f"the wearable streamed {self._format} before and now {stream_format}; "
                "open a new session"
            )
        self._last_frame_s = self._uptime_s()
        self._stalled = False
        ready = True
        for payload, arrival_s in early:
            self._on_payload(payload, arrival_s, connection)

    async def _stop(self) -> None:
        async with self._start_stop:
            if self._queues or not (self._streaming or self._start_cut_short):
                return
            with contextlib.suppress(PlethprintError):
                await self.connection.driver.stop()
            self._streaming = self._start_cut_short = False
            self._wanted = None
            if self._timeline is not None:
                self._timeline.pause()

    def _on_payload(self, payload: bytes, arrival_s: float, connection: Connection) -> None:
        """Take one notification. Whatever its bytes are, nothing is raised."""
        assert self._timeline is not None
        assert self._format is not None
        self._digest.update(payload)
        try:
            frame = connection.driver.decode(payload)
            if frame.counts.shape[1] != len(self._format.channels):
                raise FrameError(
                    f"a frame of {frame.counts.shape[1]} channels in a stream of "
                    f"{len(self._format.channels)}"
                )
        except Exception as error:  # a driver's own bugs too: bytes must not end a session
            self._decode_errors += 1
            kind = re.sub(r"\d+", "#", str(error))
            if kind not in self._warned and len(self._warned) < _MAX_KINDS:
                self._warned.add(kind)
                _LOGGER.warning("dropped a notification that is no frame: %s", error)
            return
        self._last_frame_s = self._heard_s = self._uptime_s()
        self._stalled = False
        self._frame_period_s = len(frame.counts) / self._format.sample_rate_hz
        self._hand_out(self._timeline.push(frame, arrival_s))

    def _hand_out(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            for queue in self._queues:
                queue.put(block)

    async def _watch(self) -> None:
        delays = self._options.backoff.delays()
        try:
            while True:
                connection = self.connection
                linked_s = self._uptime_s()
                await self._trouble(connection)
                self._link_settled.clear()
                if self._streaming and self._timeline is not None:
                    self._hand_out(self._timeline.link_lost())
                await connection.link.close()
                if not self._options.reconnect:
                    raise LinkLostError(f"the link to {_named(connection)} dropped")
                unheard_s = self._uptime_s() - self._heard_s
                if self._streaming and unheard_s > self._options.give_up_after_s:
                    raise LinkLostError(
                        f"{_named(connection)} can be connected to, but has sent nothing "
                        f"for {unheard_s:.0f} s"
                    )
                if self._uptime_s() - linked_s >= _STEADY_S:
                    delays = self._options.backoff.delays()
                else:  # one that takes every link and drops it is not to be hammered
                    await asyncio.sleep(next(delays))
                await self._restore(connection, delays)
                self._link_settled.set()
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
            if self._streaming:
                silence_s = self._uptime_s() - self._last_frame_s
                stall_s = max(self._options.stall_after_s, 4 * self._frame_period_s)
                silent_s = max(self._options.silent_after_s, 8 * self._frame_period_s)
                if silence_s >= silent_s:
                    _LOGGER.warning(
                        "%s sent nothing for %.1f s though the link is up; connecting anew",
                        _named(connection),
                        silence_s,
                    )
                    self._count_stall()
                    return
                if silence_s >= stall_s:
                    self._count_stall()
                wait_s = (silent_s if self._stalled else stall_s) - silence_s
            # Never a zero timer: rounding would make it an endless loop.
            await asyncio.wait({link.lost}, timeout=max(wait_s, _YIELD_S))

    def _count_stall(self) -> None:
        if not self._stalled:
            self._stalled = True
            self._stalls += 1

    async def _restore(self, lost: Connection, delays: Iterator[float]) -> None:
        _LOGGER.warning("the link to %s dropped; bringing it back", _named(lost))
        began_s = self._uptime_s()
        for delay_s in delays:
            try:
                connection = await self._connector.establish()
                try:
                    await self._resume(connection)
                except BaseException:
                    await connection.link.close()
                    raise
                self._reconnects += 1
                _LOGGER.info("the link to %s is back", _named(connection))
                return
            except (LinkError, ProtocolError) as error:
                away_s = self._uptime_s() - began_s
                _LOGGER.info("not back after %.1f s: %s", away_s, error)
                if away_s + delay_s > self._options.give_up_after_s:
                    raise LinkLostError(
                        f"the link to {_named(lost)} dropped and did not come back within "
                        f"{self._options.give_up_after_s:g} s: {error}"
                    ) from error
            await asyncio.sleep(delay_s)

    async def _resume(self, connection: Connection) -> None:
        async with self._start_stop:
            self._connection = connection
            step_s = self._host_clock.resynchronise()
            if step_s and self._timeline is not None:
                self._timeline.host_clock_stepped(step_s)
            if self._streaming:
                await self._start(connection)
            await self._device_prints.start(connection.driver)

    def _fail(self, error: LinkError | ProtocolError) -> None:
        self._failure = error
        self._streaming = False
        self._wanted = None
        for queue in self._queues:
            queue.end(error)
        self._device_prints.end(error)
        self._link_settled.set()


def _named(connection: Connection) -> str:
    return connection.found.name or connection.found.address

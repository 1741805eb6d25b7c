"""One wearable's stream: started, counted, taken up again on the next link, handed out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from plethprint.ble.connection import Connection, Connector
from plethprint.ble.personality import StreamFormat
from plethprint.block import Block
from plethprint.bounded_queue import BoundedQueue
from plethprint.clock import HostClock, TimeExchange
from plethprint.device_fingerprints import DeviceFingerprints
from plethprint.errors import LinkError, PlethprintError, ProtocolError
from plethprint.fingerprint import Fingerprint
from plethprint.frame_intake import FrameIntake
from plethprint.link_keeper import LinkKeeper
from plethprint.motion_history import MotionHistory
from plethprint.motion_stream import MotionStream
from plethprint.silence import Silence
from plethprint.stream_clock import StreamClock
from plethprint.stream_options import StreamOptions
from plethprint.stream_statistics import StreamStatistics
from plethprint.time_exchanges import TimeExchanges
from plethprint.timeline import Timeline

__all__ = ["LiveStream", "StreamOptions"]

_MOST_QUEUED = 1 << 20  # samples
_MOTION_KEPT_S = 60.0  # beyond what a slow consumer may be behind
_MAX_EARLY = 256  # notifications kept until the answer to START


class LiveStream:
    """Owns the timeline; hands blocks to any number of consumers.

    The stream runs while somebody subscribes. A `LinkKeeper` looks after the link, from
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
        self._options = options
        self._host_clock = host_clock
        self._silence = Silence(
            asyncio.get_running_loop().time,
            stall_after_s=options.stall_after_s,
            silent_after_s=options.silent_after_s,
        )
        self._keeper = LinkKeeper(
            connector,
            options,
            self._silence,
            is_streaming=lambda: self._streaming,
            on_lost=self._on_lost,
            resume=self._resume,
            on_failure=self._on_failure,
        )
        self._format: StreamFormat | None = None
        self._timeline: Timeline | None = None
        self._intake = FrameIntake()
        self._motion = MotionStream(options.motion, keep_s=options.queue_s + _MOTION_KEPT_S)
        self._queues: list[BoundedQueue[Block]] = []
        self._device_prints = DeviceFingerprints()
        self._start_stop = asyncio.Lock()
        self._streaming = False
        self._start_cut_short = False  # START may have reached it: nobody waited to hear
        self._wanted: object | None = None  # stands for the stream whose frames are taken
        self._dropped = 0
        self._exchanges = TimeExchanges(self._on_exchange, seed=options.backoff.seed)

    @property
    def connection(self) -> Connection:
        """The link as it is now.

        Raises
        ------
        LinkLostError
            There is none, and none is coming.
        """
        return self._keeper.connection

    @property
    def format(self) -> StreamFormat | None:
        """Format of the stream; None before it was first started."""
        return self._format

    @property
    def statistics(self) -> StreamStatistics:
        """Counts up to now."""
        return StreamStatistics.of(
            self._timeline,
            tells_loss=self._format is None or self._format.tells_loss,
            reconnects=self._keeper.reconnects,
            stalls=self._silence.stalls,
            decode_errors=self._intake.decode_errors + self._device_prints.decode_errors,
            device_fingerprints=self._device_prints.received,
            dropped_fingerprints=self._device_prints.dropped,
            dropped_frames=self._dropped + sum(queue.dropped for queue in self._queues),
            time_exchanges=self._exchanges.count,
            **self._motion.counts(),
            stream_sha256=self._intake.sha256,
        )

    @property
    def stream_clock(self) -> StreamClock | None:
        """Sample index to host time; None while nothing streams."""
        return None if self._timeline is None else self._timeline.stream_clock()

    @property
    def motion(self) -> MotionHistory:
        """Acceleration so far; empty where the wearable sends none."""
        return self._motion.history

    async def open(self) -> None:
        """Establish the first link and begin to watch over it."""
        await self._keeper.open()

    async def close(self) -> None:
        """Stop the stream, end every consumer's iteration, disconnect; leave no task."""
        try:
            await self._exchanges.end()
            await self._keeper.stop_watching()
            connection = self._keeper.last_connection
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
            await self._keeper.close()

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
            wanted = self._options.queue_s * stream_format.sample_rate_hz
            queue.limit(round(min(wanted, _MOST_QUEUED)))  # the rate is the device's word
            yield queue, stream_format
        finally:
            self._queues.remove(queue)
            self._dropped += queue.dropped
            if not self._queues and self._keeper.is_watched:
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
            if self._keeper.is_watched:
                async with self._start_stop:
                    await self._stop_fingerprints()

    async def _on_a_link(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        async def alone(connection: Connection) -> None:
            async with self._start_stop:
                await work(connection)

        await self._keeper.on_a_link(alone)

    async def _stop_fingerprints(self) -> None:
        prints = self._device_prints
        connection = self._keeper.last_connection
        wanted = self._keeper.is_watched and prints.has_consumers
        if prints.hop_s is None or connection is None or wanted:
            return
        with contextlib.suppress(PlethprintError):
            await prints.stop(connection.driver)

    async def _started(self) -> StreamFormat:
        async def start(connection: Connection) -> None:
            if not self._streaming:
                self._silence.want()
                await self._start(connection)

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
        self._silence.begin()
        self._exchanges.begin(connection.driver)
        ready = True
        for payload, arrival_s in early:
            self._on_payload(payload, arrival_s, connection)
        # From here on a lost link leaves a gap, also while acceleration is asked for.
        self._streaming = True
        try:
            await self._motion.start(connection.driver, stream_format, self._host_clock.now)
        except asyncio.CancelledError:
            self._start_cut_short = True
            raise

    async def _stop(self) -> None:
        async with self._start_stop:
            if self._queues or not (self._streaming or self._start_cut_short):
                return
            await self._exchanges.end()
            with contextlib.suppress(PlethprintError):
                await self.connection.driver.stop()
            self._streaming = self._start_cut_short = False
            self._wanted = None
            self._motion.pause()
            if self._timeline is not None:
                self._timeline.pause()

    def _on_payload(self, payload: bytes, arrival_s: float, connection: Connection) -> None:
        assert self._timeline is not None
        assert self._format is not None
        channels = len(self._format.channels)
        frame = self._intake.decode(payload, connection.driver.decode, channels)
        if frame is not None:
            self._silence.hear(len(frame.counts) / self._format.sample_rate_hz)
            self._hand_out(self._timeline.push(frame, arrival_s))

    def _on_exchange(self, exchange: TimeExchange) -> None:
        if self._timeline is not None:
            self._timeline.observe_exchange(exchange)

    def _hand_out(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            self._motion.take_block(block)
            for queue in self._queues:
                queue.put(block)

    # What the keeper of the link asks for.

    def _on_lost(self) -> None:
        self._exchanges.begin(None)
        self._motion.pause()
        if self._streaming and self._timeline is not None:
            self._hand_out(self._timeline.link_lost())

    async def _resume(self, connection: Connection) -> None:
        async with self._start_stop:
            step_s = self._host_clock.resynchronise()
            if step_s and self._timeline is not None:
                self._timeline.host_clock_stepped(step_s)
            if step_s:
                self._motion.host_clock_stepped(step_s)
            if self._streaming:
                await self._start(connection)
            await self._device_prints.start(connection.driver)

    def _on_failure(self, error: LinkError | ProtocolError) -> None:
        self._exchanges.begin(None)
        self._streaming = False
        self._wanted = None
        for queue in self._queues:
            queue.end(error)
        self._device_prints.end(error)

"""Muse headbands from the host's side: presets, three characteristics in one stream."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from plethprint.ble import muse_profile as muse
from plethprint.ble.gatt import GattLink
from plethprint.ble.info import Channel, ChannelKind, Info
from plethprint.ble.motion import MotionFormat
from plethprint.ble.personality import Driver, Personality, StreamFormat
from plethprint.ble.plain_driver import PlacedFrame, PlainDriver, chosen_rate
from plethprint.ble.sample_index import SampleIndex
from plethprint.errors import ControlError, LinkError, PlethprintError, ProtocolError
from plethprint.signal import PPG

__all__ = ["MUSE", "MuseDriver"]

_LOGGER = logging.getLogger(__name__)

_REPLY_S = 2.0  # not every firmware replies to every command
_KEEP_ALIVE_S = 10.0
_PRESETS = ("p50", "p61")  # with PPG: of the Muse 2, of later ones
_CHANNELS = (
    Channel(ChannelKind.AMBIENT, 0, 0),
    Channel(ChannelKind.INFRARED, 0, 0),
    Channel(ChannelKind.RED, 0, 0),
)
# Unsigned counts of a photodiode; the ambient channel is without a LED and has no pulse.
_DARK_COUNTS = (None, 0.0, 0.0)


class MuseDriver(PlainDriver):
    """Host's side of a Muse on one link; the arguments are those of `PlainDriver`."""

    def __init__(self, link: GattLink, host_time: Callable[[], float]) -> None:
        super().__init__(link, host_time)
        self._index = SampleIndex(muse.MUSE_RATE_HZ, sequence_bits=16)
        self._replies = muse.MuseReplies()
        self._reply: asyncio.Future[dict[str, object]] | None = None
        self._subscribed: list[int] = []
        self._assembler = muse.MuseAssembler(())
        self._on_payload: Callable[[bytes], None] | None = None
        self._keeping_alive: asyncio.Task[None] | None = None
        self._motion_index = SampleIndex(muse.MUSE_ACCELERATION_RATE_HZ, sequence_bits=16)
        self._sends_motion = False

    async def open(self) -> None:
        """Find out which channels it has, and listen to its replies."""
        await super().open()
        try:
            self._link.mtu(muse.MUSE_PPG_UUIDS[0])
        except ProtocolError:
            raise ProtocolError(
                "this Muse has no PPG characteristics of its own: one of 2016 has no PPG, "
                "and a Muse S Athena speaks another protocol"
            ) from None
        self.info = Info(
            channels=_CHANNELS,
            rates_mhz=(round(1000 * muse.MUSE_RATE_HZ),),
            bits=24,
            firmware=self.device.firmware,
        )
        await self._link.subscribe(muse.MUSE_CONTROL_UUID, "Muse control", self._on_reply)

    def succeed(self, before: Driver) -> None:
        """A counter may start afresh with a link: what was missed is not to be known."""
        if isinstance(before, MuseDriver):
            self._index = before._index
            self._index.new_link()

    async def command(self, text: str) -> None:
        """Give a command; a reply that never comes is no error, one that refuses is.

        Raises
        ------
        ControlError
            Refused; `status` is its return code.
        LinkError
            The link failed.
        """
        loop = asyncio.get_running_loop()
        self._reply = loop.create_future()
        payload = muse.command_to_bytes(text)
        await self._link.write(muse.MUSE_CONTROL_UUID, text, payload, response=None)
        try:
            either: set[asyncio.Future[Any]] = {self._reply, self._link.lost}
            await asyncio.wait(
                either,
                timeout=_REPLY_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if self._reply.done() and (code := self._reply.result().get("rc", 0)) != 0:
                status = code if isinstance(code, int) else -1
                raise ControlError(f"the Muse refused {text!r}: rc {code!r}", status=status)
        finally:
            self._reply = None

    async def start(
        self,
        on_payload: Callable[[bytes], None],
        *,
        sample_rate_hz: float | None,
        channels: Sequence[int] | None,
    ) -> StreamFormat:
        """Halt, choose a preset with PPG, subscribe, start."""
        rate_hz = chosen_rate(self.info.rates_hz, sample_rate_hz, PPG.rate_hz)
        wanted = sorted(set(range(len(_CHANNELS)) if channels is None else channels))
        if not wanted or not 0 <= wanted[0] <= wanted[-1] < len(_CHANNELS):
            raise ProtocolError(f"a Muse has channels 0..2, not {list(channels or [])}")
        self._on_payload = on_payload
        self._assembler = muse.MuseAssembler(wanted)
        self._index.new_link()
        await self.command("h")
        await self._choose_preset()
        for at in wanted:
            if at not in self._subscribed:
                taker = functools.partial(self._hand_over, at)
                await self._link.subscribe(muse.MUSE_PPG_UUIDS[at], f"PPG {at}", taker)
                self._subscribed.append(at)
        await self.command("d")
        if self._keeping_alive is None:
            self._keeping_alive = asyncio.create_task(self._keep_alive(), name="Muse k")
        return StreamFormat(
            rate_hz,
            tuple(_CHANNELS[at] for at in wanted),
            dark_counts=tuple(_DARK_COUNTS[at] for at in wanted),
        )

    async def stop(self) -> None:
        """Halt, and end the subscriptions."""
        self._on_payload = None
        if self._keeping_alive is not None:
            self._keeping_alive.cancel()
            self._keeping_alive = None
        await self.command("h")
        if self._sends_motion:
            await self._link.unsubscribe(muse.MUSE_ACCELERATION_UUID, "acceleration")
            self._sends_motion = False
        while self._subscribed:
            at = self._subscribed[-1]
            await self._link.unsubscribe(muse.MUSE_PPG_UUIDS[at], f"PPG {at}")
            self._subscribed.pop()

    def decode(self, payload: bytes) -> PlacedFrame:
        """Decode the notifications of all channels and place them by their number."""
        frame = muse.MuseFrame.from_bytes(payload)
        first = self._index.by_sequence(len(frame.counts), frame.sequence)
        return PlacedFrame(frame.counts, first, frame.sequence, frame=frame)

    async def start_motion(
        self, on_payload: Callable[[bytes], None]
    ) -> MotionFormat | None:
        """Listen to the accelerometer, which runs with the rest; None without one."""
        try:
            self._link.mtu(muse.MUSE_ACCELERATION_UUID)
        except ProtocolError:
            return None
        self._motion_index.new_link()
        if not self._sends_motion:
            await self._link.subscribe(
                muse.MUSE_ACCELERATION_UUID, "acceleration", on_payload
            )
            self._sends_motion = True
        return MotionFormat(muse.MUSE_ACCELERATION_RATE_HZ, muse.MUSE_COUNTS_PER_G)

    def decode_motion(self, payload: bytes) -> PlacedFrame:
        """Decode a notification of the accelerometer and place it by its number."""
        frame = muse.MuseAcceleration.from_bytes(payload)
        first = self._motion_index.by_sequence(len(frame.counts), frame.sequence)
        return PlacedFrame(frame.counts, first, frame.sequence, frame=frame)

    async def _choose_preset(self) -> None:
        refusals: list[ControlError] = []
        for preset in _PRESETS:
            try:
                return await self.command(preset)
            except ControlError as refusal:
                refusals.append(refusal)
        raise refusals[-1]

    async def _keep_alive(self) -> None:
        payload = muse.command_to_bytes("k")
        while not self._link.is_lost:
            await asyncio.wait({self._link.lost}, timeout=_KEEP_ALIVE_S)
            with contextlib.suppress(LinkError, ProtocolError):
                if not self._link.is_lost:
                    await self._link.write(
                        muse.MUSE_CONTROL_UUID, "keep-alive", payload, response=None
                    )

    def _hand_over(self, channel: int, packet: bytes) -> None:
        whole = self._assembler.feed(channel, packet)
        if whole is not None and self._on_payload is not None:
            self._on_payload(whole)

    def _on_reply(self, piece: bytes) -> None:
        try:
            reply = self._replies.feed(piece)
        except PlethprintError as error:
            _LOGGER.debug("%s", error)
            return
        if reply is not None and self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)


MUSE = Personality("muse", muse.MUSE_SERVICE_UUID, MuseDriver, name_prefixes=("Muse-",))
"""Muse 2 and Muse S of the first generations."""

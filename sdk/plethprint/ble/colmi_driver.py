"""Colmi rings from the host's side: what can be had of them, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plethprint.ble import colmi_profile as colmi
from plethprint.ble.gatt import GattLink
from plethprint.ble.info import Channel, ChannelKind, Info
from plethprint.ble.motion import MotionFormat
from plethprint.ble.personality import Driver, Personality, StreamFormat
from plethprint.ble.plain_driver import PlacedFrame, PlainDriver
from plethprint.ble.sample_index import SampleIndex
from plethprint.errors import FrameError, LinkLostError, LinkTimeoutError, ProtocolError

__all__ = ["COLMI", "ColmiDriver"]

_CHANNELS = (Channel(ChannelKind.GREEN, 0, 0),)
_READINGS = 9  # from which the rate is measured
_MEASURE_S = 15.0  # enough for a reading every 1.8 s
_BITS = 16
_IS_PPG = b"\xa1\x02"
_IS_ACCELERATION = b"\xa1\x03"


class ColmiDriver(PlainDriver):
    """Host's side of a Colmi ring on one link; the arguments are those of `PlainDriver`.

    The ring does not say how often it reads: the first readings tell, by their arrival.
    """

    def __init__(self, link: GattLink, host_time: Callable[[], float]) -> None:
        super().__init__(link, host_time)
        self._index = SampleIndex(1.0)
        self._rate_hz = 0.0  # unknown
        self._arrivals_s: list[float] = []
        self._enough = asyncio.Event()
        self._on_payload: Callable[[bytes], None] | None = None
        self._is_subscribed = False
        self._motion_index = SampleIndex(1.0)
        self._on_motion: Callable[[bytes], None] | None = None

    async def open(self) -> None:
        """Read the device information; the ring itself tells nothing of its readings."""
        await super().open()
        self.info = Info(
            channels=_CHANNELS, rates_mhz=(), bits=_BITS, firmware=self.device.firmware
        )

    def succeed(self, before: Driver) -> None:
        """Keep the measured rate; what was missed meanwhile is not to be known."""
        if isinstance(before, ColmiDriver):
            self._rate_hz = before._rate_hz

    async def start(
        self,
        on_payload: Callable[[bytes], None],
        *,
        sample_rate_hz: float | None,
        channels: Sequence[int] | None,
    ) -> StreamFormat:
        """Subscribe, start, and wait for enough readings to know their rate."""
        if sample_rate_hz is not None:
            raise ProtocolError("a Colmi ring cannot be told its rate: do not ask for one")
        if channels is not None and list(channels) != [0]:
            raise ProtocolError(f"a Colmi ring has channel 0 alone, not {list(channels)}")
        self._on_payload = on_payload
        self._index.new_link()
        self._arrivals_s.clear()
        self._enough.clear()
        if not self._is_subscribed:
            await self._link.subscribe(colmi.COLMI_NOTIFY_UUID, "ring", self._hand_over)
            self._is_subscribed = True
        await self._write("start", colmi.COLMI_START)
        if not self._rate_hz:
            self._rate_hz = await self._measured_rate()
        return StreamFormat(self._rate_hz, _CHANNELS, tells_loss=False)

    async def stop(self) -> None:
        """Stop the readings and the subscription."""
        self._on_payload = self._on_motion = None
        await self._write("stop", colmi.COLMI_STOP)
        if self._is_subscribed:
            await self._link.unsubscribe(colmi.COLMI_NOTIFY_UUID, "ring")
            self._is_subscribed = False

    def decode(self, payload: bytes) -> PlacedFrame:
        """Decode a reading; it is taken to follow the one before."""
        reading = colmi.reading_from_bytes(payload)
        if not isinstance(reading, colmi.ColmiPpg):
            raise FrameError("a reading of something else than light")
        counts = np.array([[reading.counts]], np.int32)
        first = self._index.by_order(1)
        # The ring sends 0 now and then instead of a reading.
        return PlacedFrame(counts, first, on_skin=reading.counts > 0, frame=reading)

    async def start_motion(
        self, on_payload: Callable[[bytes], None]
    ) -> MotionFormat | None:
        """Take the readings of the accelerometer that come with those of light."""
        self._motion_index.new_link()
        self._on_motion = on_payload
        return MotionFormat(self._rate_hz, colmi.COLMI_COUNTS_PER_G)

    def decode_motion(self, payload: bytes) -> PlacedFrame:
        """Decode a reading of acceleration; it is taken to follow the one before."""
        reading = colmi.reading_from_bytes(payload)
        if not isinstance(reading, colmi.ColmiAcceleration):
            raise FrameError("a reading of something else than acceleration")
        counts = np.array([[reading.x, reading.y, reading.z]], np.int32)
        return PlacedFrame(counts, self._motion_index.by_order(1), frame=reading)

    async def _write(self, name: str, command: bytes) -> None:
        payload = colmi.command_to_bytes(command)
        await self._link.write(colmi.COLMI_WRITE_UUID, name, payload, response=None)

    async def _measured_rate(self) -> float:
        enough = asyncio.ensure_future(self._enough.wait())
        try:
            either: set[asyncio.Future[Any]] = {enough, self._link.lost}
            await asyncio.wait(
                either,
                timeout=_MEASURE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            enough.cancel()
        if self._link.is_lost:
            raise LinkLostError("the link dropped before the ring sent enough readings")
        span_s = self._arrivals_s[-1] - self._arrivals_s[0] if self._arrivals_s else 0.0
        if not self._enough.is_set() or span_s <= 0.0:
            raise LinkTimeoutError(
                f"the ring sent {len(self._arrivals_s)} readings in {_MEASURE_S:g} s, too "
                "few to know their rate; is it worn?"
            )
        return round((len(self._arrivals_s) - 1) / span_s, 3)

    def _hand_over(self, payload: bytes) -> None:
        if payload[:2] == _IS_ACCELERATION and self._on_motion is not None:
            self._on_motion(payload)
            return
        # Blood oxygen and other answers come on the same characteristic.
        if payload[:2] != _IS_PPG and len(payload) == colmi.COLMI_PACKET_BYTES:
            return
        if self._on_payload is None:
            return
        if len(self._arrivals_s) < _READINGS:
            self._arrivals_s.append(asyncio.get_running_loop().time())
            if len(self._arrivals_s) == _READINGS:
                self._enough.set()
        self._on_payload(payload)


COLMI = Personality(
    "colmi",
    colmi.COLMI_SERVICE_UUID,
    ColmiDriver,
    name_prefixes=("R02_", "R03_", "R06_", "R09_", "R10_"),
)
"""Colmi R02 and the rings with the same firmware; they go by their name."""

"""OpenRing from the host's side: start, stop, samples by counter and clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from plethprint.ble import openring_profile as ring
from plethprint.ble.frame import longest_value
from plethprint.ble.gatt import GattLink
from plethprint.ble.info import Channel, ChannelKind, Info
from plethprint.ble.motion import MotionFormat
from plethprint.ble.personality import Driver, Personality, StreamFormat
from plethprint.ble.plain_driver import PlacedFrame, PlainDriver, chosen_rate
from plethprint.ble.sample_index import SampleIndex
from plethprint.errors import ProtocolError
from plethprint.signal import PPG

__all__ = ["OPENRING", "OpenRingDriver"]

_CHANNELS = (
    Channel(ChannelKind.GREEN, 0, 0),
    Channel(ChannelKind.RED, 0, 0),
    Channel(ChannelKind.INFRARED, 0, 0),
)
_DARK_COUNTS = (0.0, 0.0, 0.0)  # unsigned counts of a photodiode
_SMALLEST_VALUE = ring.RING_HEADER_BYTES + ring.RING_SAMPLE_BYTES


class OpenRingDriver(PlainDriver):
    """Host's side of an OpenRing on one link; the arguments are those of `PlainDriver`."""

    def __init__(self, link: GattLink, host_time: Callable[[], float]) -> None:
        super().__init__(link, host_time)
        self._index = SampleIndex(ring.RING_RATE_HZ, sequence_bits=8)
        self._frame_ids = itertools.cycle(range(1, 256))
        self._on_payload: Callable[[bytes], None] | None = None
        self._is_subscribed = False

    async def open(self) -> None:
        """Read the device information; the ring itself tells nothing of its channels."""
        await super().open()
        self.info = Info(
            channels=_CHANNELS,
            rates_mhz=(round(1000 * ring.RING_RATE_HZ),),
            bits=24,
            firmware=self.device.firmware,
        )

    def succeed(self, before: Driver) -> None:
        """Go on counting: the ring's clock tells how much was missed."""
        if isinstance(before, OpenRingDriver):
            self._index = before._index
            self._index.new_link()

    async def start(
        self,
        on_payload: Callable[[bytes], None],
        *,
        sample_rate_hz: float | None,
        channels: Sequence[int] | None,
    ) -> StreamFormat:
        """Subscribe and start; all three colours come, whatever is asked for."""
        if channels is not None and sorted(channels) != [0, 1, 2]:
            raise ProtocolError(
                "an OpenRing streams all its channels, 0..2; choose one of them with "
                "`fingerprints(channel=...)`"
            )
        rate_hz = chosen_rate(self.info.rates_hz, sample_rate_hz, PPG.rate_hz)
        room = longest_value(self._link.mtu(ring.RING_WRITE_UUID))
        if room < _SMALLEST_VALUE:
            raise ProtocolError(
                f"a ring's frame has at least {_SMALLEST_VALUE} bytes, the link's MTU "
                f"leaves {room}"
            )
        self._on_payload = on_payload
        self._index.new_link()
        if not self._is_subscribed:
            await self._link.subscribe(ring.RING_NOTIFY_UUID, "ring", self._hand_over)
            self._is_subscribed = True
        start = ring.RingStart(next(self._frame_ids), rate_hz=round(rate_hz))
        await self._write("start", start)
        # Nobody says what a count of acceleration is.
        motion = MotionFormat(rate_hz, counts_per_g=None)
        return StreamFormat(rate_hz, _CHANNELS, dark_counts=_DARK_COUNTS, motion=motion)

    async def stop(self) -> None:
        """Stop the measurement and the subscription."""
        self._on_payload = None
        await self._write("stop", ring.RingStop(next(self._frame_ids)))
        if self._is_subscribed:
            await self._link.unsubscribe(ring.RING_NOTIFY_UUID, "ring")
            self._is_subscribed = False

    def decode(self, payload: bytes) -> PlacedFrame:
        """Decode a notification and place it by its number; after a lost link, by time."""
        frame = ring.RingFrame.from_bytes(payload)
        last_s = frame.time_ms * 1e-3
        first = self._index.by_sequence(len(frame.counts), frame.sequence, last_s=last_s)
        return PlacedFrame.timed(
            frame.counts,
            first,
            last_s=last_s,
            period_s=self._index.period_s,
            frame=frame,
            acceleration=frame.acceleration,
        )

    async def _write(self, name: str, request: ring.RingStart | ring.RingStop) -> None:
        await self._link.write(
            ring.RING_WRITE_UUID, name, request.to_bytes(), response=None
        )

    def _hand_over(self, payload: bytes) -> None:
        # Progress and responses come on the same characteristic.
        if self._on_payload is not None and ring.is_ring_frame(payload):
            self._on_payload(payload)


OPENRING = Personality("openring", ring.RING_SERVICE_UUID, OpenRingDriver)
"""Rings with the firmware that the OpenRing app speaks to."""

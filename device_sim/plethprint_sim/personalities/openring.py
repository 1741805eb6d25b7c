"""A virtual OpenRing: three colours, movement, temperature, a counter and a clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from bumble.device import Connection

from plethprint.ble import openring_profile as ring
from plethprint.ble.frame import longest_value
from plethprint.errors import ControlError
from plethprint_sim.accelerometer import Accelerometer
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.gatt import RequestService
from plethprint_sim.link_pump import Output
from plethprint_sim.optics import Optics
from plethprint_sim.plain_peripheral import PlainFirmware, PlainLink, PlainPeripheral
from plethprint_sim.sensor import PpgSource, SampleBlock
from plethprint_sim.transmit_buffer import TransmitBuffer

__all__ = ["OpenRingFirmware", "VirtualOpenRing"]

_GAINS = (1.0, 0.7, 0.9)  # green, red, infrared
_BITS = 24
_FRAME_SAMPLES = 7
_SET_ON_2025_01_01_S = 1_735_689_600  # Unix time to which its clock was set
_COUNTS_PER_G = 4096.0  # no host knows it


class OpenRingFirmware(PlainFirmware):
    """Requests, counter, clock and buffer of a ring, from power-on to power-off."""

    def __init__(self, optics: Optics, clock: DeviceClock, buffer_s: float) -> None:
        # Counts are unsigned.
        block_s = _FRAME_SAMPLES / ring.RING_RATE_HZ
        super().__init__(optics, clock, bits=_BITS + 1, block_s=block_s)
        self._accelerometer = Accelerometer(
            optics, optics.sample_rate_hz, counts_per_g=_COUNTS_PER_G
        )
        self._buffer = TransmitBuffer[bytes](round(buffer_s * ring.RING_RATE_HZ))
        self._sequence = 0
        self._longest = 0
        self._frame_id = 0

    def answer(self, value: bytes, mtu: int) -> bytes | None:
        """Carry out a request; return the response, None when there is none."""
        try:
            request = ring.ring_request_from_bytes(value)
        except ControlError:
            return None
        if isinstance(request, ring.RingStop):
            self.switch_off()
            return bytes([0, request.frame_id, 0x3C, 0x04])
        self._longest = longest_value(mtu)
        self._frame_id = request.frame_id
        self._sequence = 0
        self._buffer.clear()
        self._begin()
        self._is_streaming = request.tells_samples
        # How far it is, in percent.
        return (
            bytes([0, request.frame_id, 0x3C, 0xFF, 0]) if request.tells_progress else None
        )

    def next_frame(self, longest_bytes: int) -> bytes | None:
        """Take the next frame to notify, None when there is none."""
        leaving = self._buffer.take(longest_bytes)
        return None if leaving is None else leaving.frame

    def switch_off(self) -> None:
        """Stop; the clocks run on."""
        super().switch_off()
        self._buffer.clear()

    def _on_block(self, block: SampleBlock) -> None:
        late = max(0, self._from - block.first_index)
        fitting = (self._longest - ring.RING_HEADER_BYTES) // ring.RING_SAMPLE_BYTES
        if fitting < 1:
            return
        for at in range(late, len(block.counts), fitting):
            self._pack(block, slice(at, at + fitting))
        self.on_output()

    def _pack(self, block: SampleBlock, part: slice) -> None:
        counts = block.counts[part]
        first = block.first_index + part.start
        last = first + len(counts) - 1
        device_s = self._clock.device_time_s(self._clock.host_time_s(last))
        frame = ring.RingFrame(
            self._sequence,
            round((_SET_ON_2025_01_01_S + device_s) * 1000),
            counts,
            acceleration=self._accelerometer.counts(first, len(counts)),
            temperature=np.full((len(counts), 3), 3300),
            frame_id=self._frame_id,
        ).to_bytes()
        self._sequence = (self._sequence + 1) % (1 << 8)
        self._buffer.put(frame, samples=len(counts), size_bytes=len(frame))


class VirtualOpenRing(PlainPeripheral[RequestService, OpenRingFirmware]):
    """A ring as the OpenRing app knows it, and the SIG's usual services beside.

    Parameters
    ----------
    source : PpgSource
        What its sensor sees, at 25 Hz.
    name : str
        Advertised name.
    polarity : {1, -1}
        -1 for raw reflectance: the more blood, the fewer counts.
    buffer_s : float
        Depth of the transmit buffer.
    **options
        Further arguments of `Peripheral`.

    Raises
    ------
    ValueError
        The source has another rate than 25 Hz.
    """

    def __init__(
        self,
        source: PpgSource,
        *,
        name: str = "Ring-01",
        polarity: int = -1,
        buffer_s: float = 2.0,
        **options: Any,
    ) -> None:
        if source.sample_rate_hz != ring.RING_RATE_HZ:
            raise ValueError(
                f"a ring samples at {ring.RING_RATE_HZ:g} Hz, not {source.sample_rate_hz:g}"
            )
        self._buffer_s = buffer_s
        self.optics = Optics(source, gains=_GAINS, bits=_BITS + 1, polarity=polarity)
        """What the converter gives: the truth to which a received stream is held."""
        super().__init__(
            source,
            name=name,
            services=(ring.RING_SERVICE_UUID,),
            model_number="virtual OpenRing",
            **options,
        )

    def _boot(self, clock: DeviceClock) -> OpenRingFirmware:
        return OpenRingFirmware(self.optics, clock, self._buffer_s)

    def _service(self) -> RequestService:
        return RequestService(
            ring.RING_SERVICE_UUID,
            ring.RING_WRITE_UUID,
            ring.RING_NOTIFY_UUID,
            self._on_write,
        )

    def _link(self, connection: Connection) -> OpenRingLink:
        return OpenRingLink(
            connection, self._attributes, self.device_firmware, self._heart_rate
        )


class OpenRingLink(PlainLink[RequestService, OpenRingFirmware]):
    """One host of a virtual ring."""

    _response: bytes | None = None

    def on_write(self, value: bytes) -> None:
        """Take a request."""
        self._response = self._firmware.answer(value, self.connection.att_mtu)
        self.wake()

    def next_output(self) -> Output | None:
        """Give responses first, then frames."""
        notes = self._service.notes
        if not self.takes(notes):
            return None
        response, self._response = self._response, None
        longest = longest_value(self.connection.att_mtu)
        value = response or self._firmware.next_frame(longest)
        return None if value is None else (notes, value)

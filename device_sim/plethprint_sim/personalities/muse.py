"""A virtual Muse headband: three PPG characteristics, one counter, no clock."""

from __future__ import annotations

from collections import deque
from typing import Any

from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, Service

from plethprint.ble import muse_profile as muse
from plethprint.errors import ControlError
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.gatt import OnWrite, notified, written
from plethprint_sim.heart_rate import HeartRate
from plethprint_sim.link_pump import Output
from plethprint_sim.motion_sensor import MotionSensor
from plethprint_sim.optics import Optics
from plethprint_sim.plain_peripheral import PlainFirmware, PlainLink, PlainPeripheral
from plethprint_sim.sensor import PpgSource, SampleBlock
from plethprint_sim.transmit_buffer import TransmitBuffer

__all__ = ["MuseFirmware", "VirtualMuse"]

_GAINS = (0.0, 1.0, 0.85)  # ambient, infrared, red
_BITS = 20  # what clients see fits into 20 bits; the field has 24
_ACCEPTED = b'{"rc":0}'
_REFUSED = b'{"rc":1}'


class MuseFirmware(PlainFirmware):
    """Commands, counter and buffer of a Muse, from power-on to power-off."""

    def __init__(
        self, optics: Optics, clock: DeviceClock, presets: tuple[str, ...], buffer_s: float
    ) -> None:
        # Counts are unsigned.
        block_s = muse.MUSE_SAMPLES / muse.MUSE_RATE_HZ
        super().__init__(optics, clock, bits=25, block_s=block_s)
        self.keep_alives = 0
        """Times the host asked to be kept."""
        self.motion = MotionSensor(
            optics,
            clock,
            rate_hz=muse.MUSE_ACCELERATION_RATE_HZ,
            counts_per_g=muse.MUSE_COUNTS_PER_G,
            block_s=muse.MUSE_ACCELERATION_SAMPLES / muse.MUSE_ACCELERATION_RATE_HZ,
            buffer_s=buffer_s,
            pack=self._on_motion_block,
        )
        """Its accelerometer."""
        self._motion_sequence = 0
        self._presets = presets
        self._buffer = TransmitBuffer[muse.MuseFrame](round(buffer_s * muse.MUSE_RATE_HZ))
        self._preset = ""
        self._sequence = 0

    def answer(self, value: bytes) -> bytes:
        """Carry out a command; return the reply's text."""
        try:
            command = muse.command_from_bytes(value)
        except ControlError:
            return _REFUSED
        if command == "d" and self._preset:
            self._sequence = 0
            self._buffer.clear()
            self._begin()
            self.motion.switch_on()
        elif command == "h":
            self.switch_off()
        elif command == "k":
            self.keep_alives += 1
        elif command in self._presets:
            self._preset = command
        else:
            return _REFUSED
        return _ACCEPTED

    def next_frame(self) -> muse.MuseFrame | None:
        """Take the next frame to notify, None when there is none."""
        leaving = self._buffer.take(muse.MUSE_PACKET_BYTES)
        return None if leaving is None else leaving.frame

    def switch_off(self) -> None:
        """Halt; the clocks run on."""
        super().switch_off()
        self._buffer.clear()
        self.motion.switch_off()

    def _on_motion_block(self, block: SampleBlock) -> None:
        if len(block.counts) < muse.MUSE_ACCELERATION_SAMPLES:
            return
        frame = muse.MuseAcceleration(self._motion_sequence, block.counts).to_bytes()
        self._motion_sequence = (self._motion_sequence + 1) % (1 << 16)
        self.motion.put(frame, samples=len(block.counts))
        self.on_output()

    def _on_block(self, block: SampleBlock) -> None:
        # The block under way at the start holds samples from before it; a last one may
        # be short. Notifications are whole, or not at all.
        if block.first_index < self._from or len(block.counts) < muse.MUSE_SAMPLES:
            return
        frame = muse.MuseFrame(self._sequence, block.counts)
        self._sequence = (self._sequence + 1) % (1 << 16)
        size = muse.MUSE_PACKET_BYTES
        self._buffer.put(frame, samples=muse.MUSE_SAMPLES, size_bytes=size)
        self.on_output()


class MuseService(Service):
    """Control, the three PPG characteristics and the accelerometer's."""

    def __init__(self, on_control: OnWrite) -> None:
        properties = Characteristic.Properties
        self.control = written(
            muse.MUSE_CONTROL_UUID,
            properties.WRITE_WITHOUT_RESPONSE | properties.NOTIFY,
            on_control,
        )
        """Commands in, replies out."""
        self.ppg = [notified(uuid) for uuid in muse.MUSE_PPG_UUIDS]
        """Samples out, a characteristic for each channel."""
        self.motion = notified(muse.MUSE_ACCELERATION_UUID)
        """Acceleration out."""
        super().__init__(
            UUID(muse.MUSE_SERVICE_UUID), [self.control, *self.ppg, self.motion]
        )


class VirtualMuse(PlainPeripheral[MuseService, MuseFirmware]):
    """A Muse with PPG, and the SIG's usual services beside.

    Parameters
    ----------
    source : PpgSource
        What its sensor sees, at 64 Hz.
    name : str
        Advertised name.
    presets : tuple of str
        Presets with PPG that it knows.
    polarity : {1, -1}
        -1 for raw reflectance: the more blood, the fewer counts.
    buffer_s : float
        Depth of the transmit buffer.
    **options
        Further arguments of `Peripheral`.

    Raises
    ------
    ValueError
        The source has another rate than 64 Hz.
    """

    def __init__(
        self,
        source: PpgSource,
        *,
        name: str = "Muse-0A1B",
        presets: tuple[str, ...] = ("p50", "p61"),
        polarity: int = -1,
        buffer_s: float = 1.0,
        **options: Any,
    ) -> None:
        if source.sample_rate_hz != muse.MUSE_RATE_HZ:
            raise ValueError(
                f"a Muse samples at {muse.MUSE_RATE_HZ:g} Hz, not {source.sample_rate_hz:g}"
            )
        self._presets, self._buffer_s = presets, buffer_s
        self.optics = Optics(source, gains=_GAINS, bits=_BITS + 1, polarity=polarity)
        """What the converter gives: the truth to which a received stream is held."""
        super().__init__(
            source,
            name=name,
            services=(muse.MUSE_SERVICE_UUID,),
            manufacturer="InteraXon",
            model_number="virtual Muse 2",
            **options,
        )

    def _boot(self, clock: DeviceClock) -> MuseFirmware:
        return MuseFirmware(self.optics, clock, self._presets, self._buffer_s)

    def _service(self) -> MuseService:
        return MuseService(self._on_write)

    def _link(self, connection: Connection) -> MuseLink:
        return MuseLink(
            connection, self._attributes, self.device_firmware, self._heart_rate
        )


class MuseLink(PlainLink[MuseService, MuseFirmware]):
    """One host of a virtual Muse."""

    def __init__(
        self,
        connection: Connection,
        service: MuseService,
        firmware: MuseFirmware,
        heart_rate: HeartRate,
    ) -> None:
        self._waiting: deque[Output] = deque()  # what is left of a frame, and replies
        super().__init__(connection, service, firmware, heart_rate)

    def on_write(self, value: bytes) -> None:
        """Take a command; the reply goes out in pieces of 20 bytes at most."""
        text = self._firmware.answer(value)
        if self.takes(self._service.control):
            for at in range(0, len(text), 19):
                piece = text[at : at + 19]
                self._waiting.append((self._service.control, bytes([len(piece)]) + piece))
        self.wake()

    def next_output(self) -> Output | None:
        """Give replies first, then the channels of one frame after the other."""
        if not self._waiting and (frame := self._firmware.next_frame()) is not None:
            pairs = zip(self._service.ppg, frame.packets(), strict=True)
            self._waiting.extend(pair for pair in pairs if self.takes(pair[0]))
        if self._waiting:
            return self._waiting.popleft()
        if not self.takes(self._service.motion):
            return None
        packet = self._firmware.motion.next_packet(muse.MUSE_PACKET_BYTES)
        return None if packet is None else (self._service.motion, packet)

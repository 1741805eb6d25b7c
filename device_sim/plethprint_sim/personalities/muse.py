"""A virtual Muse headband: three PPG characteristics, one counter, no clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

from plethprint.ble import muse_profile as muse
from plethprint.errors import ControlError
from plethprint_sim.accelerometer import Accelerometer
from plethprint_sim.advertisement import advertisement
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.heart_rate import HeartRate
from plethprint_sim.link_pump import LinkPump, Output
from plethprint_sim.optics import Optics
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.sampling import Sampling
from plethprint_sim.sensor import PpgSource, SampleBlock
from plethprint_sim.transmit_buffer import TransmitBuffer

__all__ = ["MuseFirmware", "VirtualMuse"]

_GAINS = (0.0, 1.0, 0.85)  # ambient, infrared, red
_BITS = 20  # what clients see fits into 20 bits; the field has 24
_ACCEPTED = b'{"rc":0}'
_REFUSED = b'{"rc":1}'


class MuseFirmware:
    """Commands, counter and buffer of a Muse, from power-on to power-off."""

    def __init__(
        self, optics: Optics, clock: DeviceClock, presets: tuple[str, ...], buffer_s: float
    ) -> None:
        self.on_output: Callable[[], None] = lambda: None
        self.keep_alives = 0
        """Times the host asked to be kept."""
        self._presets = presets
        self.sampling = Sampling(
            optics,
            clock,
            bits=25,  # counts are unsigned
            block_s=muse.MUSE_SAMPLES / muse.MUSE_RATE_HZ,
            on_block=self._on_block,
            on_end=self._halt,
        )
        """Its front end."""
        self.motion_sampling = Sampling(
            Accelerometer(
                optics,
                muse.MUSE_ACCELERATION_RATE_HZ,
                counts_per_g=muse.MUSE_COUNTS_PER_G,
            ),
            clock.with_samples_of_its_own(),
            bits=16,
            block_s=muse.MUSE_ACCELERATION_SAMPLES / muse.MUSE_ACCELERATION_RATE_HZ,
            on_block=self._on_motion_block,
            on_end=lambda: None,
        )
        """Its accelerometer."""
        self._motion = TransmitBuffer[bytes](
            round(buffer_s * muse.MUSE_ACCELERATION_RATE_HZ)
        )
        self._motion_sequence = 0
        self._buffer = TransmitBuffer[muse.MuseFrame](round(buffer_s * muse.MUSE_RATE_HZ))
        self._preset = ""
        self._is_streaming = False
        self._from = 0
        self._sequence = 0

    @property
    def is_streaming(self) -> bool:
        """Whether it streams."""
        return self._is_streaming

    def answer(self, value: bytes) -> bytes:
        """Carry out a command; return the reply's text."""
        try:
            command = muse.command_from_bytes(value)
        except ControlError:
            return _REFUSED
        if command == "d" and self._preset:
            self._sequence = 0
            self._buffer.clear()
            now_s = asyncio.get_running_loop().time()
            self._from = self.sampling.switch_on(now_s)
            self.motion_sampling.switch_on(now_s)
            self._is_streaming = True
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

    def next_motion(self) -> bytes | None:
        """Take the next notification of the accelerometer, None when there is none."""
        leaving = self._motion.take(muse.MUSE_PACKET_BYTES)
        return None if leaving is None else leaving.frame

    def switch_off(self) -> None:
        """Halt; the clocks run on."""
        self._halt()
        self._buffer.clear()
        self._motion.clear()
        self.sampling.switch_off()
        self.motion_sampling.switch_off()

    def _halt(self) -> None:
        self._is_streaming = False

    def _on_motion_block(self, block: SampleBlock) -> None:
        if len(block.counts) < muse.MUSE_ACCELERATION_SAMPLES:
            return
        frame = muse.MuseAcceleration(self._motion_sequence, block.counts).to_bytes()
        self._motion_sequence = (self._motion_sequence + 1) % (1 << 16)
        self._motion.put(frame, samples=len(block.counts), size_bytes=len(frame))
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


class VirtualMuse(Peripheral):
    """A Muse with PPG, and the SIG's usual services beside.

    Parameters
    ----------
    source : PpgSource
        What its sensor sees, at 64 Hz.
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
        name = options.pop("name", "Muse-0A1B")
        super().__init__(
            source,
            name=name,
            advertisement=advertisement(name, (muse.MUSE_SERVICE_UUID,)),
            manufacturer="InteraXon",
            model_number="virtual Muse 2",
            **options,
        )

    @property
    def device_firmware(self) -> MuseFirmware:
        """The running firmware.

        Raises
        ------
        RuntimeError
            The wearable is not switched on.
        """
        return cast("MuseFirmware", self._booted())

    def _boot(self, clock: DeviceClock) -> MuseFirmware:
        return MuseFirmware(self.optics, clock, self._presets, self._buffer_s)

    def _service(self) -> MuseService:
        return MuseService(
            lambda link, value: cast("MuseLink", self._pump_of(link)).on_control(value)
        )

    def _link(self, connection: Connection) -> MuseLink:
        service = cast("MuseService", self._own_service)
        return MuseLink(connection, service, self.device_firmware, self._heart_rate)


class MuseService(Service):
    """Control, the three PPG characteristics and the accelerometer's."""

    def __init__(self, on_control: Callable[[Connection, bytes], None]) -> None:
        properties, permissions = Characteristic.Properties, Characteristic.Permissions
        self.control: Characteristic[bytes] = Characteristic(
            UUID(muse.MUSE_CONTROL_UUID),
            properties.WRITE_WITHOUT_RESPONSE | properties.NOTIFY,
            permissions.WRITEABLE,
            CharacteristicValue(write=on_control),
        )
        """Commands in, replies out."""
        self.ppg: list[Characteristic[bytes]] = [
            Characteristic(UUID(uuid), properties.NOTIFY, permissions(0), b"")
            for uuid in muse.MUSE_PPG_UUIDS
        ]
        """Samples out, a characteristic for each channel."""
        self.motion: Characteristic[bytes] = Characteristic(
            UUID(muse.MUSE_ACCELERATION_UUID), properties.NOTIFY, permissions(0), b""
        )
        """Acceleration out."""
        super().__init__(
            UUID(muse.MUSE_SERVICE_UUID), [self.control, *self.ppg, self.motion]
        )


class MuseLink(LinkPump):
    """One host of a virtual Muse."""

    def __init__(
        self,
        connection: Connection,
        service: MuseService,
        firmware: MuseFirmware,
        heart_rate: HeartRate,
    ) -> None:
        self._service = service
        self._firmware = firmware
        self._waiting: deque[Output] = deque()  # what is left of a frame, and replies
        super().__init__(connection, heart_rate)
        firmware.on_output = self.wake

    def close(self) -> None:
        """Let go of a link that is gone; a Muse halts."""
        super().close()
        self._firmware.on_output = lambda: None
        self._firmware.switch_off()

    def on_control(self, value: bytes) -> None:
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
        motion = self._service.motion
        if self.takes(motion) and (packet := self._firmware.next_motion()) is not None:
            return motion, packet
        return None

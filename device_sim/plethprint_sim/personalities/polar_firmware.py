"""What a virtual Polar wearable does, without the Bluetooth around it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.ble import polar_profile as pmd
from plethprint.ble.frame import longest_value
from plethprint.errors import ControlError
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.motion_sensor import MotionSensor
from plethprint_sim.plain_peripheral import PlainFirmware
from plethprint_sim.sensor import PpgSource, SampleBlock
from plethprint_sim.transmit_buffer import TransmitBuffer

__all__ = ["PolarFirmware", "PolarModel", "SourceOfRate"]

SourceOfRate = Callable[[int], PpgSource]
"""What the sensor sees at a rate, Hz."""

_PPG, _SDK = pmd.PmdMeasurement.PPG, pmd.PmdMeasurement.SDK_MODE
_ACC = pmd.PmdMeasurement.ACCELERATION
_S = pmd.PmdStatus
_SET_ON_2025_01_01_S = 788_918_400  # seconds since 2000-01-01: when its clock was set
_FACTOR = struct.unpack("<I", struct.pack("<f", 1.0))[0]


@dataclass(frozen=True)
class PolarModel:
    """One kind of Polar wearable."""

    name: str
    """How its name begins."""
    frame_type: int
    """Type of its PPG frames."""
    compressed: bool
    """Whether they travel as differences."""
    resolution: int
    """Bits of a count."""
    rates_hz: tuple[int, ...]
    """Rates on offer."""
    sdk_rates_hz: tuple[int, ...] = ()
    """Rates on offer in SDK mode; none when it has no such mode."""
    motion_hz: int = 52
    """Rate of its accelerometer; 0 for one that keeps it to itself."""
    motion_frame_s: float = 0.7
    """Time that a frame of acceleration covers."""

    @property
    def channels(self) -> int:
        """Channels of a frame."""
        return len(pmd.LAYOUTS[self.frame_type].kinds)


class PolarFirmware(PlainFirmware):
    """Control point, frames and buffer of a Polar wearable, from power-on to power-off.

    Parameters
    ----------
    model : PolarModel
        What it is.
    source_of : callable
        Source of samples for a rate; its channels are those of the model.
    clock : DeviceClock
        The device's crystal.
    frame_s : float
        Time that a frame covers, as far as the MTU allows.
    buffer_s : float
        Depth of the transmit buffer.
    """

    def __init__(
        self,
        model: PolarModel,
        source_of: SourceOfRate,
        clock: DeviceClock,
        *,
        frame_s: float,
        buffer_s: float,
    ) -> None:
        first = source_of(model.rates_hz[0])
        super().__init__(first, clock, bits=model.resolution, block_s=frame_s)
        self.model = model
        self._source_of = source_of
        self.motion = MotionSensor(
            first,
            clock,
            rate_hz=model.motion_hz or 1,
            counts_per_g=1e3,
            block_s=model.motion_frame_s,
            buffer_s=buffer_s,
            pack=self._on_motion_block,
        )
        """Its accelerometer."""
        self._is_moving_on = False
        most_hz = max(model.rates_hz + model.sdk_rates_hz)
        self._buffer = TransmitBuffer[bytes](round(buffer_s * most_hz))
        self._is_sdk_mode = False
        self._longest = 0

    @property
    def features(self) -> set[pmd.PmdMeasurement]:
        """What it can do."""
        sdk = {_SDK} if self.model.sdk_rates_hz else set()
        return {_PPG} | sdk | ({_ACC} if self.model.motion_hz else set())

    def answer(self, value: bytes, mtu: int) -> pmd.PmdResponse:
        """Carry out one request and say how it went."""
        measurement = value[1] if len(value) > 1 else 0
        try:
            request = pmd.PmdRequest.from_bytes(value)
        except ControlError as error:
            return pmd.PmdResponse(error.opcode, measurement, error.status)
        if request.measurement not in self.features:
            status, parameters = _S.ERROR_NOT_SUPPORTED, b""
        elif request.measurement is _SDK:
            status, parameters = self._sdk_mode(request.opcode), b""
        elif request.measurement is _ACC:
            status, parameters = self._acceleration(request)
        elif request.opcode is pmd.PmdOpcode.START:
            status, parameters = self._start(request.settings, mtu)
        elif request.opcode is pmd.PmdOpcode.STOP:
            status, parameters = self._stop(), b""
        else:
            sdk = self._is_sdk_mode or request.opcode is not pmd.PmdOpcode.GET_SETTINGS
            status, parameters = _S.SUCCESS, self._on_offer(sdk)
        return pmd.PmdResponse(request.opcode, measurement, status, parameters)

    def _acceleration(self, request: pmd.PmdRequest) -> tuple[pmd.PmdStatus, bytes]:
        on_offer: pmd.PmdSettings = {
            pmd.PmdSetting.SAMPLE_RATE: (self.model.motion_hz,),
            pmd.PmdSetting.RESOLUTION: (16,),
            pmd.PmdSetting.RANGE: (8,),
            pmd.PmdSetting.CHANNELS: (3,),
        }
        starts = request.opcode is pmd.PmdOpcode.START
        if starts or request.opcode is pmd.PmdOpcode.STOP:
            if starts == self._is_moving_on:
                return _S.ERROR_ALREADY_IN_STATE, b""
            if starts and request.settings != on_offer:
                return _S.ERROR_INVALID_PARAMETER, b""
            self._switch_motion(starts)
            return _S.SUCCESS, b""
        offer = pmd.PmdRequest(pmd.PmdOpcode.START, _ACC, on_offer)
        return _S.SUCCESS, offer.to_bytes()[2:]

    def _switch_motion(self, on: bool) -> None:
        self._is_moving_on = on
        if on:
            self.motion.switch_on()
        else:
            self.motion.switch_off()

    def _on_motion_block(self, block: SampleBlock) -> None:
        late = max(0, self.motion.first_index - block.first_index)
        if late >= len(block.counts):
            return
        last = block.first_index + len(block.counts) - 1
        timestamp_ns = _timestamp_ns(self.motion.sampling.clock, last)
        frame = pmd.PmdAcceleration(timestamp_ns, 1, block.counts[late:], compressed=True)
        self.motion.put(frame.to_bytes(), samples=len(block.counts) - late)
        self.on_output()

    def _rates_hz(self, sdk: bool) -> tuple[int, ...]:
        return (sdk and self.model.sdk_rates_hz) or self.model.rates_hz

    def _on_offer(self, sdk: bool) -> bytes:
        settings: pmd.PmdSettings = {
            pmd.PmdSetting.SAMPLE_RATE: self._rates_hz(sdk),
            pmd.PmdSetting.RESOLUTION: (self.model.resolution,),
            pmd.PmdSetting.CHANNELS: (self.model.channels,),
        }
        return pmd.PmdRequest(pmd.PmdOpcode.START, _PPG, settings).to_bytes()[2:]

    def _sdk_mode(self, opcode: pmd.PmdOpcode) -> pmd.PmdStatus:
        if opcode not in (pmd.PmdOpcode.START, pmd.PmdOpcode.STOP):
            return _S.ERROR_NOT_SUPPORTED
        wanted = opcode is pmd.PmdOpcode.START
        if wanted == self._is_sdk_mode:
            return _S.ERROR_ALREADY_IN_STATE
        if self._is_streaming:
            return _S.ERROR_INVALID_STATE
        self._is_sdk_mode = wanted
        return _S.SUCCESS

    def _start(self, settings: pmd.PmdSettings, mtu: int) -> tuple[pmd.PmdStatus, bytes]:
        if self._is_streaming:
            return _S.ERROR_ALREADY_IN_STATE, b""
        rates = settings.get(pmd.PmdSetting.SAMPLE_RATE, ())
        if len(rates) != 1 or rates[0] not in self._rates_hz(self._is_sdk_mode):
            return _S.ERROR_INVALID_SAMPLE_RATE, b""
        if settings.get(pmd.PmdSetting.RESOLUTION) != (self.model.resolution,):
            return _S.ERROR_INVALID_RESOLUTION, b""
        if settings.get(pmd.PmdSetting.CHANNELS) != (self.model.channels,):
            return _S.ERROR_INVALID_NUMBER_OF_CHANNELS, b""
        columns = pmd.LAYOUTS[self.model.frame_type].columns
        if longest_value(mtu) < pmd.PMD_HEADER_BYTES + 3 * columns:
            return _S.ERROR_INVALID_MTU, b""
        self._longest = longest_value(mtu)
        if rates[0] != self.sampling.rate_hz:
            self.sampling.retune(self._source_of(rates[0]))
        self._buffer.clear()
        self._begin()
        factor: pmd.PmdSettings = {pmd.PmdSetting.FACTOR: (_FACTOR,)}
        return _S.SUCCESS, pmd.PmdRequest(pmd.PmdOpcode.START, _PPG, factor).to_bytes()[2:]

    def _stop(self) -> pmd.PmdStatus:
        if not self._is_streaming:
            return _S.ERROR_ALREADY_IN_STATE
        self._stop_ppg()
        return _S.SUCCESS

    def _on_block(self, block: SampleBlock) -> None:
        # The block under way at START holds samples from before it.
        late = max(0, self._from - block.first_index)
        if late < len(block.counts):
            self._pack(block.counts[late:], block.first_index + late)
        self.on_output()

    def _pack(self, counts: npt.NDArray[np.int32], first_index: int) -> None:
        """Make a frame, or several when one would not fit the link."""
        has_status = pmd.LAYOUTS[self.model.frame_type].has_status
        frame = pmd.PmdFrame(
            timestamp_ns=_timestamp_ns(self._clock, first_index + len(counts) - 1),
            frame_type=self.model.frame_type,
            counts=counts,
            status=np.zeros(len(counts), np.int32) if has_status else None,
            compressed=self.model.compressed,
        ).to_bytes()
        if len(frame) > self._longest and len(counts) > 1:
            half = len(counts) // 2
            self._pack(counts[:half], first_index)
            self._pack(counts[half:], first_index + half)
            return
        self._buffer.put(frame, samples=len(counts), size_bytes=len(frame))

    def next_frame(self, longest_bytes: int) -> bytes | None:
        """Take the next frame to notify, None when there is none."""
        leaving = self._buffer.take(longest_bytes)
        return leaving.frame if leaving else self.motion.next_packet(longest_bytes)

    def on_link_lost(self) -> None:
        """Nobody listens any more: the stream ends, and SDK mode with it."""
        self.switch_off()
        self._is_sdk_mode = False

    def switch_off(self) -> None:
        """Stop both streams; the clocks run on."""
        self._switch_motion(False)
        self._stop_ppg()

    def _stop_ppg(self) -> None:
        super().switch_off()
        self._buffer.clear()


def _timestamp_ns(clock: DeviceClock, index: int) -> int:
    """Nanoseconds since 2000-01-01 on the device, when sample `index` was taken."""
    since_power_on_s = clock.device_time_s(clock.host_time_s(index))
    return round((_SET_ON_2025_01_01_S + since_power_on_s) * 1e9)

"""What the firmware of a virtual wearable does, without the Bluetooth around it.

Control point, sample clock, frames, transmit buffer, self-test and on-device fingerprints:
a reference of the device's side of ``docs/ble-profile.md``. `plethprint_sim.wearable` puts
it behind a GATT server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from plethprint.ble import open_profile as profile
from plethprint.errors import ControlError
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.sampling import Sampling
from plethprint_sim.self_test_service import (
    DeviceChecker,
    DeviceEncoder,
    SelfTestService,
)
from plethprint_sim.sensor import PpgSource, SampleBlock
from plethprint_sim.transmit_buffer import TransmitBuffer

__all__ = ["DeviceFingerprinter", "Firmware", "Subscriptions"]

_FINGERPRINTS_KEPT = 16
_FINGERPRINT_FIXED_BYTES = 41  # header and checksum of `plethprint.Fingerprint.to_bytes`
_CAPABILITIES_FIXED_BYTES = 6
_HOP_MS = range(100, 60_001)
_Status = profile.ControlStatus


class DeviceFingerprinter(Protocol):
    """Fingerprints on the device; `plethprint.Fingerprinter` is one."""

    def stream(
        self, sample_rate_hz: float, *, hop_s: float, polarity: int, start: float
    ) -> Any:
        """Open a stream with ``push(samples) -> list[Fingerprint]``."""


@dataclass(frozen=True)
class Subscriptions:
    """What the firmware knows about the link a request came over."""

    mtu: int
    """ATT MTU, bytes."""
    ppg: bool
    """Whether the host takes PPG notifications."""
    fingerprint: bool
    """Whether the host takes fingerprint notifications."""


class Firmware:
    """State of the device, from power-on to power-off.

    Parameters
    ----------
    source : PpgSource
        What the sensor sees.
    info : profile.Info
        What the device says about itself; channels, rate, bits and buffer are obeyed.
    clock : DeviceClock
        The device's crystal.
    encoder, fingerprinter, checker : optional
        Answer self-tests, make fingerprints on the device, check the whole firmware.
    frame_s : float
        Time that a frame covers, as far as the MTU allows.
    encode_time_s : float
        Time that the microcontroller takes for a window.
    """

    def __init__(
        self,
        source: PpgSource,
        info: profile.Info,
        clock: DeviceClock,
        *,
        encoder: DeviceEncoder | None = None,
        fingerprinter: DeviceFingerprinter | None = None,
        checker: DeviceChecker | None = None,
        frame_s: float = 0.125,
        encode_time_s: float = 0.04,
    ) -> None:
        self.info = info
        self.on_output: Callable[[], None] = lambda: None
        self.sampling = Sampling(
            source,
            clock,
            bits=info.bits,
            block_s=frame_s,
            on_block=self._on_block,
            on_end=self._on_sampling_end,
        )
        """Its front end."""
        self.clock = clock
        """Its crystal: when which sample is taken."""
        rate_hz = self.sampling.rate_hz
        self._fingerprinter = fingerprinter
        self._buffer = TransmitBuffer[profile.PpgFrame](
            max(1, round(info.buffer_ms / 1000 * rate_hz))
        )
        self._fingerprints: deque[bytes] = deque(maxlen=_FINGERPRINTS_KEPT)
        self._self_test = SelfTestService(encoder, checker, encode_time_s)
        self._linger: asyncio.TimerHandle | None = None
        self._channel_mask = 0  # of the stream, 0 when idle
        self._frame_samples = 1
        self._stream_from = 0
        self._sequence = 0
        # What was asked for on this very link: nothing else is sent on it.
        self._sends_ppg = self._sends_fingerprints = False
        self._fingerprint_stream: Any = None
        self._hop_ms = 0  # of that stream
        self._fingerprints_from = 0
        self._unix_offset_s: float | None = None

    @property
    def exhausted(self) -> asyncio.Event:
        """Set once the source has ended or failed."""
        return self.sampling.exhausted

    @property
    def is_streaming(self) -> bool:
        """Whether the PPG stream runs."""
        return bool(self._channel_mask)

    @property
    def is_fingerprinting(self) -> bool:
        """Whether it makes fingerprints."""
        return self._fingerprint_stream is not None

    # The control point.

    def answer(self, value: bytes, link: Subscriptions) -> profile.ControlResponse:
        """Carry out one request and say how it went."""
        try:
            request = profile.ControlRequest.from_bytes(value)
        except ControlError as error:
            return profile.ControlResponse(error.opcode, _Status(error.status))
        now_s = asyncio.get_running_loop().time()
        flags = profile.StreamFlags(0)
        status = _Status.OK
        if request.opcode is profile.Opcode.CAPABILITIES:
            return self._capabilities(request, link)
        if request.opcode is profile.Opcode.START:
            status, flags = self._start(request, link, now_s)
        elif request.opcode is profile.Opcode.STOP:
            self._stop_stream()
        elif request.opcode is profile.Opcode.START_FINGERPRINTS:
            status, flags = self._start_fingerprints(request, link, now_s)
        elif request.opcode is profile.Opcode.STOP_FINGERPRINTS:
            self._stop_fingerprints()
        elif request.opcode is profile.Opcode.SET_TIME:
            device_s = self.clock.device_time_s(now_s)
            self._unix_offset_s = request.unix_time_us * 1e-6 - device_s
        if status is not _Status.OK:
            return profile.ControlResponse(request.opcode, status)
        return profile.ControlResponse(
            request.opcode, status, state=self._state(flags, now_s)
        )

    def _state(self, flags: profile.StreamFlags, now_s: float) -> profile.StreamState:
        if self._channel_mask:
            flags |= profile.StreamFlags.STREAMING
        if self._fingerprint_stream is not None:
            flags |= profile.StreamFlags.FINGERPRINTS
        if self._unix_offset_s is not None:
            flags |= profile.StreamFlags.TIME_SET
        return profile.StreamState(
            flags,
            self._channel_mask,
            self.info.rates_mhz[0] if self._channel_mask else 0,
            self.clock.next_index(now_s) % (1 << 32),
            self.clock.device_time_us(now_s),
            self._sequence,
        )

    def _capabilities(
        self, request: profile.ControlRequest, link: Subscriptions
    ) -> profile.ControlResponse:
        if not self._has_channels(request.channel_mask):
            return profile.ControlResponse(request.opcode, _Status.UNSUPPORTED_CHANNELS)
        fitting = (profile.longest_value(link.mtu) - _CAPABILITIES_FIXED_BYTES) // 4
        rates = self.info.rates_mhz[:fitting]
        can = profile.Capabilities(request.channel_mask, self.info.bits, rates)
        return profile.ControlResponse(request.opcode, _Status.OK, capabilities=can)

    def _start(
        self, request: profile.ControlRequest, link: Subscriptions, now_s: float
    ) -> tuple[profile.ControlStatus, profile.StreamFlags]:
        nothing = profile.StreamFlags(0)
        mask = request.channel_mask
        if request.rate_mhz not in self.info.rates_mhz:
            return _Status.UNSUPPORTED_RATE, nothing
        if not self._has_channels(mask):
            return _Status.UNSUPPORTED_CHANNELS, nothing
        if not link.ppg:
            return _Status.NOT_SUBSCRIBED, nothing
        fitting = profile.samples_per_frame(link.mtu, mask.bit_count())
        if fitting == 0:
            return _Status.MTU_TOO_SMALL, nothing
        self._frame_samples = min(fitting, self.sampling.block_samples)
        self._sends_ppg = True
        if mask == self._channel_mask:
            return _Status.OK, profile.StreamFlags.RESUMED
        self._buffer.clear()
        self._sequence = 0
        self._channel_mask = mask
        self._stream_from = self.sampling.switch_on(now_s)
        return _Status.OK, nothing

    def _start_fingerprints(
        self, request: profile.ControlRequest, link: Subscriptions, now_s: float
    ) -> tuple[profile.ControlStatus, profile.StreamFlags]:
        nothing = profile.StreamFlags(0)
        if self._fingerprinter is None:
            return _Status.NOT_SUPPORTED, nothing
        if request.hop_ms not in _HOP_MS:
            return _Status.BAD_PARAMETER, nothing
        if not link.fingerprint:
            return _Status.NOT_SUBSCRIBED, nothing
        size = (
            _FINGERPRINT_FIXED_BYTES
            + len(self.info.model.encode())
            + self.info.fingerprint_dim
        )
        if size > profile.longest_value(link.mtu):
            return _Status.MTU_TOO_SMALL, nothing
        self._sends_fingerprints = True
        if self.is_fingerprinting and request.hop_ms == self._hop_ms:
            return _Status.OK, profile.StreamFlags.RESUMED
        self._hop_ms = request.hop_ms
        self._fingerprints.clear()
        self._fingerprints_from = self.sampling.switch_on(now_s)
        taken_s = self.clock.host_time_s(self._fingerprints_from)
        self._fingerprint_stream = self._fingerprinter.stream(
            self.sampling.rate_hz,
            hop_s=request.hop_ms / 1000,
            polarity=self.info.channels[0].polarity,
            start=self.clock.device_time_s(taken_s) + (self._unix_offset_s or 0.0),
        )
        return _Status.OK, nothing

    def _has_channels(self, mask: int) -> bool:
        return 0 < mask < 1 << len(self.info.channels)

    # Sampling.

    def _switch_off_if_idle(self) -> None:
        if not self._channel_mask and self._fingerprint_stream is None:
            self.sampling.switch_off()

    def _on_sampling_end(self) -> None:
        self._channel_mask = 0
        self._fingerprint_stream = None

    def _on_block(self, block: SampleBlock) -> None:
        if self._channel_mask:
            self._pack(block)
        if self._fingerprint_stream is not None:
            late = max(0, self._fingerprints_from - block.first_index)
            samples = block.counts[late:, 0].astype(np.float64)
            for fingerprint in self._fingerprint_stream.push(samples):
                self._fingerprints.append(fingerprint.to_bytes())
        self.on_output()

    def _pack(self, block: SampleBlock) -> None:
        wanted = [i for i in range(len(self.info.channels)) if self._channel_mask >> i & 1]
        counts = block.counts[:, wanted]
        # The block under way at START holds samples from before it.
        for at in range(
            max(0, self._stream_from - block.first_index), len(counts), self._frame_samples
        ):
            index = block.first_index + at
            frame = profile.PpgFrame(
                sequence=self._sequence,
                first_index=index % (1 << 32),
                device_time_us=self.clock.device_time_us(self.clock.host_time_s(index)),
                counts=counts[at : at + self._frame_samples],
                status=block.status,
            )
            size = len(frame.to_bytes())
            self._buffer.put(frame, samples=frame.samples, size_bytes=size)
            self._sequence = (self._sequence + 1) % (1 << 16)

    # Output and link.

    def next_ppg(self, longest_bytes: int) -> bytes | None:
        """Take the next PPG frame to notify, None when there is none."""
        if not self._sends_ppg:
            return None
        leaving = self._buffer.take(longest_bytes)
        if leaving is None:
            return None
        # Written when it leaves: how many were dropped is not known before.
        dropped = profile.FrameStatus.DROPPED if leaving.dropped_before else 0
        return replace(
            leaving.frame,
            overflow_frames=leaving.dropped_frames & 0xFFFF,
            status=leaving.frame.status | dropped,
        ).to_bytes()

    def next_fingerprint(self) -> bytes | None:
        """Take the next fingerprint to notify, None when there is none."""
        ready = self._sends_fingerprints and self._fingerprints
        return self._fingerprints.popleft() if ready else None

    async def self_test(self, value: bytes) -> profile.SelfTestResult | None:
        """Take one self-test message; the result when it was the last one."""
        return await self._self_test.answer(value)

    def on_link_up(self) -> None:
        """A host connected: whatever lingers may be resumed."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def on_link_lost(self) -> None:
        """The host is gone: keep sampling into the buffer for a while."""
        self._self_test.forget()
        self._sends_ppg = self._sends_fingerprints = False
        self._linger = asyncio.get_running_loop().call_later(
            self.info.linger_s, self.switch_off
        )

    def switch_off(self) -> None:
        """Stop everything; the clocks run on."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._stop_stream()
        self._stop_fingerprints()

    def _stop_stream(self) -> None:
        self._channel_mask = 0
        self._buffer.clear()
        self._switch_off_if_idle()

    def _stop_fingerprints(self) -> None:
        self._fingerprint_stream = None
        self._fingerprints.clear()
        self._switch_off_if_idle()

"""The open profile from the host's side: control dialogue, stream, self-test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from plethprint.ble import open_profile as profile
from plethprint.ble.answers import Answers
from plethprint.ble.gatt import GattLink
from plethprint.ble.personality import Driver, Personality, StreamFormat
from plethprint.clock import TimeExchange
from plethprint.errors import ControlError, ProtocolError
from plethprint.signal import PPG

__all__ = ["OPEN", "OpenDriver"]

_ANSWER_S = 5.0  # what has not been answered by then will not be
_LONGEST_WRITE_MTU = 512 + 3  # an attribute value has at most 512 bytes, whatever the MTU


class OpenDriver:
    """Host's side of the open profile on one link.

    Parameters
    ----------
    link : GattLink
        Connected.
    host_time : callable
        Seconds since 1970, for wearables that want to know the time of day.
    """

    info: profile.Info

    def __init__(self, link: GattLink, host_time: Callable[[], float]) -> None:
        self._link = link
        self._host_time = host_time
        self._control_lock = asyncio.Lock()
        self._responses = Answers(link)
        self._test_ids = itertools.cycle(range(1, 256))
        self._takers: dict[str, Callable[[bytes], None]] = {}  # by characteristic
        self._test_lock = asyncio.Lock()
        self._test_answers: Answers | None = None

    async def open(self) -> None:
        """Read the info and listen to the control point."""
        raw = await self._link.read(profile.INFO_UUID, "info")
        self.info = profile.Info.from_bytes(raw)
        await self._link.subscribe(profile.CONTROL_UUID, "control", self._responses.put)
        if profile.Features.WALL_CLOCK in self.info.features:
            now_us = round(self._host_time() * 1e6)
            await self.request(
                profile.ControlRequest(profile.Opcode.SET_TIME, unix_time_us=now_us)
            )

    def succeed(self, before: Driver) -> None:
        """Nothing to take over: the wearable numbers its samples itself."""

    async def read_calibration(self) -> profile.Calibration | None:
        """Read this unit's calibration, None when it has none."""
        if profile.Features.CALIBRATION not in self.info.features:
            return None
        raw = await self._link.read(profile.CALIBRATION_UUID, "calibration")
        return profile.Calibration.from_bytes(raw)

    async def request(self, request: profile.ControlRequest) -> profile.ControlResponse:
        """Ask the control point and wait for its answer.

        Raises
        ------
        ControlError
            The wearable refused, or answered nonsense.
        LinkTimeoutError
            No answer came.
        """
        return (await self._asked(request))[0]

    async def exchange_time(self) -> TimeExchange:
        """Ask for the stream's state, which tells the device's time."""
        request = profile.ControlRequest(profile.Opcode.STATE)
        response, sent_s = await self._asked(request)
        received_s = self._host_time()
        if response.state is None:
            raise ProtocolError("the wearable answered STATE without a state")
        return TimeExchange(sent_s, response.state.device_time_us, received_s)

    async def _asked(
        self, request: profile.ControlRequest
    ) -> tuple[profile.ControlResponse, float]:
        """The answer, and the host time just before the request was sent."""
        name = request.opcode.name
        async with self._control_lock:
            self._responses.clear()  # an answer that came too late
            sent_s = self._host_time()
            await self._link.write(profile.CONTROL_UUID, name, request.to_bytes())
            deadline_s = _deadline_s()
            while True:
                raw = await self._responses.get(name, deadline_s)
                response = profile.ControlResponse.from_bytes(raw)
                if response.opcode == request.opcode:
                    return response.raise_for_status(), sent_s

    async def start(
        self,
        on_payload: Callable[[bytes], None],
        *,
        sample_rate_hz: float | None,
        channels: Sequence[int] | None,
    ) -> StreamFormat:
        """Subscribe, then start: no frame is sent before somebody listens."""
        rate_mhz = _chosen_rate(self.info, sample_rate_hz)
        mask = _chosen_mask(self.info, channels, self._link.mtu(profile.PPG_UUID))
        await self._listen(profile.PPG_UUID, "ppg", on_payload)
        start = profile.ControlRequest(
            profile.Opcode.START, rate_mhz=rate_mhz, channel_mask=mask
        )
        response = await self.request(start)
        state = response.state
        streamed = tuple(
            channel
            for at, channel in enumerate(self.info.channels)
            if state is not None and state.channel_mask >> at & 1
        )
        if state is None or not state.rate_mhz or not streamed:
            raise ControlError(
                "the wearable took START but says that nothing streams",
                opcode=start.opcode,
                status=response.status,
            )
        return StreamFormat(state.rate_mhz / 1000, streamed)

    async def stop(self) -> None:
        """Stop the stream and the subscription."""
        await self.request(profile.ControlRequest(profile.Opcode.STOP))
        await self._unlisten(profile.PPG_UUID, "ppg")

    async def start_fingerprints(
        self, on_payload: Callable[[bytes], None], *, hop_s: float
    ) -> None:
        """Subscribe, then have fingerprints made."""
        if profile.Features.FINGERPRINTS not in self.info.features:
            raise ProtocolError("the wearable makes no fingerprints of its own")
        start = profile.ControlRequest(
            profile.Opcode.START_FINGERPRINTS, hop_ms=round(hop_s * 1000)
        )
        start.to_bytes()  # refuses what does not fit before anything is sent
        await self._listen(profile.FINGERPRINT_UUID, "fingerprint", on_payload)
        await self.request(start)

    async def stop_fingerprints(self) -> None:
        """Have no more made, and end the subscription; fine when there is none."""
        if profile.FINGERPRINT_UUID not in self._takers:
            return
        await self.request(profile.ControlRequest(profile.Opcode.STOP_FINGERPRINTS))
        await self._unlisten(profile.FINGERPRINT_UUID, "fingerprint")

    async def _listen(
        self, uuid: str, name: str, on_payload: Callable[[bytes], None]
    ) -> None:
        # A START or STOP that failed may have left the subscription: it serves again.
        subscribed = uuid in self._takers
        self._takers[uuid] = on_payload
        if subscribed:
            return

        def hand_over(payload: bytes) -> None:
            if (taker := self._takers.get(uuid)) is not None:
                taker(payload)

        try:
            await self._link.subscribe(uuid, name, hand_over)
        except BaseException:
            self._takers.pop(uuid, None)
            raise

    async def _unlisten(self, uuid: str, name: str) -> None:
        await self._link.unsubscribe(uuid, name)
        self._takers.pop(uuid, None)

    def decode(self, payload: bytes) -> profile.PpgFrame:
        """Decode one notification of the stream."""
        return profile.PpgFrame.from_bytes(payload)

    async def self_test(self, window: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Send one window to the wearable's encoder and fetch its vector."""
        if profile.Features.SELF_TEST not in self.info.features:
            raise ProtocolError(
                "the wearable has no self-test: its firmware has no encoder"
            )
        async with self._test_lock:
            if self._test_answers is None:
                answers = Answers(self._link)
                await self._link.subscribe(profile.SELF_TEST_UUID, "self-test", answers.put)
                self._test_answers = answers
            self._test_answers.clear()
            test_id = next(self._test_ids)
            collector = profile.SelfTestCollector(test_id)
            mtu = min(self._link.mtu(profile.SELF_TEST_UUID), _LONGEST_WRITE_MTU)
            for message in profile.self_test_requests(window, mtu=mtu, test_id=test_id):
                await self._link.write(profile.SELF_TEST_UUID, "self-test", message)
            deadline_s = _deadline_s()
            result = None
            while result is None:
                raw = await self._test_answers.get("self-test", deadline_s)
                result = collector.feed(raw)
            return result.raise_for_status().vector


def _deadline_s() -> float:
    return asyncio.get_running_loop().time() + _ANSWER_S


def _chosen_rate(info: profile.Info, wanted_hz: float | None) -> int:
    """Rate in mHz: the one asked for, else the lowest that the model can use."""
    if wanted_hz is not None:
        rate_mhz = round(wanted_hz * 1000)
        if rate_mhz not in info.rates_mhz:
            offered = ", ".join(f"{rate:g}" for rate in info.rates_hz)
            raise ProtocolError(
                f"the wearable does not sample at {wanted_hz:g} Hz; it offers {offered} Hz"
            )
        return rate_mhz
    enough = [rate for rate in info.rates_mhz if rate >= PPG.rate_hz * 1000]
    return min(enough) if enough else max(info.rates_mhz)


def _chosen_mask(info: profile.Info, wanted: Sequence[int] | None, mtu: int) -> int:
    """Bits of the channels: those asked for, else all, else the first that fits."""
    if wanted is not None:
        if not wanted or not all(0 <= at < len(info.channels) for at in wanted):
            raise ProtocolError(
                f"the wearable has channels 0..{len(info.channels) - 1}, not {list(wanted)}"
            )
        return sum(1 << at for at in set(wanted))
    if profile.samples_per_frame(mtu, len(info.channels)):
        return (1 << len(info.channels)) - 1
    return 1


OPEN = Personality("open", profile.SERVICE_UUID, OpenDriver, offers_pairing=True)

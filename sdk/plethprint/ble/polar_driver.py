"""Polar wearables from the host's side: settings, SDK mode, stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from plethprint.ble import polar_profile as pmd
from plethprint.ble.answers import Answers
from plethprint.ble.gatt import GattLink
from plethprint.ble.info import Channel, Info
from plethprint.ble.motion import MotionFormat
from plethprint.ble.personality import Driver, Personality, StreamFormat
from plethprint.ble.plain_driver import PlacedFrame, PlainDriver, chosen_rate
from plethprint.ble.polar_motion import PolarMotion, factor_in
from plethprint.ble.sample_index import SampleIndex
from plethprint.errors import ControlError, FrameError, PlethprintError, ProtocolError
from plethprint.signal import PPG

__all__ = ["POLAR", "PolarDriver"]

_LOGGER = logging.getLogger(__name__)

_ANSWER_S = 5.0
_MOST_PARTS = 8  # of one response
_METADATA = frozenset({4, 5, 6, 9, 14})  # frame types that hold gains and modes
_FRAME_TYPE_AT = pmd.PMD_HEADER_BYTES - 1
_UNKNOWN_POLARITY = 0
# Which type of frame a wearable with so many channels sends; its settings do not say, nor
# whether they count the status bits as a channel.
_TYPE_OF_CHANNELS = {2: 13, 3: 13, 4: 0, 16: 7, 17: 7, 20: 10, 21: 10, 24: 8, 25: 8}
_PPG, _SDK = pmd.PmdMeasurement.PPG, pmd.PmdMeasurement.SDK_MODE


class PolarDriver(PlainDriver):
    """Host's side of PMD on one link; the arguments are those of `PlainDriver`."""

    def __init__(self, link: GattLink, host_time: Callable[[], float]) -> None:
        super().__init__(link, host_time)
        self._control_lock = asyncio.Lock()
        self._responses = Answers(link)
        self._features: set[pmd.PmdMeasurement] = set()
        self._settings: pmd.PmdSettings = {}
        self._index: SampleIndex | None = None
        self._rate_hz = 0.0
        self._factor = 1.0
        self._is_subscribed = False
        self._in_sdk_mode = False
        self._on_payload: Callable[[bytes], None] | None = None
        self._motion = PolarMotion(self.request)

    def succeed(self, before: Driver) -> None:
        """Go on counting where the link before ended: the device's clock ran on."""
        if isinstance(before, PolarDriver):
            self._index, self._rate_hz = before._index, before._rate_hz
            if self._index is not None:
                self._index.new_link()

    async def open(self) -> None:
        """Read what it can do and what it streams."""
        await super().open()
        raw = await self._link.read(pmd.PMD_CONTROL_UUID, "the PMD features")
        self._features = pmd.features_from_bytes(raw)
        if _PPG not in self._features:
            raise ProtocolError(
                "this Polar wearable measures no PPG (a chest strap?); what it has: "
                f"{', '.join(sorted(f.name for f in self._features)) or 'nothing'}"
            )
        await self._link.subscribe(pmd.PMD_CONTROL_UUID, "PMD control", self._responses.put)
        await self._read_settings()

    async def request(self, request: pmd.PmdRequest) -> pmd.PmdResponse:
        """Ask the control point and wait for its whole answer.

        Raises
        ------
        ControlError
            The wearable refused; `status` is a `PmdStatus`.
        LinkTimeoutError
            No answer came.
        """
        name = f"{request.opcode.name} {request.measurement.name}"
        async with self._control_lock:
            self._responses.clear()
            await self._link.write(pmd.PMD_CONTROL_UUID, name, request.to_bytes())
            deadline_s = asyncio.get_running_loop().time() + _ANSWER_S
            parameters, parts = b"", 0
            while True:
                raw = await self._responses.get(name, deadline_s)
                # BlueZ tells a read of the features as a notification too.
                if raw[:1] != b"\xf0":
                    continue
                answer = pmd.PmdResponse.from_bytes(raw)
                asked = (request.opcode, request.measurement)
                if (answer.opcode, answer.measurement) != asked:
                    continue
                answer.raise_for_status()
                parameters, parts = parameters + answer.parameters, parts + 1
                if not answer.more or parts == _MOST_PARTS:
                    return pmd.PmdResponse(*asked, answer.status, parameters)

    async def start(
        self,
        on_payload: Callable[[bytes], None],
        *,
        sample_rate_hz: float | None,
        channels: Sequence[int] | None,
    ) -> StreamFormat:
        """Choose settings, subscribe, start; all channels come, whatever is asked for.

        A rate that only SDK mode offers switches that on; `stop` switches it off again.
        """
        count = len(self.info.channels)
        if channels is not None and sorted(channels) != list(range(count)):
            raise ProtocolError(
                f"a Polar wearable streams all its channels, 0..{count - 1}; choose one of "
                "them with `fingerprints(channel=...)`"
            )
        await self._offer(sample_rate_hz)
        rate_hz = chosen_rate(self.info.rates_hz, sample_rate_hz, PPG.rate_hz)
        self._take(on_payload, rate_hz)
        if not self._is_subscribed:  # a START or STOP that failed may have left it
            await self._link.subscribe(pmd.PMD_DATA_UUID, "PMD data", self._hand_over)
            self._is_subscribed = True
        response = await self._begin(self._chosen(round(rate_hz)))
        self._factor = factor_in(response)
        return StreamFormat(rate_hz, self.info.channels)

    async def stop(self) -> None:
        """Stop the streams, the subscription and SDK mode."""
        if self._motion.is_on:
            with contextlib.suppress(PlethprintError):  # the PPG matters more
                await self._motion.stop()
        await self._stop_measurement()
        self._on_payload = None
        if self._is_subscribed:
            await self._link.unsubscribe(pmd.PMD_DATA_UUID, "PMD data")
            self._is_subscribed = False
        if self._in_sdk_mode:
            await self.request(pmd.PmdRequest(pmd.PmdOpcode.STOP, _SDK))
            self._in_sdk_mode = False
            await self._read_settings()

    def decode(self, payload: bytes) -> PlacedFrame:
        """Decode a notification and place it by its time."""
        frame = pmd.PmdFrame.from_bytes(payload)
        index = self._index
        if index is None:
            raise FrameError("a frame came before any stream was started")
        counts = frame.scaled(self._factor)
        first = index.by_time(len(counts), last_s=frame.last_s)
        return PlacedFrame.timed(
            counts, first, last_s=frame.last_s, period_s=index.period_s, frame=frame
        )

    async def start_motion(
        self, on_payload: Callable[[bytes], None]
    ) -> MotionFormat | None:
        """Start acceleration; None where the features do not name it."""
        if pmd.PmdMeasurement.ACCELERATION not in self._features:
            return None
        return await self._motion.start(on_payload)

    def decode_motion(self, payload: bytes) -> PlacedFrame:
        """Decode a notification of acceleration, in milli-g."""
        return self._motion.decode(payload)

    async def _read_settings(self) -> None:
        answer = await self.request(pmd.PmdRequest(pmd.PmdOpcode.GET_SETTINGS, _PPG))
        self._settings = settings = answer.settings
        rates = settings.get(pmd.PmdSetting.SAMPLE_RATE, ())
        count = max(settings.get(pmd.PmdSetting.CHANNELS, (4,)))
        if not rates or 0 in rates or count not in _TYPE_OF_CHANNELS:
            raise ProtocolError(
                f"a Polar wearable offers PPG at {rates or 'no'} Hz with {count} channels; "
                f"known are {sorted(_TYPE_OF_CHANNELS)} channels"
            )
        kinds = pmd.LAYOUTS[_TYPE_OF_CHANNELS[count]].kinds
        self.info = Info(
            channels=tuple(Channel(kind, _UNKNOWN_POLARITY, 0) for kind in kinds),
            rates_mhz=tuple(1000 * rate for rate in sorted(rates)),
            bits=max(settings.get(pmd.PmdSetting.RESOLUTION, (24,))),
            firmware=self.device.firmware,
        )

    async def _offer(self, wanted_hz: float | None) -> None:
        """Have SDK mode on if only that offers the rate."""
        if wanted_hz is None or wanted_hz in self.info.rates_hz or self._in_sdk_mode:
            return
        if _SDK not in self._features:
            return
        await self.request(pmd.PmdRequest(pmd.PmdOpcode.START, _SDK))
        self._in_sdk_mode = True
        await self._read_settings()

    def _chosen(self, rate_hz: int) -> pmd.PmdSettings:
        """One value for each setting on offer: the rate, and the most of the others."""
        settings: pmd.PmdSettings = {pmd.PmdSetting.SAMPLE_RATE: (rate_hz,)}
        for setting in (pmd.PmdSetting.RESOLUTION, pmd.PmdSetting.CHANNELS):
            if values := self._settings.get(setting):
                settings[setting] = (max(values),)
        return settings

    def _take(self, on_payload: Callable[[bytes], None], rate_hz: float) -> None:
        if self._index is None or self._rate_hz != rate_hz:
            self._index = SampleIndex(rate_hz)
        self._rate_hz = rate_hz
        self._on_payload = on_payload

    def _hand_over(self, payload: bytes) -> None:
        # Acceleration comes on the same characteristic.
        if self._motion.takes(payload):
            return
        # Gains and modes come on the same characteristic, and are no samples.
        if len(payload) > _FRAME_TYPE_AT and payload[_FRAME_TYPE_AT] in _METADATA:
            _LOGGER.debug("PMD metadata %s", payload[:40].hex())
            return
        if self._on_payload is not None:
            self._on_payload(payload)

    async def _begin(self, settings: pmd.PmdSettings) -> pmd.PmdResponse:
        start = pmd.PmdRequest(pmd.PmdOpcode.START, _PPG, settings)
        try:
            return await self.request(start)
        except ControlError as error:
            if error.status != pmd.PmdStatus.ERROR_ALREADY_IN_STATE:
                raise
        # A stream that a lost link, or a crashed app, left behind: its settings are not
        # known, so it begins anew.
        _LOGGER.info("a PPG stream ran already; it is stopped and started anew")
        await self._stop_measurement()
        return await self.request(start)

    async def _stop_measurement(self) -> None:
        try:
            await self.request(pmd.PmdRequest(pmd.PmdOpcode.STOP, _PPG))
        except ControlError as error:
            # Nothing streamed: that is what was wanted.
            if error.status not in (
                pmd.PmdStatus.ERROR_ALREADY_IN_STATE,
                pmd.PmdStatus.ERROR_INVALID_STATE,
            ):
                raise


POLAR = Personality(
    "polar",
    pmd.PMD_SERVICE_UUID,
    PolarDriver,
    name_prefixes=("Polar Sense", "Polar OH1", "Polar 360"),
)
"""Polar OH1, Verity Sense and 360, by name: Polar's own 0xFEEE is on chest straps too."""

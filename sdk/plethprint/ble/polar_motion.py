"""Acceleration of a Polar wearable beside its PPG: settings, start, stop, frames."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable

from plethprint.ble import polar_profile as pmd
from plethprint.ble.motion import MotionFormat
from plethprint.ble.plain_driver import PlacedFrame
from plethprint.ble.sample_index import SampleIndex
from plethprint.errors import ControlError, FrameError, PlethprintError, ProtocolError

__all__ = ["PolarMotion", "factor_in"]

_ACC = pmd.PmdMeasurement.ACCELERATION
_LEAST_RATE_HZ = 25  # twice what a hand at work does
_MOST_RATE_HZ = 1000
_RANGE_G = 8  # the only one outside SDK mode
_MILLI = 1000.0
_NOT_RUNNING = (
    pmd.PmdStatus.ERROR_ALREADY_IN_STATE,
    pmd.PmdStatus.ERROR_INVALID_STATE,
)

Request = Callable[[pmd.PmdRequest], Awaitable[pmd.PmdResponse]]


class PolarMotion:
    """The acceleration measurement of one Polar wearable on one link.

    Parameters
    ----------
    request : callable
        Asks the control point.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._index: SampleIndex | None = None
        self._factor = 1.0
        self._on_payload: Callable[[bytes], None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether it was asked for, and not stopped."""
        return self._on_payload is not None

    async def start(self, on_payload: Callable[[bytes], None]) -> MotionFormat:
        """Choose the least that tells motion, and start.

        Raises
        ------
        ControlError, ProtocolError, LinkError
            Refused, nonsense, or no answer.
        """
        answer = await self._request(pmd.PmdRequest(pmd.PmdOpcode.GET_SETTINGS, _ACC))
        chosen = _chosen(answer.settings)
        (rate_hz,) = chosen[pmd.PmdSetting.SAMPLE_RATE]
        self._index = SampleIndex(float(rate_hz))
        self._on_payload = on_payload
        try:
            self._factor = factor_in(await self._begin(chosen))
        except PlethprintError:
            self._on_payload = None
            raise
        return MotionFormat(float(rate_hz), _MILLI)

    async def stop(self) -> None:
        """Stop; fine when nothing runs."""
        self._on_payload = None
        try:
            await self._request(pmd.PmdRequest(pmd.PmdOpcode.STOP, _ACC))
        except ControlError as error:
            if error.status not in _NOT_RUNNING:
                raise

    def takes(self, payload: bytes) -> bool:
        """Hand over a notification if it is acceleration that was asked for.

        What still comes while it is being stopped is taken too, and dropped: it is no PPG.
        """
        if self._index is None or payload[:1] != bytes([_ACC]):
            return False
        if self._on_payload is not None:
            self._on_payload(payload)
        return True

    def decode(self, payload: bytes) -> PlacedFrame:
        """Decode a notification and place it by its time."""
        frame = pmd.PmdAcceleration.from_bytes(payload)
        index = self._index
        if index is None:
            raise FrameError("acceleration came before it was started")
        counts = frame.milli_g(self._factor)
        first = index.by_time(len(counts), last_s=frame.last_s)
        return PlacedFrame.timed(
            counts, first, last_s=frame.last_s, period_s=index.period_s, frame=frame
        )

    async def _begin(self, settings: pmd.PmdSettings) -> pmd.PmdResponse:
        start = pmd.PmdRequest(pmd.PmdOpcode.START, _ACC, settings)
        try:
            return await self._request(start)
        except ControlError as error:
            if error.status != pmd.PmdStatus.ERROR_ALREADY_IN_STATE:
                raise
        # Left behind by a lost link or another app: its settings are not known.
        await self._request(pmd.PmdRequest(pmd.PmdOpcode.STOP, _ACC))
        return await self._request(start)


def _chosen(offered: pmd.PmdSettings) -> pmd.PmdSettings:
    """One value for each setting on offer."""
    rates = [r for r in offered.get(pmd.PmdSetting.SAMPLE_RATE, ()) if r]
    if not rates:
        raise ProtocolError("the Polar wearable offers acceleration at no rate")
    enough = [rate for rate in rates if rate >= _LEAST_RATE_HZ]
    rate_hz = min(enough) if enough else max(rates)
    if rate_hz > _MOST_RATE_HZ:
        raise ProtocolError(f"the Polar wearable offers acceleration at {rate_hz} Hz only")
    chosen: pmd.PmdSettings = {pmd.PmdSetting.SAMPLE_RATE: (rate_hz,)}
    if values := offered.get(pmd.PmdSetting.RESOLUTION):
        chosen[pmd.PmdSetting.RESOLUTION] = (max(values),)
    if values := offered.get(pmd.PmdSetting.RANGE):
        chosen[pmd.PmdSetting.RANGE] = (_RANGE_G if _RANGE_G in values else max(values),)
    if values := offered.get(pmd.PmdSetting.CHANNELS):
        chosen[pmd.PmdSetting.CHANNELS] = (max(values),)
    return chosen


def factor_in(response: pmd.PmdResponse) -> float:
    """The factor that START answers, 1 where it answers none."""
    bits = response.settings.get(pmd.PmdSetting.FACTOR, ())
    return float(struct.unpack("<f", struct.pack("<I", bits[0]))[0]) if bits else 1.0

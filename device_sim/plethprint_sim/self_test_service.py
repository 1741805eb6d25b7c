"""The device's side of ``self-test``: its encoder, and its whole firmware, put to the test.

Section 7 of ``docs/ble-profile.md``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

import numpy as np
import numpy.typing as npt

from plethprint.ble import open_profile as profile
from plethprint.errors import SignalError
from plethprint.signal import PPG

__all__ = ["DeviceChecker", "DeviceEncoder", "SelfTestService"]

_LOGGER = logging.getLogger(__name__)

_Status = profile.SelfTestStatus
_VERDICTS = {
    "ok": _Status.OK,
    "model": _Status.FAULT_MODEL,
    "encoder": _Status.FAULT_ENCODER,
    "signal": _Status.FAULT_SIGNAL,
}
_NOTHING = np.empty(0, np.int8)


class DeviceEncoder(Protocol):
    """The int8 encoder on the device; `plethprint.encoder.Encoder` is one."""

    @property
    def dim(self) -> int:
        """Length of a vector, D."""

    def run(self, windows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Encode windows int8 (N, T) to vectors int8 (N, D)."""


class DeviceChecker(Protocol):
    """Firmware that can be checked; `plethprint_sim.native_firmware` has one."""

    def self_test(self) -> str:
        """``"ok"``, or the part at fault: ``"model"``, ``"encoder"``, ``"signal"``."""

    def window_of(
        self, counts: npt.ArrayLike, sample_rate_hz: float
    ) -> npt.NDArray[np.int8]:
        """The first window (T,) of raw counts; `SignalError` where there is none."""


class SelfTestService:
    """Answers the messages of one host after the other.

    Parameters
    ----------
    encoder : DeviceEncoder, optional
        Without one every test ends in NO_MODEL.
    checker : DeviceChecker, optional
        Without one the messages of the firmware check are not known.
    run_time_s : float
        Time that the microcontroller takes for a window.
    """

    def __init__(
        self,
        encoder: DeviceEncoder | None,
        checker: DeviceChecker | None,
        run_time_s: float,
    ) -> None:
        self._encoder = encoder
        self._checker = checker
        self._run_time_s = run_time_s
        self.forget()

    def forget(self) -> None:
        """Drop a test that has begun, as a lost link does."""
        self._windows = profile.SelfTestReceiver()
        self._checks = profile.FirmwareCheckReceiver()

    async def answer(self, value: bytes) -> profile.SelfTestResult | None:
        """Take one message; the result when it was the last one."""
        try:
            if self._checker is not None and self._checks.knows(value):
                return await self._checked(self._checker, self._checks.feed(value))
            complete = self._windows.feed(value)
        except profile.SelfTestRefused as refusal:
            return profile.SelfTestResult(refusal.test_id, refusal.status, _NOTHING)
        return None if complete is None else await self._encoded(*complete)

    async def _encoded(
        self, test_id: int, window: npt.NDArray[np.int8]
    ) -> profile.SelfTestResult:
        if self._encoder is None:
            return profile.SelfTestResult(test_id, _Status.NO_MODEL, _NOTHING)
        if window.size != PPG.window_samples:
            return profile.SelfTestResult(test_id, _Status.WRONG_SIZE, _NOTHING)
        await asyncio.sleep(self._run_time_s)
        try:
            vector = self._encoder.run(window[np.newaxis])[0]
        except Exception as error:  # whatever the encoder does, the device must answer
            _LOGGER.error("the device's encoder failed: %r", error)
            return profile.SelfTestResult(test_id, _Status.INTERNAL, _NOTHING)
        return self._ok(test_id, vector)

    async def _checked(
        self,
        checker: DeviceChecker,
        wanted: profile.CheckItself | profile.MakeWindow | None,
    ) -> profile.SelfTestResult | None:
        if wanted is None:
            return None
        await asyncio.sleep(self._run_time_s)
        if isinstance(wanted, profile.CheckItself):
            verdict = _VERDICTS[checker.self_test()]
            return profile.SelfTestResult(wanted.test_id, verdict, _NOTHING)
        try:
            window = checker.window_of(wanted.counts, wanted.rate_mhz / 1000)
        except SignalError:
            return profile.SelfTestResult(wanted.test_id, _Status.WRONG_SIZE, _NOTHING)
        return self._ok(wanted.test_id, window)

    def _ok(self, test_id: int, vector: npt.NDArray[np.int8]) -> profile.SelfTestResult:
        run_time_us = round(self._run_time_s * 1e6)
        return profile.SelfTestResult(test_id, _Status.OK, vector, run_time_us)

"""The Heart Rate service of a virtual wearable: the wearer's own beats, told honestly."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from bumble.core import UUID
from bumble.gatt import Service

from plethprint.ble.standard_services import (
    HEART_RATE_MEASUREMENT_UUID,
    HEART_RATE_UUID,
    HeartRateMeasurement,
)
from plethprint_sim.gatt import notified
from plethprint_sim.sampling import Sampling

__all__ = ["HeartRate", "HeartRateService"]

_OVER_S = 8.0  # beats that are averaged


class HeartRateService(Service):
    """Service 0x180D with its measurement."""

    def __init__(self) -> None:
        self.measurement = notified(HEART_RATE_MEASUREMENT_UUID)
        """Heart rate out."""
        super().__init__(UUID(HEART_RATE_UUID), [self.measurement])


class HeartRate:
    """Heart rate at this moment; 0 while the sensor is off or nobody knows the beats.

    Parameters
    ----------
    source : PpgSource
        What the sensor sees; the beats come from its ``beat_times_s``, if it has one.
    sampling : Sampling
        When the sensor sees it.
    """

    def __init__(self, source: Any, sampling: Sampling) -> None:
        self.service = HeartRateService()
        """To be put into the GATT server."""
        self._beat_times_s = getattr(source, "beat_times_s", None)
        self._sampling = sampling

    def now(self) -> HeartRateMeasurement:
        """Return what the wearable would tell now."""
        clock = self._sampling.clock
        if self._beat_times_s is None or not clock.is_sampling:
            return HeartRateMeasurement(0)
        index = clock.next_index(asyncio.get_running_loop().time())
        now_s = index / self._sampling.rate_hz
        beats = np.asarray(self._beat_times_s(max(0.0, now_s - _OVER_S), now_s))
        if len(beats) < 2:
            return HeartRateMeasurement(0)
        intervals_s = np.diff(beats)
        return HeartRateMeasurement(round(60.0 / float(intervals_s.mean())))

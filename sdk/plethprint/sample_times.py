"""Sample index to device time: unrolled, interpolated, and checked against the rate.

The sample index counts what the optical front end took; the device time counts the
crystal of the microcontroller. The two agree to a fraction of a percent on a sane
device. Where they do not (a clock that stands still, a device that leaves the field at
zero), the index alone is the clock: it is exact by construction.
"""

from __future__ import annotations

import bisect
import logging

from plethprint.quiet_log import QuietLog

__all__ = ["SampleTimes"]

_LOGGER = logging.getLogger(__name__)

_SPAN = 128  # anchors kept, about one per second
_RATE_TOLERANCE = 0.03  # front ends on RC oscillators are off by up to 2 %
_JITTER_S = 0.25


class SampleTimes:
    """Piecewise linear map from absolute sample index to seconds of the device's clock.

    Parameters
    ----------
    sample_rate_hz : float
        Nominal rate, used between and beyond the anchors.
    log : QuietLog, optional
        Where it warns of a clock that is not to be trusted.
    """

    def __init__(self, sample_rate_hz: float, log: QuietLog | None = None) -> None:
        self._log = log or QuietLog(_LOGGER)
        self._period_s = 1.0 / sample_rate_hz
        self._index: list[int] = []
        self._device_us: list[int] = []
        self._trusted = True

    def restart(self) -> None:
        """Forget everything: the device's index or clock restarted."""
        self._index.clear()
        self._device_us.clear()
        self._trusted = True

    @property
    def trusted(self) -> bool:
        """Whether the device's clock agrees with its own sample index."""
        return self._trusted

    def observe(self, index: int, device_time_us: int | None) -> None:
        """Take an anchor: the device took sample `index` at `device_time_us` (u32).

        A device without a clock (None) teaches nothing: the index is its clock.
        """
        if device_time_us is None:
            return
        if not self._index:
            self._index.append(index)
            self._device_us.append(device_time_us)
            return
        last_index, last_us = self._index[-1], self._device_us[-1]
        if index - last_index < 1.0 / self._period_s:
            return
        # After a long gap the u32 may have wrapped more than once: the index knows.
        predicted_us = last_us + round((index - last_index) * self._period_s * 1e6)
        wrapped = (device_time_us - predicted_us + 0x8000_0000) & 0xFFFF_FFFF
        device_us = predicted_us + wrapped - 0x8000_0000
        elapsed_s = (index - self._index[0]) * self._period_s
        error_s = (device_us - self._device_us[0]) * 1e-6 - elapsed_s
        if self._trusted and abs(error_s) > _JITTER_S + _RATE_TOLERANCE * elapsed_s:
            self._trusted = False
            self._log.warning(
                "the wearable's clock is %.2f s off its own sample count after %.0f s; "
                "the sample count is used instead",
                error_s,
                elapsed_s,
            )
            # The past stays as it is; the future follows the index.
        if not self._trusted:
            device_us = predicted_us
        if device_us <= last_us:
            return
        self._index.append(index)
        self._device_us.append(device_us)
        if len(self._index) > _SPAN:
            del self._index[0], self._device_us[0]

    def unrolled_s(self, device_time_us: int) -> float | None:
        """A moment of the device's clock (u32) on the same scale as `device_s`.

        None while nothing is known of that clock, or it is not trusted.
        """
        if not self._index or not self._trusted:
            return None
        last_us = self._device_us[-1]
        ahead = (device_time_us - last_us + 0x8000_0000) & 0xFFFF_FFFF
        return (last_us + ahead - 0x8000_0000) * 1e-6

    def device_s(self, index: float) -> float:
        """Device time of a sample, seconds; any index, between or beyond the anchors."""
        if not self._index:
            return index * self._period_s
        right = bisect.bisect_right(self._index, index)
        if 0 < right < len(self._index):
            left = right - 1
            share = (index - self._index[left]) / (self._index[right] - self._index[left])
            span_us = self._device_us[right] - self._device_us[left]
            return (self._device_us[left] + share * span_us) * 1e-6
        nearest = 0 if right == 0 else right - 1
        beyond_s = (index - self._index[nearest]) * self._period_s
        return self._device_us[nearest] * 1e-6 + beyond_s

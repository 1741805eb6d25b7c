"""The crystal of a virtual wearable: its own time, and the index of its samples."""

from __future__ import annotations

import math

__all__ = ["DeviceClock"]

# Distance below which a sample counts as taken: host times are rounded floats.
_TOLERANCE_S = 1e-7


class DeviceClock:
    """Device time and sample index as functions of host time.

    Parameters
    ----------
    power_on_s : float
        Host time (event-loop seconds) at which the device was switched on.
    error_ppm : float
        How much too fast the crystal runs, parts per million; sampling runs on it too.

    Raises
    ------
    ValueError
        The error is so large that time would stand still.

    Examples
    --------
    >>> clock = DeviceClock(power_on_s=100.0, error_ppm=1000.0)
    >>> clock.device_time_us(110.0)
    10010000
    """

    def __init__(self, power_on_s: float, error_ppm: float = 0.0) -> None:
        if not abs(error_ppm) < 1e5:
            raise ValueError(f"a crystal's error is far below 1e5 ppm, got {error_ppm}")
        self._power_on_s = power_on_s
        self._speed = 1.0 + error_ppm * 1e-6
        self._sampling_since_s: float | None = None
        self._rate_hz = 1.0

    def with_samples_of_its_own(self) -> DeviceClock:
        """The same crystal for another sensor, whose samples are not counted yet."""
        return DeviceClock(self._power_on_s, (self._speed - 1.0) * 1e6)

    def device_time_s(self, host_s: float) -> float:
        """Seconds on the device's clock since power-on, at host time `host_s`."""
        return (host_s - self._power_on_s) * self._speed

    def device_time_us(self, host_s: float) -> int:
        """Microseconds on the device's clock, modulo 2**32, at host time `host_s`."""
        return round(self.device_time_s(host_s) * 1e6) % (1 << 32)

    @property
    def is_sampling(self) -> bool:
        """Whether the sample clock has been started."""
        return self._sampling_since_s is not None

    def start_sampling(self, host_s: float, rate_hz: float) -> None:
        """Take sample 0 now; once started, the sample clock is never reset."""
        if self._sampling_since_s is None:
            self._sampling_since_s, self._rate_hz = host_s, rate_hz

    def retune(self, rate_hz: float) -> None:
        """Sample at another rate; samples are counted as if it had always been so."""
        self._rate_hz = rate_hz

    def next_index(self, host_s: float) -> int:
        """Index of the sample taken next, at or after host time `host_s`."""
        if self._sampling_since_s is None:
            return 0
        elapsed_s = (host_s - self._sampling_since_s) * self._speed - _TOLERANCE_S
        return max(0, math.ceil(elapsed_s * self._rate_hz))

    def host_time_s(self, index: int) -> float:
        """Host time at which sample `index` is taken."""
        since_s = 0.0 if self._sampling_since_s is None else self._sampling_since_s
        return since_s + index / (self._rate_hz * self._speed)

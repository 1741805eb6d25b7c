"""What a fingerprint should know of the body: read-out targets of a window.

On virtual wearers every target is exact; on real pairs the beats of the ECG give rate,
interval variation, ectopy and, cut at the R peaks, the mean pulse shape; blood pressure
is known where a recording tells it, and disturbance where we disturbed it ourselves. What
is not known is NaN and costs no loss.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.signal import PPG

__all__ = [
    "INTERVAL_TARGETS",
    "PRESSURE_TARGETS",
    "SHAPE_POINTS",
    "TARGETS",
    "VIRTUAL_TARGETS",
    "beats_of_ecg",
    "interval_targets",
    "log_with_floor",
    "pulse_shape",
    "target_column",
]

FloatArray = npt.NDArray[np.float64]

SHAPE_POINTS = 16
"""Points of the mean pulse, from its peak over one beat."""

INTERVAL_TARGETS = (
    "log_heart_rate",
    "log_interval_cv",
    "log_rmssd",
    "early_share",
    "late_share",
)
VIRTUAL_TARGETS = (
    "stiffness",
    "reflection",
    "pulse_width_s",
    "log_perfusion",
    "respiration_hz",
    "motion_share",
    "log_noise_sd",
    "ectopic_fraction",
    "log_disturbance",
    "pvc_fraction",
    "pac_fraction",
    "log_amplitude_cv",
    "rise_time_s",
    "reflection_delay_s",
)
"""Labels of virtual wearers; `log_X` is `log_with_floor` of the label X."""

PRESSURE_TARGETS = ("log_sbp", "log_dbp")
"""Logarithms of systolic and diastolic blood pressure, mmHg."""

TARGETS = (
    *INTERVAL_TARGETS,
    *VIRTUAL_TARGETS,
    *PRESSURE_TARGETS,
    *(f"shape_{point:02d}" for point in range(SHAPE_POINTS)),
)
"""Names of the read-out targets, in the order of the target arrays."""

LOG_FLOOR = 0.01


def target_column(name: str) -> int:
    """Column of a target in the target arrays."""
    return TARGETS.index(name)


def log_with_floor(values: npt.ArrayLike) -> FloatArray:
    """Logarithm of a quantity that may be zero, with a floor of 0.01."""
    return np.asarray(np.log(np.asarray(values, dtype=np.float64) + LOG_FLOOR))


def beats_of_ecg(ecg: npt.ArrayLike, sample_rate_hz: float) -> FloatArray:
    """R-peak times in seconds, by sleepecg; empty where there is nothing to find."""
    from sleepecg import detect_heartbeats  # type: ignore[attr-defined]

    signal = np.asarray(ecg, dtype=np.float64)
    finite = np.isfinite(signal)
    if finite.sum() < 5 * sample_rate_hz or np.ptp(signal[finite]) == 0.0:
        return np.empty(0)
    index = np.arange(signal.size)
    bridged = np.interp(index, index[finite], signal[finite])
    beats: FloatArray = detect_heartbeats(bridged, sample_rate_hz) / sample_rate_hz
    return beats


def interval_targets(beats_s: FloatArray) -> FloatArray:
    """`INTERVAL_TARGETS` of one window from its beat times (n,), NaN below four beats.

    Shares are of the intervals more than 15 % shorter, or longer, than the median
    interval; the logarithms carry a floor, so that a metronome is not minus infinity.
    """
    intervals = np.diff(beats_s)
    if intervals.size < 3 or intervals.min() <= 0.2 or intervals.max() >= 4.0:
        return np.full(len(INTERVAL_TARGETS), np.nan)
    mean = intervals.mean()
    successive = np.diff(intervals)
    return np.array(
        [
            np.log(60.0 / mean),
            np.log(intervals.std() / mean + 0.005),
            np.log(np.sqrt(np.mean(successive**2)) / mean + 0.005),
            np.mean(intervals < 0.85 * np.median(intervals)),
            np.mean(intervals > 1.15 * np.median(intervals)),
        ]
    )


def pulse_shape(window: npt.NDArray[np.int8], beats_s: FloatArray) -> FloatArray:
    """Mean pulse (SHAPE_POINTS,) over R-to-R intervals, turned to start at its peak.

    The turn takes the pulse's delay out, which monitors add to. Normalised to mean 0
    and sd 1; NaN below three beats.
    """
    signal = window.astype(np.float64)
    time_s = np.arange(signal.size) / PPG.rate_hz
    inside = beats_s[(beats_s >= 0.0) & (beats_s <= time_s[-1])]
    if inside.size < 4 or not signal.any():
        return np.full(SHAPE_POINTS, np.nan)
    phase = np.arange(64) / 64
    cuts = inside[:-1, None] + np.diff(inside)[:, None] * phase
    mean = np.interp(cuts, time_s, signal).mean(axis=0)
    mean = np.roll(mean, -int(np.argmax(mean)))
    points = mean.reshape(SHAPE_POINTS, -1).mean(axis=1)
    spread = points.std()
    return (
        (points - points.mean()) / spread if spread > 0 else np.full(SHAPE_POINTS, np.nan)
    )

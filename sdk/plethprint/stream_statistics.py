"""What was received and what was not, as one frozen snapshot."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plethprint.timeline import Timeline

__all__ = ["StreamStatistics"]


@dataclass(frozen=True)
class StreamStatistics:
    """Counts of one session since its start; `Wearable.stats` makes one on each read.

    Every absent sample has exactly one cause: ``missing_samples`` is the sum of
    ``lost_samples``, ``overflow_samples`` and ``link_gap_samples``. Where the wearable's
    protocol has nothing to see losses by, missing and lost are None: nobody knows.
    """

    frames: int = 0
    """Frames decoded, duplicates and late ones included."""
    samples: int = 0
    """Samples handed on, each once and in order."""
    missing_samples: int | None = 0
    """Samples that the device took and that never arrived, whatever the cause."""
    lost_frames: int | None = 0
    """Frames that the device sent on a live link and that did not arrive in time."""
    lost_samples: int | None = 0
    """Samples in lost frames, and those that the device skipped without saying why."""
    overflow_samples: int = 0
    """Samples that the device dropped because its own buffer was full, by its word."""
    link_gaps: int = 0
    """Times the link was away while samples were wanted."""
    link_gap_samples: int = 0
    """Samples that the device took while the link was away."""
    interpolated_samples: int = 0
    """Missing samples in gaps of up to 0.1 s on a live link: fingerprints bridge these by
    a straight line and say so; at all others their windows break."""
    device_resets: int = 0
    """Times the device's sample index started afresh; what is missing is then unknown."""
    duplicates: int = 0
    """Frames that arrived once more; dropped."""
    reordered: int = 0
    """Frames that arrived after a later one, in time to be put in their place."""
    late_frames: int = 0
    """Frames that arrived after their place had been given up as lost; dropped."""
    stray_frames: int = 0
    """Well-formed frames that fit no place in the stream; dropped."""
    reconnects: int = 0
    """Times the link came back."""
    stalls: int = 0
    """Silences longer than the watchdog's first limit, link up."""
    decode_errors: int = 0
    """Notifications that were not valid frames, or fingerprints; dropped."""
    dropped_frames: int = 0
    """Frames dropped, oldest first, because a consumer was too slow."""
    device_fingerprints: int = 0
    """Fingerprints received that the wearable made itself."""
    dropped_fingerprints: int = 0
    """Of these, dropped, oldest first, because a consumer was too slow."""
    clock_drift_ppm: float = 0.0
    """How much slower the device's clock runs than the host's."""
    clock_drift_uncertainty_ppm: float | None = None
    """How far off that may be, about one standard deviation; None while unknown."""
    clock_uncertainty_s: float | None = None
    """How far off the host times of samples may be now; None while unknown."""
    time_exchanges: int = 0
    """Times that the wearable said what its clock shows when asked."""
    motion: str = "off"
    """Acceleration beside PPG: ``streaming``, ``refused`` by the wearable, ``none`` where
    it has none, ``off`` when it was not wanted."""
    motion_samples: int = 0
    """Samples of acceleration received."""
    motion_missing_samples: int = 0
    """Samples of acceleration that never arrived on a live link, as far as the wearable
    numbers or times them."""
    motion_decode_errors: int = 0
    """Notifications that should have been acceleration, and were not; dropped."""
    stream_sha256: str = ""
    """SHA-256 over the payload of every PPG notification, in order of arrival."""

    @classmethod
    def of(
        cls, timeline: Timeline | None, *, tells_loss: bool = True, **others: Any
    ) -> StreamStatistics:
        """What a timeline has counted and learnt so far, and what others have."""
        if timeline is None:
            return cls(**others)
        clock = timeline.clock
        drift_ppm, within_s = clock.drift_uncertainty_ppm, clock.uncertainty_s
        statistics = cls(
            **asdict(timeline.counts),
            clock_drift_ppm=clock.drift_ppm,
            clock_drift_uncertainty_ppm=drift_ppm if math.isfinite(drift_ppm) else None,
            clock_uncertainty_s=within_s if math.isfinite(within_s) else None,
            **others,
        )
        return statistics if tells_loss else statistics.with_losses_unknown()

    def with_losses_unknown(self) -> StreamStatistics:
        """Return the same counts without those that nobody can know."""
        return replace(self, missing_samples=None, lost_frames=None, lost_samples=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, by field name."""
        return asdict(self)

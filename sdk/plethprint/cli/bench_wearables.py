"""How many wearables one core keeps up with: bytes in, fingerprints out, in real time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plethprint.package import ModelPackage

__all__ = ["measure_wearables"]

_RATE_HZ = 125.0
_FRAME_SAMPLES = 16
_HOP_S = 5.0
_ARRIVES_S = 0.02


def measure_wearables(
    package: ModelPackage, *, wearables: int = 8, seconds: float = 60.0
) -> dict[str, Any]:
    """Decode, place, preprocess and fingerprint the frames of some wearables.

    Everything that a session does with a notification but the Bluetooth stack's own work,
    on one thread, for frames of the open profile of 16 samples at 125 Hz.

    Parameters
    ----------
    package : ModelPackage
        Model of the fingerprints.
    wearables : int, optional
        Streams that are interleaved, frame by frame.
    seconds : float, optional
        Signal of each.

    Returns
    -------
    dict
        ``wearables_per_core``: streams that one core keeps up with in real time;
        ``us_per_frame`` by stage, microseconds.
    """
    from plethprint.ble.open_profile import PpgFrame
    from plethprint.fingerprinter import Fingerprinter
    from plethprint.live_fingerprints import LiveFingerprints
    from plethprint.timeline import Timeline

    payloads = _payloads(seconds)
    fingerprinter = Fingerprinter(package)
    timelines = [Timeline(_RATE_HZ) for _ in range(wearables)]
    streams = [
        LiveFingerprints(
            fingerprinter.stream(_RATE_HZ, hop_s=_HOP_S),
            sample_rate_hz=_RATE_HZ,
            channel=0,
        )
        for _ in range(wearables)
    ]
    spent_s = dict.fromkeys(("decode", "timeline", "fingerprint"), 0.0)
    prints = 0
    clock = time.perf_counter
    began_s = clock()
    for at, payload in enumerate(payloads):
        arrival_s = (at + 1) * _FRAME_SAMPLES / _RATE_HZ + _ARRIVES_S
        for timeline, stream in zip(timelines, streams, strict=True):
            start = clock()
            frame = PpgFrame.from_bytes(payload)
            decoded = clock()
            blocks = timeline.push(frame, arrival_s)
            placed = clock()
            for block in blocks:
                prints += len(stream.push(block))
            spent_s["fingerprint"] += clock() - placed
            spent_s["timeline"] += placed - decoded
            spent_s["decode"] += decoded - start
    took_s = clock() - began_s
    frames = wearables * len(payloads)
    return {
        "wearables_per_core": round(wearables * seconds / took_s),
        "real_time_factor": round(seconds / took_s * wearables, 1),
        "fingerprints": prints,
        "us_per_frame": {
            stage: round(1e6 * spent / frames, 1) for stage, spent in spent_s.items()
        },
    }


def _payloads(seconds: float) -> list[bytes]:
    """Notifications of one wearable, as many as cover so much signal."""
    import numpy as np

    from plethprint.ble.open_profile import FrameStatus, PpgFrame

    count = int(seconds * _RATE_HZ) // _FRAME_SAMPLES
    at_s = np.arange(count * _FRAME_SAMPLES) / _RATE_HZ
    beat = 2 * np.pi * 1.2 * at_s
    pulse = np.rint(1e6 + 1e5 * (np.sin(beat) + 0.35 * np.sin(2 * beat + 0.8)))
    samples = pulse.astype(np.int32).reshape(count, _FRAME_SAMPLES, 1)
    return [
        PpgFrame(
            sequence=k & 0xFFFF,
            first_index=k * _FRAME_SAMPLES,
            device_time_us=round(k * _FRAME_SAMPLES / _RATE_HZ * 1e6) & 0xFFFFFFFF,
            counts=samples[k],
            status=FrameStatus.CONTACT,
        ).to_bytes()
        for k in range(count)
    ]

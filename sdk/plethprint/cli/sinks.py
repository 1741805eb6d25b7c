"""Where `plethprint stream` puts fingerprints besides the terminal: a log, LSL."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plethprint.fingerprint import Fingerprint
    from plethprint.session import Wearable
    from plethprint.store import FingerprintStore
    from plethprint.store.lsl import LslOutlet

__all__ = ["LogSink", "LslSink", "Sink"]

_PRUNE_EVERY_S = 3600.0


class LogSink:
    """Appends to a log, and takes out what is older than it is to keep.

    Parameters
    ----------
    store : FingerprintStore
        Open; closed by `close`.
    wearer : str
        Label of the person.
    keep_s : float, optional
        How long fingerprints are kept, s; for good when None.
    """

    def __init__(
        self, store: FingerprintStore, wearer: str, keep_s: float | None = None
    ) -> None:
        self._store = store
        self._wearer = wearer
        self._keep_s = keep_s
        self._pruned_s = -_PRUNE_EVERY_S
        self.appended = 0
        """Fingerprints written so far."""

    async def take(self, fingerprint: Fingerprint, wearable: Wearable) -> None:
        """Write one fingerprint; it is on the disk when this returns."""
        from plethprint.store import StoredFingerprint

        rate_hz = wearable.sample_rate_hz
        device_time_s: float | None = getattr(fingerprint, "device_time_s", None)
        first_index: float | None = getattr(fingerprint, "first_index", None)
        if device_time_s is None and first_index is not None and rate_hz:
            # The index counts every sample period since power-on: the device's own clock.
            device_time_s = first_index / rate_hz
        row = StoredFingerprint(
            fingerprint,
            wearer=self._wearer,
            wearable=wearable.address,
            device_time_s=device_time_s,
            gap_fraction=getattr(fingerprint, "gap_fraction", None),
        )
        # In a thread: a disk that takes its time must not keep the radio waiting.
        await asyncio.to_thread(self._store.append, row)
        self.appended += 1
        if self._keep_s is not None and self._due():
            before_s = time.time() - self._keep_s
            await asyncio.to_thread(self._store.prune, before_s=before_s)

    def close(self) -> str:
        """Close the log and say what was done."""
        self._store.close()
        return f"appended {self.appended} fingerprints to {self._store.path}"

    def _due(self) -> bool:
        now_s = time.monotonic()
        due = now_s - self._pruned_s >= _PRUNE_EVERY_S
        if due:
            self._pruned_s = now_s
        return due


class LslSink:
    """Sends to Lab Streaming Layer; the outlet opens with the first fingerprint."""

    def __init__(self) -> None:
        self._outlet: LslOutlet | None = None
        self._sent = 0

    async def take(self, fingerprint: Fingerprint, wearable: Wearable) -> None:
        """Send one fingerprint."""
        if self._outlet is None:
            from plethprint.store.lsl import LslOutlet

            self._outlet = LslOutlet(
                fingerprint.model, fingerprint.dim, source=wearable.address
            )
        self._outlet.push(fingerprint)
        self._sent += 1

    def close(self) -> str:
        """End the stream and say what was done."""
        if self._outlet is not None:
            self._outlet.close()
        return f"sent {self._sent} fingerprints over LSL"


Sink = LogSink | LslSink
"""What `plethprint.cli.stream.follow` takes."""

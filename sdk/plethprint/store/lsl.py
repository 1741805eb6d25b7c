"""Fingerprints into Lab Streaming Layer, beside whatever else a laboratory records.

The stream ``plethprint`` of type ``Fingerprint`` has 3 + D float32 channels at an
irregular rate: quality (0 to 1), heart rate (beats a minute, NaN when unknown), share of
missing samples, and the vector at unit length. A sample's time is that of the first
sample of its window, on LSL's own clock.
"""

from __future__ import annotations

import time
from typing import Any

from plethprint.errors import FingerprintMismatchError, MissingExtraError
from plethprint.fingerprint import Fingerprint

__all__ = ["LslOutlet"]


class LslOutlet:
    """An outlet for the fingerprints of one wearable.

    Parameters
    ----------
    model : str
        Identity of the model; told in the stream's description.
    dim : int
        Length of its vectors, D.
    source : str
        What tells this wearable from others, such as its address; an inlet finds the
        stream again by it after a restart.
    name : str, optional
        Name of the stream.

    Raises
    ------
    MissingExtraError
        Without the ``lsl`` extra, or where liblsl cannot be loaded.
    """

    def __init__(
        self, model: str, dim: int, *, source: str, name: str = "plethprint"
    ) -> None:
        try:
            import pylsl
        except (ImportError, RuntimeError, OSError) as error:  # the latter two: no liblsl
            raise MissingExtraError("lsl", "Lab Streaming Layer") from error
        self._model, self._dim = model, dim
        self._clock = pylsl.local_clock
        info = pylsl.StreamInfo(
            name,
            "Fingerprint",
            3 + dim,
            pylsl.IRREGULAR_RATE,
            pylsl.cf_float32,
            f"plethprint-{source}",
        )
        description: Any = info.desc()
        description.append_child_value("model", model)
        channels = description.append_child("channels")
        told = [("quality", "1"), ("heart_rate", "/min"), ("missing", "1")]
        for label, unit in [*told, *((f"v{index}", "1") for index in range(dim))]:
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
        self._outlet = pylsl.StreamOutlet(info)

    def push(self, fingerprint: Fingerprint) -> None:
        """Send one fingerprint.

        Raises
        ------
        FingerprintMismatchError
            If it is of another model than the stream says.
        """
        if fingerprint.model != self._model or fingerprint.dim != self._dim:
            raise FingerprintMismatchError(
                f"this stream carries fingerprints of {self._model}, "
                f"not of {fingerprint.model}"
            )
        rate = fingerprint.heart_rate_bpm
        head = [
            fingerprint.quality,
            float("nan") if rate is None else rate,
            fingerprint.missing,
        ]
        # LSL counts from the start of the machine, fingerprints from 1970.
        moment = fingerprint.start + self._clock() - time.time()
        self._outlet.push_sample([*head, *fingerprint.unit().tolist()], moment)

    def close(self) -> None:
        """End the stream: inlets see it go."""
        self._outlet = None

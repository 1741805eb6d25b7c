"""Notifications of a stream into frames; whatever else comes is counted, not raised."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable

from plethprint.block import TimelineFrame
from plethprint.errors import FrameError

__all__ = ["LONGEST_NOTIFICATION_BYTES", "FrameIntake"]

_LOGGER = logging.getLogger(__name__)

LONGEST_NOTIFICATION_BYTES = 512
"""An attribute value is never longer (Bluetooth Core 5.4, Vol 3, Part F, 3.2.9)."""

_MAX_KINDS = 32  # kinds of decode error that are logged
_LONGEST_TOLD = 200  # characters of an error that are logged


class FrameIntake:
    """Decodes, counts, and warns of each kind of nonsense once.

    Bytes from a radio never raise: not the wearable's, and not a driver's own bugs.

    Parameters
    ----------
    what : str
        What the notifications hold, for the log.
    """

    def __init__(self, what: str = "PPG") -> None:
        self._what = what
        self.decode_errors = 0
        """Notifications that were no frames."""
        self._digest = hashlib.sha256()
        self._warned: set[str] = set()

    @property
    def sha256(self) -> str:
        """SHA-256 over every notification so far, in order of arrival."""
        return self._digest.hexdigest()

    def decode(
        self, payload: bytes, decode: Callable[[bytes], TimelineFrame], channels: int
    ) -> TimelineFrame | None:
        """Decode one notification of a stream of so many channels; None when it is none.

        Parameters
        ----------
        payload : bytes
            As it came.
        decode : callable
            The driver's; may raise anything.
        channels : int
            Columns that its frames must have.
        """
        self._digest.update(payload)
        try:
            if len(payload) > LONGEST_NOTIFICATION_BYTES:
                raise FrameError(
                    f"a notification has at most {LONGEST_NOTIFICATION_BYTES} bytes, got "
                    f"{len(payload)}"
                )
            frame = decode(payload)
            if frame.counts.shape[1] != channels:
                raise FrameError(
                    f"a frame of {frame.counts.shape[1]} channels in a stream of {channels}"
                )
        except Exception as error:  # a driver's own bugs too: bytes must not end a session
            self._refuse(error)
            return None
        return frame

    def _refuse(self, error: Exception) -> None:
        self.decode_errors += 1
        if len(self._warned) >= _MAX_KINDS:
            return
        told = str(error)[:_LONGEST_TOLD]
        kind = re.sub(r"\d+", "#", told)
        if kind not in self._warned:
            self._warned.add(kind)
            _LOGGER.warning(
                "dropped a notification that is no frame of %s: %s", self._what, told
            )

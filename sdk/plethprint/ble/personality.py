"""What a wearable's protocol must offer, and which ones are known.

A *personality* is a protocol that wearables speak. To add one, write a module with a
:class:`Driver` for it and list it in :func:`personalities`; session, timeline and
everything behind them stay as they are. ``docs/add-a-wearable.md`` walks through it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from plethprint.ble.calibration import Calibration
from plethprint.ble.info import Channel, Info
from plethprint.ble.motion import MotionFormat
from plethprint.block import TimelineFrame

if TYPE_CHECKING:
    from plethprint.ble.gatt import GattLink

__all__ = ["Driver", "Personality", "StreamFormat", "personalities", "personality_named"]


@dataclass(frozen=True)
class StreamFormat:
    """What a running stream carries."""

    sample_rate_hz: float
    """Nominal sample rate."""
    channels: tuple[Channel, ...]
    """Channels in the order of a frame's columns."""
    tells_loss: bool = True
    """Whether lost samples can be seen at all: by an index, a counter or a clock."""
    dark_counts: tuple[float | None, ...] = ()
    """Counts of each channel without any light; None, or no entry, where nobody knows."""
    motion: MotionFormat | None = None
    """What ``acceleration`` within its frames is; None where they have none."""


class Driver(Protocol):
    """The host's side of one protocol on one link."""

    info: Info
    """What the wearable says of itself; valid after `open`."""

    async def open(self) -> None:
        """Read what is needed before anything else."""

    def succeed(self, before: Driver) -> None:
        """Take over from the driver of the link before: samples are counted on.

        Called before `open`, with a driver of the same personality. One whose wearable
        numbers its samples itself has nothing to do.
        """

    async def read_calibration(self) -> Calibration | None:
        """Read this unit's calibration; None when it has none.

        Raises
        ------
        PairingError
            The link must be encrypted first.
        """

    async def start(
        self,
        on_payload: Callable[[bytes], None],
        *,
        sample_rate_hz: float | None,
        channels: Sequence[int] | None,
    ) -> StreamFormat:
        """Start the PPG stream; every notification goes to `on_payload` as it came.

        Parameters
        ----------
        on_payload : callable
            Takes the bytes of one notification.
        sample_rate_hz : float or None
            Rate wanted, the driver's choice when None.
        channels : sequence of int or None
            Positions in `Info.channels`, the driver's choice when None.

        Raises
        ------
        ControlError
            The wearable refused.
        """

    async def stop(self) -> None:
        """Stop the stream, and acceleration beside it; fine when there is none."""

    def decode(self, payload: bytes) -> TimelineFrame:
        """Decode one notification of the stream.

        Raises
        ------
        FrameError
            Not a frame.
        """

    async def start_fingerprints(
        self, on_payload: Callable[[bytes], None], *, hop_s: float
    ) -> None:
        """Have the wearable make fingerprints itself; their bytes go to `on_payload`.

        Each is in the wire format of `plethprint.Fingerprint`. One that makes them every
        `hop_s` already goes on.

        Raises
        ------
        ProtocolError
            The wearable makes none, or refused.
        """

    async def stop_fingerprints(self) -> None:
        """Have the wearable make no more; fine when it makes none."""

    async def self_test(self, window: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Have the wearable's own encoder run one int8 window; return its vector (D,).

        Raises
        ------
        ProtocolError
            The wearable has no encoder, or answered something else.
        """


@dataclass(frozen=True)
class Personality:
    """One protocol: how to know it and how to speak it."""

    name: str
    """Short name, for ``connect(personality=...)``."""
    service_uuid: str
    """Service that such a wearable advertises, lower case."""
    driver: Callable[[GattLink, Callable[[], float]], Driver]
    """Makes the host's side for one link; also takes what tells the host time (Unix, s)."""
    offers_pairing: bool = False
    """Whether its wearables can be paired with: then they are, unless told otherwise."""
    name_prefixes: tuple[str, ...] = ()
    """How their names begin, for those that advertise no service of their own."""

    def is_offered_by(self, service_uuids: Collection[str]) -> bool:
        """Whether a connected wearable with these services (lower case) speaks it."""
        return self.service_uuid in service_uuids

    def is_advertised_by(self, service_uuids: Collection[str], name: str) -> bool:
        """Whether an advertisement (services in lower case, and name) is of such a one."""
        return self.service_uuid in service_uuids or name.startswith(self.name_prefixes)


def personalities() -> tuple[Personality, ...]:
    """Return the known personalities, the preferred one first."""
    from plethprint.ble.colmi_driver import COLMI
    from plethprint.ble.muse_driver import MUSE
    from plethprint.ble.open_driver import OPEN
    from plethprint.ble.openring_driver import OPENRING
    from plethprint.ble.polar_driver import POLAR

    return (OPEN, POLAR, MUSE, OPENRING, COLMI)


def personality_named(name: str) -> Personality:
    """Return one personality.

    Raises
    ------
    ValueError
        There is none of that name.
    """
    known = {personality.name: personality for personality in personalities()}
    if name not in known:
        raise ValueError(f"unknown personality {name!r}; known: {', '.join(known)}")
    return known[name]

"""How a live stream is to be had, and to be kept alive."""

from __future__ import annotations

from dataclasses import dataclass, field

from plethprint.ble.connection import Backoff

__all__ = ["StreamOptions"]


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is kept alive."""

    sample_rate_hz: float | None = None
    """Rate to ask for; None takes the lowest on offer that the model can use."""
    channels: tuple[int, ...] | None = None
    """Channels to ask for, positions in ``info.channels``; None takes all that fit."""
    reconnect: bool = True
    """Whether a lost link is brought back."""
    backoff: Backoff = field(default_factory=Backoff)
    """Waits between attempts to bring it back."""
    give_up_after_s: float = 600.0
    """How long a lost link is sought before `LinkLostError`."""
    stall_after_s: float = 1.5
    """Silence that counts as a stall; the link layer often recovers by itself."""
    silent_after_s: float = 8.0
    """Silence after which the link is cut and made anew, though it looks alive."""
    motion: bool = True
    """Whether to ask for acceleration beside PPG, where the wearable has it."""
    queue_s: float = 60.0
    """Signal that is held for a slow consumer before the oldest is dropped."""

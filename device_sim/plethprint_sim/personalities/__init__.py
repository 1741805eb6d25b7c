"""Virtual wearables by the protocol they speak.

To add one, write a module with a `plethprint_sim.peripheral.Peripheral` and list it here;
``docs/add-a-wearable.md`` walks through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plethprint_sim.peripheral import Peripheral

__all__ = ["PERSONALITIES", "VirtualPersonality", "virtual_wearable"]


@dataclass(frozen=True)
class VirtualPersonality:
    """One protocol that virtual wearables speak."""

    module: str
    """Where its wearable is made."""
    made_by: str
    """Class of the wearable."""
    sample_rate_hz: float
    """Rate that a source for it should have."""
    needs: str = ""
    """Argument that its class cannot do without."""
    rates_hz: tuple[float, ...] = ()
    """Rates of sources that it can sample; any when empty."""

    def rate_for(self, sample_rate_hz: float) -> float:
        """The rate at which it samples a signal of another: its own where it can, Hz.

        Examples
        --------
        >>> PERSONALITIES["muse"].rate_for(50.0), PERSONALITIES["open"].rate_for(50.0)
        (64.0, 50.0)
        """
        if not self.rates_hz or sample_rate_hz in self.rates_hz:
            return sample_rate_hz
        return self.sample_rate_hz


PERSONALITIES: dict[str, VirtualPersonality] = {
    "open": VirtualPersonality("plethprint_sim.wearable", "VirtualWearable", 125.0),
    "open-ondevice": VirtualPersonality(
        "plethprint_sim.personalities.ondevice", "OnDeviceWearable", 125.0, needs="pack"
    ),
    "polar": VirtualPersonality(
        "plethprint_sim.personalities.polar",
        "VirtualPolar",
        55.0,
        rates_hz=(28.0, 44.0, 55.0, 135.0, 176.0),
    ),
    "muse": VirtualPersonality(
        "plethprint_sim.personalities.muse", "VirtualMuse", 64.0, rates_hz=(64.0,)
    ),
    "openring": VirtualPersonality(
        "plethprint_sim.personalities.openring", "VirtualOpenRing", 25.0, rates_hz=(25.0,)
    ),
    "colmi": VirtualPersonality("plethprint_sim.personalities.colmi", "VirtualColmi", 25.0),
}
"""By the name that ``plethprint.connect(personality=...)`` takes.

Of ``open-ondevice`` that is ``open``: it speaks the same protocol, and is made of a
firmware pack (``pack=``)."""


def virtual_wearable(personality: str, source: Any, **options: Any) -> Peripheral:
    """Make a virtual wearable.

    Parameters
    ----------
    personality : str
        One of `PERSONALITIES`.
    source : PpgSource
        What its sensor sees, best at the personality's `sample_rate_hz`.
    **options
        Further arguments of the wearable's class.

    Raises
    ------
    ValueError
        The personality is not known, or its wearable cannot be made so.

    Examples
    --------
    ::

        wearable = virtual_wearable("polar", source, model="verity")
    """
    if personality not in PERSONALITIES:
        known = ", ".join(PERSONALITIES)
        raise ValueError(f"unknown personality {personality!r}; known: {known}")
    what = PERSONALITIES[personality]
    if what.needs and what.needs not in options:
        raise ValueError(f"a wearable {personality!r} is not made without {what.needs}=")
    made: Peripheral = getattr(import_module(what.module), what.made_by)(source, **options)
    return made

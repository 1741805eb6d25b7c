"""Energy of a Bluetooth LE link, worked out from times on air and data sheet currents.

A wearable notifies; the host acknowledges with an empty packet. One packet of P payload
bytes (at most 244) is, on the LE 1M PHY at 8 us a byte and on 2M at 4::

    preamble 1 (2M: 2) + access address 4 + header 2 + L2CAP 4 + ATT 3 + P + MIC 4 + CRC 3

then 150 us of gap, the acknowledgement (10 bytes, 2M: 11), and 150 us of gap. Each
connection event costs a fixed amount besides: waking, the crystal, the host's poll.
What the sensor and its light take is left out: it is the same either way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["VARIANTS", "RadioAssumptions", "Traffic"]

_LINK_LAYER_BYTES = 4 + 2 + 3
"""Access address, header, CRC; the preamble depends on the PHY."""
_MIC_BYTES = 4
_L2CAP_ATT_BYTES = 4 + 3
_GAP_US = 150.0


@dataclass(frozen=True)
class RadioAssumptions:
    """What the energy of a link is worked out from.

    Raises
    ------
    ValueError
        A figure that is negative, not finite, or no payload of Bluetooth LE.
    """

    name: str = "CPU and radio, LE 1M"
    phy: Literal["1M", "2M"] = "1M"
    supply_v: float = 3.0
    transmit_ma: float = 8.1
    """nRF52840 product specification, compounded: CPU and radio sending at 0 dBm, DC/DC."""
    receive_ma: float = 8.6
    """The same, receiving."""
    gap_ma: float = 3.0
    """Between packets; assumed, about the CPU alone."""
    event_uj: float = 12.0
    """Each connection event, besides its packets; assumed."""
    payload_bytes: int = 244
    """Of one notification: data length extension, 251-byte packets."""

    def __post_init__(self) -> None:
        for name in ("supply_v", "transmit_ma", "receive_ma", "gap_ma", "event_uj"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be 0 or more, not {value!r}")
        if self.phy not in ("1M", "2M"):
            raise ValueError(f"the PHY must be '1M' or '2M', not {self.phy!r}")
        if not 20 <= self.payload_bytes <= 244:
            raise ValueError(f"payload_bytes must be 20 to 244, not {self.payload_bytes!r}")

    def packet_us(self, payload_bytes: float) -> float:
        """Time of a packet, its acknowledgement and both gaps, in microseconds.

        Examples
        --------
        >>> RadioAssumptions().packet_us(244)
        2500.0
        """
        sent, answered = self._air_us(payload_bytes)
        return sent + answered + 2 * _GAP_US

    def packet_uj(self, payload_bytes: float) -> float:
        """Energy of a packet, its acknowledgement and both gaps, in microjoules.

        Examples
        --------
        >>> round(RadioAssumptions().packet_uj(244), 1)
        56.3
        """
        sent, answered = self._air_us(payload_bytes)
        charge = sent * self.transmit_ma + answered * self.receive_ma
        return (charge + 2 * _GAP_US * self.gap_ma) * self.supply_v / 1e3

    def burst_uj(self, payload_bytes: float) -> float:
        """Energy of the packets that carry so many bytes in one connection event."""
        whole, rest = divmod(payload_bytes, self.payload_bytes)
        full = whole * self.packet_uj(self.payload_bytes)
        return full + (self.packet_uj(rest) if rest > 0 else 0.0)

    def _air_us(self, payload_bytes: float) -> tuple[float, float]:
        preamble, byte_us = (1, 8.0) if self.phy == "1M" else (2, 4.0)
        empty = preamble + _LINK_LAYER_BYTES
        # An empty packet carries no MIC.
        sent = empty + _MIC_BYTES + _L2CAP_ATT_BYTES + payload_bytes
        return sent * byte_us, empty * byte_us


@dataclass(frozen=True)
class Traffic:
    """Bytes that go out in every period, and how the link is kept.

    Raises
    ------
    ValueError
        Bytes or times that are not positive and finite.
    """

    payload_bytes: float
    """In one period, without packet overhead."""
    period_s: float
    send_every_s: float
    """Data are gathered for so long, then sent in one connection event."""
    link_every_s: float
    """At least one connection event in so long, with data or without."""

    def __post_init__(self) -> None:
        for name in ("payload_bytes", "period_s", "send_every_s", "link_every_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be above 0, not {value!r}")

    def uj(self, assumptions: RadioAssumptions) -> float:
        """Energy of one period in microjoules.

        Examples
        --------
        >>> round(Traffic(3750, 10.0, 1.0, 1.0).uj(RadioAssumptions()))
        1026
        """
        bursts = self.period_s / min(self.send_every_s, self.period_s)
        events = max(bursts, self.period_s / self.link_every_s)
        data = bursts * assumptions.burst_uj(self.payload_bytes / bursts)
        return events * assumptions.event_uj + data


VARIANTS: tuple[RadioAssumptions, ...] = (
    RadioAssumptions(),
    RadioAssumptions("CPU and radio, LE 2M", "2M"),
    # nRF52840 product specification, radio alone, 0 dBm, DC/DC
    RadioAssumptions("radio alone, LE 1M", "1M", transmit_ma=4.8, receive_ma=4.6),
    RadioAssumptions("radio alone, LE 2M", "2M", transmit_ma=4.8, receive_ma=4.6),
)
"""From the dearest to the cheapest; what a report tells as a band."""

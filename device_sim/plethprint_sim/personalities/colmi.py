"""A virtual Colmi ring: a reading now and then, without number and time."""

from __future__ import annotations

from collections import deque
from typing import Any

from bumble.device import Connection

from plethprint.ble import colmi_profile as colmi
from plethprint.errors import ControlError
from plethprint_sim.accelerometer import Accelerometer
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.gatt import RequestService
from plethprint_sim.link_pump import Output
from plethprint_sim.optics import Optics
from plethprint_sim.plain_peripheral import PlainFirmware, PlainLink, PlainPeripheral
from plethprint_sim.sensor import PpgSource, SampleBlock

__all__ = ["ColmiFirmware", "VirtualColmi"]

_BITS = 16
_PACKETS_KEPT = 8


class ColmiFirmware(PlainFirmware):
    """Readings of a ring, from power-on to power-off; what finds no room is gone."""

    def __init__(self, optics: Optics, clock: DeviceClock) -> None:
        # Counts are unsigned.
        block_s = 1.0 / optics.sample_rate_hz
        super().__init__(optics, clock, bits=_BITS + 1, block_s=block_s)
        self._accelerometer = Accelerometer(
            optics, optics.sample_rate_hz, counts_per_g=colmi.COLMI_COUNTS_PER_G
        )
        self._packets: deque[bytes] = deque(maxlen=_PACKETS_KEPT)
        self._most = self._least = 0

    def obey(self, value: bytes) -> None:
        """Carry out a command; what is none is ignored, as the ring does."""
        try:
            command = colmi.command_from_bytes(value)
        except ControlError:
            return
        if command.startswith(colmi.COLMI_START):
            self._begin()
            self._most, self._least = 0, 0xFFFF
        elif command.startswith(colmi.COLMI_STOP):
            self.switch_off()

    def next_packet(self) -> bytes | None:
        """Take the next reading to notify, None when there is none."""
        return self._packets.popleft() if self._packets else None

    def switch_off(self) -> None:
        """Send no more; the clocks run on."""
        super().switch_off()
        self._packets.clear()

    def _on_block(self, block: SampleBlock) -> None:
        if block.first_index < self._from:
            return
        counts = int(block.counts[0, 0])
        self._most, self._least = max(self._most, counts), min(self._least, counts)
        x, y, z = self._accelerometer.counts(block.first_index, 1)[0].tolist()
        span = self._most - self._least
        self._packets += [
            colmi.ColmiSpo2(150, 194, 114, 149).to_bytes(),
            colmi.ColmiPpg(counts, self._most, self._least, span).to_bytes(),
            colmi.ColmiAcceleration(x, y, z).to_bytes(),
        ]
        self.on_output()


class VirtualColmi(PlainPeripheral[RequestService, ColmiFirmware]):
    """A Colmi ring, and the SIG's usual services beside.

    Parameters
    ----------
    source : PpgSource
        What its sensor sees.
    name : str
        Advertised name.
    keep_every : int
        Samples of the source from one reading to the next: 6 of 25 Hz are the modified
        firmware's four a second, 25 the maker's one a second.
    polarity : {1, -1}
        -1 for raw reflectance: the more blood, the fewer counts.
    **options
        Further arguments of `Peripheral`.
    """

    def __init__(
        self,
        source: PpgSource,
        *,
        name: str = "R02_0A1B",
        keep_every: int = 6,
        polarity: int = -1,
        **options: Any,
    ) -> None:
        self.optics = Optics(
            source, gains=(1.0,), bits=_BITS + 1, polarity=polarity, keep_every=keep_every
        )
        """What the converter gives: the truth to which a received stream is held."""
        super().__init__(
            source,
            name=name,
            services=(),
            manufacturer="Colmi",
            model_number="virtual R02",
            **options,
        )

    def _boot(self, clock: DeviceClock) -> ColmiFirmware:
        return ColmiFirmware(self.optics, clock)

    def _service(self) -> RequestService:
        return RequestService(
            colmi.COLMI_SERVICE_UUID,
            colmi.COLMI_WRITE_UUID,
            colmi.COLMI_NOTIFY_UUID,
            self._on_write,
        )

    def _link(self, connection: Connection) -> ColmiLink:
        return ColmiLink(
            connection, self._attributes, self.device_firmware, self._heart_rate
        )


class ColmiLink(PlainLink[RequestService, ColmiFirmware]):
    """One host of a virtual Colmi ring."""

    def on_write(self, value: bytes) -> None:
        """Take a command."""
        self._firmware.obey(value)

    def next_output(self) -> Output | None:
        """Give the next reading."""
        notes = self._service.notes
        if self.takes(notes) and (packet := self._firmware.next_packet()) is not None:
            return notes, packet
        return None

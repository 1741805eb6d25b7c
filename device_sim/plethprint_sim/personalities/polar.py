"""Virtual Polar wearables: OH1, Verity Sense and 360, on a real GATT server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

from plethprint.ble import polar_profile as pmd
from plethprint.ble.frame import longest_value
from plethprint.ble.standard_services import HEART_RATE_UUID, sig_uuid
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.gatt import OnWrite, characteristic, notified
from plethprint_sim.link_pump import Output
from plethprint_sim.optics import Optics
from plethprint_sim.personalities.polar_firmware import (
    PolarFirmware,
    PolarModel,
    SourceOfRate,
)
from plethprint_sim.plain_peripheral import PlainLink, PlainPeripheral
from plethprint_sim.sensor import PpgSource

__all__ = ["MODELS", "VirtualPolar"]

MODELS = {
    "oh1": PolarModel("Polar OH1", 0, False, 22, (135,)),
    "verity": PolarModel("Polar Sense", 0, True, 22, (55,), (28, 44, 55, 135, 176)),
    "360": PolarModel("Polar 360", 13, True, 24, (22, 50, 100)),
}
"""What can be had; the Verity Sense calls itself Polar Sense."""

# Three LEDs and ambient light, or two LEDs; other types get what they need of them.
_GAINS = (0.92, 0.84, 1.0)


class PmdService(Service):
    """The two characteristics of PMD."""

    def __init__(self, features: set[pmd.PmdMeasurement], on_control: OnWrite) -> None:
        properties, permissions = Characteristic.Properties, Characteristic.Permissions
        told = pmd.features_to_bytes(features)
        self.control = characteristic(
            pmd.PMD_CONTROL_UUID,
            properties.READ | properties.WRITE | properties.INDICATE,
            permissions.READABLE | permissions.WRITEABLE,
            CharacteristicValue(read=lambda _: told, write=on_control),
        )
        """Requests in, responses out; reads as the features."""
        self.data = notified(pmd.PMD_DATA_UUID)
        """Frames out."""
        super().__init__(UUID(pmd.PMD_SERVICE_UUID), [self.control, self.data])


class VirtualPolar(PlainPeripheral[PmdService, PolarFirmware]):
    """A Polar wearable with PMD, heart rate, battery and device information.

    Parameters
    ----------
    source : PpgSource or callable
        What its sensor sees: one source, whose rate is then the only one on offer, or a
        callable that gives one for a rate in Hz.
    model : str
        One of `MODELS`.
    device_id : str
        Eight characters at the end of its name.
    polarity : {1, -1}
        -1 for raw reflectance: the more blood, the fewer counts.
    frame_s : float
        Time that a frame covers, as far as the MTU allows.
    buffer_s : float
        Depth of the transmit buffer.
    motion : bool
        Whether it gives its acceleration away.
    **options
        Further arguments of `Peripheral`, such as ``clock_error_ppm``.

    Raises
    ------
    ValueError
        The model is not known, or it has no such rate.

    Examples
    --------
    ::

        source = WearerStream(Wearer(), seed=1, sample_rate_hz=55.0)
        async with VirtualWorld(VirtualPolar(source)) as world:
            async with plethprint.connect(backend=world.backend) as wearable: ...
    """

    def __init__(
        self,
        source: PpgSource | SourceOfRate,
        *,
        model: str = "verity",
        device_id: str = "0A1B2C3D",
        polarity: int = -1,
        frame_s: float = 0.36,
        buffer_s: float = 2.0,
        motion: bool = True,
        **options: Any,
    ) -> None:
        if model not in MODELS:
            raise ValueError(f"unknown Polar model {model!r}; known: {', '.join(MODELS)}")
        self.model = MODELS[model]
        if not motion:
            self.model = replace(self.model, motion_hz=0)
        self._polarity = polarity
        self._frame_s, self._buffer_s = frame_s, buffer_s
        if callable(source):
            self._source_of_rate = source
            first = source(self.model.rates_hz[0])
        else:
            only, first = source, source
            rate_hz = round(source.sample_rate_hz)
            offered = self.model.rates_hz + self.model.sdk_rates_hz
            if source.sample_rate_hz != rate_hz or rate_hz not in offered:
                raise ValueError(
                    f"a {self.model.name} samples at {sorted(set(offered))} Hz, "
                    f"not at {source.sample_rate_hz:g}"
                )
            self._source_of_rate = lambda _: only
            self.model = replace(
                self.model,
                rates_hz=(rate_hz,),
                sdk_rates_hz=(rate_hz,) if self.model.sdk_rates_hz else (),
            )
        name = options.pop("name", f"{self.model.name} {device_id}")
        super().__init__(
            first,
            name=name,
            services=(HEART_RATE_UUID, sig_uuid(0xFEEE)),
            manufacturer="Polar Electro Oy",
            model_number=f"virtual {self.model.name}",
            **options,
        )

    def optics(self, rate_hz: int | None = None) -> Optics:
        """What the converter gives: the truth to which a received stream is held."""
        rate_hz = self.model.rates_hz[0] if rate_hz is None else rate_hz
        count = self.model.channels
        kinds = pmd.LAYOUTS[self.model.frame_type].kinds
        gains = [
            0.0 if kinds[at].name == "AMBIENT" else _GAINS[at % len(_GAINS)]
            for at in range(count)
        ]
        return Optics(
            self._source_of_rate(rate_hz),
            gains=gains,
            bits=self.model.resolution,
            polarity=self._polarity,
        )

    def _boot(self, clock: DeviceClock) -> PolarFirmware:
        return PolarFirmware(
            self.model, self.optics, clock, frame_s=self._frame_s, buffer_s=self._buffer_s
        )

    def _service(self) -> PmdService:
        return PmdService(self.device_firmware.features, self._on_write)

    def _link(self, connection: Connection) -> PolarLink:
        return PolarLink(
            connection, self._attributes, self.device_firmware, self._heart_rate
        )


class PolarLink(PlainLink[PmdService, PolarFirmware]):
    """One host of a virtual Polar wearable."""

    def on_write(self, value: bytes) -> None:
        """Take a write to the control point."""
        self.demand(self._service.control, indications=True)
        response = self._firmware.answer(value, self.connection.att_mtu)
        self.respond(self._service.control, response.to_bytes())

    def next_output(self) -> Output | None:
        """Give the next frame."""
        longest = longest_value(self.connection.att_mtu)
        if self.takes(self._service.data) and (frame := self._firmware.next_frame(longest)):
            return self._service.data, frame
        return None

"""What every virtual wearable is, whatever protocol it speaks: a Bluetooth device."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from bumble import hci
from bumble.att import ATT_Error
from bumble.core import UUID
from bumble.device import Connection, Device
from bumble.gatt import Service
from bumble.profiles.battery_service import BatteryService
from bumble.profiles.device_information_service import DeviceInformationService

from plethprint_sim.advertisement import static_address
from plethprint_sim.central import just_works, no_pairing
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.heart_rate import HeartRate
from plethprint_sim.link_pump import LinkPump
from plethprint_sim.sampling import Sampling
from plethprint_sim.sensor import PpgSource

__all__ = ["DeviceFirmware", "Peripheral"]

_LOGGER = logging.getLogger(__name__)

_SETTLES_S = 0.02
_UNLIKELY_ERROR = 0x0E
_ADVERTISING_INTERVAL_MS = 100.0


class DeviceFirmware(Protocol):
    """What runs on the device; each protocol has its own."""

    sampling: Sampling
    """Its front end."""

    def switch_off(self) -> None:
        """Stop everything; the clocks run on."""


class Peripheral:
    """A GATT server with a protocol's own service, and the SIG's usual ones beside it.

    A protocol makes a subclass with three methods: `_boot` makes the firmware, `_service`
    its GATT service, `_link` serves one host. Everything else is here.

    Parameters
    ----------
    source : PpgSource
        What its sensor sees.
    name : str
        Advertised name.
    advertisement : tuple of bytes
        Advertisement and scan response.
    address : str, optional
        Static random address; made from the name when not given.
    clock_error_ppm : float
        How much too fast the device's crystal runs; sampling runs on it too.
    battery_percent : int
        Battery level.
    manufacturer, model_number, firmware_version : str
        What the Device Information service tells.
    max_mtu : int
        Largest ATT MTU that the device agrees to, 23..517.
    refuse_pairing : bool
        A fault: it turns every pairing down.

    Raises
    ------
    ValueError
        The MTU does not fit.
    """

    def __init__(
        self,
        source: PpgSource,
        *,
        name: str,
        advertisement: tuple[bytes, bytes],
        address: str | None = None,
        clock_error_ppm: float = 0.0,
        battery_percent: int = 87,
        manufacturer: str = "plethprint",
        model_number: str = "virtual wearable",
        firmware_version: str = "1.0.0",
        max_mtu: int = 517,
        refuse_pairing: bool = False,
    ) -> None:
        if not 23 <= max_mtu <= 517:
            raise ValueError(f"an ATT MTU lies in 23..517, got {max_mtu}")
        self.name = name
        self.address = address or static_address(name)
        self.battery_percent = battery_percent
        self._advertisement, self._scan_response = advertisement
        self._clock_error_ppm = clock_error_ppm
        self._texts = (manufacturer, model_number, firmware_version)
        self._max_mtu = max_mtu
        self._refuse_pairing = refuse_pairing
        self._source = source
        self._device: Device | None = None
        self._running: DeviceFirmware | None = None
        self._pump: LinkPump | None = None

    def _boot(self, clock: DeviceClock) -> DeviceFirmware:
        """Make the firmware."""
        raise NotImplementedError

    def _service(self) -> Service:
        """Make the protocol's service; the firmware is there."""
        raise NotImplementedError

    def _link(self, connection: Connection) -> LinkPump:
        """Serve a host that connected."""
        raise NotImplementedError

    @property
    def is_connected(self) -> bool:
        """Whether a host is connected."""
        return self._pump is not None

    @property
    def is_encrypted(self) -> bool:
        """Whether a host is connected and the link encrypted."""
        return self._pump is not None and bool(self._pump.connection.is_encrypted)

    @property
    def first_sample_s(self) -> float:
        """Event-loop time at which sample 0 of the source was taken."""
        return self._booted().sampling.clock.host_time_s(0)

    @property
    def keystore(self) -> Any:
        """Keys of the hosts that it is paired with; survives power-off on a real one."""
        return None if self._device is None else self._device.keystore

    @keystore.setter
    def keystore(self, keys: Any) -> None:
        if self._device is not None:
            self._device.keystore = keys

    def _booted(self) -> DeviceFirmware:
        if self._running is None:
            raise RuntimeError("the wearable is not switched on")
        return self._running

    async def start(self, hci_source: Any, hci_sink: Any) -> None:
        """Switch on and advertise.

        Parameters
        ----------
        hci_source, hci_sink : object
            Both directions of a bumble transport to a controller.
        """
        loop = asyncio.get_running_loop()
        self._running = self._boot(DeviceClock(loop.time(), self._clock_error_ppm))
        device = Device.with_hci(self.name, hci.Address(self.address), hci_source, hci_sink)
        device.pairing_config_factory = no_pairing if self._refuse_pairing else just_works
        device.on(Device.EVENT_CONNECTION, self._on_connection)
        self._device = device
        self._own_service = self._service()
        self._heart_rate = HeartRate(self._source, self._running.sampling)
        device.gatt_server.max_mtu = self._max_mtu
        manufacturer, model_number, firmware_version = self._texts
        device.add_services(
            [
                self._own_service,
                DeviceInformationService(
                    manufacturer_name=manufacturer,
                    model_number=model_number,
                    serial_number=self.address.replace(":", ""),
                    firmware_revision=firmware_version,
                ),
                BatteryService(lambda _: self.battery_percent),
                self._heart_rate.service,
            ]
        )
        await device.power_on()
        await device.start_advertising(
            auto_restart=True,
            advertising_data=self._advertisement,
            scan_response_data=self._scan_response,
            advertising_interval_min=_ADVERTISING_INTERVAL_MS,
            advertising_interval_max=_ADVERTISING_INTERVAL_MS,
        )

    async def stop(self) -> None:
        """Switch off.

        Raises
        ------
        Exception
            What the source raised, if sampling failed.
        """
        if self._device is None or self._running is None:
            return
        firmware, self._running = self._running, None
        device, self._device = self._device, None
        self._on_disconnection(0)
        firmware.switch_off()
        # Advertising may be starting again; a host that goes in the middle of a command
        # leaves its controller out of step.
        await asyncio.sleep(_SETTLES_S)
        await device.power_off()
        if firmware.sampling.failure is not None:
            raise firmware.sampling.failure

    async def notify_raw(self, value: bytes, uuid: str) -> None:
        """Notify bytes as they are on a characteristic, as a broken firmware would.

        Nothing happens without a host that takes notifications.
        """
        if self._pump is None:
            return
        wanted = UUID(uuid)
        for characteristic in self._own_service.characteristics:
            if characteristic.uuid == wanted:
                connection = self._pump.connection
                server = connection.device.gatt_server
                await server.notify_subscriber(connection, characteristic, value)

    def _pump_of(self, connection: Connection) -> LinkPump:
        """Who serves the host that wrote something; a stranger's write is refused."""
        if self._pump is None or self._pump.connection is not connection:
            raise ATT_Error(_UNLIKELY_ERROR)
        return self._pump

    def _on_connection(self, connection: Connection) -> None:
        _LOGGER.debug("%s: connected to %s", self.name, connection.peer_address)
        connection.once(connection.EVENT_DISCONNECTION, self._on_disconnection)
        self._pump = self._link(connection)

    def _on_disconnection(self, reason: int) -> None:
        _LOGGER.debug("%s: link lost, reason 0x%02x", self.name, reason)
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.close()

"""A virtual wearable: a Bluetooth device that speaks the open profile.

It is a real GATT server on bumble's stack. On an `AirLink` it lives in the same process as
the SDK (`plethprint_sim.world`); on any HCI transport it is a device that phones and
computers see (`serve`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from bumble import hci
from bumble.att import ATT_Error
from bumble.core import UUID
from bumble.device import Connection, Device
from bumble.profiles.battery_service import BatteryService
from bumble.profiles.device_information_service import DeviceInformationService
from bumble.transport import open_transport
from bumble.transport.common import AsyncPipeSink

from plethprint.ble import open_profile as profile
from plethprint.signal import PPG
from plethprint_sim.advertisement import advertisement, static_address
from plethprint_sim.air_controller import AirController
from plethprint_sim.central import just_works, no_pairing
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.firmware import DeviceEncoder, DeviceFingerprinter, Firmware
from plethprint_sim.host_link import HostLink
from plethprint_sim.profile_service import OpenProfileService
from plethprint_sim.radio import AirLink
from plethprint_sim.sensor import PpgSource

__all__ = ["VirtualWearable", "serve"]

_LOGGER = logging.getLogger(__name__)

_CONTROLLER_ANSWERS_S = 5.0
_SETTLES_S = 0.02
_OFFERS_A_CONTROLLER = {"tcp-server", "unix-server", "ws-server", "pty", "vhci"}
_UNLIKELY_ERROR = 0x0E
_ADVERTISING_INTERVAL_MS = 100.0


class VirtualWearable:
    """A PPG wearable with the open profile, device information and battery level.

    Parameters
    ----------
    source : PpgSource
        What its sensor sees, such as `plethprint_sim.WearerStream`.
    name : str
        Advertised name, at most 29 bytes of UTF-8.
    address : str, optional
        Static random address; made from the name when not given.
    channels : sequence of profile.Channel
        Optical channels, one per column of the source.
    encoder : DeviceEncoder, optional
        Int8 encoder that answers self-tests.
    fingerprinter : DeviceFingerprinter, optional
        Makes fingerprints on the device.
    model : str
        Identity of the model on the device, ``name@version+hash8``.
    clock_error_ppm : float
        How much too fast the device's crystal runs; sampling runs on it too.
    bits : int
        Bits of the converter, 8..24.
    buffer_s : float
        Depth of the transmit buffer.
    linger_s : int
        How long the stream survives a lost link.
    frame_s : float
        Time that a frame covers, as far as the MTU allows.
    encode_time_s : float
        Time that the device takes to encode a window.
    calibration : profile.Calibration, optional
        Of this unit; one is made up when not given.
    battery_percent : int
        Battery level.
    firmware : str
        Firmware version.
    max_mtu : int
        Largest ATT MTU that the device agrees to, 23..517.
    refuse_pairing : bool
        A fault: it turns every pairing down.

    Raises
    ------
    ValueError
        The name is too long, or the channels or the MTU do not fit.

    Examples
    --------
    ::

        wearable = VirtualWearable(WearerStream(Wearer(), seed=1))
        async with VirtualWorld(wearable) as world:
            async with plethprint.connect(backend=world.backend) as connected:
                ...
    """

    def __init__(
        self,
        source: PpgSource,
        *,
        name: str = "pleth-01",
        address: str | None = None,
        channels: Sequence[profile.Channel] = (
            profile.Channel(profile.ChannelKind.GREEN, 1, 525),
        ),
        encoder: DeviceEncoder | None = None,
        fingerprinter: DeviceFingerprinter | None = None,
        model: str = "",
        clock_error_ppm: float = 0.0,
        bits: int = 24,
        buffer_s: float = 2.0,
        linger_s: int = 60,
        frame_s: float = 0.125,
        encode_time_s: float = 0.04,
        calibration: profile.Calibration | None = None,
        battery_percent: int = 87,
        firmware: str = "1.0.0",
        max_mtu: int = 517,
        refuse_pairing: bool = False,
    ) -> None:
        self._advertisement, self._scan_response = advertisement(name)
        if not 23 <= max_mtu <= 517:
            raise ValueError(f"an ATT MTU lies in 23..517, got {max_mtu}")
        dim = 0 if encoder is None else encoder.dim
        if fingerprinter is not None and dim == 0:
            raise ValueError("a wearable with a fingerprinter needs its encoder too")
        features = profile.Features.CALIBRATION | profile.Features.WALL_CLOCK
        if encoder is not None:
            features |= profile.Features.SELF_TEST
        if fingerprinter is not None:
            features |= profile.Features.FINGERPRINTS
        self.info = profile.Info(
            channels=tuple(channels),
            rates_mhz=(round(source.sample_rate_hz * 1000),),
            bits=bits,
            features=features,
            fingerprint_dim=dim,
            window_samples=PPG.window_samples if dim else 0,
            buffer_ms=round(buffer_s * 1000),
            linger_s=linger_s,
            firmware=firmware,
            model=model,
        )
        self.name = name
        self.address = address or static_address(name)
        self.calibration = calibration or profile.Calibration(
            tuple(
                profile.ChannelCalibration(30.5 + i, -120 * i, 8000 + 100 * i, 2500)
                for i in range(len(self.info.channels))
            ),
            serial=1,
        )
        self.battery_percent = battery_percent
        self._max_mtu = max_mtu
        self._refuse_pairing = refuse_pairing
        self._source = source
        self._encoder = encoder
        self._fingerprinter = fingerprinter
        self._clock_error_ppm = clock_error_ppm
        self._frame_s = frame_s
        self._encode_time_s = encode_time_s
        self._device: Device | None = None
        self._firmware: Firmware | None = None
        self._link: HostLink | None = None
        self._values = {
            "info": self.info.to_bytes(),  # refuses what does not fit
            "calibration": self.calibration.to_bytes(),
        }

    @property
    def is_connected(self) -> bool:
        """Whether a host is connected."""
        return self._link is not None

    @property
    def is_encrypted(self) -> bool:
        """Whether a host is connected and the link encrypted."""
        return self._link is not None and bool(self._link.connection.is_encrypted)

    @property
    def device_firmware(self) -> Firmware:
        """The running firmware.

        Raises
        ------
        RuntimeError
            The wearable is not switched on.
        """
        if self._firmware is None:
            raise RuntimeError("the wearable is not switched on")
        return self._firmware

    async def start(self, hci_source: Any, hci_sink: Any) -> None:
        """Switch on and advertise.

        Parameters
        ----------
        hci_source, hci_sink : object
            Both directions of a bumble transport to a controller.
        """
        loop = asyncio.get_running_loop()
        self._firmware = Firmware(
            self._source,
            self.info,
            DeviceClock(loop.time(), self._clock_error_ppm),
            encoder=self._encoder,
            fingerprinter=self._fingerprinter,
            frame_s=self._frame_s,
            encode_time_s=self._encode_time_s,
        )
        device = Device.with_hci(self.name, hci.Address(self.address), hci_source, hci_sink)
        device.pairing_config_factory = no_pairing if self._refuse_pairing else just_works
        device.on(Device.EVENT_CONNECTION, self._on_connection)
        self._device = device
        self._service = OpenProfileService(
            **self._values, on_control=self._on_control, on_self_test=self._on_self_test
        )
        device.gatt_server.max_mtu = self._max_mtu
        device.add_services(
            [
                self._service,
                DeviceInformationService(
                    manufacturer_name="plethprint",
                    model_number="virtual wearable",
                    serial_number=self.address.replace(":", ""),
                    firmware_revision=self.info.firmware,
                ),
                BatteryService(lambda _: self.battery_percent),
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
        if self._device is None or self._firmware is None:
            return
        firmware, self._firmware = self._firmware, None
        device, self._device = self._device, None
        self._on_disconnection(0)
        firmware.switch_off()
        # Advertising may be starting again; a host that goes in the middle of a command
        # leaves its controller out of step.
        await asyncio.sleep(_SETTLES_S)
        await device.power_off()
        if firmware.failure is not None:
            raise firmware.failure

    async def notify_raw(self, value: bytes, uuid: str = profile.PPG_UUID) -> None:
        """Notify bytes as they are, on ``ppg`` or elsewhere, as a broken firmware would.

        Nothing happens without a host that takes notifications.
        """
        if self._link is None:
            return
        wanted = UUID(uuid)
        for characteristic in self._service.characteristics:
            if characteristic.uuid == wanted:
                connection = self._link.connection
                server = connection.device.gatt_server
                await server.notify_subscriber(connection, characteristic, value)

    def _on_connection(self, connection: Connection) -> None:
        _LOGGER.debug("%s: connected to %s", self.name, connection.peer_address)
        connection.once(connection.EVENT_DISCONNECTION, self._on_disconnection)
        self._link = HostLink(connection, self._service, self.device_firmware)

    def _on_disconnection(self, reason: int) -> None:
        _LOGGER.debug("%s: link lost, reason 0x%02x", self.name, reason)
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _on_control(self, connection: Connection, value: bytes) -> None:
        self._link_of(connection).on_control(value)

    def _on_self_test(self, connection: Connection, value: bytes) -> None:
        self._link_of(connection).on_self_test(value)

    def _link_of(self, connection: Connection) -> HostLink:
        if self._link is None or self._link.connection is not connection:
            raise ATT_Error(_UNLIKELY_ERROR)
        return self._link


async def serve(
    transport_name: str,
    source: PpgSource,
    *,
    on_ready: Callable[[VirtualWearable], None] | None = None,
    **options: Any,
) -> None:
    """Run a virtual wearable for the world outside, until its transport goes away.

    Where there is a controller at the other end of the transport (``serial:``, ``usb:``,
    ``hci-socket:``, ``tcp-client:``, ...), the wearable uses it and is on the real air.
    Transports that wait for somebody (``tcp-server:``, ``unix-server:``, ``ws-server:``,
    ``pty:``) and ``vhci:`` offer a virtual controller instead, on one virtual air with the
    wearable: another process, or the Linux kernel, then plays the host.

    Parameters
    ----------
    transport_name : str
        A bumble transport, such as ``"serial:/dev/ttyACM0,1000000"``, ``"usb:0"`` or
        ``"tcp-server:127.0.0.1:9000"``.
    source : PpgSource
        What its sensor sees.
    on_ready : callable, optional
        Told when the wearable advertises.
    **options
        Further arguments of `VirtualWearable`.

    Raises
    ------
    ValueError
        The transport's name is not understood.
    OSError
        The transport cannot be opened, or no controller answers on it.
    """
    wearable = VirtualWearable(source, **options)
    async with await _open(transport_name) as transport:
        try:
            if transport_name.split(":")[0] in _OFFERS_A_CONTROLLER:
                air = AirLink()
                AirController("offered", air, transport.source, transport.sink)
                own = AirController(wearable.name, air)
                await wearable.start(own, AsyncPipeSink(own))
            else:
                starting = wearable.start(transport.source, transport.sink)
                await asyncio.wait_for(starting, _CONTROLLER_ANSWERS_S)
            if on_ready is not None:
                on_ready(wearable)
            await transport.source.wait_for_termination()
        except asyncio.TimeoutError:
            raise OSError(f"no Bluetooth controller answers on {transport_name}") from None
        finally:
            await wearable.stop()
            # bumble leaves the sockets of its server transports open.
            for end in (getattr(transport, "server", None), transport.sink):
                if (stream := getattr(end, "transport", end)) is not None:
                    getattr(stream, "close", lambda: None)()


async def _open(transport_name: str) -> Any:
    try:
        return await open_transport(transport_name)
    except (ValueError, OSError):
        raise
    except Exception as error:  # bumble, pyusb and pyserial have errors of their own
        raise OSError(f"cannot open {transport_name}: {error}") from error

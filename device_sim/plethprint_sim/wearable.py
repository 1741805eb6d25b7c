"""A virtual wearable: a Bluetooth device that speaks the open profile.

It is a real GATT server on bumble's stack. On an `AirLink` it lives in the same process as
the SDK (`plethprint_sim.world`); on any HCI transport it is a device that phones and
computers see (`serve`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from bumble.device import Connection
from bumble.transport import open_transport
from bumble.transport.common import AsyncPipeSink

from plethprint.ble import open_profile as profile
from plethprint.signal import PPG
from plethprint_sim.advertisement import advertisement
from plethprint_sim.air_controller import AirController
from plethprint_sim.device_clock import DeviceClock
from plethprint_sim.firmware import DeviceFingerprinter, Firmware
from plethprint_sim.host_link import HostLink
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.personalities import virtual_wearable
from plethprint_sim.profile_service import OpenProfileService
from plethprint_sim.radio import AirLink
from plethprint_sim.self_test_service import DeviceChecker, DeviceEncoder
from plethprint_sim.sensor import PpgSource

__all__ = ["VirtualWearable", "serve"]

_CONTROLLER_ANSWERS_S = 5.0
_OFFERS_A_CONTROLLER = {"tcp-server", "unix-server", "ws-server", "pty", "vhci"}


class VirtualWearable(Peripheral):
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
    checker : DeviceChecker, optional
        Checks the whole firmware, not its encoder alone.
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
        checker: DeviceChecker | None = None,
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
        dim = 0 if encoder is None else encoder.dim
        if fingerprinter is not None and dim == 0:
            raise ValueError("a wearable with a fingerprinter needs its encoder too")
        features = profile.Features.CALIBRATION | profile.Features.WALL_CLOCK
        if encoder is not None:
            features |= profile.Features.SELF_TEST
        if fingerprinter is not None:
            features |= profile.Features.FINGERPRINTS
        if checker is not None:
            features |= profile.Features.FIRMWARE_CHECK
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
        super().__init__(
            source,
            name=name,
            advertisement=advertisement(name),
            address=address,
            clock_error_ppm=clock_error_ppm,
            battery_percent=battery_percent,
            firmware_version=firmware,
            max_mtu=max_mtu,
            refuse_pairing=refuse_pairing,
        )
        self.calibration = calibration or profile.Calibration(
            tuple(
                profile.ChannelCalibration(30.5 + i, -120 * i, 8000 + 100 * i, 2500)
                for i in range(len(self.info.channels))
            ),
            serial=1,
        )
        self.sent_bytes: Counter[str] = Counter()
        """Bytes notified so far, by the UUID of the characteristic; values alone."""
        self._encoder = encoder
        self._fingerprinter = fingerprinter
        self._checker = checker
        self._frame_s = frame_s
        self._encode_time_s = encode_time_s
        self._values = {
            "info": self.info.to_bytes(),  # refuses what does not fit
            "calibration": self.calibration.to_bytes(),
        }

    @property
    def device_firmware(self) -> Firmware:
        """The running firmware.

        Raises
        ------
        RuntimeError
            The wearable is not switched on.
        """
        return cast("Firmware", self._booted())

    async def notify_raw(self, value: bytes, uuid: str = profile.PPG_UUID) -> None:
        """Notify bytes as they are, on ``ppg`` or elsewhere, as a broken firmware would."""
        await super().notify_raw(value, uuid)

    def _boot(self, clock: DeviceClock) -> Firmware:
        return Firmware(
            self._source,
            self.info,
            clock,
            encoder=self._encoder,
            fingerprinter=self._fingerprinter,
            checker=self._checker,
            frame_s=self._frame_s,
            encode_time_s=self._encode_time_s,
        )

    def _service(self) -> OpenProfileService:
        return OpenProfileService(
            **self._values,
            on_control=lambda link, value: self._host(link).on_control(value),
            on_self_test=lambda link, value: self._host(link).on_self_test(value),
        )

    def _link(self, connection: Connection) -> HostLink:
        service = cast("OpenProfileService", self._own_service)
        return HostLink(
            connection,
            service,
            self.device_firmware,
            self._heart_rate,
            self.sent_bytes,
        )

    def _host(self, connection: Connection) -> HostLink:
        return cast("HostLink", self._pump_of(connection))


async def serve(
    transport_name: str,
    source: PpgSource,
    *,
    personality: str = "open",
    on_ready: Callable[[Peripheral], None] | None = None,
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
    personality : str, optional
        Protocol that it speaks, one of `plethprint_sim.personalities`.
    on_ready : callable, optional
        Told when the wearable advertises.
    **options
        Further arguments of the wearable's class, by default `VirtualWearable`.

    Raises
    ------
    ValueError
        The transport's name or the personality is not understood.
    OSError
        The transport cannot be opened, or no controller answers on it.
    """
    wearable = virtual_wearable(personality, source, **options)
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

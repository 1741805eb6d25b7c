"""What drivers of wearables without an encoder have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.ble.calibration import Calibration
from plethprint.ble.gatt import GattLink
from plethprint.ble.info import Info
from plethprint.ble.personality import Driver
from plethprint.ble.standard_services import DeviceInformation, read_device_information
from plethprint.errors import ProtocolError

__all__ = ["PlacedFrame", "PlainDriver", "chosen_rate"]

_WRAP_32 = 1 << 32


@dataclass(frozen=True, eq=False)
class PlacedFrame:
    """A decoded frame of any protocol in its place; what the timeline takes."""

    counts: npt.NDArray[np.int32]
    """Shape (n, channels), sensor counts."""
    first_index: int
    """Index of the first sample, u32."""
    sequence: int | None = None
    """Number of the frame, u16; None where frames are not numbered."""
    device_time_us: int | None = None
    """Device time of the first sample, u32; None where the wearable tells no time."""
    overflow_frames: int = 0
    """No wearable but those of the open profile says how many it dropped."""
    on_skin: bool = True
    """True where the wearable cannot tell."""
    frame: object = None
    """The frame as its codec gives it, with whatever else the wearable said."""
    acceleration: npt.NDArray[np.int32] | None = None
    """Shape (n, 3), where it comes with the samples; its unit is in `StreamFormat`."""

    @classmethod
    def timed(
        cls,
        counts: npt.NDArray[np.int32],
        first_index: int,
        *,
        last_s: float,
        period_s: float,
        frame: object,
        acceleration: npt.NDArray[np.int32] | None = None,
    ) -> PlacedFrame:
        """Place a frame that says when its last sample was taken, seconds."""
        first_s = last_s - (len(counts) - 1) * period_s
        time_us = round(first_s * 1e6) % _WRAP_32
        return cls(
            counts,
            first_index,
            device_time_us=time_us,
            frame=frame,
            acceleration=acceleration,
        )


class PlainDriver:
    """Samples and no more: no calibration, no encoder, no fingerprints of its own.

    Parameters
    ----------
    link : GattLink
        Connected.
    host_time : callable
        Seconds since 1970.
    """

    info: Info
    device: DeviceInformation = DeviceInformation()
    """What the Device Information service told, after `open`."""

    def __init__(self, link: GattLink, host_time: Callable[[], float]) -> None:
        self._link = link
        self._host_time = host_time

    async def open(self) -> None:
        """Read the device information."""
        self.device = await read_device_information(self._link)

    def succeed(self, before: Driver) -> None:
        """Nothing to take over."""

    async def read_calibration(self) -> Calibration | None:
        """None: such wearables have none to read."""
        return None

    async def start_fingerprints(
        self, on_payload: Callable[[bytes], None], *, hop_s: float
    ) -> None:
        """Refuse: fingerprints are made here, from the samples."""
        raise ProtocolError("the wearable makes no fingerprints of its own")

    async def stop_fingerprints(self) -> None:
        """Nothing to stop."""

    async def self_test(self, window: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Refuse: there is no encoder to test."""
        raise ProtocolError("the wearable has no self-test: its firmware has no encoder")


def chosen_rate(
    rates_hz: tuple[float, ...], wanted_hz: float | None, least: float
) -> float:
    """Rate to ask for, Hz: the wanted one, else the lowest of at least `least`, else most.

    Raises
    ------
    ProtocolError
        The wanted rate is not on offer.
    """
    if wanted_hz is not None:
        if wanted_hz not in rates_hz:
            offered = ", ".join(f"{rate:g}" for rate in sorted(rates_hz))
            raise ProtocolError(
                f"the wearable does not sample at {wanted_hz:g} Hz; it offers {offered} Hz"
            )
        return wanted_hz
    enough = [rate for rate in rates_hz if rate >= least]
    return min(enough) if enough else max(rates_hz)

"""A connected wearable: what it says of itself, its stream, its fingerprints."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

from plethprint.ble.standard_services import (
    HeartRateMeasurement,
    heart_rates,
    read_battery_percent,
)
from plethprint.block import Block
from plethprint.device_self_test import SelfTestReport, run_self_test
from plethprint.errors import ProtocolError
from plethprint.firmware_check import FirmwareCheck, check_firmware
from plethprint.live_fingerprints import LiveFingerprint, LiveFingerprints, demand_rate
from plethprint.live_stream import LiveStream
from plethprint.polarity import Polarity
from plethprint.stream_column import chosen_column, dark_counts_of

if TYPE_CHECKING:
    from plethprint.ble.calibration import Calibration
    from plethprint.ble.info import Channel, Info
    from plethprint.fingerprint import Fingerprint
    from plethprint.fingerprinter import Fingerprinter
    from plethprint.package import ModelPackage
    from plethprint.stream_clock import StreamClock
    from plethprint.stream_statistics import StreamStatistics

__all__ = ["Wearable"]


class Wearable:
    """A connected wearable; made by `connect`."""

    def __init__(
        self,
        stream: LiveStream,
        *,
        package: ModelPackage | str | Path | None,
        runtime: str,
    ) -> None:
        self._stream = stream
        self._package = package
        self._runtime = runtime
        self._fingerprinter: Fingerprinter | None = None
        self._paired = stream.connection.paired
        self._calibration = stream.connection.calibration
        self._found = stream.connection.found

    @property
    def address(self) -> str:
        """Bluetooth address; a UUID on macOS."""
        return self._found.address

    @property
    def name(self) -> str:
        """Advertised name, may be empty."""
        return self._found.name

    @property
    def info(self) -> Info:
        """What the wearable says of itself: channels, rates, features, firmware."""
        return self._stream.connection.driver.info

    @property
    def paired(self) -> bool:
        """Whether the wearable was paired with, or the link proved to be encrypted."""
        return self._paired

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of this very unit; None when it has none or is not paired with."""
        return self._calibration

    def statistics(self) -> StreamStatistics:
        """Counts up to now, frozen; also after the session ended."""
        return self._stream.statistics

    @property
    def stats(self) -> StreamStatistics:
        """The same as `statistics`."""
        return self._stream.statistics

    @property
    def sample_rate_hz(self) -> float | None:
        """Rate of the stream; None before it was first started."""
        stream_format = self._stream.format
        return None if stream_format is None else stream_format.sample_rate_hz

    def pulse_channel(self) -> tuple[int, Channel]:
        """Column of a block's samples that fingerprints are made of, and its channel.

        Raises
        ------
        ProtocolError
            The stream was not started yet.
        """
        stream_format = self._stream.format
        if stream_format is None:
            raise ProtocolError("which channels are streamed is known once it started")
        column = chosen_column(stream_format.channels, None)
        return column, stream_format.channels[column]

    def stream_clock(self) -> StreamClock:
        """When which sample was taken, on the host's clock, as far as known now.

        `plethprint.stream_clock.align` puts those of two wearables side by side.

        Raises
        ------
        ProtocolError
            Nothing streams, or nothing came yet.
        """
        clock = self._stream.stream_clock
        if clock is None:
            raise ProtocolError("the stream's clock is known only while frames are taken")
        return clock

    async def pair(self) -> None:
        """Pair now, and read what only an encrypted link shows.

        Raises
        ------
        PairingError
            Refused, failed or not answered.
        LinkError
            The link failed.
        """
        connection = self._stream.connection
        await connection.link.pair()
        self._paired = True
        self._calibration = await connection.driver.read_calibration()

    async def battery_percent(self) -> int | None:
        """Read the wearable's battery level, 0..100; None when it tells none.

        Raises
        ------
        LinkError
            The link failed.
        ProtocolError
            What came is no battery level.
        """
        return await read_battery_percent(self._stream.connection.link)

    async def heart_rates(self) -> AsyncGenerator[HeartRateMeasurement, None]:
        """Stream what the wearable's own Heart Rate service tells, about once a second.

        It is the maker's algorithm, not ours, and ends with the link it began on.

        Yields
        ------
        HeartRateMeasurement
            ``bpm`` is 0 while the wearable has no reading.

        Raises
        ------
        ProtocolError
            The wearable has no such service.
        LinkLostError, LinkTimeoutError
            The link dropped, or the service fell silent.
        """
        async for measurement in heart_rates(self._stream.connection.link):
            yield measurement

    async def frames(self) -> AsyncGenerator[Block, None]:
        """Stream raw PPG: blocks in order, each sample once, gaps told.

        Yields
        ------
        Block
            ``samples`` of shape (n, channels) in counts, with absolute index and host
            time; ``frame`` holds what else the wearable said.

        Raises
        ------
        LinkLostError
            The link was lost and did not come back.
        BondLostError
            It came back three times without the key of the bond.
        """
        async with self._stream.subscribe() as (queue, _):
            while (block := await queue.get()) is not None:
                yield block

    async def fingerprints(
        self,
        hop_s: float = 5.0,
        *,
        channel: int | None = None,
        polarity: Polarity | None = None,
    ) -> AsyncGenerator[LiveFingerprint, None]:
        """Stream fingerprints, computed here from the raw PPG.

        Parameters
        ----------
        hop_s : float, optional
            Seconds from the start of one 10 s window to the next.
        channel : int, optional
            Column of the stream to use; by default green, else infrared, else red.
        polarity : {1, -1, "auto"}, optional
            See `Fingerprinter.embed`; by default what the wearable says of its channel.

        Yields
        ------
        LiveFingerprint
            ``start`` is the host time (Unix, s) of the window's first sample. Windows
            never span a gap of more than 0.1 s, nor any that a lost link left; shorter
            ones are interpolated, show in ``gap_fraction`` and ``missing``, and lower
            ``quality``. So do ``motion_g``, ``motion_fraction`` and ``perfusion`` where
            they are known.

        Raises
        ------
        PackageError, EncoderError
            The model cannot be used.
        SampleRateError
            The wearable is too slow for the shape of a pulse.
        LinkLostError
            The link was lost and did not come back.
        BondLostError
            It came back three times without the key of the bond.
        """
        fingerprinter = self._loaded()
        async with self._stream.subscribe() as (queue, stream_format):
            demand_rate(stream_format.sample_rate_hz)
            column = chosen_column(stream_format.channels, channel)
            if polarity is None:
                # Where nobody knows it, the pulse itself has to tell.
                polarity = stream_format.channels[column].polarity or "auto"
            dark_counts = dark_counts_of(
                stream_format, column, self.info, self._calibration
            )
            live = LiveFingerprints(
                fingerprinter.stream(
                    stream_format.sample_rate_hz,
                    hop_s=hop_s,
                    polarity=polarity,
                ),
                sample_rate_hz=stream_format.sample_rate_hz,
                channel=column,
                motion=self._stream.motion,
                dark_counts=dark_counts,
            )
            while (block := await queue.get()) is not None:
                for fingerprint in live.push(block):
                    yield fingerprint
            for fingerprint in live.finish():
                yield fingerprint

    def motion_g(self, start_s: float, duration_s: float = 10.0) -> float | None:
        """How much the wearable moved: rms of its dynamic acceleration, g.

        `LiveFingerprint.motion_g` has it for each window; this is for `frames` alone.

        Parameters
        ----------
        start_s, duration_s : float
            Host time (Unix, s) from which on, and for how long, s. The last two minutes
            are known, or more with a longer ``queue_s``.

        Returns
        -------
        float or None
            None where the wearable sends no acceleration, or sent too little then.
        """
        return self._stream.motion.rms_g(start_s, duration_s)

    async def device_fingerprints(
        self, hop_s: float = 5.0
    ) -> AsyncGenerator[Fingerprint, None]:
        """Stream fingerprints that the wearable computes itself, no raw PPG needed.

        Parameters
        ----------
        hop_s : float, optional
            Seconds from the start of one window to the next, 0.1..60.

        Yields
        ------
        Fingerprint
            As it came: ``start`` is on the wearable's clock, set to the host's when the
            link was made. What the wearable made while the link was away comes later as
            far as it kept it; what is absent shows as a jump of ``start``.

        Raises
        ------
        ProtocolError
            The wearable makes none (no ``Features.FINGERPRINTS`` in `info`), or refused.
        ValueError
            Another consumer takes them at another hop.
        LinkLostError
            The link was lost and did not come back.
        BondLostError
            It came back three times without the key of the bond.
        """
        async with self._stream.subscribe_fingerprints(hop_s) as queue:
            while (fingerprint := await queue.get()) is not None:
                yield fingerprint

    async def self_test(self, windows: int | None = None) -> SelfTestReport:
        """Have the wearable's own encoder run the package's golden windows.

        Parameters
        ----------
        windows : int, optional
            How many, from the first; all when None.

        Raises
        ------
        FingerprintMismatchError
            The wearable runs another model than the one here.
        ProtocolError
            It has no encoder, or answered nonsense.
        LinkError
            The link failed.
        """
        package = self._loaded().package
        return await run_self_test(self._stream.connection.driver, package, windows)

    async def check_firmware(
        self, windows: int | None = 8, *, golden_max_lsb: int = 0
    ) -> FirmwareCheck:
        """Check the wearable's encoder and preprocessing, and name the part at fault.

        Besides golden windows it is sent raw counts, of which it makes a window itself;
        fingerprints under way may begin anew by that. `FirmwareCheck.unchecked` tells
        what a wearable without `Features.FIRMWARE_CHECK` cannot be asked.

        Parameters
        ----------
        windows : int, optional
            How many golden windows, from the first; all when None.
        golden_max_lsb : int
            What its vectors may be off, int8 steps. The profile asks for 0.

        Raises
        ------
        FingerprintMismatchError
            The wearable runs another model than the one here.
        ProtocolError
            It has no encoder, or answered nonsense.
        LinkError
            The link failed.
        """
        package = self._loaded().package
        return await check_firmware(
            self._stream.connection.driver,
            package,
            windows,
            golden_max_lsb=golden_max_lsb,
        )

    def _loaded(self) -> Fingerprinter:
        if self._fingerprinter is None:
            from plethprint.fingerprinter import Fingerprinter

            self._fingerprinter = Fingerprinter(self._package, self._runtime)
        return self._fingerprinter

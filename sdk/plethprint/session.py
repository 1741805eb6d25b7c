"""Live sessions with a wearable: connect, stream, fingerprint, check itself.

>>> import asyncio, plethprint
>>> async def main() -> None:
...     async with plethprint.connect() as wearable:
...         async for fp in wearable.fingerprints(hop_s=5):
...             print(fp.start, fp.quality, fp.vector[:4])
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plethprint.ble.connection import Backoff, Connector
from plethprint.ble.info import Channel, ChannelKind
from plethprint.ble.scan import BluetoothBackend, FoundWearable, scan
from plethprint.ble.standard_services import (
    HeartRateMeasurement,
    heart_rates,
    read_battery_percent,
)
from plethprint.block import Block
from plethprint.clock import HostClock
from plethprint.errors import FingerprintMismatchError, ProtocolError
from plethprint.live_fingerprints import LiveFingerprint, LiveFingerprints, demand_rate
from plethprint.live_stream import LiveStream, StreamOptions
from plethprint.polarity import Polarity

if TYPE_CHECKING:
    from plethprint.ble.calibration import Calibration
    from plethprint.ble.info import Info
    from plethprint.fingerprint import Fingerprint
    from plethprint.fingerprinter import Fingerprinter
    from plethprint.package import ModelPackage
    from plethprint.stream_statistics import StreamStatistics

__all__ = [
    "Backoff",
    "FoundWearable",
    "SelfTestReport",
    "Wearable",
    "connect",
    "scan",
]

# Green sees the pulse best at the wrist, infrared at the finger.
_PREFERRED = (ChannelKind.GREEN, ChannelKind.INFRARED, ChannelKind.RED, ChannelKind.OTHER)


@dataclass(frozen=True)
class SelfTestReport:
    """How a wearable's own encoder agrees with the model package."""

    windows: int
    """Golden windows that the wearable encoded."""
    exact: int
    """Windows whose vector came back bit for bit."""
    max_lsb: int
    """Largest difference of any number of any vector, int8 steps."""
    model: str
    """Model identity that both run."""


@contextlib.asynccontextmanager
async def connect(
    *,
    address: str | None = None,
    name: str | None = None,
    personality: str | None = None,
    backend: BluetoothBackend | None = None,
    timeout_s: float = 10.0,
    pair: bool | None = None,
    package: ModelPackage | str | Path | None = None,
    runtime: str = "auto",
    sample_rate_hz: float | None = None,
    channels: Sequence[int] | None = None,
    reconnect: bool = True,
    backoff: Backoff | None = None,
    give_up_after_s: float = 600.0,
    stall_after_s: float = 1.5,
    silent_after_s: float = 8.0,
    queue_s: float = 60.0,
    wall_clock: Callable[[], float] = time.time,
) -> AsyncIterator[Wearable]:
    """Connect to a wearable: the first found, or the one described.

    Parameters
    ----------
    address, name : str, optional
        Bluetooth address (a UUID on macOS) or advertised name.
    personality : str, optional
        Protocol it must speak, such as ``"open"``.
    backend : BluetoothBackend, optional
        Another Bluetooth stack than the operating system's, such as a virtual one.
    timeout_s : float, optional
        How long to look for it, and how long any single GATT call may take, seconds.
    pair : bool, optional
        True pairs at once and fails if that fails; False never pairs; None pairs when
        the wearable asks for it, and goes on without what is encrypted if that fails.
    package : ModelPackage or path, optional
        Model for `Wearable.fingerprints`; the shipped one when None.
    runtime : str, optional
        ``"auto"``, ``"onnx"`` or ``"litert"``.
    sample_rate_hz : float, optional
        Rate to stream at; None takes the lowest on offer that the model can use.
    channels : sequence of int, optional
        Channels to stream, positions in ``info.channels``; None takes all that fit.
    reconnect : bool, optional
        Whether a lost link is brought back by itself.
    backoff : Backoff, optional
        Waits between attempts to bring it back.
    give_up_after_s : float, optional
        How long a lost link is sought before iterators raise `LinkLostError`, seconds.
    stall_after_s : float, optional
        Silence, seconds, that is counted as a stall.
    silent_after_s : float, optional
        Silence, seconds, after which the link is cut and made anew.
    queue_s : float, optional
        Signal, seconds, held for a slow consumer before the oldest is dropped and counted.
    wall_clock : callable, optional
        Seconds since 1970.

    Yields
    ------
    Wearable
        Connected; disconnected when the context ends.

    Raises
    ------
    WearableNotFoundError
        None advertised within `timeout_s`.
    LinkTimeoutError, LinkLostError, PairingError, LinkError
        The link could not be made.
    ProtocolError
        The wearable speaks something else.

    Examples
    --------
    ::

        async with plethprint.connect(name="plethprint-01") as wearable:
            async for block in wearable.frames():
                print(block.start_s, block.samples.shape, block.gap)
    """
    host_clock = HostClock(asyncio.get_running_loop().time, wall_clock)
    connector = Connector(
        address=address,
        name=name,
        personality=personality,
        backend=backend,
        timeout_s=timeout_s,
        pair=pair,
        host_time=host_clock.now,
    )
    options = StreamOptions(
        sample_rate_hz=sample_rate_hz,
        channels=None if channels is None else tuple(channels),
        reconnect=reconnect,
        backoff=backoff or Backoff(),
        give_up_after_s=give_up_after_s,
        stall_after_s=stall_after_s,
        silent_after_s=silent_after_s,
        queue_s=queue_s,
    )
    stream = LiveStream(connector, options, host_clock)
    await stream.open()
    try:
        yield Wearable(stream, package=package, runtime=runtime)
    finally:
        await stream.close()


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

    @property
    def stats(self) -> StreamStatistics:
        """Counts up to now, frozen; also after the session ended."""
        return self._stream.statistics

    @property
    def sample_rate_hz(self) -> float | None:
        """Rate of the stream; None before it was first started."""
        stream_format = self._stream.format
        return None if stream_format is None else stream_format.sample_rate_hz

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
            never span a gap of half a second or more; shorter gaps are bridged, show in
            ``missing`` and lower ``quality``.

        Raises
        ------
        PackageError, EncoderError
            The model cannot be used.
        SampleRateError
            The wearable is too slow for the shape of a pulse.
        LinkLostError
            The link was lost and did not come back.
        """
        fingerprinter = self._loaded()
        async with self._stream.subscribe() as (queue, stream_format):
            demand_rate(stream_format.sample_rate_hz)
            column = _chosen_column(stream_format.channels, channel)
            if polarity is None:
                # Where nobody knows it, the pulse itself has to tell.
                polarity = stream_format.channels[column].polarity or "auto"
            live = LiveFingerprints(
                fingerprinter.stream(
                    stream_format.sample_rate_hz,
                    hop_s=hop_s,
                    polarity=polarity,
                ),
                sample_rate_hz=stream_format.sample_rate_hz,
                channel=column,
            )
            while (block := await queue.get()) is not None:
                for fingerprint in live.push(block):
                    yield fingerprint
            for fingerprint in live.finish():
                yield fingerprint

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
        golden = package.golden()
        driver = self._stream.connection.driver
        if self.info.model and self.info.model != package.model_id:
            raise FingerprintMismatchError(
                f"the wearable runs {self.info.model}, here is {package.model_id}; "
                "install the same model on both sides"
            )
        count = (
            len(golden.windows) if windows is None else min(windows, len(golden.windows))
        )
        if count < 1:
            raise ValueError(f"a self-test needs at least one window, not {windows}")
        worst: list[int] = []
        for window, expected in zip(golden.windows, golden.vectors, strict=True):
            if len(worst) == count:
                break
            vector = await driver.self_test(window)
            if vector.shape != expected.shape:
                raise ProtocolError(
                    f"the wearable's fingerprint has {vector.size} numbers, "
                    f"the model has {expected.size}"
                )
            difference = vector.astype(np.int16) - expected.astype(np.int16)
            worst.append(int(np.abs(difference).max()))
        return SelfTestReport(len(worst), worst.count(0), max(worst), package.model_id)

    def _loaded(self) -> Fingerprinter:
        if self._fingerprinter is None:
            from plethprint.fingerprinter import Fingerprinter

            self._fingerprinter = Fingerprinter(self._package, self._runtime)
        return self._fingerprinter


def _chosen_column(channels: Sequence[Channel], wanted: int | None) -> int:
    if wanted is not None:
        if not 0 <= wanted < len(channels):
            raise ProtocolError(
                f"the stream has channels 0..{len(channels) - 1}, not {wanted}"
            )
        return wanted
    kinds = [channel.kind for channel in channels]
    return next((kinds.index(kind) for kind in _PREFERRED if kind in kinds), 0)

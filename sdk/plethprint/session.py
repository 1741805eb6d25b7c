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
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plethprint.ble.connection import Backoff, Connector, Timeouts
from plethprint.ble.scan import BluetoothBackend, FoundWearable, scan
from plethprint.ble.security import SecurityPolicy
from plethprint.clock import HostClock
from plethprint.device_self_test import SelfTestReport
from plethprint.live_stream import LiveStream
from plethprint.stream_options import StreamOptions
from plethprint.wearable import Wearable

if TYPE_CHECKING:
    from plethprint.package import ModelPackage

__all__ = [
    "Backoff",
    "FoundWearable",
    "SelfTestReport",
    "Wearable",
    "connect",
    "scan",
]


@contextlib.asynccontextmanager
async def connect(
    *,
    address: str | None = None,
    name: str | None = None,
    personality: str | None = None,
    backend: BluetoothBackend | None = None,
    timeout_s: float = 10.0,
    pair: bool | None = None,
    allow_unencrypted: bool = False,
    pair_timeout_s: float | None = None,
    package: ModelPackage | str | Path | None = None,
    runtime: str = "auto",
    sample_rate_hz: float | None = None,
    channels: Sequence[int] | None = None,
    motion: bool = True,
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
        How long to look for it, and how long any single GATT call may take, seconds;
        connecting, with the discovery of its services, half as much again.
    pair : bool, optional
        None pairs wherever the wearable's protocol offers pairing, True always; both fail
        if that fails. False never pairs.
    allow_unencrypted : bool, optional
        Go on in the open where pairing is offered, but fails, is legacy or is not wanted.
        With ``pair=None`` it is then only paired with when something needs it.
    pair_timeout_s : float, optional
        How long pairing may take, seconds: somebody may have to confirm it; by default
        three times `timeout_s`.
    package : ModelPackage or path, optional
        Model for `Wearable.fingerprints`; the shipped one when None.
    runtime : str, optional
        ``"auto"``, ``"onnx"`` or ``"litert"``.
    sample_rate_hz : float, optional
        Rate to stream at; None takes the lowest on offer that the model can use.
    channels : sequence of int, optional
        Channels to stream, positions in ``info.channels``; None takes all that fit.
    motion : bool, optional
        Whether to ask for acceleration beside PPG, where the wearable has it: it tells
        motion apart from a bad pulse. One that refuses streams PPG all the same.
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
    BluetoothUnavailableError, BluetoothPermissionError
        Bluetooth is missing, off or not allowed; the message says what to do.
    PairingRefusedError, UnencryptedLinkError, PairingError
        The link could not be encrypted.
    WearableBusyError, LinkTimeoutError, LinkLostError, LinkError
        The link could not be made.
    WrongPersonalityError, ProtocolError
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
        timeouts=Timeouts.of(timeout_s, pair_timeout_s),
        security=SecurityPolicy(pair, allow_unencrypted),
        host_time=host_clock.now,
    )
    options = StreamOptions(
        sample_rate_hz=sample_rate_hz,
        channels=None if channels is None else tuple(channels),
        motion=motion,
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

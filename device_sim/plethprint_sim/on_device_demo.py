"""The demo of a wearable made of a firmware pack: checked first, then trusted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from plethprint.ble.open_profile import FINGERPRINT_UUID, PPG_UUID
from plethprint.errors import EncoderError
from plethprint.fingerprint import Fingerprint
from plethprint.firmware_check import FirmwareCheck
from plethprint.package import ModelPackage
from plethprint.session import Backoff, Wearable, connect
from plethprint.teacher import TeacherEncoder
from plethprint_sim import virtual_time
from plethprint_sim.demo import HOP_S, worn
from plethprint_sim.demo_report import DemoOptions
from plethprint_sim.live_parity import LiveParity
from plethprint_sim.personalities.ondevice import OnDeviceWearable
from plethprint_sim.source import SignalSource
from plethprint_sim.world import VirtualWorld

__all__ = ["OnDevicePrint", "OnDeviceReport", "run_on_device_demo"]

_GOLDEN_WINDOWS = 8
_RAW_S = 5.0
"""How long raw PPG is streamed, to measure what it costs."""
_SETTLE_S = 1.5
"""What the last window may take through filter, frame and air after its last sample."""
_MEASURES = ("cosine", "centred_cosine", "overlap_at_10")


@dataclass(frozen=True)
class OnDevicePrint:
    """One fingerprint as the wearable sent it."""

    start_s: float
    """Seconds from the start of the first window to that of this one."""
    quality: float
    missing: float
    vector: tuple[int, ...]
    """int8, length D."""
    centred_cosine: float
    """With the teacher's of the same moment, after the reference bank's means are off."""


@dataclass(frozen=True)
class OnDeviceReport:
    """What was found in the wearable, and what it sent."""

    model: str
    source: str
    """``wearer`` or the name of the recording."""
    seed: int
    rate_hz: float
    injected: str | None
    """Fault that was compiled in on purpose."""
    fault: str
    """Part that the check names: ``model``, ``encoder``, ``signal``, or empty."""
    check: dict[str, Any]
    """`plethprint.firmware_check.FirmwareCheck`, as plain values."""
    fingerprints: int
    raw_bytes_per_s: float
    """Values notified while raw PPG streamed, measured."""
    fingerprint_bytes_per_s: float
    """The same while fingerprints came, 0 when none did."""
    bytes_ratio: float
    """Raw over fingerprints, 0 when none came."""
    parity: dict[str, float]
    """Measures of `plethprint.agreement` against the teacher over all windows."""
    prints: tuple[OnDevicePrint, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def run_on_device_demo(
    options: DemoOptions,
    *,
    on_event: Callable[[str], None] = lambda _: None,
    on_print: Callable[[OnDevicePrint], None] = lambda _: None,
) -> OnDeviceReport:
    """Make a wearable of ``options.firmware``, check it over Bluetooth, take what it sends.

    From a wearable that is at fault no fingerprints are taken.

    Parameters
    ----------
    options : DemoOptions
        With `firmware`; a lost link is no part of this demo.
    on_event : callable, optional
        Takes a sentence for what happens.
    on_print : callable, optional
        Takes each fingerprint as it comes.

    Raises
    ------
    PlethprintError
        Pack, package, teacher or recording cannot be used, there is no C compiler, or
        the link failed.

    Examples
    --------
    >>> report = run_on_device_demo(
    ...     DemoOptions(firmware=Path("fw"), virtual_time=True))  # doctest: +SKIP
    >>> report.fault                                              # doctest: +SKIP
    ''
    """
    if options.firmware is None:
        raise EncoderError("a demo of firmware needs a pack: DemoOptions(firmware=...)")
    package = ModelPackage.load(options.package)
    source, name, ecg_lead_s = worn(options)
    parity = LiveParity(
        source,
        package.golden(),
        TeacherEncoder.load(options.teacher),
        ecg_lead_s=ecg_lead_s,
    )
    on_event(f"compiling {options.firmware}")
    device = OnDeviceWearable(source, pack=options.firmware, fault=options.fault)
    demo = _OnDeviceDemo(options, package, source, device, parity, on_event, on_print)
    run = virtual_time.run if options.virtual_time else asyncio.run
    return run(demo.run(name))


class _OnDeviceDemo:
    """One run: what `run_on_device_demo` was given, and what came of it."""

    def __init__(
        self,
        options: DemoOptions,
        package: ModelPackage,
        source: SignalSource,
        device: OnDeviceWearable,
        parity: LiveParity,
        on_event: Callable[[str], None],
        on_print: Callable[[OnDevicePrint], None],
    ) -> None:
        self._options = options
        self._package = package
        self._source = source
        self._device = device
        self._parity = parity
        self._on_event = on_event
        self._on_print = on_print
        self._prints: list[OnDevicePrint] = []
        self._origin_s: float | None = None

    async def run(self, name: str) -> OnDeviceReport:
        self._parity.teacher_fingerprint(0)  # imports take their time, outside of streaming
        raw_per_s = 0.0
        async with (
            VirtualWorld(self._device, seed=self._options.seed) as world,
            connect(
                backend=world.backend,
                pair=True,
                package=self._package,
                backoff=Backoff(seed=self._options.seed),
                wall_clock=self._wall_s,
            ) as wearable,
        ):
            self._on_event(f"connected to {wearable.name} ({wearable.address}), paired")
            check = await wearable.check_firmware(_GOLDEN_WINDOWS)
            for sentence in check.sentences():
                self._on_event(sentence)
            if check.ok:
                raw_per_s = await self._raw_bytes_per_s(wearable)
                await self._follow(wearable)
        return self._report(name, check, raw_per_s)

    def _wall_s(self) -> float:
        if self._options.virtual_time:
            return asyncio.get_running_loop().time()
        return time.time()

    async def _raw_bytes_per_s(self, wearable: Wearable) -> float:
        """What raw PPG takes on the air, measured over a few seconds of it."""
        samples, sent = 0, self._device.sent_bytes
        frames = wearable.frames()
        async with contextlib.aclosing(frames):
            async for block in frames:
                samples += len(block.samples)
                if samples >= _RAW_S * self._source.sample_rate_hz:
                    break
            return sent[PPG_UUID] / samples * self._source.sample_rate_hz

    async def _follow(self, wearable: Wearable) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._options.seconds + _SETTLE_S
        prints = wearable.device_fingerprints(HOP_S)
        try:
            while (left_s := until_s - loop.time()) > 0:
                self._take(await asyncio.wait_for(anext(prints), left_s))
        except (asyncio.TimeoutError, StopAsyncIteration):
            pass  # time is up, or the recording has ended
        finally:
            await prints.aclose()

    def _take(self, fingerprint: Fingerprint) -> None:
        if self._origin_s is None:
            self._origin_s = fingerprint.start
        taken_s = fingerprint.start - self._wall_s() + asyncio.get_running_loop().time()
        at_s = taken_s - self._device.first_sample_s
        index = max(0, round(at_s * self._source.sample_rate_hz))
        agreement = self._parity.compare(fingerprint.vector, index)
        one = OnDevicePrint(
            start_s=round(fingerprint.start - self._origin_s, 3),
            quality=fingerprint.quality,
            missing=fingerprint.missing,
            vector=tuple(np.asarray(fingerprint.vector).tolist()),
            centred_cosine=agreement["centred_cosine"],
        )
        self._prints.append(one)
        self._on_print(one)

    def _report(self, name: str, check: FirmwareCheck, raw_per_s: float) -> OnDeviceReport:
        sent = self._device.sent_bytes[FINGERPRINT_UUID]
        per_s = sent / (len(self._prints) * HOP_S) if self._prints else 0.0
        overall = self._parity.overall()
        return OnDeviceReport(
            model=self._package.model_id,
            source=name,
            seed=self._options.seed,
            rate_hz=self._source.sample_rate_hz,
            injected=self._options.fault,
            fault=check.fault,
            check=asdict(check),
            fingerprints=len(self._prints),
            raw_bytes_per_s=raw_per_s,
            fingerprint_bytes_per_s=per_s,
            bytes_ratio=raw_per_s / per_s if per_s else 0.0,
            parity={name: overall[name] for name in _MEASURES if name in overall},
            prints=tuple(self._prints),
        )

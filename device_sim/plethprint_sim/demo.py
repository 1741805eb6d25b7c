"""The demo: a worn virtual wearable, the SDK on the other side of the air, the teacher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from plethprint.alignment import PHYSIOLOGICAL_LAG_S, estimate_lag_s
from plethprint.ble.info import ChannelKind
from plethprint.encoder import Encoder, installed_runtimes, load_encoder
from plethprint.errors import RecordingError, SampleRateError, SignalError
from plethprint.fingerprinter import Fingerprinter
from plethprint.io import read_recording
from plethprint.live_fingerprints import LiveFingerprint
from plethprint.package import ModelPackage
from plethprint.session import Backoff, Wearable, connect
from plethprint.signal import PPG
from plethprint.teacher import TeacherEncoder
from plethprint_sim import virtual_time
from plethprint_sim.demo_report import DemoOptions, DemoReport, DemoWindow
from plethprint_sim.live_parity import LiveParity
from plethprint_sim.peripheral import Peripheral
from plethprint_sim.personalities import PERSONALITIES, virtual_wearable
from plethprint_sim.replay import ReplayStream
from plethprint_sim.source import SignalSource
from plethprint_sim.stream import WearerStream
from plethprint_sim.wearer import random_wearer
from plethprint_sim.world import VirtualWorld

__all__ = ["DemoOptions", "DemoReport", "DemoWindow", "run_demo", "worn"]

HOP_S = 5.0
_SELF_TEST_WINDOWS = 8
_DEVICE_RUNTIMES = ("tflm", "litert", "onnx")
_MEASURES = ("cosine", "centred_cosine", "overlap_at_10")
_FOOT_TO_RISE_S = 0.045
"""From the foot of a virtual pulse to its steepest rise, as in the teacher's training."""
_LAG_S = 120.0
"""Stretch of a recording from which the delay between its channels is told."""
_PULSE_S = 6.0
"""How much of the raw signal a screen shows."""
_SETTLE_S = 1.5
"""What the last window may take through filter, frame and air after its last sample."""


def run_demo(
    options: DemoOptions,
    *,
    on_window: Callable[[DemoWindow], None] = lambda _: None,
    on_event: Callable[[str], None] = lambda _: None,
    on_pulse: Callable[[npt.NDArray[np.float32]], None] | None = None,
) -> DemoReport:
    """Run the whole path once and report.

    Parameters
    ----------
    options : DemoOptions
    on_window : callable, optional
        Takes each window as it happens.
    on_event : callable, optional
        Takes a sentence for what happens on the link.
    on_pulse : callable, optional
        Takes the last seconds of raw PPG in counts, shape (T,), with each frame.

    Raises
    ------
    PlethprintError
        The package, the teacher or the recording cannot be used, or the link failed.

    Examples
    --------
    >>> report = run_demo(DemoOptions(seconds=20, virtual_time=True))  # doctest: +SKIP
    >>> report.missing_samples                                         # doctest: +SKIP
    0
    """
    package = ModelPackage.load(options.package)
    teacher = TeacherEncoder.load(options.teacher)
    source, name, ecg_lead_s = worn(options)
    demo = _Demo(options, package, teacher, source, name, ecg_lead_s)
    demo.on_window, demo.on_event, demo.on_pulse = on_window, on_event, on_pulse
    run = virtual_time.run if options.virtual_time else asyncio.run
    return run(demo.run())


def worn(options: DemoOptions) -> tuple[SignalSource, str, float]:
    """Give what is worn, its name, and by how much its ECG runs ahead of its PPG, s."""
    if options.replay is None:
        wearer = random_wearer(options.seed, rhythm=options.rhythm)
        rate_hz = PERSONALITIES[options.personality].sample_rate_hz
        stream = WearerStream(wearer, seed=options.seed, sample_rate_hz=rate_hz)
        rise_s = wearer.pulse_arrival_s + _FOOT_TO_RISE_S
        return stream, "wearer", rise_s - PHYSIOLOGICAL_LAG_S
    recording = read_recording(
        options.replay, sample_rate_hz=options.sample_rate_hz, column=options.column
    )
    if recording.duration_s < PPG.window_s + _SETTLE_S:
        raise RecordingError(
            f"{options.replay} lasts {recording.duration_s:.1f} s; "
            f"a replay needs at least {PPG.window_s + _SETTLE_S:.1f} s"
        )
    what = PERSONALITIES[options.personality]
    source = ReplayStream(recording, what.rate_for(recording.sample_rate_hz))
    return source, recording.name, _ecg_lead_s(source)


def _ecg_lead_s(source: SignalSource) -> float:
    """The constant delay of a recording's optical channel beyond the arteries', seconds."""
    count = min(source.length or 0, round(_LAG_S * source.sample_rate_hz))
    ppg, ecg = source.read(0, count)
    if ecg is None:
        return 0.0
    try:
        return estimate_lag_s(ecg, ppg, source.sample_rate_hz) - PHYSIOLOGICAL_LAG_S
    except SignalError:
        return 0.0  # too short or flat to tell


def _device_encoder(package: ModelPackage) -> Encoder:
    """The installed runtime that is nearest to a microcontroller's."""
    installed = installed_runtimes()
    return load_encoder(package, next(r for r in _DEVICE_RUNTIMES if r in installed))


def _told(agreement: Mapping[str, float]) -> dict[str, float]:
    """The measures that mean something for a handful of windows."""
    return {name: agreement[name] for name in _MEASURES if name in agreement}


class _Demo:
    """One run: what `run_demo` was given, and what came of it."""

    def __init__(
        self,
        options: DemoOptions,
        package: ModelPackage,
        teacher: TeacherEncoder,
        source: SignalSource,
        name: str,
        ecg_lead_s: float,
    ) -> None:
        self.on_window: Callable[[DemoWindow], None]
        self.on_event: Callable[[str], None]
        self.on_pulse: Callable[[npt.NDArray[np.float32]], None] | None
        self._device: Peripheral
        self._options = options
        self._package = package
        self._teacher = teacher
        self._source = source
        self._name = name
        self._fingerprinter = Fingerprinter(package)
        self._parity = LiveParity(source, package.golden(), teacher, ecg_lead_s=ecg_lead_s)
        self._windows: list[DemoWindow] = []
        self._origin: float | None = None
        length = source.length
        self._seconds = options.seconds
        if length is not None:
            self._seconds = min(options.seconds, length / source.sample_rate_hz)

    async def run(self) -> DemoReport:
        self._warm_up()
        is_open = self._options.personality == "open"
        encoder = _device_encoder(self._package) if is_open else None
        device = self._device = self._made(encoder)
        loop = asyncio.get_running_loop()
        async with VirtualWorld(device, seed=self._options.seed) as world:
            self.on_event("scanning for a PPG wearable")
            async with connect(
                backend=world.backend,
                pair=True if is_open else None,
                package=self._package,
                # Chance and wall clock of the machine must not decide what arrives.
                backoff=Backoff(seed=self._options.seed),
                wall_clock=loop.time if self._options.virtual_time else time.time,
            ) as wearable:
                security = "paired, link encrypted" if wearable.paired else "not paired"
                self.on_event(
                    f"connected to {wearable.name} ({wearable.address}), {security}"
                )
                golden = {} if encoder is None else await self._tested(wearable, encoder)
                beside = [
                    asyncio.create_task(self._lose_link(world)),
                    asyncio.create_task(self._show_pulse(wearable)),
                ]
                try:
                    await self._follow(wearable)
                finally:
                    for task in beside:
                        task.cancel()
                    await asyncio.gather(*beside, return_exceptions=True)
                paired = wearable.paired
            stats = wearable.stats
        return DemoReport(
            model=self._package.model_id,
            teacher=self._teacher.model_id,
            source=self._name,
            personality=self._options.personality,
            device_runtime="" if encoder is None else encoder.runtime,
            host_runtime=self._fingerprinter.runtime,
            seed=self._options.seed,
            rate_hz=self._source.sample_rate_hz,
            fingerprints=len(self._windows),
            frames=stats.frames,
            samples=stats.samples,
            missing_samples=stats.missing_samples,
            duplicates=stats.duplicates,
            link_gaps=stats.link_gaps,
            reconnects=stats.reconnects,
            paired=paired,
            teacher_sees=self._parity.teacher_sees,
            parity={**golden, **_told(self._parity.overall())},
            stream_sha256=stats.stream_sha256,
            statistics=stats.to_dict(),
            windows=tuple(self._windows),
        )

    def _made(self, encoder: Encoder | None) -> Peripheral:
        """What is worn: with an encoder of its own, or of a protocol that has none."""
        if encoder is not None:
            return virtual_wearable(
                "open",
                self._source,
                name="pleth-demo",
                encoder=encoder,
                fingerprinter=self._fingerprinter,
                model=self._package.model_id,
            )
        try:
            return virtual_wearable(self._options.personality, self._source)
        except ValueError as error:
            raise SampleRateError(
                f"{self._name} cannot be worn as {self._options.personality}: {error}"
            ) from error

    async def _tested(self, wearable: Wearable, encoder: Encoder) -> dict[str, float]:
        test = await wearable.self_test(_SELF_TEST_WINDOWS)
        self.on_event(
            f"self-test over Bluetooth ({encoder.runtime}): {test.exact} of "
            f"{test.windows} golden windows bit for bit, at most {test.max_lsb} LSB off"
        )
        return {"golden_max_lsb": test.max_lsb}

    def _warm_up(self) -> None:
        """Do everything once: wearable, air and host share one loop and one clock here.

        What is imported or allocated at its first use can take seconds on a cold machine,
        and the wearable's transmit buffer would overflow meanwhile.
        """
        self._compute_ms(0)
        self._parity.teacher_fingerprint(0)

    async def _follow(self, wearable: Wearable) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._seconds + _SETTLE_S
        fingerprints = wearable.fingerprints(HOP_S)
        try:
            while (left_s := until_s - loop.time()) > 0:
                fingerprint = await asyncio.wait_for(anext(fingerprints), left_s)
                self._take(fingerprint, wearable)
        except (asyncio.TimeoutError, StopAsyncIteration):
            pass  # time is up, or the recording has ended
        finally:
            await fingerprints.aclose()

    def _take(self, fingerprint: LiveFingerprint, wearable: Wearable) -> None:
        first_index = self._source_index(fingerprint)
        if self._origin is None:
            self._origin = fingerprint.first_index
        agreement = self._parity.compare(fingerprint.vector, first_index)
        stats = wearable.stats
        window = DemoWindow(
            start_s=(fingerprint.first_index - self._origin) / self._source.sample_rate_hz,
            duration_s=fingerprint.duration_s,
            heart_rate_bpm=fingerprint.heart_rate_bpm,
            quality=fingerprint.quality,
            missing=fingerprint.missing,
            vector=tuple(fingerprint.vector.tolist()),
            **_told(agreement),
            compute_ms=self._compute_ms(first_index),
            missing_samples=stats.missing_samples,
            link_gaps=stats.link_gaps,
        )
        self._windows.append(window)
        self.on_window(window)

    def _source_index(self, fingerprint: LiveFingerprint) -> int:
        """Index in the source of the window's first sample."""
        if self._options.personality == "open":
            return round(fingerprint.first_index)
        # Other wearables do not number their samples; their clocks lead back to them.
        loop_s = asyncio.get_running_loop().time()
        wall_s = loop_s if self._options.virtual_time else time.time()
        taken_s = fingerprint.start - (wall_s - loop_s) - self._device.first_sample_s
        return max(0, round(taken_s * self._source.sample_rate_hz))

    def _compute_ms(self, first_index: int) -> float:
        """Time of the SDK's whole path for this window, done once more by itself."""
        rate_hz = self._source.sample_rate_hz
        samples, _ = self._source.read(first_index, round((PPG.window_s + 0.5) * rate_hz))
        began = time.perf_counter()
        self._fingerprinter.embed(samples, rate_hz, hop_s=PPG.window_s)
        return 1e3 * (time.perf_counter() - began)

    async def _show_pulse(self, wearable: Wearable) -> None:
        if self.on_pulse is None:
            return
        kept = round(_PULSE_S * self._source.sample_rate_hz)
        pulse = np.zeros(0, dtype=np.float32)
        kinds = [channel.kind for channel in wearable.info.channels]
        lit = next(at for at, kind in enumerate(kinds) if kind is not ChannelKind.AMBIENT)
        async for block in wearable.frames():
            seen = block.samples[:, lit].astype(np.float32)
            pulse = np.concatenate([pulse, seen])[-kept:]
            self.on_pulse(pulse)

    async def _lose_link(self, world: VirtualWorld) -> None:
        if self._options.link_loss_at_s is None:
            return
        away_s = self._options.link_loss_s
        await asyncio.sleep(self._options.link_loss_at_s)
        self.on_event(
            f"{self._options.link_loss_at_s:g} s: out of range for {away_s:g} s, link lost"
        )
        world.link_loss()
        world.air.adv_loss = 1.0
        await asyncio.sleep(away_s)
        world.air.adv_loss = 0.0
        self.on_event(f"{self._options.link_loss_at_s + away_s:g} s: in range again")

"""Acceleration on the host: history, stream, and what fingerprints make of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plethprint.ble import polar_profile as pmd
from plethprint.ble.frame import FrameStatus, PpgFrame
from plethprint.ble.motion import MotionFormat, SendsMotion
from plethprint.ble.personality import StreamFormat
from plethprint.ble.plain_driver import PlacedFrame
from plethprint.ble.polar_control import _settings_to_bytes
from plethprint.ble.polar_motion import PolarMotion
from plethprint.block import Block
from plethprint.errors import ControlError, LinkLostError, PlethprintError
from plethprint.fingerprinter import Fingerprinter
from plethprint.live_fingerprints import LiveFingerprint, LiveFingerprints
from plethprint.motion_history import MotionHistory
from plethprint.motion_stream import MotionStream
from plethprint.package import ModelPackage
from plethprint.raw_window import RawWindow
from plethprint.timeline import Timeline

RATE_HZ = 50.0
WALL_S = 1e9


def shaken(seconds: float, amplitude_g: float, per_g: float = 1000.0) -> np.ndarray:
    """A sine along gravity, shape (n, 3)."""
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    down = 1.0 + amplitude_g * np.sin(2 * np.pi * 2 * at_s)
    return np.stack([0 * at_s, 0 * at_s, down], axis=1) * per_g


def history(*parts: np.ndarray, per_g: float | None = 1000.0) -> MotionHistory:
    """Parts that follow each other from `WALL_S` on."""
    made = MotionHistory(keep_s=120.0)
    start_s = WALL_S
    for part in parts:
        made.add(start_s, 1 / RATE_HZ, part, per_g)
        start_s += len(part) / RATE_HZ
    return made


def test_motion_is_the_rms_of_the_length_about_gravity() -> None:
    assert history(shaken(10, 0.3)).rms_g(WALL_S, 10.0) == pytest.approx(0.3 / 2**0.5)
    assert history(shaken(10, 0.0)).rms_g(WALL_S, 10.0) == pytest.approx(0.0, abs=1e-6)


def test_turning_slowly_is_no_motion() -> None:
    angle = np.linspace(0, np.pi, 500)
    turned = 1000.0 * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)
    assert history(turned).rms_g(WALL_S, 10.0) == pytest.approx(0.0, abs=1e-6)


def test_of_several_parts_only_those_within_the_window_count() -> None:
    made = history(shaken(10, 0.0), shaken(10, 0.3), shaken(10, 0.0))
    still, moving = made.rms_g(WALL_S, 10.0), made.rms_g(WALL_S + 10, 10.0)
    half = made.rms_g(WALL_S + 15, 10.0)
    assert still is not None
    assert moving is not None
    assert half is not None
    assert still < 1e-6 < half < moving
    assert half == pytest.approx(moving / 2**0.5, rel=0.01)


def test_gravity_tells_the_unit_where_nobody_else_does() -> None:
    for per_g in (256.0, 16384.0):
        parts = shaken(30, 0.0, per_g), shaken(10, 0.3, per_g)
        rms = history(*parts, per_g=None).rms_g(WALL_S + 30, 10.0)
        assert rms == pytest.approx(0.3 / 2**0.5, rel=0.01)


@pytest.mark.parametrize("per_g", [1000.0, None])
def test_what_does_not_feel_gravity_is_no_accelerometer(per_g: float | None) -> None:
    assert history(np.zeros((500, 3)), per_g=per_g).rms_g(WALL_S, 10.0) is None
    assert history(shaken(10, 0.1, 100.0), per_g=1000.0).rms_g(WALL_S, 10.0) is None


def test_less_than_half_a_window_tells_nothing() -> None:
    made = history(shaken(4, 0.3))
    assert made.rms_g(WALL_S, 10.0) is None
    assert made.rms_g(WALL_S, 7.0) is not None
    assert MotionHistory(60.0).rms_g(WALL_S, 10.0) is None


@pytest.mark.parametrize(("frames", "samples"), [(3_000, 400), (200_000, 1)])
def test_memory_is_bounded_whatever_comes(frames: int, samples: int) -> None:
    made = MotionHistory(keep_s=1e9)
    part = np.full((samples, 3), 500)
    for number in range(frames):
        made.add(WALL_S + number, 1 / RATE_HZ, part, 1000.0)
    assert made._samples <= 1 << 16
    assert made._samples == sum(len(p.lengths) for p in made._parts)
    assert len(made._parts) <= 1 << 12


class Driver:
    """A driver whose accelerometer does as a test wants."""

    def __init__(self, answer: MotionFormat | PlethprintError | None) -> None:
        self._answer = answer
        self.say: Callable[[bytes], None] = lambda _: None

    async def start_motion(
        self, on_payload: Callable[[bytes], None]
    ) -> MotionFormat | None:
        self.say = on_payload
        if isinstance(self._answer, PlethprintError):
            raise self._answer
        return self._answer

    def decode_motion(self, payload: bytes) -> PlacedFrame:
        at = int.from_bytes(payload[:4], "little")
        return PlacedFrame(np.full((10, 3), payload[4], np.int32), at)


def started(driver: Any, *, wanted: bool = True) -> MotionStream:
    stream = MotionStream(wanted, keep_s=60.0)
    asyncio.run(stream.start(driver, StreamFormat(RATE_HZ, ()), lambda: WALL_S))
    return stream


def frame(number: int) -> bytes:
    return (10 * number).to_bytes(4, "little") + b"\x64"


ACCELEROMETER = MotionFormat(RATE_HZ, 100.0)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (ACCELEROMETER, "streaming"),
        (None, "none"),
        (ControlError("no"), "refused"),
        (LinkLostError("gone"), "none"),
    ],
    ids=str,
)
def test_what_a_wearable_makes_of_the_request_shows(answer: Any, state: str) -> None:
    assert isinstance(Driver(answer), SendsMotion)
    assert started(Driver(answer)).counts()["motion"] == state


def test_a_driver_without_acceleration_is_not_asked() -> None:
    assert started(object()).counts()["motion"] == "none"
    assert started(Driver(ACCELEROMETER), wanted=False).counts()["motion"] == "off"


def test_what_is_lost_or_garbled_is_counted() -> None:
    driver = Driver(ACCELEROMETER)
    stream = started(driver)
    for number in (0, 1, 2, 4, 5, 6, 7, 8, 9):
        driver.say(frame(number))
    for junk in (b"", b"abc", bytes(600)):
        driver.say(junk)
    told = stream.counts()
    assert told["motion_decode_errors"] == 3
    assert told["motion_missing_samples"] == 10
    assert told["motion_samples"] == 90


def test_an_old_links_acceleration_is_not_taken() -> None:
    driver = Driver(ACCELEROMETER)
    stream = started(driver)
    driver.say(frame(0))
    stream.pause()
    driver.say(frame(1))
    assert stream.counts()["motion_samples"] == 10


def test_a_rebooted_wearable_may_send_the_very_same_frames_again() -> None:
    driver = Driver(ACCELEROMETER)
    stream = started(driver)
    for _ in range(2):
        for number in range(5):
            driver.say(frame(number))
        stream.pause()
        asyncio.run(stream.start(driver, StreamFormat(RATE_HZ, ()), lambda: WALL_S))  # type: ignore[arg-type]
    assert stream.counts()["motion_samples"] == 100


def test_random_bytes_neither_raise_nor_grow() -> None:
    driver = Driver(ACCELEROMETER)
    stream = started(driver)
    rng = np.random.default_rng(1)
    for _ in range(20_000):
        driver.say(rng.bytes(5))
    history = stream.history
    assert sum(sys.getsizeof(p.lengths) for p in history._parts) < 2_000_000


@pytest.fixture(scope="module")
def fingerprinter(package: ModelPackage) -> Fingerprinter:
    return Fingerprinter(package, "onnx")


def ppg_blocks(seconds: float, status: FrameStatus = FrameStatus.CONTACT) -> list[Block]:
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pulse = np.exp(np.sin(2 * np.pi * 1.2 * at_s)) + 0.1 * np.sin(31 * at_s)
    counts = np.rint(1e5 + 1e3 * pulse).astype(np.int32)[:, np.newaxis]
    timeline = Timeline(RATE_HZ)
    blocks = []
    for at in range(0, len(counts), 10):
        samples = counts[at : at + 10]
        part = PpgFrame(at // 10, at, 20_000 * at, samples, status=status)
        blocks += timeline.push(part, WALL_S + (at + 9) / RATE_HZ)
    return blocks


def feeder(fingerprinter: Fingerprinter, **evidence: Any) -> LiveFingerprints:
    stream = fingerprinter.stream(RATE_HZ, hop_s=5.0)
    return LiveFingerprints(stream, sample_rate_hz=RATE_HZ, channel=0, **evidence)


def test_a_window_waits_for_its_acceleration_but_not_for_ever(
    fingerprinter: Fingerprinter,
) -> None:
    motion = history(shaken(9.0, 0.0))
    blocks = ppg_blocks(14.0)
    live = feeder(fingerprinter, motion=motion)
    end_s = blocks[0].start_s + 10.0
    out: list[tuple[float, LiveFingerprint]] = []
    for block in blocks:
        newest_s = block.start_s + len(block.samples) / RATE_HZ
        out += [(newest_s, fp) for fp in live.push(block)]
    (when_s, first), *_ = out
    assert when_s == pytest.approx(end_s + 2.5, abs=0.5)
    assert first.motion_g == pytest.approx(0.0, abs=1e-6)  # of the nine seconds there are
    live = feeder(fingerprinter, motion=history(shaken(20.0, 0.6)))
    prompt = next(b for b in blocks if live.push(b))
    assert prompt.start_s < end_s + 0.5


def test_acceleration_that_fell_silent_is_not_waited_for(
    fingerprinter: Fingerprinter,
) -> None:
    live = feeder(fingerprinter, motion=history(shaken(1.0, 0.0)))
    blocks = ppg_blocks(11.0)
    prompt = next(b for b in blocks if live.push(b))
    assert prompt.start_s < blocks[0].start_s + 10.5


def test_what_waits_for_acceleration_is_not_lost_at_the_end(
    fingerprinter: Fingerprinter,
) -> None:
    live = feeder(fingerprinter, motion=history(shaken(8.0, 0.0)))
    pushed = [fp for block in ppg_blocks(10.4) for fp in live.push(block)]
    assert pushed == []
    (last,) = live.finish()
    assert last.motion_g is not None
    assert live.finish() == []


def test_evidence_that_is_not_there_changes_nothing(fingerprinter: Fingerprinter) -> None:
    blocks = ppg_blocks(16.0)
    bare = feeder(fingerprinter)
    plain = [fp for block in blocks for fp in bare.push(block)] + bare.finish()
    live = feeder(fingerprinter, motion=history(shaken(20.0, 0.0)), dark_counts=0.0)
    known = [fp for block in blocks for fp in live.push(block)] + live.finish()
    assert plain
    assert [fp.quality for fp in plain] == [fp.quality for fp in known]
    assert all(fp.motion_g is None and fp.perfusion is None for fp in plain)
    assert all(fp.perfusion == pytest.approx(0.024, rel=0.1) for fp in known)


def test_the_wearables_word_for_motion_marks_its_windows(
    fingerprinter: Fingerprinter,
) -> None:
    status = FrameStatus.CONTACT | FrameStatus.MOTION
    live = feeder(fingerprinter)
    prints = [fp for b in ppg_blocks(16.0, status) for fp in live.push(b)] + live.finish()
    assert prints
    for fp in prints:
        assert fp.motion_fraction == 1.0
        assert (fp.flagged, fp.quality_reason) == (True, "motion")


def test_a_level_below_darkness_tells_no_perfusion() -> None:
    raw = RawWindow(RATE_HZ, dark_counts=1000.0)
    raw.add(0, np.full(500, 900.0))
    assert raw.perfusion(0.0, 500.0) is None
    assert RawWindow(RATE_HZ, 0.0).perfusion(0.0, 500.0) is None


def test_raw_counts_are_kept_for_half_a_minute_and_no_longer() -> None:
    raw = RawWindow(RATE_HZ, dark_counts=0.0)
    for number in range(10_000):
        raw.add(10 * number, np.ones(10))
    assert sum(len(counts) for _, counts in raw._parts) <= 31 * RATE_HZ


def test_acceleration_that_still_comes_while_it_is_stopped_is_not_taken_for_ppg() -> None:
    async def stopped() -> None:
        late: list[bool] = []

        async def request(asked: pmd.PmdRequest) -> pmd.PmdResponse:
            settings: pmd.PmdSettings = {}
            if asked.opcode is pmd.PmdOpcode.GET_SETTINGS:
                settings = {pmd.PmdSetting.SAMPLE_RATE: (52,)}
            if asked.opcode is pmd.PmdOpcode.STOP:
                late.append(motion.takes(b"\x02 and so on"))
            return pmd.PmdResponse(
                asked.opcode,
                asked.measurement,
                pmd.PmdStatus.SUCCESS,
                _settings_to_bytes(settings),
            )

        motion = PolarMotion(request)
        taken: list[bytes] = []
        await motion.start(taken.append)
        await motion.stop()
        assert (late, taken, motion.is_on) == ([True], [], False)

    asyncio.run(stopped())

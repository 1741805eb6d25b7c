"""An unmodified client of somebody else, `polar-python`, and our virtual Verity Sense."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")
pytest.importorskip("polar_python", reason="needs polar-python (PyPI)")

from plethprint.ble import polar_profile as pmd
from plethprint_sim import Wearer, WearerStream
from plethprint_sim.accelerometer import Accelerometer
from plethprint_sim.personalities.polar import VirtualPolar
from plethprint_sim.world import VirtualWorld

RATE_HZ = 55


def test_polar_python_streams_bit_exactly(play: Callable[..., Any]) -> None:
    from polar_python import PolarDevice
    from polar_python.constants import PmdMeasurementType, PmdSettingType

    source = WearerStream(Wearer(), seed=3, sample_rate_hz=float(RATE_HZ))
    device = VirtualPolar(source)
    frames: list[Any] = []
    beats: list[Any] = []

    async def scenario(world: VirtualWorld) -> None:
        with world.backend.installed():
            async with PolarDevice(device.address) as polar:
                features = await polar.get_available_features()
                assert PmdMeasurementType.PPG in features
                offered = await polar.request_stream_settings(PmdMeasurementType.PPG)
                assert {one.type: one.values for one in offered.settings} == {
                    PmdSettingType.SAMPLE_RATE: [RATE_HZ],
                    PmdSettingType.RESOLUTION: [22],
                    PmdSettingType.CHANNELS: [4],
                }
                await polar.start_hr_stream(beats.append)
                await polar.start_ppg_stream(frames.append, RATE_HZ, 22, 4)
                await asyncio.sleep(20.0)
                await polar.stop_ppg_stream()
                await asyncio.sleep(1.0)

    play(scenario, wearable=device)
    received = np.array([sample for frame in frames for sample in frame.samples])
    assert len(received) == pytest.approx(20 * RATE_HZ, abs=25)
    np.testing.assert_array_equal(received, device.optics().counts(0, len(received)))
    ends_ns = np.array([frame.timestamp for frame in frames]) - pmd.PMD_EPOCH_UNIX_S * 10**9
    spans = np.array([len(frame.samples) for frame in frames[1:]]) / RATE_HZ
    np.testing.assert_allclose(np.diff(ends_ns) * 1e-9, spans, atol=1e-6)
    truth = source.beat_times_s(0.0, 20.0)
    assert beats[-1].heartrate == pytest.approx(60.0 / np.diff(truth).mean(), rel=0.1)


def test_polar_python_gets_acceleration_beside_ppg(play: Callable[..., Any]) -> None:
    from polar_python import PolarDevice

    source = WearerStream(Wearer(), seed=3, sample_rate_hz=float(RATE_HZ))
    device = VirtualPolar(source)
    ppg: list[Any] = []
    acceleration: list[Any] = []

    async def scenario(world: VirtualWorld) -> None:
        with world.backend.installed():
            async with PolarDevice(device.address) as polar:
                await polar.start_ppg_stream(ppg.append, RATE_HZ, 22, 4)
                await polar.start_acc_stream(acceleration.append, 52, 16, 8, 3)
                await asyncio.sleep(20.0)

    play(scenario, wearable=device)
    light = np.array([sample for frame in ppg for sample in frame.samples])
    np.testing.assert_array_equal(light, device.optics().counts(0, len(light)))
    felt = np.array([sample for frame in acceleration for sample in frame.data])
    assert len(felt) == pytest.approx(20 * 52, abs=60)
    truth = Accelerometer(source, 52.0, counts_per_g=1000.0).counts(0, len(felt))
    np.testing.assert_array_equal(felt, truth)

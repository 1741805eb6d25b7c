"""What a check of a wearable's firmware concludes from what it found."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plethprint.ble.info import Features
from plethprint.ble.self_test import SelfTestStatus
from plethprint.device_self_test import SelfTestReport
from plethprint.errors import ProtocolError
from plethprint.firmware_check import FirmwareCheck, SignalCheck, check_firmware
from plethprint.signal import windows_of

EXACT = SelfTestReport(8, 8, 0, "toy@1+00000000")
OFF = SelfTestReport(8, 0, 2, "toy@1+00000000")
SAME = SignalCheck(64.0, 0.0, 0, 0.01)


@pytest.mark.parametrize(
    ("own", "golden", "signal", "fault"),
    [
        ("", EXACT, SAME, ""),
        ("model", OFF, SAME, "model"),
        ("model", EXACT, SAME, "model"),
        ("", OFF, SAME, "encoder"),
        (None, OFF, SAME, "encoder"),
        ("encoder", EXACT, SAME, "encoder"),
        ("", EXACT, SignalCheck(64.0, 0.02, 1, 0.01), "signal"),
        ("", EXACT, SignalCheck(64.0, 0.002, 2, 0.01), "signal"),
        ("signal", EXACT, SAME, "signal"),
    ],
)
def test_the_first_part_that_anything_speaks_against_is_named(
    own: str | None, golden: SelfTestReport, signal: SignalCheck, fault: str
) -> None:
    check = FirmwareCheck(own, golden, 0, (signal,))
    assert (check.fault, check.ok) == (fault, not fault)


def test_what_a_looser_bar_allows_is_no_fault() -> None:
    assert FirmwareCheck("", OFF, 2, (SAME,)).ok


class Device:
    """Answers as a wearable whose window is a step off at every `every`-th sample."""

    def __init__(self, package: Any, *, every: int = 10**6, cut: int = 0) -> None:
        self.info = SimpleNamespace(
            model=package.model_id,
            features=Features.SELF_TEST | Features.FIRMWARE_CHECK,
            rates_mhz=(10_000, 64_000, 125_000, 400_000),
        )
        self.rates: list[int] = []
        self._golden = package.golden()
        self._at = 0
        self._every = every
        self._cut = cut

    async def self_test(self, _: Any) -> Any:
        self._at += 1
        return self._golden.vectors[self._at - 1]

    async def check_itself(self) -> SelfTestStatus:
        return SelfTestStatus.OK

    async def window_of(self, counts: Any, rate_mhz: int) -> Any:
        self.rates.append(rate_mhz)
        window = windows_of(counts, rate_mhz / 1000)[0].samples.astype(np.int16)
        window[:: self._every] += np.where(window[:: self._every] < 0, 1, -1)
        return window[self._cut :].astype(np.int8)


def checked(device: Device, package: Any) -> FirmwareCheck:
    return asyncio.run(check_firmware(device, package, 2))  # type: ignore[arg-type]


def test_counts_are_sent_at_64_hz_and_at_each_rate_that_can_be_fingerprinted(
    package: Any,
) -> None:
    device = Device(package)
    check = checked(device, package)
    assert device.rates == [64_000, 125_000]
    assert check.ok
    assert [one.max_steps for one in check.signal] == [1, 1]


def test_a_step_in_every_fiftieth_sample_is_too_much_where_nothing_is_resampled(
    package: Any,
) -> None:
    check = checked(Device(package, every=50), package)
    assert [one.ok for one in check.signal] == [False, True]
    assert check.fault == "signal"


def test_a_window_of_another_length_is_nonsense(package: Any) -> None:
    with pytest.raises(ProtocolError, match="window has 639 samples"):
        checked(Device(package, cut=1), package)

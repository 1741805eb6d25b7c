"""Is a wearable's whole firmware what it should be, and if not, which part is wrong?

The self-test gives the encoder windows that are preprocessed already: filters of another
band would pass it. Here three kinds of evidence come together, and the wearable's own
word is only one of them:

=======  ====================================================  =================
part     what the host sees                                    what the wearable
                                                               says of itself
=======  ====================================================  =================
model    golden windows give other vectors                     ``model``
encoder  golden windows give other vectors                     ``encoder``
signal   raw counts, sent from here, give another window than  ``signal``
         `plethprint.signal` makes of them
=======  ====================================================  =================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from plethprint.ble.info import Features
from plethprint.ble.personality import Driver
from plethprint.ble.self_test import SelfTestStatus
from plethprint.device_self_test import SelfTestReport, run_self_test
from plethprint.errors import ProtocolError
from plethprint.signal import PPG, windows_of

if TYPE_CHECKING:
    from plethprint.package import ModelPackage

__all__ = ["FirmwareCheck", "SignalCheck", "check_firmware"]

_PARTS = {
    SelfTestStatus.OK: "",
    SelfTestStatus.FAULT_MODEL: "model",
    SelfTestStatus.FAULT_ENCODER: "encoder",
    SelfTestStatus.FAULT_SIGNAL: "signal",
}
_LOOK_AHEAD_S = 1.0  # what a resampler may want beyond the window
_MOST_STEPS = 1
# At the model's rate samples pass through and the filters show alone: white noise has all
# frequencies. At the wearable's own rate the SDK's kernel and a microcontroller's smaller
# one round differently, least so for a pulse (docs/firmware-signal.md, section 4).
_NOISE_DIFFERING = 0.01
_PULSE_DIFFERING = 0.08
_LOWEST_MHZ, _HIGHEST_MHZ = 25_000, 200_000
_NOISE_COUNTS = 20_000
_NOISE_SEED = 20_130


@dataclass(frozen=True)
class SignalCheck:
    """How the wearable's window of the same raw counts agrees with the SDK's."""

    rate_hz: float
    """Rate of the counts."""
    differing: float
    """Share of the window's samples that differ, 0..1."""
    max_steps: int
    """Largest difference, steps of the int8 window."""
    allowed: float
    """Share that may differ, by one step."""

    @property
    def ok(self) -> bool:
        """Whether it is only another rounding."""
        return self.differing <= self.allowed and self.max_steps <= _MOST_STEPS


@dataclass(frozen=True)
class FirmwareCheck:
    """What was found; `fault` names the part that is wrong."""

    own_fault: str | None
    """What the wearable finds wrong with itself: ``model``, ``encoder``, ``signal``, or
    nothing (empty); None when it cannot check itself."""
    golden: SelfTestReport
    """How its encoder met the package's golden windows."""
    golden_max_lsb: int
    """Difference that was allowed there, int8 steps."""
    signal: tuple[SignalCheck, ...]
    """How its preprocessing met the SDK's; empty when it cannot be asked."""

    @property
    def fault(self) -> str:
        """``model``, ``encoder`` or ``signal``: the first part at fault; else empty.

        Weights and arithmetic look alike from outside: that it is the weights, only the
        wearable can say.
        """
        if self.own_fault == "model":
            return "model"
        if self.golden.max_lsb > self.golden_max_lsb or self.own_fault == "encoder":
            return "encoder"
        if not all(check.ok for check in self.signal) or self.own_fault == "signal":
            return "signal"
        return ""

    @property
    def ok(self) -> bool:
        """Whether nothing was found; see `unchecked` for what nobody could look at."""
        return not self.fault

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Parts that this wearable offers no way to check."""
        return () if self.signal else ("signal",)

    def sentences(self) -> list[str]:
        """Say what was found, a line each."""
        golden = self.golden
        told = [
            f"golden windows: {golden.exact} of {golden.windows} bit for bit, at most "
            f"{golden.max_lsb} LSB off"
        ]
        told += [
            f"raw counts at {check.rate_hz:g} Hz: {check.differing:.2%} of the window's "
            f"samples differ (at most {check.allowed:.0%}), by at most {check.max_steps}"
            for check in self.signal
        ]
        if self.own_fault is not None:
            told.append(f"its own self-test: {self.own_fault or 'nothing wrong'}")
        told += [f"{part}: cannot be checked on this wearable" for part in self.unchecked]
        told.append(f"at fault: {self.fault}" if self.fault else "firmware sound")
        return told


@runtime_checkable
class _CheckingDriver(Protocol):
    async def check_itself(self) -> SelfTestStatus: ...

    async def window_of(
        self, counts: npt.NDArray[np.int32], rate_mhz: int
    ) -> npt.NDArray[np.int8]: ...


async def check_firmware(
    driver: Driver,
    package: ModelPackage,
    windows: int | None = None,
    *,
    golden_max_lsb: int = 0,
) -> FirmwareCheck:
    """Check a wearable; the arguments of `Wearable.check_firmware`.

    Raises
    ------
    FingerprintMismatchError
        The wearable runs another model than the package's.
    ProtocolError
        It has no encoder, or answered nonsense.
    LinkError
        The link failed.
    """
    golden = await run_self_test(driver, package, windows)
    if Features.FIRMWARE_CHECK not in driver.info.features:
        return FirmwareCheck(None, golden, golden_max_lsb, ())
    if not isinstance(driver, _CheckingDriver):
        raise ProtocolError("this protocol has no firmware check")
    signal = [await _compared(driver, _noise(), PPG.rate_hz, _NOISE_DIFFERING)]
    for rate_mhz in driver.info.rates_mhz:
        if _LOWEST_MHZ <= rate_mhz <= _HIGHEST_MHZ and rate_mhz != PPG.rate_hz * 1000:
            rate_hz = rate_mhz / 1000
            signal.append(
                await _compared(driver, _pulse(rate_hz), rate_hz, _PULSE_DIFFERING)
            )
    own = _PARTS.get(await driver.check_itself())
    return FirmwareCheck(own, golden, golden_max_lsb, tuple(signal))


async def _compared(
    driver: _CheckingDriver, counts: npt.NDArray[np.int32], rate_hz: float, allowed: float
) -> SignalCheck:
    found = await driver.window_of(counts, round(rate_hz * 1000))
    expected = windows_of(counts, rate_hz)[0].samples
    if found.shape != expected.shape:
        raise ProtocolError(
            f"the wearable's window has {found.size} samples, the model takes "
            f"{expected.size}"
        )
    steps = np.abs(found.astype(np.int16) - expected)
    return SignalCheck(rate_hz, float((steps > 0).mean()), int(steps.max()), allowed)


def _noise() -> npt.NDArray[np.int32]:
    """White noise at the model's rate."""
    length = round((PPG.window_s + _LOOK_AHEAD_S) * PPG.rate_hz)
    rng = np.random.default_rng(_NOISE_SEED)
    return rng.integers(-_NOISE_COUNTS, _NOISE_COUNTS + 1, length).astype(np.int32)


def _pulse(rate_hz: float) -> npt.NDArray[np.int32]:
    """A pulse of 72 a minute with its second wave, on a slope, at any rate."""
    time_s = np.arange(round((PPG.window_s + _LOOK_AHEAD_S) * rate_hz)) / rate_hz
    beat = 2 * np.pi * 1.2 * time_s
    wave = np.sin(beat) + 0.4 * np.sin(2 * beat + 0.8) + 0.1 * np.sin(5 * beat)
    return np.rint(100_000 + 5_000 * wave + 300 * time_s).astype(np.int32)

"""What a window costs on a processor: published runs of other networks, carried over.

Nothing here was measured on the chip with this network. MLPerf Tiny tells how long two
networks of known size take on a chip, a depthwise-separable one (keyword spotting) and a
dense one (image classification); between their times per multiply-accumulate lies the
band that a network of the same kinds of layer is projected into. Networks with very few
channels fall out of the band on the slow side.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CYCLES_PER_INSTRUCTION", "PROCESSORS", "Band", "Processor", "Projection"]

_KWS_MMAC = 2.657
"""DS-CNN of MLPerf Tiny's keyword spotting, million MACs, from the layers' shapes."""
_IC_MMAC = 12.50
"""ResNet-8 of its image classification."""


@dataclass(frozen=True)
class Band:
    """A range that a value is expected in."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"a band goes upwards, not from {self.low} to {self.high}")

    def times(self, factor: float) -> Band:
        """The band of a multiple, by a factor of 0 or more."""
        return Band(self.low * factor, self.high * factor)


CYCLES_PER_INSTRUCTION = Band(1.0, 1.5)
"""Assumed of Cortex-M4 and M33 from cached flash, to make time of counted instructions."""


@dataclass(frozen=True)
class Projection:
    """Time and energy of one window on a processor; never a measurement."""

    processor: str
    ms: Band | None
    """Time, or None where nobody has published one."""
    uj: Band | None
    """Energy, or None where nobody has published one."""
    basis: str
    """``"MACs"`` or ``"instructions"``."""
    source: str
    """What the band was made from, in words."""


@dataclass(frozen=True)
class Processor:
    """A chip, and what is published of neural networks on it."""

    name: str
    core: str
    """As a firmware measurement names it, such as ``"m4f"``."""
    clock_mhz: float | None
    ms_per_mmac: Band | None
    uj_per_mmac: Band | None
    active_mw: Band | None
    """Power while it computes, for energy from counted instructions."""
    source: str

    def from_macs(self, macs: int) -> Projection:
        """Project the network alone; preprocessing is not in it.

        Parameters
        ----------
        macs
            Multiply-accumulates of one window.

        Examples
        --------
        >>> round(PROCESSORS[0].from_macs(1_000_000).ms.high, 1)
        30.6
        """
        ms, uj = self.ms_per_mmac, self.uj_per_mmac
        return Projection(
            self.name,
            None if ms is None else ms.times(macs / 1e6),
            None if uj is None else uj.times(macs / 1e6),
            "MACs",
            self.source,
        )

    def from_instructions(self, instructions: int) -> Projection | None:
        """Project whatever was counted, at `CYCLES_PER_INSTRUCTION`; None without a clock.

        Parameters
        ----------
        instructions
            Of one window, counted in an emulator of this core.
        """
        if self.clock_mhz is None:
            return None
        ms = CYCLES_PER_INSTRUCTION.times(instructions / (1e3 * self.clock_mhz))
        power = self.active_mw
        return Projection(
            self.name,
            ms,
            None if power is None else Band(ms.low * power.low, ms.high * power.high),
            "instructions",
            f"counted instructions at {CYCLES_PER_INSTRUCTION.low:g} to "
            f"{CYCLES_PER_INSTRUCTION.high:g} cycles each (assumed), "
            f"{self.clock_mhz:g} MHz" + ("" if power is None else f", {_mw(power)}"),
        )


def _mw(power: Band) -> str:
    low, high = f"{power.low:.1f}", f"{power.high:.1f}"
    return f"{low} mW" if low == high else f"{low} to {high} mW"


def _per_mmac(kws: float, ic: float) -> Band:
    """Band of a figure per million MACs, from the two networks' figures."""
    low, high = sorted((kws / _KWS_MMAC, ic / _IC_MMAC))
    return Band(low, high)


_NRF52840_MW = 3.3 * 3.0
_L4R5_MHZ, _NRF52840_MHZ = 120.0, 64.0
_TUNED = _per_mmac(43.42, 165.67).times(_L4R5_MHZ / _NRF52840_MHZ)
_PLAIN = _per_mmac(99.81, 389.56).times(_L4R5_MHZ / _NRF52840_MHZ)
_NRF52840_POWER = (
    "3.3 mA x 3 V (Nordic's product specification: CPU from flash, DC/DC, 64 MHz); the "
    "chip itself was never submitted"
)

PROCESSORS: tuple[Processor, ...] = (
    Processor(
        "nRF52840 (tuned kernels)",
        "m4f",
        _NRF52840_MHZ,
        _TUNED,
        _TUNED.times(_NRF52840_MW),
        Band(_NRF52840_MW, _NRF52840_MW),
        "MLPerf Tiny v1.3, closed, STM32L4R5 (Cortex-M4F, 120 MHz, X-CUBE-AI): 43.42 ms "
        "for 2.657 MMAC, 165.67 ms for 12.50 MMAC; cycles carried to 64 MHz; "
        f"{_NRF52840_POWER}",
    ),
    Processor(
        "nRF52840 (plain kernels)",
        "m4f",
        _NRF52840_MHZ,
        _PLAIN,
        _PLAIN.times(_NRF52840_MW),
        Band(_NRF52840_MW, _NRF52840_MW),
        "MLPerf Tiny v1.0, closed, STM32L4R5 (Cortex-M4F, 120 MHz, microTVM with "
        "CMSIS-NN): 99.81 ms for 2.657 MMAC, 389.56 ms for 12.50 MMAC; cycles carried to "
        "64 MHz; "
        f"{_NRF52840_POWER}",
    ),
    Processor(
        "nRF5340 (plain kernels)",
        "m33",
        128.0,
        _per_mmac(76.09, 316.16),
        None,
        None,
        "MLPerf Tiny v1.0, closed, nRF5340 (Cortex-M33, 128 MHz, microTVM with CMSIS-NN): "
        "76.09 ms for 2.657 MMAC, 316.16 ms for 12.50 MMAC; no energy was submitted, and "
        "none is made up here",
    ),
    Processor(
        "STM32U575",
        "m33",
        160.0,
        _per_mmac(28.99, 109.49),
        _per_mmac(664.0, 2565.0),
        Band(664.0 / 28.99, 2565.0 / 109.49),
        "MLPerf Tiny v1.3, closed, STM32U575 (Cortex-M33, 160 MHz, X-CUBE-AI): 28.99 ms "
        "and 664 uJ for 2.657 MMAC, 109.49 ms and 2565 uJ for 12.50 MMAC",
    ),
    Processor(
        "Apollo4 Plus",
        "m4f",
        None,
        None,
        _per_mmac(450.0, 2000.0),
        None,
        "read off the maker's own chart (AmbiqAI/MLPerfTiny, docs/results.png), "
        "unofficial: about 450 uJ for 2.657 MMAC, 2000 uJ for 12.50 MMAC; no time is "
        "told there",
    ),
)
"""The processors that a report tells, in order."""

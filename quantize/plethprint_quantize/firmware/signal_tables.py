"""Integer constants of the device's preprocessing, all derived from the SDK's own.

What `plethprint.signal`, `plethprint.resample`, `plethprint.biquad` and
`plethprint.bridge` say in floating point is rounded here once, and both the Python model
(`plethprint_quantize.firmware.fixed_point`) and the C headers take it from here.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.bridge import BRIDGE_S
from plethprint.quality import _LONGEST_LAG, _SHORTEST_LAG, _WORST_MISSING
from plethprint.resample import _KAISER_BETA, _PASS_BAND, _ZERO_CROSSINGS
from plethprint.signal import PPG, band_pass

__all__ = [
    "COUNT_MAX",
    "COUNT_MIN",
    "HEADERS",
    "MAX_RATE_MHZ",
    "MIN_RATE_MHZ",
    "MODEL_RATE_MHZ",
    "WINDOW",
    "biquads_q28",
    "kernel_q14",
    "sigmoid_q15",
]

Int64Array = npt.NDArray[np.int64]

MIN_RATE_MHZ, MAX_RATE_MHZ = 25_000, 200_000
"""Device rates that the firmware takes, thousandths of a hertz."""
MODEL_RATE_MHZ = round(PPG.rate_hz * 1000)
WINDOW = PPG.window_samples
SECOND = round(PPG.rate_hz)
COUNT_MIN, COUNT_MAX = -(1 << 23), (1 << 23) - 1
"""Counts beyond 24 bits (the range of the open profile) are taken as its ends."""

SAMPLE_BITS = 4
"""Fraction bits of what goes into the resampler: room for a bridged line's slope."""
SIGNAL_BITS = 6
"""Fraction bits of the resampled and of the filtered signal."""
COEFFICIENT_BITS = 28
"""Fraction bits of the biquads: |a1| < 2 leaves the 64-bit state two bits of headroom."""
KERNEL_BITS = 14
KERNEL_STEPS = 128
"""Entries of the kernel table per zero crossing; the nearest one is taken."""
HALF_WIDTH = math.ceil(_ZERO_CROSSINGS / _PASS_BAND) * _PASS_BAND
"""Zero crossings on each side: what the SDK's kernel has for rates up to the model's."""

BRIDGE_MS = round(BRIDGE_S * 1000)
RESTART_MS = 60_000
"""A gap longer than this is not filled: the signal begins anew after it."""
HOP = round(5.0 * PPG.rate_hz)
"""Hop of `plethprint.signal.Preprocessor` when none is asked for, samples."""
RING = -(-(WINDOW + round(BRIDGE_S * PPG.rate_hz) + 4) // 8) * 8
"""Filtered samples kept: one window, and what the end of a bridged gap brings at once."""
HISTORY = 96
"""Input samples kept: twice the longest half kernel (29), and room to move in blocks."""

MANTISSA_BITS = 24
SCALE_BITS = 51
SCALE = round(math.sqrt(WINDOW) / PPG.input_scale * (1 << SCALE_BITS))
"""int8 steps per 1 / root of the summed squares, times 2^51; 61 bits."""
STEP_MAX = 127

SHORTEST_LAG, LONGEST_LAG = _SHORTEST_LAG, _LONGEST_LAG
MOST_MISSING = round(_WORST_MISSING * WINDOW)
SIGMOID_STEPS, SIGMOID_REACH = 8, 8
"""Entries of the logistic table per unit, and up to which argument."""


@lru_cache(maxsize=1)
def kernel_q14() -> Int64Array:
    """One side of the resampler's kernel at 1/128 of a zero crossing, 14 fraction bits.

    The Kaiser-windowed sinc of `plethprint.resample`, scaled to an integral of one over
    both sides, so that taps times the cut-off sum to one.
    """
    at = np.arange(math.floor(HALF_WIDTH * KERNEL_STEPS) + 1) / KERNEL_STEPS
    window = np.i0(_KAISER_BETA * np.sqrt(1.0 - (at / HALF_WIDTH) ** 2))
    taps = np.sinc(at) * window
    area = (2.0 * taps.sum() - taps[0]) / KERNEL_STEPS
    table: Int64Array = np.rint(taps / area * (1 << KERNEL_BITS)).astype(np.int64)
    return table


def kernel_step_q16(rate_mhz: int) -> int:
    """Table entries between neighbouring input samples, 16 fraction bits."""
    step = round(_PASS_BAND * KERNEL_STEPS * 65536)
    return step if rate_mhz <= MODEL_RATE_MHZ else step * MODEL_RATE_MHZ // rate_mhz


@lru_cache(maxsize=1)
def biquads_q28() -> list[tuple[int, int, int]]:
    """b0, a1 and a2 of each biquad with 28 fraction bits; b1 is 0 and b2 is -b0."""
    one = 1 << COEFFICIENT_BITS
    sections = []
    for b0, b1, b2, _, a1, a2 in band_pass(PPG).tolist():
        if b1 != 0.0 or b2 != -b0:
            raise ValueError(
                "a section of the band-pass has other zeros than 0 and Nyquist"
            )
        sections.append((round(b0 * one), round(a1 * one), round(a2 * one)))
    return sections


@lru_cache(maxsize=1)
def sigmoid_q15() -> Int64Array:
    """Logistic function of 0, 1/8 .. 8 with 15 fraction bits."""
    at = np.arange(SIGMOID_STEPS * SIGMOID_REACH + 1) / SIGMOID_STEPS
    return np.rint(32768.0 / (1.0 + np.exp(-at))).astype(np.int64)


def constants_header() -> str:
    """``pp_signal_constants.h``: sizes and limits, for whoever includes ``pp_signal.h``."""
    values = {
        "PP_WINDOW": (f"{WINDOW}u", "samples of one window"),
        "PP_SIGNAL_MODEL_RATE_MHZ": (f"{MODEL_RATE_MHZ}u", "their rate, mHz"),
        "PP_SIGNAL_MIN_RATE_MHZ": (f"{MIN_RATE_MHZ}u", "device rates taken, mHz"),
        "PP_SIGNAL_MAX_RATE_MHZ": (f"{MAX_RATE_MHZ}u", ""),
        "PP_SIGNAL_HOP": (f"{HOP}u", "default hop, samples"),
        "PP_SIGNAL_SECTIONS": (f"{len(biquads_q28())}u", "biquads"),
        "PP_SIGNAL_HISTORY": (f"{HISTORY}u", "input samples kept; a multiple of 32"),
        "PP_SIGNAL_RING": (f"{RING}u", "filtered samples kept; a multiple of 8"),
    }
    return _header("PP_SIGNAL_CONSTANTS_H", _defines(values))


def tables_header() -> str:
    """``pp_signal_tables.h``: formats and tables, for ``pp_signal.c`` alone."""
    values = {
        "PP_COUNT_MIN": (f"({COUNT_MIN})", "counts are 24 bits wide"),
        "PP_COUNT_MAX": (f"{COUNT_MAX}", ""),
        "PP_SAMPLE_BITS": (f"{SAMPLE_BITS}u", "fraction bits of the history"),
        "PP_SIGNAL_BITS": (f"{SIGNAL_BITS}u", "fraction bits of resampled, filtered"),
        "PP_COEFFICIENT_BITS": (f"{COEFFICIENT_BITS}u", "fraction bits of the biquads"),
        "PP_KERNEL_BITS": (f"{KERNEL_BITS}u", "fraction bits of the kernel"),
        "PP_KERNEL_STEP": (f"{kernel_step_q16(0)}u", "entries per sample, Q16"),
        "PP_KERNEL_STEPS": (f"{KERNEL_STEPS}u", "entries per zero crossing"),
        "PP_KERNEL_ENTRIES": (f"{len(kernel_q14())}u", ""),
        "PP_BRIDGE_MS": (f"{BRIDGE_MS}u", "longer gaps are held"),
        "PP_RESTART_MS": (f"{RESTART_MS}u", "longer gaps begin anew"),
        "PP_MANTISSA_BITS": (f"{MANTISSA_BITS}u", "of a centred sample"),
        "PP_SCALE": (f"UINT64_C({SCALE})", "int8 steps, Q51"),
        "PP_SCALE_BITS": (f"{SCALE_BITS}u", ""),
        "PP_STEP_MAX": (f"{STEP_MAX}", "int8 samples are clipped here"),
    }
    sections = [f"    {{{b0}, {a1}, {a2}}}" for b0, a1, a2 in biquads_q28()]
    body = [
        _defines(values),
        "/* b0, a1, a2 of each biquad; b1 is 0 and b2 is -b0. */",
        "static const int32_t PP_BIQUADS[][3] = {",
        ",\n".join(sections),
        "};",
        "",
        "/* One side of the resampler's kernel. */",
        _array("int16_t", "PP_KERNEL", kernel_q14()),
    ]
    return _header("PP_SIGNAL_TABLES_H", "\n".join(body))


def quality_header() -> str:
    """``pp_quality_tables.h``, for ``pp_quality.c`` alone."""
    values = {
        "PP_SECOND": (f"{SECOND}u", "samples of a second"),
        "PP_SECONDS": (f"{WINDOW // SECOND}u", "of a window"),
        "PP_SHORTEST_LAG": (f"{SHORTEST_LAG}u", "of a pulse, samples"),
        "PP_LONGEST_LAG": (f"{LONGEST_LAG}u", ""),
        "PP_MOST_MISSING": (f"{MOST_MISSING}u", "samples: quality 0"),
        "PP_SIGMOID_ENTRIES": (f"{len(sigmoid_q15())}u", ""),
        "PP_SIGMOID_BITS": (f"{16 - int(math.log2(SIGMOID_STEPS))}u", "Q16 per entry"),
    }
    table = _array("uint16_t", "PP_SIGMOID", sigmoid_q15())
    body = f"{_defines(values)}\n/* Logistic function, 15 fraction bits. */\n{table}"
    return _header("PP_QUALITY_TABLES_H", body)


HEADERS = {
    "pp_signal_constants.h": constants_header,
    "pp_signal_tables.h": tables_header,
    "pp_quality_tables.h": quality_header,
}
"""What is written from here; ``python -m plethprint_quantize.firmware.signal_tables``."""


def main() -> None:
    """Write the headers beside the C sources."""
    for name, text in HEADERS.items():
        (Path(__file__).parent / "c" / name).write_text(text())


def _header(guard: str, body: str) -> str:
    return (
        "/* Written by plethprint_quantize.firmware.signal_tables; do not edit. */\n"
        f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n{body}\n\n"
        f"#endif /* {guard} */\n"
    )


def _defines(values: dict[str, tuple[str, str]]) -> str:
    lines = (
        f"#define {name} {value}" + (f" /* {why} */" if why else "")
        for name, (value, why) in values.items()
    )
    return "\n".join(lines) + "\n"


def _array(kind: str, name: str, values: Int64Array) -> str:
    rows = (
        "    " + ", ".join(str(value) for value in values[at : at + 12].tolist())
        for at in range(0, len(values), 12)
    )
    return f"static const {kind} {name}[] = {{\n" + ",\n".join(rows) + "\n};"


if __name__ == "__main__":
    main()

"""Windows and what TFLite Micro made of them, as C: for the self-test and the pack's test.

Beside them a stream of counts, with what the integer models of the preprocessing
(`fixed_point`, `fixed_quality`) and of the encoder (`reference`) make of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from plethprint.package import Golden
from plethprint_quantize.firmware.c_text import GENERATED, c_array
from plethprint_quantize.firmware.fixed_point import FixedPointSignal
from plethprint_quantize.firmware.fixed_quality import quality_255
from plethprint_quantize.firmware.plan import Plan
from plethprint_quantize.firmware.reference import run_plan

__all__ = [
    "SELF_TEST_VECTORS",
    "golden_files",
    "made_up_counts",
    "self_test_files",
    "spread_rows",
    "stream_counts",
]

IntArray = npt.NDArray[np.int64]

SELF_TEST_VECTORS = 2
"""Golden windows that stay in the firmware; each costs window and vector in flash."""
SELF_TEST_RATE_MHZ = 100_000
SELF_TEST_SAMPLES = 1_100
STREAM_RATE_MHZ = 100_000
STREAM_SAMPLES = 2_600


def spread_rows(count: int, wanted: int) -> IntArray:
    """Return at most `wanted` row numbers spread evenly over `count` rows.

    Examples
    --------
    >>> spread_rows(256, 4).tolist()
    [0, 85, 170, 255]
    """
    rows: IntArray = np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64)
    return rows


def made_up_counts() -> IntArray:
    """Return the pulse that pp_self_test makes up: a triangle on a slope."""
    sample = np.arange(SELF_TEST_SAMPLES)
    beat = sample % 75
    height = np.where(beat < 25, 2 * beat, 75 - beat)
    return 100_000 + 40 * height + 3 * sample


def stream_counts() -> IntArray:
    """Return counts of a pulse as a sensor gives them: uneven beats, drift, noise."""
    rng = np.random.default_rng(0)
    time_s = np.arange(STREAM_SAMPLES) / (STREAM_RATE_MHZ / 1000)
    beats = 1.2 * time_s + 0.3 * np.sin(0.6 * time_s)
    pulse = np.sin(2 * np.pi * beats) + 0.4 * np.sin(4 * np.pi * beats + 1.0)
    drift = 3000 * np.sin(2 * np.pi * 0.05 * time_s)
    noise = 40 * rng.standard_normal(STREAM_SAMPLES)
    counts: IntArray = np.rint(120_000 + 900 * pulse + drift + noise).astype(np.int64)
    return counts


def self_test_files(golden: Golden) -> dict[str, str]:
    """Return pp_self_test.h and .c by name."""
    rows = spread_rows(len(golden), SELF_TEST_VECTORS)
    windows = FixedPointSignal(SELF_TEST_RATE_MHZ).push(made_up_counts())
    return _files(
        "pp_self_test",
        "pp_encoder.h",
        {
            "COUNT": f"{len(rows)}u",
            "RATE_MHZ": f"{SELF_TEST_RATE_MHZ}u",
            "SAMPLES": f"{SELF_TEST_SAMPLES}u",
        },
        {
            "int8_t pp_self_test_windows[PP_SELF_TEST_COUNT][PP_MODEL_WINDOW]": (
                golden.windows[rows]
            ),
            "int8_t pp_self_test_vectors[PP_SELF_TEST_COUNT][PP_DIM]": golden.vectors[rows],
            "int8_t pp_self_test_made_up[PP_MODEL_WINDOW]": windows[0].samples,
        },
    )


def golden_files(plan: Plan, golden: Golden, count: int) -> dict[str, str]:
    """Return pp_golden.h and .c by name, with `count` windows of `golden` at most."""
    rows = spread_rows(len(golden), count)
    counts = stream_counts()
    windows = FixedPointSignal(STREAM_RATE_MHZ).push(counts)
    samples = np.stack([window.samples for window in windows])
    quality = [quality_255(window.samples, window.missing) for window in windows]
    text = _files(
        "pp_golden",
        "pp_encoder.h",
        {"COUNT": f"{len(rows)}u"},
        {
            "int8_t pp_golden_windows[PP_GOLDEN_COUNT][PP_MODEL_WINDOW]": (
                golden.windows[rows]
            ),
            "int8_t pp_golden_vectors[PP_GOLDEN_COUNT][PP_DIM]": golden.vectors[rows],
        },
    )
    stream = _files(
        "pp_stream",
        "pp_encoder.h",
        {
            "RATE_MHZ": f"{STREAM_RATE_MHZ}u",
            "SAMPLES": f"{STREAM_SAMPLES}u",
            "WINDOWS": f"{len(windows)}u",
        },
        {
            "int32_t pp_stream_counts[PP_STREAM_SAMPLES]": counts,
            "uint8_t pp_stream_quality[PP_STREAM_WINDOWS]": np.array(quality),
            "int8_t pp_stream_vectors[PP_STREAM_WINDOWS][PP_DIM]": run_plan(plan, samples),
        },
    )
    return {**text, **stream}


def _files(
    name: str,
    include: str,
    numbers: Mapping[str, str],
    tables: Mapping[str, npt.NDArray[np.generic]],
) -> dict[str, str]:
    guard = f"{name.upper()}_H"
    defines = "\n".join(f"#define {name.upper()}_{k} {v}" for k, v in numbers.items())
    externs = "\n".join(f"extern const {declaration};" for declaration in tables)
    header = (
        f'{GENERATED}#ifndef {guard}\n#define {guard}\n\n#include "{include}"\n\n'
        f"{defines}\n\n{externs}\n\n#endif\n"
    )
    arrays = "\n".join(
        _rows(f"const {declaration}", values) for declaration, values in tables.items()
    )
    return {f"{name}.h": header, f"{name}.c": f'{GENERATED}#include "{name}.h"\n\n{arrays}'}


def _rows(declaration: str, values: npt.NDArray[np.generic]) -> str:
    if values.ndim == 1:
        return c_array(declaration, values.tolist())
    rows = [c_array("", row.tolist()).removeprefix(" = ")[:-2] + "," for row in values]
    return f"{declaration} = {{\n" + "\n".join(rows) + "\n};\n"

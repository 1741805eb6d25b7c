"""pp_golden.h and pp_golden.c: windows, and what TFLite Micro made of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint_quantize.firmware.c_text import GENERATED, c_array

__all__ = ["golden_header", "golden_source", "spread_rows"]

Int8Array = npt.NDArray[np.int8]


def spread_rows(count: int, wanted: int) -> npt.NDArray[np.int64]:
    """Return at most `wanted` row numbers spread evenly over `count` rows.

    Examples
    --------
    >>> spread_rows(256, 4).tolist()
    [0, 85, 170, 255]
    """
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64)


def golden_header(prefix: str, count: int) -> str:
    """Return the header; `prefix` is the file's name, such as ``"pp_golden"``."""
    guard = prefix.upper()
    return f"""{GENERATED}#ifndef {guard}_H
#define {guard}_H

#include "pp_model.h"

#define {guard}_COUNT {count}u

extern const int8_t {prefix}_windows[{guard}_COUNT][PP_WINDOW];
extern const int8_t {prefix}_vectors[{guard}_COUNT][PP_DIM];

#endif
"""


def golden_source(prefix: str, windows: Int8Array, vectors: Int8Array) -> str:
    """Return the C file for windows (N, T) and their fingerprints (N, D)."""
    guard = prefix.upper()
    tables = [
        ("windows", "PP_WINDOW", windows),
        ("vectors", "PP_DIM", vectors),
    ]
    return f'{GENERATED}#include "{prefix}.h"\n\n' + "\n".join(
        _rows(f"const int8_t {prefix}_{name}[{guard}_COUNT][{size}]", values)
        for name, size, values in tables
    )


def _rows(declaration: str, values: Int8Array) -> str:
    rows = [c_array("", row.tolist()).removeprefix(" = ")[:-2] + "," for row in values]
    return f"{declaration} = {{\n" + "\n".join(rows) + "\n};\n"

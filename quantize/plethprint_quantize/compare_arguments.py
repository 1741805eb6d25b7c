"""Options of `python -m plethprint_quantize compare`, and what they are checked against."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

__all__ = ["at_least", "compare_parser"]


def at_least(least: int) -> Callable[[str], int]:
    """A type for argparse: whole numbers from `least` on."""

    def whole_number(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is below {least}")
        return number

    return whole_number


def compare_parser() -> argparse.ArgumentParser:
    """Parser of the words after ``compare``."""
    parser = argparse.ArgumentParser(
        "plethprint_quantize compare",
        description="How far int8 is from float on people held out, by way of quantising.",
    )
    parser.add_argument(
        "--student", type=Path, required=True, help="student.pt or its folder"
    )
    parser.add_argument(
        "--corpus",
        type=Path,
        required=True,
        help="folder of the corpora's folders; BIDMC and Stress-Predict are used",
    )
    parser.add_argument(
        "--recipes",
        nargs="+",
        metavar="NAME",
        help="such as learned, mse or min-max+equalize+bias; default: a dozen",
    )
    parser.add_argument(
        "--calibration", type=Path, help="int8 windows, .npy; default beside the student"
    )
    parser.add_argument(
        "--teacher", type=Path, help="teacher.npz: tell the agreement with it as well"
    )
    parser.add_argument(
        "--windows", type=at_least(1), default=512, help="windows that set ranges"
    )
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument("--cache", type=Path, help="where held-out windows are kept")
    parser.add_argument(
        "--pretend",
        action="store_true",
        help="round in torch: quick, and without the converter",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    parser.add_argument("--verbose", action="store_true", help="the converters' logs too")
    return parser

"""Verbs of training at scale: `unpack` shards, draw `curves`, tell the `cost`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

__all__ = ["add_verbs"]


def add_verbs(verbs: Any) -> None:
    """Add them to the command line's verbs."""
    unpack = verbs.add_parser("unpack", help="shards -> window sets for --mapped-dir")
    unpack.add_argument("--shards", type=Path, default=Path("runs/shards"))
    unpack.add_argument("--out", type=Path, default=Path("runs/mapped"))
    unpack.add_argument(
        "--train-on",
        nargs="+",
        default=[],
        metavar="CORPUS",
        help="train on nine in ten people of corpora that the shipped models never see",
    )
    unpack.set_defaults(run=_unpack)
    curves = verbs.add_parser("curves", help="metrics of runs -> one figure")
    curves.add_argument("folders", type=Path, nargs="+", help="folders of runs")
    curves.add_argument("--out", type=Path, default=Path("runs/curves.svg"))
    curves.set_defaults(run=_curves)
    cost = verbs.add_parser("cost", help="operations and memory of the teacher's presets")
    cost.set_defaults(run=_cost)


def _unpack(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.shard_sets import unpack_shards

    windows = unpack_shards(arguments.shards, arguments.out, train_on=arguments.train_on)
    return {"windows": windows, "folder": str(arguments.out)}


def _curves(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.curves import training_curves

    return training_curves(arguments.folders, arguments.out)


def _cost(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.flops import teacher_cost
    from plethprint_distill.teacher import PRESETS

    return {name: asdict(teacher_cost(shape)) for name, shape in PRESETS.items()}

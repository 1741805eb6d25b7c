"""Verbs about training: `unpack`, `curves`, `probe-curve`, `figures`, sweeps, `cost`."""

from __future__ import annotations

import argparse
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plethprint.errors import TrainingError

__all__ = ["add_verbs"]

_LOGGER = logging.getLogger(__name__)


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
    probes = verbs.add_parser("probe-curve", help="probes of a teacher's checkpoints")
    probes.add_argument(
        "checkpoints", nargs="+", metavar="WINDOWS=FILE", help="windows seen, teacher.pt"
    )
    probes.add_argument("--corpus", type=Path, nargs="+", required=True, metavar="DIR")
    probes.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    probes.add_argument("--cache", type=Path, default=Path("runs/evaluation"))
    probes.add_argument("--tasks", nargs="+", metavar="NAME", help="default: one a family")
    probes.add_argument(
        "--breaks", nargs="+", default=[], metavar="WINDOWS=WORDS", help="what changed when"
    )
    probes.add_argument("--out", type=Path, default=Path("runs/probe_curve.svg"))
    probes.set_defaults(run=_probes)
    figures = verbs.add_parser("figures", help="pictures of a model for its card")
    figures.add_argument("--teacher", type=Path, default=Path("runs/teacher/teacher.npz"))
    figures.add_argument("--student", type=Path, default=Path("runs/student"))
    figures.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    figures.add_argument("--out", type=Path, default=Path("runs/figures"))
    figures.set_defaults(run=_figures)
    sweep = verbs.add_parser("sweep", help="small distillations that differ in one thing")
    sweep.add_argument("--teacher", type=Path, default=Path("runs/teacher/teacher.npz"))
    sweep.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    sweep.add_argument("--windows", type=int, default=100_000, help="of each run")
    sweep.add_argument("--axes", nargs="+", metavar="AXIS", help="default: all of them")
    sweep.add_argument("--seed", type=int, default=0)
    sweep.add_argument("--out", type=Path, default=Path("runs/sweep"))
    sweep.set_defaults(run=_sweep)
    teachers = verbs.add_parser(
        "teacher-sweep", help="small teachers that differ in one thing"
    )
    teachers.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    teachers.add_argument("--windows", type=int, default=150_000, help="of each run")
    teachers.add_argument("--only", nargs="+", metavar="AXIS", help="default: all of them")
    teachers.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    teachers.add_argument("--out", type=Path, default=Path("runs/teacher_sweep"))
    teachers.set_defaults(run=_teacher_sweep)
    cost = verbs.add_parser("cost", help="operations and memory of the teacher's presets")
    cost.set_defaults(run=_cost)


def _unpack(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.shard_sets import unpack_shards

    windows = unpack_shards(arguments.shards, arguments.out, train_on=arguments.train_on)
    return {"windows": windows, "folder": str(arguments.out)}


def _curves(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.curves import training_curves

    return training_curves(arguments.folders, arguments.out)


def _probes(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.evaluation_sets import SETS
    from plethprint_distill.labelled_windows import Library, corpus_folders
    from plethprint_distill.prepare import load_training_sets
    from plethprint_distill.probe_curve import PROBED, draw_probe_curve, probe_curve
    from plethprint_distill.space import mixed_pairs
    from plethprint_distill.tasks import TASKS

    tasks = {task.name: task for task in TASKS}
    chosen = arguments.tasks or list(PROBED)
    if unknown := [name for name in chosen if name not in tasks]:
        raise TrainingError(f"there is no task {', '.join(unknown)}")
    checkpoints, breaks = (
        _by_windows(given) for given in (arguments.checkpoints, arguments.breaks)
    )
    points = probe_curve(
        {windows: Path(file) for windows, file in checkpoints.items()},
        mixed_pairs(load_training_sets(arguments.windows_dir), 1000),
        Library(corpus_folders(arguments.corpus), SETS, arguments.cache),
        [tasks[name] for name in chosen],
    )
    draw_probe_curve(points, arguments.out, breaks=breaks)
    return {"figure": str(arguments.out), "points": [asdict(p) for p in points]}


def _by_windows(given: list[str]) -> dict[int, str]:
    parts = [text.partition("=") for text in given]
    for windows, _, what in parts:
        if not (windows.isdigit() and what):
            raise TrainingError(
                f"name a checkpoint WINDOWS=FILE and a break WINDOWS=WORDS, not {windows!r}"
            )
    return {int(windows): what for windows, _, what in parts}


def _figures(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.card_figures import draw_card_figures
    from plethprint_distill.checkpoint import load_teacher
    from plethprint_distill.evaluate import load_student
    from plethprint_distill.prepare import load_training_sets
    from plethprint_distill.windows import apart

    held_out = load_training_sets(arguments.windows_dir, test=True)
    if not held_out:
        _LOGGER.warning("no corpus, nobody held out: no pictures")
        return {"figures": []}
    drawn = draw_card_figures(
        load_teacher(arguments.teacher),
        load_student(arguments.student),
        {name: apart(windows) for name, windows in held_out.items()},
        arguments.out,
        say=_LOGGER.info,
    )
    return {"figures": [str(path) for path in drawn]}


def _sweep(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.checkpoint import load_teacher
    from plethprint_distill.distill import DistillConfig
    from plethprint_distill.prepare import load_training_sets
    from plethprint_distill.sweep import VARIANTS, sweep

    chosen = [v for v in VARIANTS if not arguments.axes or v.axis in arguments.axes]
    if not chosen:
        known = ", ".join(dict.fromkeys(v.axis for v in VARIANTS))
        raise TrainingError(f"the sweep has the axes {known}")
    rows = sweep(
        arguments.out,
        load_teacher(arguments.teacher),
        load_training_sets(arguments.windows_dir, context=True),
        DistillConfig(windows=arguments.windows, seed=arguments.seed, quantize_share=0.0),
        chosen,
    )
    return {"windows": arguments.windows, "rows": rows}


def _teacher_sweep(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.prepare import load_training_sets
    from plethprint_distill.pretrain_config import PretrainConfig
    from plethprint_distill.teacher_sweep import TEACHER_VARIANTS, teacher_sweep
    from plethprint_distill.teacher_sweep_table import sweep_table

    only = arguments.only or list(dict.fromkeys(v.axis for v in TEACHER_VARIANTS))
    if unknown := sorted(set(only) - {v.axis for v in TEACHER_VARIANTS}):
        known = ", ".join(dict.fromkeys(v.axis for v in TEACHER_VARIANTS))
        raise TrainingError(f"no axis {', '.join(unknown)}; the sweep has {known}")
    rows = teacher_sweep(
        arguments.out,
        load_training_sets(arguments.windows_dir, context=True),
        # Warm-up of a tenth: the recipe's own would be half of so short a run.
        PretrainConfig(windows=arguments.windows, warm_up_windows=arguments.windows // 10),
        [v for v in TEACHER_VARIANTS if v.axis in only],
        seeds=arguments.seeds,
    )
    table = arguments.out / "table.md"
    table.write_text(sweep_table(arguments.out))
    return {"windows": arguments.windows, "table": str(table), "rows": rows}


def _cost(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.flops import teacher_cost
    from plethprint_distill.teacher import PRESETS

    return {name: asdict(teacher_cost(shape)) for name, shape in PRESETS.items()}

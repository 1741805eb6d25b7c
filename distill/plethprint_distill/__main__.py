"""The training and its evaluation: `python -m plethprint_distill VERB`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from plethprint.errors import PlethprintError
from plethprint_distill.benchmark_command import add_arguments as add_benchmark_arguments
from plethprint_distill.checkpoint import load_teacher
from plethprint_distill.heart_rate_head import add_verb as add_heads
from plethprint_distill.motion_evidence import add_verb as add_motion
from plethprint_distill.privacy.command import add_verb as add_privacy
from plethprint_distill.quality_calibration import add_verb as add_quality
from plethprint_distill.scale_command import add_verbs as add_scale
from plethprint_distill.windows import apart

T = TypeVar("T")


def _add_config(parser: argparse.ArgumentParser, config: type[Any]) -> None:
    """One flag for each field of a configuration; the default is the field's own."""
    for field in fields(config):
        kind: Callable[[str], Any] = type(field.default)
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(
            flag, type=kind, default=field.default, help=f"default {field.default}"
        )


def _config(config: type[T], arguments: argparse.Namespace) -> T:
    return config(**{f.name: getattr(arguments, f.name) for f in fields(config)})  # type: ignore[arg-type]


def _prepare(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.prepare import prepare

    sets = prepare(
        arguments.data, arguments.out, virtual=arguments.virtual, jobs=arguments.jobs
    )
    return {"sets": sets, "folder": str(arguments.out)}


def _shard(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.shard_tasks import ShardConfig
    from plethprint_distill.shards import prepare_shards

    config = _config(ShardConfig, arguments)
    index = prepare_shards(
        arguments.data, arguments.out, arguments.corpora, config, jobs=arguments.jobs
    )
    return {key: index[key] for key in ("windows", "people", "corpora")}


def _pretrain(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.checkpoint import save_teacher
    from plethprint_distill.compute import ComputeConfig, is_leader
    from plethprint_distill.prepare import load_training_sets
    from plethprint_distill.pretrain import PretrainConfig, pretrain
    from plethprint_distill.shard_sets import mapped_sets
    from plethprint_distill.space import mixed_pairs, settle_space

    config = _config(PretrainConfig, arguments)
    compute = _config(ComputeConfig, arguments)
    if arguments.mapped_dir:
        sets = mapped_sets(arguments.mapped_dir)
    else:
        sets = load_training_sets(arguments.windows_dir, context=True)
    start = load_teacher(arguments.start) if arguments.start else None
    teacher = pretrain(arguments.out, sets, config, compute, start=start)
    if not is_leader():
        sys.exit(0)
    settle_space(teacher, mixed_pairs(sets, 4000).centred())
    save_teacher(teacher, arguments.out / "teacher.npz")
    return {"teacher": str(arguments.out / "teacher.npz"), "windows": config.windows}


def _distill(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.claim_gate import DISTILLED
    from plethprint_distill.control_weights import save_control
    from plethprint_distill.controls import ControlConfig
    from plethprint_distill.distill import DistillConfig, distill
    from plethprint_distill.prepare import load_training_sets

    config = _config(DistillConfig, arguments)
    teacher = load_teacher(arguments.teacher)
    sets = load_training_sets(arguments.windows_dir, context=True)
    student = distill(arguments.out, teacher, sets, config)
    # As controls are kept, so that it can stand beside them at equal windows.
    row = ControlConfig(
        DISTILLED, config.preset, config.windows, config.batch, seed=config.seed
    )
    save_control(student, arguments.out / f"{row.name}.npz", row)
    return {"student": str(arguments.out / "student.pt"), "windows": config.windows}


def _control(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.control_weights import save_control
    from plethprint_distill.controls import ControlConfig, train_control
    from plethprint_distill.prepare import load_training_sets

    config = _config(ControlConfig, arguments)
    sets = load_training_sets(arguments.windows_dir, context=True)
    student = train_control(arguments.out / config.name, sets, config)
    path = arguments.out / f"{config.name}.npz"
    save_control(student, path, config)
    return {"control": str(path), "windows": config.windows}


def _handover(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.handover import hand_over, read_figures

    teacher = load_teacher(arguments.teacher)
    hand_over(
        arguments.student,
        teacher,
        arguments.windows_dir,
        teacher_id=arguments.teacher_id,
        figures=read_figures(arguments.figures) | _rivals(arguments),
        name=f"plethprint-{arguments.preset}",
    )
    return {"folder": str(arguments.student)}


def _rivals(arguments: argparse.Namespace) -> dict[str, Any]:
    """What of `plethprint evaluate` the cards are to tell."""
    from plethprint_distill.card_benchmark import card_benchmark
    from plethprint_distill.handover import VERSION

    if not arguments.benchmark:
        return {}
    name = f"plethprint-{arguments.preset}"
    return {"benchmark": card_benchmark(arguments.benchmark, name, VERSION)}


def _evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.evaluate import evaluate, load_student, onnx_vectors
    from plethprint_distill.handover import hand_over, training_facts
    from plethprint_distill.prepare import load_training_sets

    rivals = _rivals(arguments)  # what is wrong with it is told before the work
    teacher = load_teacher(arguments.teacher)
    train = load_training_sets(arguments.windows_dir)
    held_out = load_training_sets(arguments.windows_dir, test=True)
    test = {name: apart(windows) for name, windows in held_out.items()}
    int8 = None
    if arguments.onnx:
        int8 = {name: onnx_vectors(arguments.onnx, s.ppg) for name, s in test.items()}
    student = load_student(arguments.student)
    figures = evaluate(teacher, student, train, test, int8_vectors=int8)
    figures["training"] = {
        "teacher": training_facts(
            arguments.teacher.with_name("teacher.pt"), seen_before=arguments.seen_before
        ),
        "student": training_facts(arguments.student / "student.pt"),
    }
    figures |= rivals
    hand_over(
        arguments.student,
        teacher,
        arguments.windows_dir,
        teacher_id=arguments.teacher_id,
        figures=figures,
        name=f"plethprint-{arguments.preset}",
    )
    return figures


def _shift(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.shift_report import draw_curves, shift_report, tables

    report = shift_report(arguments.data, arguments.package, parts=arguments.parts)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "shift.json").write_text(json.dumps(report, indent=1) + "\n")
    (arguments.out / "shift.md").write_text(tables(report))
    if "curves" in report:
        draw_curves(report["curves"], arguments.out / "degradation.svg")
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; results on stdout as JSON, progress and logs on stderr."""
    from plethprint_distill.compute import ComputeConfig
    from plethprint_distill.controls import ControlConfig
    from plethprint_distill.distill import DistillConfig
    from plethprint_distill.pretrain import PretrainConfig
    from plethprint_distill.shard_tasks import ShardConfig

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    parser = argparse.ArgumentParser("plethprint_distill", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepare = verbs.add_parser("prepare", help="corpora and virtual wearers -> window sets")
    prepare.add_argument("--data", type=Path, help="folder of the corpora's folders")
    prepare.add_argument("--out", type=Path, default=Path("runs/windows"))
    prepare.add_argument("--virtual", type=int, default=250_000)
    prepare.add_argument("--jobs", type=int, default=2)
    prepare.set_defaults(run=_prepare)
    shard = verbs.add_parser("shard", help="corpora -> WebDataset shards for many machines")
    shard.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    shard.add_argument("--out", type=Path, default=Path("runs/shards"))
    shard.add_argument("--corpora", nargs="+", help="default: all there that may train")
    shard.add_argument("--jobs", type=int, default=None, help="default: joblib's own")
    _add_config(shard, ShardConfig)
    shard.set_defaults(run=_shard)
    pretrain = verbs.add_parser("pretrain", help="window sets -> teacher")
    pretrain.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    pretrain.add_argument("--out", type=Path, default=Path("runs/teacher"))
    pretrain.add_argument("--start", type=Path, help="teacher.npz to go on from")
    pretrain.add_argument("--mapped-dir", type=Path, help="unpacked shards, instead")
    _add_config(pretrain, PretrainConfig)
    _add_config(pretrain, ComputeConfig)
    pretrain.set_defaults(run=_pretrain)
    distill = verbs.add_parser("distill", help="teacher -> student")
    distill.add_argument("--teacher", type=Path, default=Path("runs/teacher/teacher.npz"))
    distill.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    distill.add_argument("--out", type=Path, default=Path("runs/student"))
    _add_config(distill, DistillConfig)
    distill.set_defaults(run=_distill)
    control = verbs.add_parser("control", help="the same student without a teacher")
    control.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    control.add_argument("--out", type=Path, default=Path("runs/controls"))
    _add_config(control, ControlConfig)
    control.set_defaults(run=_control)
    evaluate = verbs.add_parser(
        "evaluate", help="figures on people held out, for the cards"
    )
    handover = verbs.add_parser("handover", help="what quantising needs, without figures")
    for verb in (handover, evaluate):
        verb.add_argument("--teacher", type=Path, default=Path("runs/teacher/teacher.npz"))
        verb.add_argument("--student", type=Path, default=Path("runs/student"))
        verb.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
        verb.add_argument("--preset", default="micro", help="default micro")
        verb.add_argument(
            "--teacher-id", default="", help="identity of the teacher package"
        )
        verb.add_argument(
            "--benchmark",
            type=Path,
            nargs="+",
            default=[],
            metavar="JSON",
            help="what `plethprint evaluate --json` printed: tables for the cards",
        )
    handover.add_argument(
        "--figures", type=Path, metavar="JSON", help="what `evaluate` printed before"
    )
    handover.set_defaults(run=_handover)
    evaluate.add_argument("--onnx", type=Path, help="int8 model to judge for the student")
    evaluate.add_argument(
        "--seen-before",
        type=int,
        default=0,
        metavar="WINDOWS",
        help="what the teacher that training began with (`--start`) had seen",
    )
    evaluate.set_defaults(run=_evaluate)
    shift = verbs.add_parser("shift", help="other devices and people: where it breaks")
    shift.add_argument("--data", type=Path, required=True, help="the corpora's folders")
    shift.add_argument("--package", type=Path, help="default: the shipped model")
    shift.add_argument("--out", type=Path, default=Path("runs/shift"))
    parts = ("polarity", "invariance", "corpora", "curves", "subgroups")
    shift.add_argument("--parts", nargs="+", choices=parts, default=parts)
    shift.set_defaults(run=_shift)
    add_benchmark_arguments(
        verbs.add_parser("benchmark", help="a package on every task, beside its rivals")
    )
    add_privacy(verbs)
    add_heads(verbs)
    add_quality(verbs)
    add_motion(verbs)
    add_scale(verbs)
    arguments = parser.parse_args(argv)
    try:
        result = arguments.run(arguments)
    except PlethprintError as error:
        if getattr(arguments, "json", False):
            told = {"error": " ".join(str(error).split()), "type": type(error).__name__}
            print(json.dumps(told))  # noqa: T201
        else:
            logging.getLogger(__name__).error("%s", error)
        return 1
    print(result if isinstance(result, str) else json.dumps(result))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

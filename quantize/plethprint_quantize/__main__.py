"""`python -m plethprint_quantize`: a trained student in, a signed int8 package out.

`python -m plethprint_quantize compare` tells instead what each way of quantising it costs.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plethprint.errors import MissingExtraError, PlethprintError
from plethprint.signature import load_or_create_signing_key
from plethprint_quantize.compare_arguments import at_least, compare_parser

if TYPE_CHECKING:
    from plethprint_quantize.checkpoint import About

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 on success, 1 with one sentence on stderr otherwise."""
    words = list(sys.argv[1:] if argv is None else argv)
    compares = words[:1] == ["compare"]
    arguments = compare_parser().parse_args(words[1:]) if compares else _parsed(words)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    level = logging.DEBUG if arguments.verbose else logging.INFO
    logging.getLogger("plethprint_quantize").setLevel(level)
    try:
        described = _compare(arguments) if compares else _run(arguments)
    except (PlethprintError, OSError) as error:
        sys.stderr.write(f"plethprint_quantize: {error}\n")
        return 1
    if isinstance(described, str):
        sys.stdout.write(described)
    else:
        text = json.dumps(described, indent=None if arguments.json else 2)
        sys.stdout.write(text + "\n")
    return 0


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("plethprint_quantize", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--student", type=Path, help="student.pt or its folder")
    what.add_argument(
        "--teacher", type=Path, help="teacher.npz: package it as float ONNX instead"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--calibration", type=Path, help="int8 windows, .npy; default beside the student"
    )
    parser.add_argument(
        "--golden",
        type=Path,
        help="windows, teacher_both, teacher_ppg, .npz; default beside the student; "
        "without it no package is signed, only models and report are written",
    )
    parser.add_argument(
        "--about", type=Path, help="about.json; default beside the student or teacher"
    )
    parser.add_argument(
        "--ranges",
        choices=("learned", "calibrated"),
        help="of activations; default: learned, if the student's last phase found them",
    )
    parser.add_argument(
        "--method",
        default="auto",
        help="of calibration: auto (default), min-max, p99.99, p99.9 or mse",
    )
    parser.add_argument(
        "--equalize", action="store_true", help="equalise channels (calibrated ranges)"
    )
    parser.add_argument(
        "--correct-bias", action="store_true", help="take off what rounding shifts"
    )
    parser.add_argument(
        "--windows", type=at_least(1), default=512, help="windows that set ranges"
    )
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument("--name", help="name of the package, over that of about.json")
    parser.add_argument("--version", help="its version, over that of about.json")
    parser.add_argument("--key", type=Path, help="Ed25519 signing key (PEM)")
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    parser.add_argument("--verbose", action="store_true", help="the converters' logs too")
    return parser.parse_args(words)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("quantize", "Quantising a student") from error


def _compare(arguments: argparse.Namespace) -> dict[str, Any] | str:
    _require_torch()
    from plethprint_quantize.comparison import compare, markdown

    found = compare(
        arguments.student,
        arguments.corpus,
        recipes=arguments.recipes,
        calibration=arguments.calibration,
        teacher=arguments.teacher,
        count=arguments.windows,
        seed=arguments.seed,
        cache=arguments.cache,
        pretend=arguments.pretend,
    )
    return found if arguments.json else markdown(found)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    _require_torch()
    from plethprint_quantize.checkpoint import About

    given: Path = arguments.student or arguments.teacher
    beside = given if given.is_dir() else given.parent
    about_path = arguments.about or _if_there(beside / "about.json")
    about = About.load(about_path) if about_path else About()
    given_over = {"name": arguments.name, "version": arguments.version}
    about = replace(about, **{key: told for key, told in given_over.items() if told})
    if arguments.teacher:
        return _teacher(arguments, about)
    return _student(arguments, beside, about)


def _student(arguments: argparse.Namespace, beside: Path, about: About) -> dict[str, Any]:
    from plethprint_quantize.checkpoint import choose_ranges, load_student, load_windows
    from plethprint_quantize.golden import GoldenSource
    from plethprint_quantize.package import build_package
    from plethprint_quantize.pipeline import quantize
    from plethprint_quantize.report import report

    golden = arguments.golden or _if_there(beside / "golden.npz")
    source = GoldenSource.load(golden) if golden else None
    model = quantize(
        load_student(arguments.student),
        load_windows(arguments.calibration or beside / "calibration.npy"),
        method=arguments.method,
        learned=choose_ranges(arguments.student, arguments.ranges),
        equalize=arguments.equalize,
        correct_bias=arguments.correct_bias,
        count=arguments.windows,
        seed=arguments.seed,
    )
    described = report(model)
    out: Path = arguments.out
    if source is None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "encoder.tflite").write_bytes(model.tflite)
        (out / "encoder.onnx").write_bytes(model.onnx)
        text = json.dumps(described, indent=2) + "\n"
        (out / "report.json").write_text(text, encoding="utf-8")
        return {"out": str(out), "model": None, **described}
    key = load_or_create_signing_key(arguments.key)
    package = build_package(out, model, source, about, key)
    parity = dict(package.manifest.parity)
    return {"out": str(out), "model": package.model_id, "parity": parity, **described}


def _teacher(arguments: argparse.Namespace, about: About) -> dict[str, Any]:
    from plethprint_distill.checkpoint import load_teacher
    from plethprint_quantize.teacher_package import build_teacher_package

    path: Path = arguments.teacher
    encoder = build_teacher_package(
        arguments.out,
        load_teacher(path / "teacher.npz" if path.is_dir() else path),
        load_or_create_signing_key(arguments.key),
        name=arguments.name or "m2ae-small",
        version=about.version,
        training_data=about.training_data,
        figures=about.figures,
    )
    return {"out": str(arguments.out), "model": encoder.model_id}


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m plethprint_quantize`: a trained student in, int8 models or a package out."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plethprint.errors import PlethprintError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 on success, 1 with one sentence on stderr otherwise."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    level = logging.DEBUG if arguments.verbose else logging.INFO
    logging.getLogger("plethprint_quantize").setLevel(level)
    try:
        described = _run(arguments)
    except (PlethprintError, OSError) as error:
        sys.stderr.write(f"plethprint_quantize: {error}\n")
        return 1
    sys.stdout.write(json.dumps(described, indent=None if arguments.json else 2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("plethprint_quantize", description=__doc__)
    parser.add_argument(
        "--student",
        type=Path,
        required=True,
        help="student.pt or its folder",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        help="int8 windows, .npy; default beside the student",
    )
    parser.add_argument(
        "--golden",
        type=Path,
        help="windows, teacher_both, teacher_ppg, .npz; default beside the student; "
        "without it no package is signed, only models and report written",
    )
    parser.add_argument("--about", type=Path, help="about.json; default beside the student")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--method", default="auto", help="auto (default), min-max, p99.99 or p99.9"
    )
    parser.add_argument("--windows", type=int, default=512, help="windows that set ranges")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--key", type=Path, help="Ed25519 signing key (PEM)")
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    parser.add_argument("--verbose", action="store_true", help="the converters' logs too")
    return parser


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        from plethprint.errors import MissingExtraError

        raise MissingExtraError("quantize", "Quantising a student") from error
    from plethprint_quantize.checkpoint import About, load_student, load_windows
    from plethprint_quantize.golden import GoldenSource
    from plethprint_quantize.package import build_package
    from plethprint_quantize.pipeline import quantize
    from plethprint_quantize.report import report

    beside = arguments.student if arguments.student.is_dir() else arguments.student.parent
    golden = arguments.golden or _if_there(beside / "golden.npz")
    about_path = arguments.about or _if_there(beside / "about.json")
    source = GoldenSource.load(golden) if golden else None
    about = About.load(about_path) if about_path else About()
    model = quantize(
        load_student(arguments.student),
        load_windows(arguments.calibration or beside / "calibration.npy"),
        method=arguments.method,
        count=arguments.windows,
        seed=arguments.seed,
    )
    described = report(model)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if source is None:
        (arguments.out / "encoder.tflite").write_bytes(model.tflite)
        (arguments.out / "encoder.onnx").write_bytes(model.onnx)
        text = json.dumps(described, indent=2) + "\n"
        (arguments.out / "report.json").write_text(text, encoding="utf-8")
        return {"out": str(arguments.out), "model": None, **described}
    from plethprint.signature import load_or_create_signing_key

    key = load_or_create_signing_key(arguments.key)
    package = build_package(arguments.out, model, source, about, key)
    parity = dict(package.manifest.parity)
    return {
        "out": str(arguments.out),
        "model": package.model_id,
        "parity": parity,
        **described,
    }


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


if __name__ == "__main__":
    raise SystemExit(main())

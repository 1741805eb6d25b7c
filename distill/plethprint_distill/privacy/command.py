"""The verb `privacy` of `python -m plethprint_distill`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from plethprint.package import MODELS_FOLDER
from plethprint.teacher import DEFAULT_TEACHER

__all__ = ["add_verb"]

_TEACHER = MODELS_FOLDER / DEFAULT_TEACHER / "teacher.npz"


def add_verb(verbs: Any) -> None:
    """Declare the verb and its flags."""
    privacy = verbs.add_parser(
        "privacy", help="what fingerprints give away, with intervals"
    )
    privacy.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    privacy.add_argument("--data", type=Path, help="corpora, for ages, sexes and levels")
    privacy.add_argument("--package", type=Path, help="student; default the shipped one")
    privacy.add_argument("--teacher", type=Path, default=_TEACHER)
    privacy.add_argument("--parts", nargs="+", help="some of the parts only")
    privacy.add_argument("--figures", type=Path, help="folder for two SVG figures")
    privacy.add_argument("--table", type=Path, help="file for the table of docs/privacy.md")
    privacy.set_defaults(run=_privacy)


def _privacy(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint.package import ModelPackage
    from plethprint_distill.checkpoint import load_teacher
    from plethprint_distill.prepare import load_training_sets
    from plethprint_distill.privacy import embedders
    from plethprint_distill.privacy.report import PARTS, privacy_report
    from plethprint_distill.privacy.table import markdown_table

    teacher = load_teacher(arguments.teacher)
    looked_into = {
        "student": embedders.student_embedder(arguments.package),
        "teacher": embedders.teacher_embedder(teacher),
        "pulse shape and rate": embedders.pulse_features,
        "spectrum": embedders.spectrum_features,
    }
    if arguments.data is not None:
        looked_into["sensor level"] = embedders.level_embedder(arguments.data)
    report = privacy_report(
        load_training_sets(arguments.windows_dir),
        load_training_sets(arguments.windows_dir, test=True),
        looked_into,
        teacher=teacher,
        data=arguments.data,
        parts=arguments.parts or PARTS,
        models={
            "student": ModelPackage.load(arguments.package).model_id,
            "teacher": str(arguments.teacher.parent.name),
        },
    )
    if arguments.figures is not None:
        from plethprint_distill.privacy.figures import save_figures

        save_figures(report, arguments.figures)
    plain = report.to_dict()
    if arguments.table is not None:
        arguments.table.write_text(markdown_table(plain))
    return plain

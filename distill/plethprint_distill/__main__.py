"""`python -m plethprint_distill prepare|pretrain|distill|evaluate`: the training pipeline."""

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


def _pretrain(arguments: argparse.Namespace) -> dict[str, Any]:
    from plethprint_distill.prepare import load_training_sets
    from plethprint_distill.pretrain import PretrainConfig, pretrain

    config = _config(PretrainConfig, arguments)
    pretrain(arguments.out, load_training_sets(arguments.windows_dir), config)
    return {"teacher": str(arguments.out / "teacher.pt"), "windows": config.windows}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; results on stdout as JSON, progress and logs on stderr."""
    from plethprint_distill.pretrain import PretrainConfig

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    parser = argparse.ArgumentParser("plethprint_distill", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepare = verbs.add_parser("prepare", help="corpora and virtual wearers -> window sets")
    prepare.add_argument("--data", type=Path, help="folder of the corpora's folders")
    prepare.add_argument("--out", type=Path, default=Path("runs/windows"))
    prepare.add_argument("--virtual", type=int, default=100_000)
    prepare.add_argument("--jobs", type=int, default=2)
    prepare.set_defaults(run=_prepare)
    pretrain = verbs.add_parser("pretrain", help="window sets -> teacher")
    pretrain.add_argument("--windows-dir", type=Path, default=Path("runs/windows"))
    pretrain.add_argument("--out", type=Path, default=Path("runs/teacher"))
    _add_config(pretrain, PretrainConfig)
    pretrain.set_defaults(run=_pretrain)
    arguments = parser.parse_args(argv)
    try:
        print(json.dumps(arguments.run(arguments)))  # noqa: T201
    except PlethprintError as error:
        logging.getLogger(__name__).error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

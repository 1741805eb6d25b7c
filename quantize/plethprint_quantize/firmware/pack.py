"""Writes the firmware pack: a folder of C99 made from one signed model package."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import plethprint
from plethprint.errors import PackageError, PackageIncompatibleError
from plethprint.package import Golden, ModelPackage
from plethprint_quantize.firmware.c_text import GENERATED, c_array
from plethprint_quantize.firmware.golden_source import (
    golden_files,
    self_test_files,
    spread_rows,
)
from plethprint_quantize.firmware.model_source import model_header, model_source
from plethprint_quantize.firmware.plan import Plan, make_plan
from plethprint_quantize.firmware.readme import readme
from plethprint_quantize.firmware.reference import run_plan
from plethprint_quantize.flatbuffer import read_tflite

__all__ = ["PACK_FILE", "Pack", "write_pack"]

PACK_FILE = "pack.json"
"""What marks a folder as a pack: model, sizes and the SHA-256 of every file."""

_C_FOLDER = Path(__file__).parent / "c"
# Where the hand-written files go. What is not named, such as fuzzers, stays here.
_GROUPS = {
    "p*.[ch]": "src",
    "test/*": "test",
    "qemu/*": "qemu",
    "zephyr/*": "zephyr",
    "CMakeLists.txt": ".",
    "Makefile": ".",
}
_README = "README.md"


@dataclass(frozen=True)
class Pack:
    """What was written.

    Attributes
    ----------
    out : Path
        The folder.
    model : str
        ``name@version+hash8`` of the package.
    shape : str
        `Plan.shape_id` of its architecture.
    macs, table_bytes, activation_bytes, scratch_bytes : int
        Multiplications per window, constants in flash, working memory of the encoder.
    golden_vectors : int
        Windows in the pack's test.
    files : dict
        Name to SHA-256 (hex).
    """

    out: Path
    model: str
    shape: str
    macs: int
    table_bytes: int
    activation_bytes: int
    scratch_bytes: int
    golden_vectors: int
    files: dict[str, str]


def write_pack(
    package: ModelPackage | str | Path | None,
    out: str | Path,
    *,
    golden_vectors: int = 32,
) -> Pack:
    """Write a self-contained C99 firmware pack.

    Parameters
    ----------
    package : ModelPackage or path, optional
        Default: the shipped package. A path is opened and verified first.
    out : path
        Folder to make. An empty folder or an earlier pack there is replaced; the change
        is one renaming, so that no half-written pack is ever seen.
    golden_vectors : int
        Windows of the package's golden.npz to put into the pack's test, at least 1.

    Returns
    -------
    Pack

    Raises
    ------
    PackageIntegrityError, PackageSignatureError
        A file of the package is missing or changed, or it is not signed by a trusted key.
    PackageIncompatibleError
        The model has an operator, a shape or a scale that the kernels do not know, or
        their arithmetic does not give the package's golden vectors.
    PackageError
        The .tflite is damaged, or `out` holds something that is not a pack.

    Examples
    --------
    >>> write_pack(None, "fw").model  # doctest: +SKIP
    'plethprint-micro@1+0f3c2a1b'
    """
    if not isinstance(package, ModelPackage):
        package = ModelPackage.load(package)
    target = Path(out).resolve()
    _require_free(target)
    tflite = package.read_bytes("encoder.tflite")
    plan = make_plan(read_tflite(tflite))
    golden = package.golden()
    _require_golden(plan, golden)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=f".{target.name}."
    ) as folder:
        draft = Path(folder) / "pack"
        _copy_sources(draft)
        texts = _generated(plan, package.model_id, golden, max(1, golden_vectors), tflite)
        for name, text in texts.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(text, encoding="ascii")
        (draft / "model" / "encoder.tflite").write_bytes(tflite)
        (draft / "model" / _README).write_bytes(package.read_bytes(_README))
        template = (_C_FOLDER / _README).read_text(encoding="utf-8")
        (draft / _README).write_text(
            readme(template, plan, package.model_id), encoding="utf-8"
        )
        pack = Pack(
            Path(out),
            package.model_id,
            plan.shape_id,
            plan.macs,
            plan.table_bytes,
            plan.activation_bytes,
            2 * plan.scratch_values,
            min(len(golden), max(1, golden_vectors)),
            _hashes(draft),
        )
        (draft / PACK_FILE).write_text(_described(pack), encoding="utf-8")
        _replace(draft, target, Path(folder) / "earlier")
    return pack


def _replace(draft: Path, target: Path, earlier: Path) -> None:
    if target.exists():
        target.rename(earlier)
    try:
        draft.rename(target)
    except OSError:
        if earlier.exists():
            earlier.rename(target)
        raise


def _require_free(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise PackageError(f"{target} is a file; a pack is a folder")
    if any(target.iterdir()) and not (target / PACK_FILE).is_file():
        raise PackageError(
            f"{target} is not empty and not a firmware pack; name a new folder"
        )


def _require_golden(plan: Plan, golden: Golden) -> None:
    rows = spread_rows(len(golden), 32)
    found = run_plan(plan, golden.windows[rows])
    if found.shape != golden.vectors[rows].shape:
        raise PackageIncompatibleError(
            f"the .tflite gives vectors of {plan.dim} numbers, the package's golden "
            f"vectors have {golden.vectors.shape[1]}"
        )
    differing = int(np.count_nonzero(found != golden.vectors[rows]))
    if differing:
        raise PackageIncompatibleError(
            f"the firmware's arithmetic misses {differing} of {found.size} numbers of the "
            "package's golden vectors; nothing was written"
        )


def _copy_sources(draft: Path) -> None:
    for pattern, folder in _GROUPS.items():
        (draft / folder).mkdir(parents=True, exist_ok=True)
        for path in sorted(_C_FOLDER.glob(pattern)):
            shutil.copyfile(path, draft / folder / path.name)


def _generated(
    plan: Plan, model_id: str, golden: Golden, count: int, tflite: bytes
) -> dict[str, str]:
    return {
        "src/pp_model.h": model_header(plan, model_id),
        "src/pp_model.c": model_source(plan, model_id),
        **{f"src/{name}": text for name, text in self_test_files(golden).items()},
        **{
            f"test/{name}": text for name, text in golden_files(plan, golden, count).items()
        },
        "model/encoder_tflite.h": f"""{GENERATED}#ifndef ENCODER_TFLITE_H
#define ENCODER_TFLITE_H

/* encoder.tflite for TFLite Micro, with or without CMSIS-NN; pp_*.c do without it. */
#define ENCODER_TFLITE_BYTES {len(tflite)}u

extern const unsigned char encoder_tflite[ENCODER_TFLITE_BYTES];

#endif
""",
        "model/encoder_tflite.c": f'{GENERATED}#include "encoder_tflite.h"\n\n'
        "/* TFLite Micro wants the flatbuffer aligned. */\n"
        + c_array(
            "const unsigned char encoder_tflite[ENCODER_TFLITE_BYTES]\n"
            "    __attribute__((aligned(16)))",
            tflite,
        ),
    }


def _under(folder: str, texts: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in texts.items()}


def _hashes(draft: Path) -> dict[str, str]:
    return {
        path.relative_to(draft).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(draft.rglob("*"))
        if path.is_file()
    }


def _described(pack: Pack) -> str:
    fields: dict[str, Any] = {
        "plethprint": plethprint.__version__,
        **{key: value for key, value in vars(pack).items() if key != "out"},
    }
    return json.dumps(fields, indent=2) + "\n"

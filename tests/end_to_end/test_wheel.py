"""The wheel that a user gets: built from the sdist, with the model in it, light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from plethprint.package import DEFAULT_PACKAGE

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "sdk" / "plethprint" / "models"
PACKAGES = {"plethprint", "plethprint_sim", "plethprint_distill", "plethprint_quantize"}

# Hides what a light install does not have, although this environment has it.
BLOCKER = """
import sys
from importlib.machinery import PathFinder
absent = {"torch", "onnx", "bumble", "scipy", "ai_edge_litert", "tflite_micro", "sklearn",
          "wfdb"}
found = PathFinder.find_spec
PathFinder.find_spec = lambda name, path=None, target=None: (
    None if name.partition(".")[0] in absent else found(name, path, target)
)
sys.path.insert(0, sys.argv.pop(1))
import plethprint
assert plethprint.__file__.startswith(sys.path[0]), plethprint.__file__
from plethprint.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the sdist and the wheel that was built from it."""
    pytest.importorskip("build", reason="needs the `test` extra")
    pytest.importorskip("hatchling", reason="needs the `test` extra")
    folder = tmp_path_factory.mktemp("dist")
    _run(
        [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--outdir",
            str(folder),
            str(ROOT),
        ]
    )
    return folder


def _run(command: list[str], **options) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def _files_of_models() -> set[str]:
    hidden = {"__pycache__"}
    return {
        path.relative_to(ROOT / "sdk").as_posix()
        for path in MODELS.rglob("*")
        if path.is_file() and not hidden & set(path.parts)
    }


def _csv(folder: Path) -> Path:
    times = np.arange(0, 21, 1 / 64)
    pulse = np.sin(2 * np.pi * 1.2 * times) + 0.3 * np.sin(2 * np.pi * 2.4 * times + 0.8)
    file = folder / "pulse.csv"
    file.write_text("ppg\n" + "\n".join(f"{value:.6f}" for value in pulse) + "\n")
    return file


def test_the_wheel_holds_four_packages_and_every_file_of_the_models(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= _files_of_models()
    assert f"plethprint/models/{DEFAULT_PACKAGE}/manifest.json" in names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == PACKAGES


def test_the_sdist_holds_sources_and_tests_but_no_environment(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile"} <= names
    assert "tests/end_to_end/test_wheel.py" in names
    assert not {name for name in names if ".venv" in name or "__pycache__" in name}


def test_the_wheel_embeds_a_recording_without_any_extra(
    built: Path, tmp_path: Path
) -> None:
    (wheel,) = built.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    file = _csv(tmp_path)
    arguments = ["embed", str(file), "--sample-rate-hz", "64", "--json"]
    done = _run([sys.executable, "-c", BLOCKER, str(site), *arguments], cwd=tmp_path)
    assert len(json.loads(done.stdout)["windows"]) >= 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_embeds_in_an_empty_environment(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    home = tmp_path / "empty"
    venv.create(home, with_pip=True)
    _run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)])
    file = _csv(tmp_path)
    command = [str(home / "bin" / "plethprint"), "embed", str(file)]
    done = _run([*command, "--sample-rate-hz", "64", "--json"], cwd=tmp_path)
    assert len(json.loads(done.stdout)["windows"]) >= 2
    packages = {path.name for path in home.glob("lib/python*/site-packages/*")}
    assert not {"torch", "onnx", "bumble", "matplotlib", "sklearn"} & packages

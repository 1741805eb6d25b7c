"""What the README promises runs as printed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from plethprint.cli.app import app, run

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"`(plethprint [^`]+)`", README)))


def test_the_first_python_block_runs_without_hardware_and_is_short():
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    assert len(block.strip().splitlines()) <= 10
    paths = f"import sys; sys.path[:0] = {sys.path!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", paths + block], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum("quality" in line for line in lines) == 5
    assert float(lines[-1].split()[-1]) > 0.9


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_table_is_known_with_its_options(command, capsys):
    verb, *arguments = shlex.split(command)[1:]
    options = [argument for argument in arguments if argument.startswith("--")]
    assert run([verb, "--help"]) == 0
    told = capsys.readouterr().out
    assert all(option in told for option in options)


def test_every_verb_is_in_the_readme():
    verbs = {info.callback.__name__ for info in app.registered_commands}
    named = {command.split()[1] for command in COMMANDS} | {"train", "quantize"}
    assert verbs <= named


def test_every_file_the_documents_point_to_is_there():
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    for page in (*pages, *(ROOT / "docs").glob("*.md")):
        for link in re.findall(
            r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")
        ):
            assert (page.parent / link).exists(), f"{page.name} points to {link}"


def test_every_test_the_documents_lean_on_is_there():
    sources = (ROOT / "tests").rglob("test_*.py")
    there = {
        name
        for source in sources
        for name in re.findall(r"def (test_\w+)\(", source.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs" / "complaints.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 20
    assert named <= there

"""Arrows of docs/architecture.md point down only; heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOTS = {
    "plethprint": "sdk",
    "plethprint_sim": "device_sim",
    "plethprint_distill": "distill",
    "plethprint_quantize": "quantize",
}
ORDER = list(ROOTS)


def _modules(package):
    return sorted((ROOT / ROOTS[package] / package).rglob("*.py"))


def _imported(path, *, at_import_time):
    """Top-level names that a module imports; of functions too, unless `at_import_time`."""
    names, todo = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        elif at_import_time and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        todo += ast.iter_child_nodes(node)
    return names


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_only_what_lies_below_it(package):
    above = set(ORDER[ORDER.index(package) + 1 :])
    for path in _modules(package):
        # The command line may reach up, lazily: `demo` and `sim` run the simulator.
        lazily = "cli" in path.parts
        found = _imported(path, at_import_time=lazily) & above
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


def test_torch_lives_in_distill_and_above_only():
    for package in ("plethprint", "plethprint_sim"):
        for path in _modules(package):
            assert "torch" not in _imported(path, at_import_time=False), path


def test_bumble_lives_in_the_simulator_only():
    for package in ("plethprint", "plethprint_distill", "plethprint_quantize"):
        for path in _modules(package):
            assert "bumble" not in _imported(path, at_import_time=False), path

"""What every commit must pass: lint, format, types, import rules, size budgets, spelling."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
BANNED = {"utils", "helpers", "common", "misc"}
SOURCES = sorted(p for top in ("federation", "agents") for p in (ROOT / top).rglob("*.py") if "api" not in p.parts)
FEWEST = 40


def run(*command: str) -> None:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}{done.stderr[-4000:]}"


def test_lint() -> None:
    run("ruff", "check", ".")


def test_format() -> None:
    run("ruff", "format", "--check", ".")


@pytest.mark.timeout(280)
def test_types() -> None:
    run("mypy")


def test_import_rules() -> None:
    run("lint-imports")


def test_spelling() -> None:
    run("codespell", "federation", "agents", "tests", "docs", "README.md", "scripts", "proto", "configs")


def test_sources_are_found() -> None:
    assert len(SOURCES) > FEWEST


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_size_budgets(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400, "a module has at most 400 lines: split it"
    assert path.stem not in BANNED, "a file name says what is in it"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            public = [m for m in methods if not m.name.startswith("_")]
            lines = (node.end_lineno or 0) - node.lineno
            assert lines <= 300, f"class {node.name} has {lines} lines, at most 300"
            assert len(public) <= 25, f"class {node.name} has {len(public)} public methods"
    if path.name == "__init__.py":
        logic = [n for n in tree.body if not isinstance(n, ast.Expr | ast.Assign)]
        assert not logic, "__init__.py holds no logic"


def test_every_test_is_in_a_lane() -> None:
    lanes = tomllib.loads((ROOT / "tests/lanes.toml").read_text())["lane"]
    folders = [ROOT / path for lane in lanes for path in lane["paths"]]
    tests = (ROOT / "tests").rglob("test_*.py")
    assert [str(test) for test in tests if not any(test.is_relative_to(folder) for folder in folders)] == []


def test_the_lanes_fit_into_the_time_that_there_is() -> None:
    lanes = tomllib.loads((ROOT / "tests/lanes.toml").read_text())["lane"]
    assert sum(lane["warm_s"] for lane in lanes) <= 35 * 60
    assert sum(lane["cold_s"] for lane in lanes) <= 80 * 60
    for lane in lanes:
        for path in lane["paths"]:
            assert (ROOT / path).is_dir(), f"lane {lane['name']} names {path}, which is not there"


def test_files_that_must_not_be_committed_are_named(tmp_path: Path) -> None:
    key = f"-----BEGIN {'PRIVATE'} KEY-----\n{'A' * 64}\n"
    bad = {"key.pem": key, "a.yaml": "a: [", "b.toml": "b = ", "large.txt": "x" * 600_000}
    for name, content in {**bad, "good.yaml": "a: 1\n"}.items():
        (tmp_path / name).write_text(content)
    every = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/check-files", *every], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    named = {Path(line.partition(": ")[0]).name for line in done.stderr.splitlines() if line.startswith(str(tmp_path))}
    assert named == set(bad)


def test_nothing_that_must_not_be_committed_is() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if tracked:  # else this is no clone, but an unpacked archive
        run("python", "scripts/check-files", *tracked)

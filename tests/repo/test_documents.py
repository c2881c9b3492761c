"""Pages say what is so: links lead somewhere, commands exist, generated pages are current, nothing names this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from federation.cli.main import VERBS
from federation.model.errors import BY_CODE, CATALOGUE, Code

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_in_pages_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in BLOCK.findall(page.read_text()):
        for line in block.splitlines():
            words = line.split("#")[0].split()
            if words[:1] == ["make"]:
                assert words[1] in targets, line
            if words and words[0].endswith("fedctl"):
                assert words[1] in VERBS, line
                for word in words[2:]:
                    assert not word.startswith("configs/") or (ROOT / word).exists(), line


@pytest.mark.parametrize("script", ["gen-cli", "gen-errors", "gen-reference", "gen-schema"])
def test_what_is_generated_is_current(script: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / script, "--check"], check=False)
    assert done.returncode == 0, f"run scripts/{script}"


def test_every_error_code_has_an_entry_a_class_and_a_real_status() -> None:
    assert set(CATALOGUE) == set(Code)
    assert set(BY_CODE) == set(Code)
    for entry in CATALOGUE.values():
        assert hasattr(grpc.StatusCode, entry.grpc_status)
        assert entry.help


def test_every_verb_has_a_help_that_teaches() -> None:
    for verb, (module, _line) in VERBS.items():
        text = (ROOT / f"federation/cli/verbs/{module}.py").read_text()
        assert f"fedctl {verb}" in text.split('"""')[1], verb


def test_no_file_names_this_checkout_or_a_package_index() -> None:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    asked = ["-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run([sys.executable, *asked], capture_output=True, text=True, check=False).stdout.strip()
    forbidden = [f"{ROOT}/", *([index.split("/")[2]] if index.count("/") > 2 else [])]
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not any(word in text for word in forbidden), name

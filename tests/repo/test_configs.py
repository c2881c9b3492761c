"""Every file in configs/ is what it says: loaded by what reads it in earnest."""

from __future__ import annotations

import argparse
import configparser
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

from federation.model.files.load import read_classrooms
from federation.model.files.roster_file import read_roster
from federation.model.profile import PROFILES
from federation.runtime.daemon import EXIT_SUPERSEDED
from federation.runtime.settings_files import load_federation, load_site

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
FILES = sorted(path for path in CONFIGS.rglob("*") if path.is_file())
UNITS = sorted((CONFIGS / "systemd").glob("*.service"))
ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(CONFIGS)))
def test_every_file_is_loaded(path: Path) -> None:
    folder = path.relative_to(CONFIGS).parts[0]
    match folder, path.suffix:
        case "classrooms", ".yaml":
            checked = read_classrooms([(str(path), path.read_bytes())], lambda name: (path.parent / name).read_bytes())
            assert not checked.findings
            assert checked.values
        case "classrooms", ".csv":
            users, findings = read_roster(str(path), path.read_bytes())
            assert users
            assert not findings
        case "sites", ".yaml":
            assert load_site(path).name
        case "federation", ".yaml":
            assert load_federation(path).name
        case "schema", ".json":
            assert json.loads(path.read_bytes())["$schema"]
        case "hooks", "":
            subprocess.run(["sh", "-n", path], check=True)
            assert os.access(path, os.X_OK)
        case "systemd", ".service":
            assert _unit(path)["Service"]["ExecStart"]
        case "systemd", ".conf":
            assert _starts(path)
        case "kubernetes", ".yaml":
            assert all(body["kind"] and body["metadata"]["name"] for body in yaml.safe_load_all(path.read_text()))
        case _:
            pytest.fail(f"nothing loads {path.relative_to(ROOT)}")


def _unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their capitals
    parser.read_string(path.read_text())
    return parser


def _starts(path: Path) -> list[str]:
    """Each ExecStart of a drop-in; the first one, empty, takes the unit's own away."""
    lines = path.read_text().splitlines()
    first, *rest = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    assert first == ""
    return rest


def _words(path: Path) -> list[str]:
    return _unit(path)["Service"]["ExecStart"].split()


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.name)
def test_a_unit_starts_one_of_our_programs_with_options_that_it_has(path: Path) -> None:
    program, *words = _words(path)
    assert path.stem == Path(program).name
    assert path.stem in ENTRY_POINTS
    module = ENTRY_POINTS[path.stem].partition(":")[0]
    shown = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True).stdout
    used = [word for word in words if word.startswith("--")]
    assert all(option in shown for option in used)
    assert max(Counter(used).values()) == 1


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.name)
def test_systemd_takes_the_unit_without_a_word(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in UNITS:  # all together: they name each other; with programs that are there
        text = unit.read_text().replace("/usr/local/bin/", f"{Path(sys.executable).parent}/")
        (tmp_path / unit.name).write_text(text)
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / path.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in found.stderr.splitlines() if str(tmp_path) in line or path.name in line]
    assert found.returncode == 0, found.stderr
    assert not ours


def test_the_fencer_of_a_cluster_is_the_same_but_for_what_it_needs_to_reach_it() -> None:
    [start] = _starts(CONFIGS / "systemd/fed-fencer-cluster.conf")
    usual, here = _words(CONFIGS / "systemd/fed-fencer.service"), start.split()
    assert here[: len(usual)] == usual
    words = [sys.executable, "-m", "agents.fencer", "--help"]
    assert here[len(usual)] in subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_agent_and_fencer_share_the_directory_that_the_fencer_keeps() -> None:
    fencer, agent = (_unit(CONFIGS / "systemd" / f"{name}.service") for name in ("fed-fencer", "fed-agent"))
    folder = f"/run/{fencer['Service']['RuntimeDirectory']}"
    assert fencer["Service"]["RuntimeDirectoryPreserve"] == "yes"
    assert "RuntimeDirectory" not in agent["Service"]
    places = [_options(unit)[1] for unit in (fencer, agent)]
    assert places == [folder, folder]
    assert len({_options(unit)[0] for unit in (fencer, agent)}) == 1
    assert fencer["Service"]["User"] == agent["Service"]["User"]
    assert "fed-fencer.service" in agent["Unit"]["After"].split()


def test_an_agent_that_was_superseded_is_not_restarted() -> None:
    agent = _unit(CONFIGS / "systemd/fed-agent.service")
    assert agent["Service"]["RestartPreventExitStatus"] == str(EXIT_SUPERSEDED)


def test_the_longest_deadline_of_the_unit_is_that_of_a_profile() -> None:
    words = _words(CONFIGS / "systemd/fed-fencer.service")
    longest = float(words[words.index("--longest") + 1])
    assert longest in {round(profile.longest_s, 3) for profile in PROFILES.values()}


def _options(unit: configparser.ConfigParser) -> tuple[str, str]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-dir")
    parser.add_argument("--runtime-dir")
    known, _rest = parser.parse_known_args(unit["Service"]["ExecStart"].split())
    return known.state_dir, known.runtime_dir

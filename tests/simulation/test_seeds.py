"""Seeded runs of the whole federation with everything going wrong, and planted bugs that they must find.

In processes of their own, with one order of hashes: a seed is the same run everywhere. `make sim` runs more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 40
FIRST = 1


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{done.stdout[-12000:]}\n{done.stderr[-4000:]}"
    assert done.returncode == 0, said
    return done.stdout


@pytest.mark.timeout(900)
def test_no_seed_violates_an_invariant_and_everything_was_met() -> None:
    said = run("sim", str(SEEDS), str(FIRST), "2")
    assert "no violation" in said


@pytest.mark.timeout(600)
def test_every_planted_bug_is_found_again_by_its_recorded_seed() -> None:
    said = run("sim-mutants", "--recorded")
    assert "bugs were found" in said


@pytest.mark.timeout(120)
def test_a_seed_is_the_same_run_each_time() -> None:
    assert run("sim", "1", "3", "--digest") == run("sim", "1", "3", "--digest")

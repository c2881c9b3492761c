"""Where the testbed's programs are; made if need be. Where they cannot be had a test is skipped with the reason, under CI
it fails."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT_S = 1800  # what a test may take that is the first one, on a machine that has to build all of it


@functools.cache
def kubernetes() -> Path:
    """The folder with etcd, all of Kubernetes and CoreDNS."""
    return _made_by("get-kubernetes")


@functools.cache
def containerd() -> Path:
    """The folder with `bin` (containerd, runc), `cni` (plugins) and `image` (what images are made of)."""
    return _made_by("get-containerd")


@functools.cache
def kwok() -> Path:
    """The program."""
    return _made_by("get-kubernetes", "kwok")


@functools.cache
def helm() -> Path:
    """The program."""
    return _made_by("get-helm")


def unavailable(reason: str) -> NoReturn:
    """Leave the test out, loudly."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _made_by(script: str, *words: str) -> Path:
    """What it says goes to stderr as it comes: `pytest -s` shows it at once, and a test that was too slow in its report."""
    said: list[str] = []
    command = [str(ROOT / "scripts" / script), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stdout is not None
        for line in running.stderr:
            said.append(line.strip())
            print(line, end="", file=sys.stderr, flush=True)
        folder = running.stdout.read().strip()
        code = running.wait()
    if code != 0:
        unavailable(f"scripts/{script} has nothing to test with: {' '.join(said[-3:])}")
    return Path(folder)

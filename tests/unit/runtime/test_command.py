"""One short program with a deadline: what it says, and what is left of it afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from federation.model.errors import DeadlineExceeded
from federation.runtime.command import Answered, ask_command, run_command

FORKS = """import os, sys, time
if os.fork():
    open(sys.argv[1], "w").write(f"{os.getpid()} ")
else:
    time.sleep(0.1)
    open(sys.argv[1], "a").write(f"{os.getpid()} ")
time.sleep(60)
"""

ASKED_TO_END = """import signal, sys, time
def end(*_):
    print("last words", flush=True)
    open(sys.argv[1], "a").write("asked ")
    sys.exit(sys.argv[2] == "stubborn" and time.sleep(60))
signal.signal(signal.SIGTERM, end)
sys.stdin.read()  # who starts it has got that far
open(sys.argv[1], "w").write("began ")
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


async def test_streams_are_told_apart_and_kept_in_part() -> None:
    code = "import sys\nsys.stderr.write('!' * 9)\nprint(sys.stdin.read() * 2)\nsys.exit(3)"
    answer = await ask_command(
        (sys.executable, "-c", code), b"given", dict(os.environ), limit_s=20.0, grace_s=1.0, most_bytes=8
    )
    assert answer == Answered(3, b"givengiv", b"!" * 8)


@pytest.mark.parametrize("manner", ["gentle", "stubborn"])
async def test_at_its_deadline_it_is_asked_to_end_and_killed_if_it_does_not(tmp_path: Path, manner: str) -> None:
    told = tmp_path / "told"
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await ask(told, manner, limit_s=2.0, grace_s=1.5 if manner == "stubborn" else 30.0)
    assert told.read_text() == "began asked "
    assert time.monotonic() - begin < 30


async def test_who_loses_patience_twice_kills_it_at_once(tmp_path: Path) -> None:
    told = tmp_path / "told"
    task = asyncio.ensure_future(ask(told, "stubborn", limit_s=60.0, grace_s=60.0))
    for word in ("began ", "began asked "):
        while not told.exists() or told.read_text() != word:
            await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def ask(told: Path, manner: str, *, limit_s: float, grace_s: float) -> Answered:
    argv = (sys.executable, "-c", ASKED_TO_END, str(told), manner)
    return await ask_command(argv, b"", dict(os.environ), limit_s=limit_s, grace_s=grace_s, most_bytes=100)

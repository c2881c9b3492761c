"""What every demo does: tell each step with its time, use fedctl as an admin would, and be a student."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from federation.runtime.student import Student

ROOT = Path(__file__).resolve().parent.parent
FEDCTL = Path(sys.executable).parent / "fedctl"
CLASS, STUDENT, NOTEBOOK = "atm101", "s01", "lab1.ipynb"
SOURCE = "print('wind from the west')"
LIMIT_S = 90.0


class Steps:
    """What happened and how long it took."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.rows: list[tuple[str, float]] = []

    def done(self, what: str) -> None:
        now = time.monotonic()
        self.rows.append((what, now - self.last))
        print(f"demo: {what} ({now - self.last:.1f} s)", flush=True)
        self.last = now

    def table(self) -> str:
        width = max(len(what) for what, _ in self.rows)
        lines = [f"  {what.ljust(width)}  {seconds:6.1f} s" for what, seconds in self.rows]
        return "\n".join([*lines, f"  {'all'.ljust(width)}  {self.last - self.began:6.1f} s"])


def fedctl(*words: str, env: Mapping[str, str]) -> str:
    """Run fedctl; what it says to people goes straight to the terminal, too."""
    print(f"$ fedctl {' '.join(words)}", flush=True)
    done = subprocess.Popen(
        [FEDCTL, *words], env=dict(env), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert done.stderr is not None
    said = []
    for line in done.stderr:
        print(f"  {line}", end="", flush=True)
        said.append(line)
    out = done.stdout.read() if done.stdout else ""
    print("".join(f"  {line}\n" for line in out.splitlines()), end="", flush=True)
    if done.wait() != 0:
        raise SystemExit(f"demo: fedctl {words[0]} ended with exit code {done.returncode}")
    return out + "".join(said)


def password_in(said: str) -> str:
    """The class's, which `fedctl place` shows once."""
    found = re.search(r"shown only now: (\S+)", said)
    if found is None:
        raise SystemExit("demo: fedctl place showed no password")
    return found[1]


async def study(browser: Callable[[], Student], password: str, steps: Steps, stays_s: float = 0.0) -> None:
    """Sign in, start the server, save a notebook, stop, start, read it back; and stay for a while."""
    async with browser() as student:
        status = await student.sign_in(password)
        if status != 200:
            raise SystemExit(f"demo: {STUDENT} could not sign in: {status}")
        steps.done(f"{STUDENT} signed in")
        await student.start_server(LIMIT_S)
        steps.done("the student's server started")
        await student.save_notebook(NOTEBOOK, SOURCE)
        steps.done(f"{NOTEBOOK} saved through the Jupyter API")
        await student.stop_server(LIMIT_S)
        await student.start_server(LIMIT_S)
        steps.done("the server stopped and started again")
        if await student.read(NOTEBOOK) != SOURCE:
            raise SystemExit(f"demo: {NOTEBOOK} came back changed")
        steps.done(f"{NOTEBOOK} read back, unchanged")
        await asyncio.sleep(stays_s)
        await student.stop_server(LIMIT_S)


async def read_back(browser: Callable[[], Student], password: str, steps: Steps) -> None:
    """The same student, the same account, the same file, at the other site."""
    async with browser() as student:
        if await student.sign_in(password) != 200:
            raise SystemExit(f"demo: {STUDENT} could not sign in after the outage")
        await student.start_server(LIMIT_S)
        if await student.read(NOTEBOOK) != SOURCE:
            raise SystemExit(f"demo: {NOTEBOOK} came back changed after the outage")
        await student.stop_server(LIMIT_S)
    steps.done(f"{STUDENT} signed in there and found {NOTEBOOK}, unchanged")

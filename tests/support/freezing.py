"""SIGSTOP that has taken effect: threads of a process stop one by one, and what is asked meanwhile may be answered."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

WITHIN_S = 10.0


def freeze(pid: int) -> None:
    """Returns when every thread stands still."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + WITHIN_S
    while not stands_still(pid):
        assert time.monotonic() < deadline, f"process {pid} does not stand still after {WITHIN_S:g} s"
        time.sleep(0.005)


def stands_still(pid: int) -> bool:
    return all(_state(task) in ("T", "") for task in Path(f"/proc/{pid}/task").iterdir())


def _state(task: Path) -> str:
    """As proc(5) says it; empty: this thread has ended."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""

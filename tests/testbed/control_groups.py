"""A control group by one name in all hierarchies: version 1, version 2, or both beside each other ("hybrid").

A node's pods are below it; so are its daemons, in the hierarchy of version 2, where all can be killed in one stroke.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

DAEMONS = "daemons"  # beside the pods' groups: where there are controllers, a group has either processes or groups
CONTROLLERS = ("cpuset", "cpu", "memory", "pids", "io")


def hierarchies() -> list[tuple[Path, str]]:
    """Where they are mounted, and whether as `cgroup` (version 1) or `cgroup2`."""
    rows = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [(Path(point), kind) for _source, point, kind, *_ in rows if kind in ("cgroup", "cgroup2")]


def refusal() -> str:
    """Why groups cannot be made here; nothing if they can."""
    if not hierarchies():
        return "no control groups are mounted"
    closed = [str(root) for root, _kind in hierarchies() if not os.access(root, os.W_OK)]
    return f"control groups cannot be made: {', '.join(closed)}" if closed else ""


def make(name: str) -> Path | None:
    """The group everywhere, ready for a kubelet. The file through which daemons join, if there is version 2."""
    join = None
    for root, kind in hierarchies():
        group = root / name
        group.mkdir()
        if kind == "cgroup2":
            _hand_down(root, group)
            (group / DAEMONS).mkdir()
            join = group / DAEMONS / "cgroup.procs"
        for part in ("cpuset.cpus", "cpuset.mems"):  # version 1: without any no process can join
            if kind == "cgroup" and (group / part).exists() and not (group / part).read_text().strip():
                (group / part).write_text((root / part).read_text())
    return join


def processes(name: str) -> set[int]:
    """Everybody in the group or below it."""
    found = set()
    for root, _kind in hierarchies():
        for members in (root / name).rglob("cgroup.procs"):
            with suppress(OSError):
                found |= {int(pid) for pid in members.read_text().split()}
    return found - {0}  # 0: one whom this process cannot see


def kill(name: str) -> None:
    """Everybody in it at once, so that nobody starts somebody else meanwhile."""
    for root, kind in hierarchies():
        if kind == "cgroup2":
            with suppress(OSError):
                (root / name / "cgroup.kill").write_text("1")
    for pid in processes(name):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def remove(name: str) -> None:
    """From the leaves. Nobody is in it any more, but the kernel may take a moment to see that."""
    for root, _kind in hierarchies():
        group = root / name
        deadline = time.monotonic() + 5
        while group.exists():
            for below in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    below.rmdir()
            with suppress(OSError):
                group.rmdir()
            assert time.monotonic() < deadline or not group.exists(), f"{group} cannot be removed"


def left(name: str) -> list[Path]:
    """Groups of that name that are still there."""
    return [root / name for root, _kind in hierarchies() if (root / name).exists()]


def _hand_down(root: Path, group: Path) -> None:
    """Version 2: groups below have the controllers that their parent hands down, one by one, for some may be in use by
    version 1."""
    for parent in (root, group):
        there = (parent / "cgroup.controllers").read_text().split()
        for controller in CONTROLLERS:
            if controller in there:
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")

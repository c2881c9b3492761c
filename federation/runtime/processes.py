"""Processes as a port: start them detached, find them by the marks in their environment, stop all of a kind for sure.

A process is named by pid and start time, so that a reused pid is never signalled. This module knows no roles and no
hubs; what is marked with what is decided by its users (`HUBFED_DIR`, `HUBFED_SITE`, `HUBFED_HUB`, `HUBFED_ROLE`, ...).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from federation.model.errors import DeadlineExceeded, DriverError, Unavailable
from federation.runtime.cgroups import Group
from federation.runtime.clock import Clock
from federation.runtime.process_table import EMPTY_SCANS, MARK, PROC, Found, ProcessId, ProcessTable

__all__ = ["Finished", "Found", "Launch", "ProcessId", "Processes", "SystemProcesses", "inherited", "reap"]

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
RESCAN_S = 0.05
# Runs between fork and the program: enters groups as who we are, then becomes the other user for good.
ENTER = """
import ctypes, os, sys
groups, uid, gid = sys.argv[1].split(), int(sys.argv[2]), int(sys.argv[3])
prctl = ctypes.CDLL(None).prctl
for path in groups:
    with open(path, "w") as file:
        file.write(str(os.getpid()))
if uid >= 0:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.umask(0o077)
    prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
if sys.argv[5] == "keep":
    prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what detaches itself stays a descendant
os.chdir(sys.argv[4])
os.execvp(sys.argv[6], sys.argv[6:])
"""

_children: dict[int, subprocess.Popen[bytes]] = {}  # of this operating-system process: somebody has to reap them


@dataclass(frozen=True, slots=True)
class Launch:
    """A program to start. `env` is its whole environment. It gets its own session, no standard input, and appends its
    output to `log`; `join` are `cgroup.procs` files that it enters before it runs. With `keep_descendants` what
    detaches itself from the program stays below it, so that a stop finds it by descent as long as the program lives."""

    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None
    uid: int | None = None
    gid: int | None = None
    join: tuple[Path, ...] = ()
    keep_descendants: bool = False


def inherited(env: Mapping[str, str] = os.environ, **marks: str) -> dict[str, str]:
    """A small environment for a child: what programs need to run at all, our own marks, and these marks on top."""
    kept = {name: env[name] for name in KEPT if name in env}
    own = {name: value for name, value in env.items() if name.startswith(MARK)}
    return {"PATH": os.defpath, **kept, **own, **{f"{MARK}{name}": value for name, value in marks.items()}}


@dataclass(frozen=True, slots=True)
class Finished:
    """How a foreground program ended; `output` is both streams together."""

    code: int
    output: str


class Processes(Protocol):
    """Given at the composition root."""

    def spawn(self, launch: Launch) -> ProcessId:
        """Start detached: it lives on when we die. Unavailable if it cannot be started."""
        ...

    async def run(self, launch: Launch, *, timeout_s: float) -> Finished:
        """Run to the end; its output also goes to the log. DeadlineExceeded kills its whole session."""
        ...

    def identify(self, pid: int) -> ProcessId | None:
        """The living process that has this pid now."""
        ...

    def alive(self, who: ProcessId) -> bool:
        """Whether exactly this process lives; a zombie does not."""
        ...

    def signal(self, who: ProcessId, number: int) -> bool:
        """Signal exactly this process; False if it is gone."""
        ...

    def find(self, marks: Mapping[str, str], group: Group | None = None, *, descendants: bool = True) -> list[Found]:
        """Every living process whose environment carries all `marks`, their descendants, and the group's members."""
        ...

    async def stop(
        self,
        marks: Mapping[str, str],
        *,
        group: Group | None = None,
        descendants: bool = True,
        grace_s: float = 5.0,
        limit_s: float = 20.0,
    ) -> int:
        """Stop all that `find` finds: SIGTERM, after `grace_s` SIGKILL, until two scans in a row are empty. Returns how
        many there were; DriverError names those that are left after `limit_s`."""
        ...


class SystemProcesses(ProcessTable):
    """The machine's processes, through /proc."""

    def __init__(self, clock: Clock, proc: Path = PROC) -> None:
        super().__init__(proc)
        self._clock = clock

    def spawn(self, launch: Launch) -> ProcessId:
        child = _start(launch)
        _children[child.pid] = child
        who = self.identify(child.pid)
        if who is None:
            reap()
            raise Unavailable(f"{launch.argv[0]} ended at once; see {launch.log}")
        return who

    async def run(self, launch: Launch, *, timeout_s: float) -> Finished:
        begin = launch.log.stat().st_size if launch.log.exists() else 0
        child = _start(launch)
        try:
            async with asyncio.timeout(timeout_s):
                while child.poll() is None:
                    await self._clock.sleep(RESCAN_S)
        except TimeoutError as error:
            raise DeadlineExceeded(f"{' '.join(launch.argv)} did not end within {timeout_s:.0f} s") from error
        finally:
            if child.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        output = launch.log.read_bytes()[begin:].decode(errors="replace")
        return Finished(child.returncode, output)

    def alive(self, who: ProcessId) -> bool:
        reap()
        return super().alive(who)

    def find(self, marks: Mapping[str, str], group: Group | None = None, *, descendants: bool = True) -> list[Found]:
        reap()
        return super().find(marks, group, descendants=descendants)

    async def stop(
        self,
        marks: Mapping[str, str],
        *,
        group: Group | None = None,
        descendants: bool = True,
        grace_s: float = 5.0,
        limit_s: float = 20.0,
    ) -> int:
        sweep = _Sweep(self)
        begin = self._clock.mono()
        empty = 0
        while empty < EMPTY_SCANS:
            waited = self._clock.mono() - begin
            left = sweep.look(lambda: self.find(marks, group, descendants=descendants))
            empty = empty + 1 if not left else 0
            if left and waited > limit_s:
                named = ", ".join(str(who.pid) for who in sorted(left))
                raise DriverError(f"{len(left)} processes are left {waited:.0f} s after the stop: pid {named}")
            if left:
                sweep.press(left, hard=waited >= grace_s)
                if group is not None and waited >= grace_s:
                    group.kill()
            await self._clock.sleep(RESCAN_S)
        if group is not None:
            group.remove()
        return len(sweep.seen)


class _Sweep:
    """One stop: remembers everything it saw, so that what loses its parent and its marks midway is not lost."""

    def __init__(self, processes: SystemProcesses) -> None:
        self._processes = processes
        self._told: set[ProcessId] = set()
        self.seen: set[ProcessId] = set()

    def look(self, find: Callable[[], list[Found]]) -> set[ProcessId]:
        self.seen.update(found.id for found in find())
        return {who for who in self.seen if self._processes.alive(who)}

    def press(self, left: Iterable[ProcessId], *, hard: bool) -> None:
        for who in left:
            if hard:
                self._processes.signal(who, signal.SIGKILL)
            elif who not in self._told:
                self._told.add(who)
                self._processes.signal(who, signal.SIGTERM)


def reap() -> None:
    """Collect children of ours that ended, so that they are not zombies."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)


def _start(launch: Launch) -> subprocess.Popen[bytes]:
    argv = list(launch.argv)
    if launch.join or launch.uid is not None or launch.keep_descendants:
        groups = " ".join(str(path) for path in launch.join)
        uid, gid = (-1, -1) if launch.uid is None else (launch.uid, launch.uid if launch.gid is None else launch.gid)
        keep = "keep" if launch.keep_descendants else "free"
        words = (groups, str(uid), str(gid), str(launch.cwd or Path.cwd()), keep)
        enter = (sys.executable, "-I", "-S", "-c", ENTER, *words)
        argv = [*enter, *argv]
    try:
        launch.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                argv,
                env=dict(launch.env),
                cwd=None if argv[0] == sys.executable and launch.uid is not None else launch.cwd,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                start_new_session=True,
            )
        finally:
            os.close(handle)
    except OSError as error:
        raise Unavailable(f"cannot start {launch.argv[0]}: {error.strerror}") from error

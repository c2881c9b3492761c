"""Keeps the programs of a local federation alive: starts what is not there, adopts what is, restarts what dies.

Runs as a process of its own (`python -m federation.cli.local.supervisor DIR`), one per directory by flock. On SIGTERM
it stops the daemons, fencers first; hubs are not its business: they outlive it, and `fedctl down` stops them.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import signal
import sys
from pathlib import Path

import structlog

from federation.cli.local.lab import outages
from federation.cli.local.layout import Layout, load
from federation.cli.local.programs import Program, programs, stopping_order
from federation.cli.local.register_data import choose_etcd, record
from federation.model.errors import InvalidRequest, Refused
from federation.runtime.clock import Clock, SystemClock
from federation.runtime.daemon import run_daemon
from federation.runtime.disk import LocalDisk
from federation.runtime.logs import set_up_logging
from federation.runtime.node import ensure_proxy
from federation.runtime.processes import Processes, ProcessId, SystemProcesses

LOOK_S = 0.3
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.2, 5.0
STEADY_S = 10.0  # after so long a program counts as having started well
STOP_S, KILL_S = 8.0, 2.0

log = structlog.get_logger(__name__)


class Keeper:
    """One program: its process, and when it may be started again."""

    def __init__(self, program: Program, layout: Layout, processes: Processes, clock: Clock) -> None:
        self.program = program
        self._layout = layout
        self._processes = processes
        self._clock = clock
        self._process: ProcessId | None = None
        self._started_mono = 0.0
        self._not_before_mono = 0.0
        self._backoff_s = BACKOFF_FIRST_S

    def adopt(self) -> bool:
        """Take over a living process of an earlier supervisor."""
        found = [
            f
            for f in self._processes.find(self.program.marks(self._layout))
            if f.marks.get("HUBFED_ROLE") == self.program.role
        ]
        own = [f for f in found if f.parent not in {g.pid for g in found}]
        if own:
            self._process = own[0].id
            log.info("program.adopted", program=self.program.name, pid=own[0].pid)
        return bool(own)

    def look(self, *, held: bool) -> None:
        """Start it if it is not alive and its back-off is over. While it is held (`fedctl lab`) it is left as it is."""
        now = self._clock.mono()
        if held:
            if self._process is not None and not self._processes.alive(self._process):
                log.info("program.held", program=self.program.name)
                self._process = None
            self._not_before_mono, self._backoff_s = now, BACKOFF_FIRST_S
            return
        if self._process is not None and self._processes.alive(self._process):
            if now - self._started_mono > STEADY_S:
                self._backoff_s = BACKOFF_FIRST_S
            return
        if self._process is not None:
            log.warning("program.died", program=self.program.name, pid=self._process.pid, retry_s=self._backoff_s)
            self._not_before_mono = now + self._backoff_s
            self._backoff_s = min(self._backoff_s * 2, BACKOFF_MOST_S)
            self._process = None
        if now >= self._not_before_mono:
            self._process = self._processes.spawn(self.program.launch(self._layout))
            self._started_mono = now
            log.info("program.started", program=self.program.name, pid=self._process.pid)

    async def stop(self) -> None:
        """Stop this one process. Not what it started: an agent's hubs outlive it."""
        if self._process is None:
            return
        for number, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, KILL_S)):
            self._processes.signal(self._process, number)
            until = self._clock.mono() + patience_s
            while self._processes.alive(self._process) and self._clock.mono() < until:
                await self._clock.sleep(0.05)


async def supervise(layout: Layout, stop: asyncio.Event) -> None:
    """Until told to stop."""
    clock, disk = SystemClock(), LocalDisk()
    processes = SystemProcesses(clock)
    choices = load(layout, disk)
    if choices is None:
        raise InvalidRequest(f"{layout.root} holds no federation", help="`fedctl up` makes one.")
    etcd = await choose_etcd(layout, processes, disk)
    record(layout, etcd, disk)
    proxy = await ensure_proxy(processes, clock)
    started = programs(layout, choices, etcd, proxy)
    keepers = [Keeper(program, layout, processes, clock) for program in started]
    for keeper in keepers:
        keeper.adopt()
    while not stop.is_set():
        down = outages(layout, disk)
        for keeper in keepers:
            outage = down.get(keeper.program.site)
            keeper.look(held=outage is not None and outage.holds(keeper.program.role))
        try:
            async with asyncio.timeout(LOOK_S):
                await stop.wait()
        except TimeoutError:
            continue
    for _role, equals in itertools.groupby(stopping_order(started), key=lambda program: program.role):
        names = {program.name for program in equals}
        await asyncio.gather(*(keeper.stop() for keeper in keepers if keeper.program.name in names))


def main() -> int:
    """Entry point."""
    set_up_logging(SystemClock())
    layout = Layout(Path(sys.argv[1]))
    handle = os.open(layout.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def work(stop: asyncio.Event) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Refused(f"another supervisor keeps {layout.root}") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        await supervise(layout, stop)

    return run_daemon(work)


if __name__ == "__main__":
    sys.exit(main())

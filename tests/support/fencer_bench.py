"""A real fencer over a runtime directory whose lease file the test writes, and trees of processes marked as hubs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.drivers.local.marks import site_marks
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import Launch, ProcessId, SystemProcesses, inherited
from federation.runtime.volatile import volatile_dir

SITE = "iu"
S = 1_000_000_000
LONGEST_S = 9.2
TREE = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
os.fork()
time.sleep(600)
"""
TREE_SIZE = 3


@dataclass
class FencerBench:
    """`start` the fencer, `hub` to have one running, `write` what the agent would."""

    root: Path
    runtime: Path
    clock: SystemClock = field(default_factory=SystemClock)
    processes: SystemProcesses = field(default_factory=lambda: SystemProcesses(SystemClock()))
    seq: int = 0

    @property
    def federation(self) -> str:
        return f"test-{self.root}"

    def marks(self, **more: str) -> dict[str, str]:
        return site_marks(self.federation, SITE, **more)

    def start(self) -> ProcessId:
        """Detached, logging to `self.log`."""
        words = ("--site", SITE, "--state-dir", str(self.root), "--runtime-dir", str(self.runtime))
        argv = (sys.executable, "-m", "agents.fencer", *words, "--longest", str(LONGEST_S))
        env = {**inherited(), **self.marks(ROLE="fencer"), "HUBFED_DIR": self.federation}
        who = self.processes.spawn(Launch(argv, self.log, env=env, cwd=Path(__file__).resolve().parents[2]))
        self.until(lambda: "fencer.started" in self.log.read_text() or not self.processes.alive(who), "it started")
        return who

    def stop(self, who: ProcessId, number: int = signal.SIGTERM) -> None:
        self.processes.signal(who, number)
        self.until(lambda: not self.processes.alive(who), "the fencer ended")

    @property
    def log(self) -> Path:
        return self.root / "fencer.log"

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    def hub(self, name: str, code: str = TREE, size: int = TREE_SIZE) -> list[ProcessId]:
        """A running tree of processes that carry the hub's marks."""
        launch = Launch(
            (sys.executable, "-I", "-S", "-c", code), self.root / "hub.log", {**inherited(), **self.marks(HUB=name)}
        )
        self.processes.spawn(launch)
        self.until(lambda: len(self.living(name)) >= size, f"{name} runs")
        return self.living(name)

    def living(self, name: str) -> list[ProcessId]:
        return [found.id for found in self.processes.find(self.marks(HUB=name))]

    def write(self, raw: bytes | None = None, **hubs: float | None) -> int:
        """Write the lease file: hub -> seconds from now at which it is to be stopped, or None; returns the seq."""
        self.seq += 1
        now = self.clock.boottime_ns()
        entries = {}
        for hub, seconds in hubs.items():
            at = None if seconds is None else now + int(seconds * S)
            entries[hub.replace("_", "-")] = {"epoch": [1, 1], "close_at": at, "stop_by": at}
        body = {"boot_id": self.clock.boot_id(), "incarnation": 1, "seq": self.seq, "hubs": entries}
        content = json.dumps(body).encode() if raw is None else raw
        LocalDisk().replace(self.runtime / "lease.json", content, durable=False)
        return self.seq

    def ack(self) -> dict[str, Any]:
        content = LocalDisk().read(self.runtime / "ack.json")
        body: dict[str, Any] = json.loads(content) if content else {}
        return body

    def until(self, met: Any, what: str, limit_s: float = 10.0) -> float:
        """Poll; returns how many seconds it took."""
        began = self.clock.mono()
        while not met():
            waited = self.clock.mono() - began
            assert waited < limit_s, f"not within {limit_s:g} s: {what}"
            self.rest(0.02)
        return self.clock.mono() - began

    @staticmethod
    def rest(seconds: float) -> None:
        """Let real time pass: something is asserted not to happen meanwhile."""
        signal.sigtimedwait([], seconds)

    def close(self) -> None:
        for found in self.processes.find({"HUBFED_DIR": self.federation}):
            self.processes.signal(found.id, signal.SIGKILL)
        self.until(lambda: not self.processes.find({"HUBFED_DIR": self.federation}), "everything ended")


@contextmanager
def fencer_bench(root: Path) -> Iterator[FencerBench]:
    """At the end nothing is left."""
    runtime = volatile_dir(root)
    bench = FencerBench(root, runtime)
    try:
        yield bench
    finally:
        bench.close()
        for left in runtime.iterdir():
            left.unlink()
        runtime.rmdir()


def small_tmpfs(path: Path) -> None:
    """Mount a tmpfs of 64 KiB (root only)."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)], check=True)


def cpu_ticks(pid: int) -> int:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


TICKS = os.sysconf("SC_CLK_TCK")

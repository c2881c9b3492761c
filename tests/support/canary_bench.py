"""One bench for proofs on a canary: a real site with its edge and a real fencer, or the twin."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

from agents.canary import Canary, Entry
from agents.drivers.base import Capacity, SiteDrivers
from agents.drivers.edges import Route
from agents.drivers.local.marks import EDGE
from agents.drivers.memory import MemorySite
from federation.core.fencing import canary_of
from federation.runtime.clock import Clock, SystemClock
from federation.runtime.processes import Launch, inherited
from tests.support.hub_bench import local_site_or_skip
from tests.support.local_site import GIB, LocalSite, until

SITE = "iu"
FENCER_S = 3.0


class CanaryBench(Protocol):
    """What a test may do around a canary."""

    drivers: SiteDrivers
    clock: Clock

    def write_entry(self, entry: Entry | None, /) -> None:
        """The lease file with nothing but the canary in it."""
        ...

    async def break_gate(self) -> None:
        """The edge lets everybody through, or is not there."""
        ...

    async def break_fencer(self) -> None:
        """The fencer hangs."""
        ...


def content(entry: Entry | None, seq: int, boot_id: str) -> bytes:
    body = {"boot_id": boot_id, "incarnation": 1, "seq": seq, "hubs": entry or {}}
    return json.dumps(body).encode()


@dataclass
class MemoryCanaryBench:
    clock: Clock = field(default_factory=SystemClock)
    _lease: bytes | None = None
    _seq: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.site = MemorySite(SITE, self.clock, Capacity(30_000, 60 * GIB), lease=lambda: self._lease)
        self.drivers = self.site.drivers()

    def write_entry(self, entry: Entry | None, /) -> None:
        self._lease = content(entry, next(self._seq), self.clock.boot_id())

    async def break_gate(self) -> None:
        self.site.canary_broken = "gate"

    async def break_fencer(self) -> None:
        self.site.canary_broken = "fencer"


@dataclass
class LocalCanaryBench:
    site: LocalSite
    _seq: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.drivers: SiteDrivers = self.site.drivers
        self.clock: Clock = self.site.clock

    def start_fencer(self) -> None:
        settings = self.site.settings
        folders = ("--state-dir", str(settings.state_dir), "--runtime-dir", str(settings.runtime_dir))
        argv = (sys.executable, "-m", "agents.fencer", "--site", SITE, *folders, "--longest", "9.18")
        env = {**inherited(), **settings.marks(ROLE="fencer")}
        root = Path(__file__).resolve().parents[2]
        self.fencer = self.site.processes.spawn(Launch(argv, self.site.root / "fencer.log", env=env, cwd=root))

    def write_entry(self, entry: Entry | None, /) -> None:
        self.site.write_lease(content(entry, next(self._seq), self.clock.boot_id()))

    async def break_gate(self) -> None:
        for found in self.site.processes.find(self.site.settings.marks(ROLE=EDGE)):
            self.site.processes.signal(found.id, signal.SIGKILL)

    async def break_fencer(self) -> None:
        self.site.processes.signal(self.fencer, signal.SIGSTOP)


@asynccontextmanager
async def canary_bench(kind: str) -> AsyncIterator[CanaryBench]:
    """`memory` or `local`; the edge is up, the fencer has answered."""
    if kind == "memory":
        twin = MemoryCanaryBench()
        await twin.drivers.edge.ensure()
        yield twin
        return
    async with local_site_or_skip() as site:
        bench = LocalCanaryBench(site)
        bench.write_entry(None)
        bench.start_fencer()
        await site.drivers.edge.ensure()

        async def acknowledged() -> bool:
            return (site.settings.runtime_dir / "ack.json").exists()

        await until(acknowledged, "the fencer answers")
        yield bench


def canary(bench: CanaryBench) -> Canary:
    """The one under test; its route is the only one."""

    async def set_route(route: Route | None) -> None:
        await bench.drivers.edge.publish((route,) if route is not None else ())

    return Canary(SITE, bench.drivers.canary, bench.write_entry, set_route, bench.clock, fencer_s=FENCER_S)


HUB = canary_of(SITE)

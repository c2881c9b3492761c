"""The fencer of an in-memory site, on virtual time: the real guard over a twin's machine and files."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agents.drivers.memory import MemorySite
from agents.drivers.stopper import Running
from agents.guard import Guard, newest_of
from federation.core.fencing import Fence, Verdict, canary_of
from federation.model.errors import Unavailable
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk

SECOND_NS = 1_000_000_000
PRESS_NS = 50_000_000
PID = 1

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class MemoryStopper:
    """The Stopper of a twin. A hub that is wedged survives; its edge is gone with one blow."""

    site: MemorySite
    _edge_killed_for: int = -1

    @property
    def press_ns(self) -> int:
        return PRESS_NS

    def trouble(self) -> str:
        return ""

    def look(self, verdict: Verdict) -> Running[str]:
        here = {hub: here.processes for hub, here in self.site.hubs.items() if here.processes}
        wanted = here.keys() if verdict.every_hub else here.keys() & verdict.hubs.keys()
        before = verdict.edge_before
        edge = [""] if self.site.edge_alive and before is not None and before > self._edge_killed_for else []
        if before is not None:
            self._edge_killed_for = before  # an edge that is there after this was started since
        return Running({hub: [hub] * here[hub] for hub in sorted(wanted)}, edge)

    def kill(self, hub: str, seen: Sequence[str]) -> None:
        if not hub:
            self.site.kill_edge()
        elif hub not in self.site.stuck and seen:
            self.site.hubs.pop(hub, None)
            self.site.record("fenced", hub)


@dataclass(slots=True)
class DiskFiles:
    """The LeasePort on a Disk in memory, where a file that was replaced is another object."""

    disk: Disk
    folder: Path
    _seen: object = field(default_factory=object)

    def changed(self) -> bool:
        content = self.read()
        if content is self._seen:
            return False
        self._seen = content
        return True

    def read(self) -> bytes | None:
        return self.disk.read(self.folder / "lease.json")

    def acknowledge(self, content: bytes) -> None:
        try:
            self.disk.replace(self.folder / "ack.json", content, durable=False)
        except Unavailable as error:
            raise OSError(errno.ENOSPC, error.message) from error


class MemoryFencer:
    """`run` is eternal, as the process is; cancelling it is SIGKILL. What it remembered is gone then."""

    def __init__(self, site: MemorySite, disk: Disk, folder: Path, clock: Clock, *, longest_s: float) -> None:
        self._clock = clock
        boot_id = clock.boot_id()
        fence = Fence(
            boot_id,
            int(longest_s * SECOND_NS),
            clock.boottime_ns(),
            canary=canary_of(site.site),
            least=newest_of(disk.read(folder / "ack.json"), boot_id),
        )
        self.guard: Guard[str] = Guard(
            fence, DiskFiles(disk, folder), MemoryStopper(site), clock.boottime_ns, log.info, boot_id, PID
        )

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            await self._clock.sleep(self.guard.tick() / SECOND_NS)

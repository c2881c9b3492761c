"""The edge of a `local` site: one process, one address, routes by host name, closed unless the lease file says so.

This side only starts it and writes its table. What may pass is decided in the edge itself, at each request
(`federation/runtime/proxy/gate.mjs`), so it stays closed or open for the right reasons when the agent is dead.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from agents.drivers.edge_table import EdgeTable, EdgeVisitor
from agents.drivers.edges import Departed, Passage, Route
from agents.drivers.local.marks import EDGE
from agents.drivers.local.ports import can_bind, free_ports
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.node import ProxyInstall
from federation.runtime.processes import Found, Launch, Processes, inherited

log = structlog.get_logger(__name__)

START_S = 10.0
HUNG_LOOKS = 3
LOOKS = 6  # an edge that answers is looked for among all processes once in so many times


@dataclass(slots=True)
class LocalEdge:
    """The EdgeDriver."""

    settings: LocalSettings
    processes: Processes
    clock: Clock
    disk: Disk
    install: Callable[[], Awaitable[ProxyInstall]]
    visitor: EdgeVisitor = field(default_factory=EdgeVisitor)
    _table: EdgeTable = field(init=False)
    _silent: int = 0
    _answered: int = LOOKS  # looks in a row that found it by asking it alone

    def __post_init__(self) -> None:
        self._table = EdgeTable(self.settings.edge_table, self.disk)

    async def ensure(self) -> str:
        port = self._known_port()
        if self._answered < LOOKS and port is not None and await self._answers(self._address(port)):
            self._answered += 1
            return self._reached(port)
        self._answered = 0
        living = await self._living()
        if living and port is not None:
            if await self._answers(self._address(port)):
                self._silent = 0
                return self._reached(port)
            self._silent += 1
            if self._silent < HUNG_LOOKS:
                raise DriverError(f"the edge at {self._address(port)} does not answer", delay_s=1.0)
            log.warning("edge.hung", port=port)
        if living:
            await self.processes.stop(self._marks(), grace_s=0.0)
        self._silent = 0
        return await self._start(port)

    async def publish(
        self, routes: tuple[Route, ...], departed: tuple[Departed, ...] = (), unseen: frozenset[str] = frozenset()
    ) -> None:
        self._table.publish(routes, departed, unseen)

    async def is_open(self, hub: str) -> bool:
        host = self._table.host(hub)
        return host is not None and await self.ask(host) is Passage.PASSED

    async def ask(self, host: str) -> Passage:
        """One request for a host name, from outside the edge."""
        port = self._known_port()
        return Passage.SILENT if port is None else await self.visitor.ask(self._address(port), host)

    async def close(self) -> None:
        await self.visitor.close()

    async def stop(self) -> None:
        """End the edge itself: for `fedctl down` and tests; an agent that ends leaves it running."""
        await self.processes.stop(self._marks(), grace_s=2.0)

    def words(self, install: ProxyInstall, address: str) -> tuple[str, ...]:
        """The command of an edge that listens there."""
        return install.launcher("edge", address, self.settings.edge_table, self.settings.lease_file)

    def _choose(self, port: int | None) -> int:
        """The port of last time if it can be had; a fixed one that is taken is an error that says so."""
        if port is not None and can_bind(port, self.settings.edge_host):
            return port
        if self.settings.edge_port:
            raise DriverError(f"cannot start the edge: {self._address(self.settings.edge_port)} is taken by another")
        return free_ports(1, self.settings.edge_host)[0]

    async def _start(self, port: int | None) -> str:
        chosen = self._choose(port)
        folder = self.settings.edge_dir
        self.disk.replace(folder / "port", str(chosen).encode())
        install = await self.install()
        address = self._address(chosen)
        words = self.words(install, address)
        who = self.processes.spawn(Launch(words, folder / "edge.log", env={**inherited(), **self._marks()}, cwd=folder))
        deadline_mono = self.clock.mono() + START_S
        while not await self._answers(address):
            if not self.processes.alive(who):
                raise DriverError(f"the edge ended at once; see {folder / 'edge.log'}", delay_s=1.0)
            if self.clock.mono() > deadline_mono:
                self.processes.signal(who, signal.SIGKILL)
                raise DriverError(f"the edge did not answer at {address} within {START_S:.0f} s", delay_s=1.0)
            await self.clock.sleep(0.05)
        log.info("edge.started", address=address, pid=who.pid)
        return self._reached(chosen)

    async def _living(self) -> list[Found]:
        return await asyncio.to_thread(self.processes.find, self._marks())

    async def _answers(self, address: str) -> bool:
        about = await self.visitor.about(address)
        return about is not None and about.get("mode") == EDGE

    def _known_port(self) -> int | None:
        if self.settings.edge_port:
            return self.settings.edge_port
        content = self.disk.read(self.settings.edge_dir / "port")
        return int(content) if content and content.isdigit() else None

    def _address(self, port: int) -> str:
        return f"{self.settings.edge_host}:{port}"

    def _reached(self, port: int) -> str:
        """Where others reach it: an edge may listen at every address of its host, or behind a balancer."""
        return self.settings.edge_address or self._address(port)

    def _marks(self) -> dict[str, str]:
        return self.settings.marks(ROLE=EDGE)

"""What the leader asks of the world besides agents and the register: names, and the look at a login page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from federation.coordinator.probe import Sight
from federation.coordinator.server_probe import Ticket, Tried
from federation.dns.interface import NameCapabilities, NameRecord
from federation.dns.memory import MemoryNames
from federation.model.errors import DeadlineExceeded, Unavailable
from tests.support.sim import history as h
from tests.support.sim.machine import Machine
from tests.support.sim.network import Network

PLACE = "names"
TIMEOUT_S = 4.0


@dataclass(slots=True)
class SimNames:
    """The name service. `failing`: chance that a call fails; `slow`: that a write lands seconds later."""

    service: MemoryNames
    network: Network
    random: Random
    history: h.History
    failing: float = 0.0
    slow: float = 0.0

    def seen_by(self, coordinator: str) -> CoordinatorNames:
        return CoordinatorNames(self, coordinator)


@dataclass(frozen=True, slots=True)
class CoordinatorNames:
    """`NameDriver` of one coordinator."""

    names: SimNames
    place: str

    @property
    def capabilities(self) -> NameCapabilities:
        return self.names.service.capabilities

    def url_of(self, host: str) -> str:
        return self.names.service.url_of(host)

    async def read(self, host: str) -> NameRecord | None:
        await self._there()
        return await self.names.service.read(host)

    async def write(self, record: NameRecord, expected: NameRecord | None) -> None:
        names = self.names
        if names.random.random() < names.slow:
            seconds = 1 + 20 * names.random.random()
            names.network.loop.after(seconds, self._lands_late, record, expected)
            await asyncio.sleep(TIMEOUT_S)
            raise DeadlineExceeded(f"{record.host}: the name service did not answer in time")
        await self._there()
        await names.service.write(record, expected)
        self._note(record)

    def _lands_late(self, record: NameRecord, expected: NameRecord | None) -> None:
        try:
            self.names.service.write(record, expected).send(None)
        except StopIteration:
            self.names.network.counts["late name writes"] += 1
            self._note(record)
        except Exception as refused:  # noqa: BLE001 - a prerequisite that does not hold
            self.names.network.counts[f"late name writes, {type(refused).__name__}"] += 1

    async def remove(self, host: str, expected: NameRecord) -> None:
        await self._there()
        await self.names.service.remove(host, expected)

    async def seen_from_outside(self, host: str) -> NameRecord | None:
        return await self.read(host)

    def _note(self, record: NameRecord) -> None:
        now, epoch = self.names.network.loop.true_s, (record.epoch.era, record.epoch.n)
        self.names.history.add(h.NameWritten(now, record.host, record.hub, epoch, record.target))

    async def _there(self) -> None:
        names = self.names
        await asyncio.sleep(names.network.delay_s())
        if names.network.is_cut(self.place, PLACE) or names.random.random() < names.failing:
            raise Unavailable("the name service does not answer")


@dataclass(frozen=True, slots=True)
class SimProber:
    """A look at a login page from a coordinator's machine; students of a simulation come by http."""

    machines: dict[str, Machine]
    network: Network
    place: str

    async def tls_name(self, edge_address: str, host: str) -> Sight:
        return Sight()

    async def login_page(self, edge_address: str, host: str) -> str:
        site = edge_address.split(".", 1)[0]
        if await self.answers(edge_address, host):
            machine = self.machines[site]
            serving = machine.serving()
            if any(host in route.hosts and route.hub in serving for route in machine.site.routes):
                return ""
        return f"{edge_address} shows no login page for {host}"

    async def server(self, edge_address: str, host: str, ticket: Ticket) -> Tried:
        return Tried(untested="students of a simulation have no servers that could be asked")

    async def answers(self, edge_address: str, host: str) -> bool:
        site = edge_address.split(".", 1)[0]
        await asyncio.sleep(self.network.delay_s())
        return not (self.network.is_cut(self.place, site) or self.network.is_cut(site, self.place))

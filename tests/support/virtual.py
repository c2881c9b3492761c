"""A whole federation in one process on virtual time: real coordinators and agents; store, transport, sites in memory.

Time is the event loop's (looptime lets it jump), so hours pass in milliseconds and every run of a seed is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

from agents.agent import Agent, Place
from agents.agent import Ports as AgentPorts
from agents.drivers.base import Capacity
from agents.drivers.memory import MemorySite
from agents.drivers.memory_copies import MemoryStore as CopyStore
from agents.drivers.memory_fencing import MemoryFencer
from agents.link import Self
from federation.api.v1 import control_pb2
from federation.coordinator.hooks_loop import NO_HOOKS, Hooks
from federation.coordinator.probe import Sight
from federation.coordinator.replica import Identity, Replica
from federation.coordinator.replica import Ports as ReplicaPorts
from federation.coordinator.server_probe import Ticket, Tried
from federation.coordinator.standing import Leader
from federation.core.relocation import Policy
from federation.dns.memory import MemoryNames
from federation.model.errors import RegisterFault, Unavailable
from federation.model.outlook import Fault
from federation.model.profile import PROFILES, ProfileName
from federation.runtime.clock import Clock
from federation.runtime.sealing import SealingKey
from federation.runtime.supervisor import Supervisor
from federation.store.interface import Store
from federation.store.memory import MemoryStore
from federation.store.register import Register
from federation.store.remembered import RememberedRegister
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_transport import MemoryTransport

UUID = "11111111-2222-3333-4444-555555555555"
SERVER_S = 3.0  # that a student's server takes to start
START = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


class VirtualClock:
    """The running loop's time; wall time starts on a September morning."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.mono())

    def mono(self) -> float:
        return asyncio.get_running_loop().time()

    def boottime_ns(self) -> int:
        return int(self.mono() * 1_000_000_000)

    def boot_id(self) -> str:
        return "virtual-boot"

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class MachineClock(VirtualClock):
    """The clock of one site's machine."""

    boots: int = 1

    def boot_id(self) -> str:
        return f"virtual-boot-{self.boots}"


@dataclass(slots=True)
class MemoryDisk:
    """Files that survive agents. `full` makes every durable write fail."""

    files: dict[Path, bytes] = field(default_factory=dict)
    full: bool = False

    def read(self, path: Path) -> bytes | None:
        return self.files.get(path)

    def replace(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        if self.full and durable:
            raise Unavailable(f"cannot write {path}: No space left on device; the old content is whole")
        self.files[path] = content

    def remove(self, path: Path) -> None:
        self.files.pop(path, None)


class KillableStore:
    """A replica's connection to the store: once it is dead, not even a clean-up comes through."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.dead = False

    def become(self, store: MemoryStore) -> None:
        """Somebody put another register in its place; watches of the old one end, as its server did."""
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if self.dead:
            raise Unavailable("this coordinator was killed")
        return getattr(self._store, name)


class MemoryProber:
    """Sees a login page where a hub of the virtual federation is open. `blind`: coordinators that reach no edge;
    `hidden`: sites whose edge nobody reaches; `stale`: sites whose certificates have ended."""

    def __init__(
        self, sites: dict[str, MemorySite], coordinator: str, blind: set[str], hidden: set[str], stale: set[str]
    ) -> None:
        self._sites = sites
        self._coordinator = coordinator
        self._blind = blind
        self._hidden = hidden
        self._stale = stale

    async def tls_name(self, edge_address: str, host: str) -> Sight:
        if not self._reached(edge_address):
            return Sight(Fault.PAGE, f"{edge_address}: no route to host")
        if edge_address.split(".", 1)[0] in self._stale:
            return Sight(Fault.TLS, f"tls name: expired: the certificate of {host} at {edge_address}")
        return Sight()

    async def login_page(self, edge_address: str, host: str) -> str:
        name = edge_address.split(".", 1)[0]
        if not self._reached(edge_address):
            return f"{edge_address}: no route to host"
        edge = self._sites[name].drivers().edge
        for route in self._sites[name].routes:
            if host in route.hosts and await edge.is_open(route.hub):
                return ""
        return f"{edge_address} shows no login page for {host}"

    async def server(self, edge_address: str, host: str, ticket: Ticket) -> Tried:
        site = self._sites[edge_address.split(".", 1)[0]]
        await asyncio.sleep(SERVER_S)
        hub = next((route.hub for route in site.routes if host in route.hosts), "")
        if await self.login_page(edge_address, host) or site.testers.get(hub) != ticket.token:
            return Tried(untested="the ticket is not good there")
        return Tried(site.spawner_broken)

    async def answers(self, edge_address: str, host: str) -> bool:
        return not (await self.tls_name(edge_address, host)).problem

    def _reached(self, edge_address: str) -> bool:
        return self._coordinator not in self._blind and edge_address.split(".", 1)[0] not in self._hidden


@dataclass(frozen=True, slots=True)
class MemoryLeader:
    """`Leader`: the replica that leads, called by another one for a ticket for a test server."""

    network: MemoryTransport
    address: str

    def logs(self, request: control_pb2.LogsRequest) -> AsyncGenerator[control_pb2.LogsResponse]:
        raise Unavailable(f"{self.address}: logs are not passed on in a virtual federation")

    async def readiness(self, request: control_pb2.ReadinessRequest) -> control_pb2.ReadinessResponse:
        raise Unavailable(f"{self.address}: questions about classes are not passed on in a virtual federation")

    async def server_test(self, request: control_pb2.ServerTestRequest) -> control_pb2.ServerTestResponse:
        return await self.network.replica("", self.address).control_service.ServerTest(request, None)


def no_leader(address: str) -> Leader:
    raise Unavailable(f"{address}: logs are not passed on in a virtual federation")


@dataclass(slots=True)
class VirtualFederation:
    """Replicas c1, c2.. and sites; each can be stopped as by kill -9 and started again."""

    clock: Clock
    random: Random
    store: MemoryStore
    transport: MemoryTransport
    names: MemoryNames
    tasks: dict[str, Supervisor] = field(default_factory=dict)
    sites: dict[str, MemorySite] = field(default_factory=dict)
    stores: dict[str, KillableStore] = field(default_factory=dict)
    disks: dict[str, MemoryDisk] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    keys: dict[str, SealingKey] = field(default_factory=dict)
    clocks: dict[str, MachineClock] = field(default_factory=dict)
    failsafe: bool = True
    witness: bool = True
    failback_s: float | None = None
    hooks: Hooks = NO_HOOKS
    places: dict[str, str] = field(default_factory=dict)  # failure domains of coordinators that look at classes
    blind: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)  # sites whose edge is not reached from outside
    server_test_s: float | None = None
    stale: set[str] = field(default_factory=set)  # sites whose certificates have ended
    copies: CopyStore = field(default_factory=CopyStore)  # that the sites share

    async def start_replica(self, name: str) -> Replica:
        disk = self.disks.setdefault(name, MemoryDisk())
        remembered = RememberedRegister(Path("/state/register.json"), disk)
        store = self.stores[name] = KillableStore(self.store)
        try:
            register = await Register.open(cast(Store, store), UUID, remembered=remembered)
        except RegisterFault as error:
            register = Register.doubted(cast(Store, store), UUID, remembered, error.message)
        tasks = self.tasks[name] = Supervisor(name)
        identity = Identity(
            name,
            name,
            "virtual",
            ("c1", "c2"),
            PROFILES[ProfileName.LAB],
            witness=self.witness,
            relocation=Policy(failback_s=self.failback_s),
            place=self.places.get(name, ""),
            places=tuple(self.places.values()),
            server_test_s=self.server_test_s,
            admins=("ann",),
        )
        ports = ReplicaPorts(
            register,
            self.names,
            MemoryProber(self.sites, name, self.blind, self.hidden, self.stale),
            self.clock,
            Random(self.random.random()),
            lambda address: MemoryLeader(self.transport, address),
            remembered,
            self.hooks,
        )
        replica = self.transport.replicas[name] = Replica(identity, ports, tasks)
        tasks.start("replica", replica.run())
        return replica

    def add_site(self, name: str, cores: int = 30, gib: int = 60) -> MemorySite:
        clock = self.clocks[name] = MachineClock()
        site = MemorySite(name, clock, Capacity(cores * 1000, gib * 2**30))
        disk = self.disks[name] = MemoryDisk()
        site.store = self.copies
        site.lease = lambda: disk.read(Path(f"/run/{name}/lease.json"))
        self.sites[name] = site
        self.keys[name] = SealingKey.generate()
        return site

    def start_agent(self, name: str) -> Agent:
        tasks = self.tasks[f"agent-{name}"] = Supervisor(f"agent-{name}")
        agent = self.agents[name] = Agent(
            Self(
                site=name,
                uid=f"uid-{name}",
                kind="local",
                coordinators=("c1", "c2"),
                profile=PROFILES[ProfileName.LAB],
                machine_id="machine",
                sealing_key=self.keys[name].public,
                version="test",
                peer_address=f"{name}:peer" if self.failsafe else "",
            ),
            Place(Path(f"/state/{name}"), Path(f"/run/{name}")),
            AgentPorts(
                self.sites[name].drivers(),
                self.transport.of(name),
                self.disks[name],
                self.clocks[name],
                Random(self.random.random()),
                MemoryPeers(self.transport, name),
            ),
            self.keys[name],
            tasks,
        )
        self.transport.agents[f"{name}:peer"] = agent.peer_service
        tasks.start("agent", agent.run())
        return agent

    def start_fencer(self, name: str) -> None:
        tasks = self.tasks[f"fencer-{name}"] = Supervisor(f"fencer-{name}")
        longest_s = PROFILES[ProfileName.LAB].longest_s
        fencer = MemoryFencer(
            self.sites[name], self.disks[name], Path(f"/run/{name}"), self.clocks[name], longest_s=longest_s
        )
        tasks.start("fencer", fencer.run())

    def leader_and_other(self) -> tuple[Replica, Replica]:
        """Of two replicas, the one that leads and the one that will."""
        leader, other = sorted(self.transport.replicas.values(), key=lambda replica: not replica.standing.leads)
        assert leader.standing.leads
        return leader, other

    async def kill_site(self, name: str) -> None:
        """The whole machine: agent, fencer, edge, every hub. Files on its disks stay, tmpfs does not."""
        for part in (f"agent-{name}", f"fencer-{name}"):
            if part in self.tasks:
                await self.kill(part)
        self.clocks[name].boots += 1
        self.sites[name].reboot()
        for path in [path for path in self.disks[name].files if path.parts[1] == "run"]:
            del self.disks[name].files[path]

    async def kill(self, name: str) -> None:
        """As SIGKILL: nothing is said to anybody; a replica's store lease is left to expire."""
        self.transport.replicas.pop(name, None)
        self.transport.agents.pop(f"{name.removeprefix('agent-')}:peer", None)
        if name in self.stores:
            self.stores.pop(name).dead = True
        await self.tasks.pop(name).close()

    async def close(self) -> None:
        for name in list(self.tasks):
            await self.kill(name)


@asynccontextmanager
async def virtual_federation(seed: int = 1) -> AsyncIterator[VirtualFederation]:
    clock = VirtualClock()
    federation = VirtualFederation(clock, Random(seed), MemoryStore(clock), MemoryTransport(), MemoryNames())
    try:
        yield federation
    finally:
        await federation.close()

"""The in-memory twin of a site: the same promises as the `local` kind, without processes, for tests on virtual time.

A `MemorySite` is the machine: it survives any number of agents, each of which gets its own drivers from it. Hooks kill
parts of it as a fault would. It passes the contract suites of the real drivers; nothing here runs a real class.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from agents.drivers.base import (
    Capacity,
    ClusterView,
    CopyRef,
    HubCapabilities,
    HubOrder,
    HubView,
    Phase,
    SiteDrivers,
)
from agents.drivers.edges import Departed, Passage, Route
from agents.drivers.gate import Gate
from agents.drivers.memory_copies import MemoryCopies, MemoryStore
from agents.drivers.memory_homes import MemoryHomes
from agents.drivers.memory_preparing import BareCluster, MemoryPreparing
from agents.drivers.memory_testers import MemoryTesters
from federation.core.fencing import Fence
from federation.core.room import Node, Size
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch
from federation.model.status import Condition, ConditionType, RosterEntry, Truth
from federation.runtime.clock import Clock

PLACEHOLDERS = "placeholders"  # among `refusals`: no node can be kept
HUB_PROCESSES = 2  # the hub and its proxy
Lease = Callable[[], bytes | None]


@dataclass(slots=True)
class MemoryHub:
    """One hub of the machine."""

    order: HubOrder
    ready_mono: float
    hub_alive: bool = True
    proxy_alive: bool = True
    failure: str = ""
    servers: dict[str, int] = field(default_factory=dict)  # user -> generation of the image it runs
    users: dict[str, bool] = field(default_factory=dict)
    used: int = 0
    idle: set[str] = field(default_factory=set)  # users in whose servers nobody does anything
    log: list[str] = field(default_factory=list)

    @property
    def processes(self) -> int:
        """What a scan of the machine would count."""
        return int(self.hub_alive) + int(self.proxy_alive) + len(self.servers)


@dataclass(slots=True)
class MemorySite:
    """The machine. `lease` returns the content of the lease file; without it the edge never opens."""

    site: str
    clock: Clock
    capacity: Capacity
    lease: Lease | None = None
    start_delay_s: float = 4.0
    stop_delay_s: float = 0.5
    machine: Capacity | None = None
    hubs: dict[str, MemoryHub] = field(default_factory=dict)
    homes: dict[str, Epoch] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    departed: tuple[Departed, ...] = ()
    routes_by_hub: dict[str, Route] = field(default_factory=dict)
    edge_alive: bool = False
    refusals: dict[str, str] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)  # hubs whose start does not return
    stuck: set[str] = field(default_factory=set)
    events: list[tuple[float, str, str]] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)  # the same object at every site that shares it
    restored: dict[str, CopyRef] = field(default_factory=dict)  # the copy that the tree of a hub was made of
    restoring: set[str] = field(default_factory=set)  # hubs whose restore was ordered and has not ended
    kept: dict[str, list[tuple[Epoch, dict[str, bytes]]]] = field(default_factory=dict)  # that a restore put aside
    hub_version: str = "6.1.1"
    testers: dict[str, str] = field(default_factory=dict)  # hubs that have one -> its token
    admissions: int = 0
    spawner_broken: str = ""  # why no server starts here
    nodes: tuple[Node, ...] | None = None  # of a site whose machines come and go
    held_nodes: tuple[int, Size] = (0, Size())
    bare: BareCluster = field(default_factory=BareCluster)  # what there is to prepare
    canary_broken: str = ""  # "start", "gate" or "fencer": what of a proof fails here

    def drivers(self) -> SiteDrivers:
        """Fresh drivers over this machine, as a new agent makes them."""
        return SiteDrivers(
            cluster=MemoryCluster(self),
            hubs=MemoryHubs(self),
            homes=MemoryHomes(self),
            edge=MemoryEdge(self),
            canary=MemoryCanary(self),
            copies=MemoryCopies(self),
            testers=MemoryTesters(self),
            preparing=MemoryPreparing(self),
        )

    # --- faults and students, for tests ---

    def kill_hub(self, hub: str) -> None:
        """SIGKILL of the hub process: its proxy and the students' servers live on."""
        self.hubs[hub].hub_alive = False
        self.record("killed.hub", hub)

    def kill_proxy(self, hub: str) -> None:
        """SIGKILL of the hub's proxy."""
        self.hubs[hub].proxy_alive = False
        self.record("killed.proxy", hub)

    def kill_edge(self) -> None:
        """SIGKILL of the site's front proxy."""
        self.edge_alive = False
        self.record("killed.edge", "")

    def reboot(self) -> None:
        """Every process is gone; homes and nothing else stay."""
        self.hubs.clear()
        self.edge_alive = False
        self.routes = ()
        self.record("reboot", "")

    def refuse(self, hub: str, message: str) -> None:
        """Let `start` of this hub fail with `message`; an empty message ends that."""
        self.refusals[hub] = message

    def wedge(self, hub: str) -> None:
        """Let `stop` of this hub leave a process, as one in uninterruptible sleep would."""
        self.stuck.add(hub)

    def start_server(self, hub: str, user: str) -> None:
        """A student signs in and starts a server."""
        here = self.hubs[hub]
        if here.order.notice:
            raise DriverError(f"{hub}: {here.order.notice}")
        here.users.setdefault(user, False)
        here.servers[user] = here.order.generation
        here.used += 1
        here.log.append(f"server of {user} started")

    def stop_server(self, hub: str, user: str) -> None:
        """The student's server ends."""
        self.hubs[hub].servers.pop(user, None)
        self.hubs[hub].used += 1

    def record(self, event: str, hub: str) -> None:
        """For checkers: what happened on the machine, in order."""
        self.events.append((self.clock.mono(), event, hub))


class MemoryCluster:
    """Counts what running servers were guaranteed."""

    def __init__(self, site: MemorySite) -> None:
        self._site = site

    async def observe(self) -> ClusterView:
        cpu = memory = 0
        for here in self._site.hubs.values():
            spec = here.order.classroom.spec
            cpu += len(here.servers) * spec.seat_cpu_millis
            memory += len(here.servers) * spec.seat_memory_bytes
        machine = self._site.machine or self._site.capacity
        declared = self._site.capacity
        over = declared.cpu_millis > machine.cpu_millis or declared.memory_bytes > machine.memory_bytes
        condition = Condition(
            type=ConditionType.OVERCOMMITTED,
            status=Truth.TRUE if over else Truth.FALSE,
            reason="DeclaredMoreThanMachine" if over else "WithinMachine",
        )
        return ClusterView(declared, Capacity(cpu, memory), (condition,), self._site.nodes)

    async def hold(self, nodes: int, shape: Size) -> None:
        if message := self._site.refusals.get(PLACEHOLDERS, ""):
            raise DriverError(f"{self._site.site}: {message}")
        self._site.held_nodes = (nodes, shape)


class MemoryHubs:
    """Hubs that serve `start_delay_s` after they were started."""

    def __init__(self, site: MemorySite) -> None:
        self._site = site

    @property
    def capabilities(self) -> HubCapabilities:
        return HubCapabilities(
            survives_agent=True,
            adopts_servers=True,
            isolates_students=False,
            enforces_limits=False,
            version=self._site.hub_version,
        )

    async def start(self, order: HubOrder) -> None:
        if message := self._site.refusals.get(order.hub, ""):
            raise DriverError(f"{order.hub}: cannot start: {message}")
        while order.hub in self._site.hangs:
            await self._site.clock.sleep(1.0)
        here = self._site.hubs.get(order.hub)
        if here is None or here.processes == 0:
            self._site.hubs[order.hub] = self._fresh(order)
            self._site.record("start", order.hub)
            return
        if order.epoch < here.order.epoch:
            raise StaleEpoch(f"{order.hub} runs at epoch {here.order.epoch}; the order is of {order.epoch}")
        here.order = order
        here.users.update(self._roster_of(order))
        if not (here.hub_alive and here.proxy_alive):
            here.hub_alive = here.proxy_alive = True
            here.ready_mono = self._site.clock.mono() + self._site.start_delay_s
            self._site.record("mend", order.hub)

    async def observe(self, hub: str) -> HubView:
        here = self._site.hubs.get(hub)
        if here is None or here.processes == 0:
            return HubView(hub=hub, phase=Phase.STOPPED)
        return HubView(
            hub=hub,
            phase=self._phase(here),
            epoch=here.order.epoch,
            generation=here.order.generation,
            address=f"{hub}.memory:80",
            processes=here.processes,
            servers=len(here.servers),
            used=here.used,
            draining=bool(here.order.notice),
            active_servers=len(here.servers.keys() - here.idle) if here.order.notice else 0,
            outdated_servers=sum(1 for generation in here.servers.values() if generation < here.order.generation),
            message=self._message(here),
        )

    async def list(self) -> tuple[str, ...]:
        return tuple(sorted(hub for hub, here in self._site.hubs.items() if here.processes))

    async def stop(self, hub: str, *, grace_s: float | None = None) -> None:
        here = self._site.hubs.get(hub)
        if here is None:
            return
        here.hub_alive = False
        slow = self._site.stop_delay_s
        await self._site.clock.sleep(slow if grace_s is None else min(slow, grace_s))
        here.servers.clear()
        if hub in self._site.stuck:
            raise DriverError(f"{hub}: 1 process is left after the stop: pid 1 (memory)")
        self._site.hubs.pop(hub, None)
        self._site.record("stop", hub)

    async def roster(self, hub: str) -> tuple[RosterEntry, ...]:
        here = self._site.hubs.get(hub)
        if here is None or self._phase(here) is not Phase.SERVING:
            raise DriverError(f"{hub}: the hub does not serve, so its users cannot be read")
        return tuple(RosterEntry(name=name, admin=admin) for name, admin in sorted(here.users.items()))

    async def logs(self, hub: str, user: str, *, tail: int, follow: bool) -> AsyncIterator[bytes]:
        here = self._site.hubs.get(hub)
        if here is None:
            raise DriverError(f"{hub}: no log here", delay_s=None)
        lines = [line for line in here.log if not user or user in line]
        position = max(0, len(lines) - tail)
        while True:
            for line in lines[position:]:
                yield line.encode() + b"\n"
            position = max(position, len(lines))
            if not follow:
                return
            await self._site.clock.sleep(0.2)
            lines = [line for line in here.log if not user or user in line]

    async def close(self) -> None:
        return

    def _fresh(self, order: HubOrder) -> MemoryHub:
        ready = self._site.clock.mono() + self._site.start_delay_s
        here = MemoryHub(order=order, ready_mono=ready, users=self._roster_of(order))
        here.log.append(f"hub {order.hub} started at epoch {order.epoch}")
        return here

    def _phase(self, here: MemoryHub) -> Phase:
        if here.failure:
            return Phase.FAILED
        up = here.hub_alive and here.proxy_alive
        return Phase.SERVING if up and self._site.clock.mono() >= here.ready_mono else Phase.STARTING

    @staticmethod
    def _message(here: MemoryHub) -> str:
        if here.failure:
            return here.failure
        gone = [name for name, alive in (("hub", here.hub_alive), ("proxy", here.proxy_alive)) if not alive]
        return f"the {' and the '.join(gone)} died" if gone else ""

    @staticmethod
    def _roster_of(order: HubOrder) -> dict[str, bool]:
        roster = order.classroom.spec.roster
        return {**dict.fromkeys(roster.users, False), **dict.fromkeys(roster.admins, True)}


class MemoryEdge:
    """Judges the lease file as the real edge does."""

    def __init__(self, site: MemorySite) -> None:
        self._site = site
        self._gate = Gate(site.clock.boot_id())

    async def ensure(self) -> str:
        if not self._site.edge_alive:
            self._site.edge_alive = True
            self._gate = Gate(self._site.clock.boot_id())
        return f"{self._site.site}.memory:80"

    async def publish(
        self, routes: tuple[Route, ...], departed: tuple[Departed, ...] = (), unseen: frozenset[str] = frozenset()
    ) -> None:
        self._site.departed = departed
        self._site.routes = (*(one for one in self._site.routes if one.hub in unseen), *routes)
        self._site.routes_by_hub = {route.hub: route for route in self._site.routes}

    async def is_open(self, hub: str) -> bool:
        if not self._site.edge_alive:
            return False
        self._gate.take(self._site.lease() if self._site.lease else None)
        here = self._site.hubs.get(hub)
        if here is None or not here.proxy_alive:
            return False
        now_ns = self._site.clock.boottime_ns()
        route = self._site.routes_by_hub.get(hub)
        return route is not None and self._gate.is_open(hub, route.epoch, now_ns)

    async def close(self) -> None:
        return


class MemoryCanary:
    """Lives until its entry in the lease file says otherwise, as under a fencer that works."""

    def __init__(self, site: MemorySite) -> None:
        self._site = site
        self._living = False
        self._gate = Gate(site.clock.boot_id())

    async def start(self, hub: str) -> str:
        if self._site.canary_broken == "start":
            raise DriverError(f"{hub}: cannot start")
        self._living = True
        return f"{hub}.memory:80"

    async def ask(self, host: str) -> Passage:
        route = next((route for route in self._site.routes if host in route.hosts), None)
        if route is None or not self._site.edge_alive:
            return Passage.SILENT
        if self._site.canary_broken == "gate":
            return Passage.PASSED
        self._gate.take(self._site.lease() if self._site.lease else None)
        is_open = self._gate.is_open(route.hub, route.epoch, self._site.clock.boottime_ns())
        return Passage.PASSED if is_open else Passage.REFUSED

    async def alive(self, hub: str) -> bool:
        now_ns = self._site.clock.boottime_ns()
        fence = Fence(self._site.clock.boot_id(), now_ns, now_ns)
        fence.take(self._site.lease() if self._site.lease else None, now_ns)
        if hub in fence.verdict(now_ns).hubs and self._site.canary_broken != "fencer":
            self._living = False
        return self._living

    async def stop(self, hub: str) -> None:
        if self._living:
            self._site.record("stop", hub)
        self._living = False

"""The driver interfaces: what every kind of site can do for the agent (DESIGN.md section 6).

Drivers are idempotent and level-triggered: the agent repeats a call until what it observes is what it wants. They
decide nothing about permission: the agent asks `start` and `open` only for hubs that a grant covers, and the edge looks
at the lease file itself. Errors are `DriverError`s. Each interface has one contract suite in `tests/contract`, which
every implementation passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from federation.model.classroom import Classroom
from federation.model.identity import Epoch
from federation.model.status import Condition, RosterEntry


@dataclass(frozen=True, slots=True)
class HubOrder:
    """Everything a driver needs to run one hub. `secrets` are plain values: never logged, never in process arguments."""

    hub: str  # uid name
    name: str
    epoch: Epoch
    generation: int
    classroom: Classroom
    public_url: str  # what students type, e.g. http://atm101.localhost:8000
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


class Phase(StrEnum):
    """What a hub is doing at this site, as seen by looking, not as remembered."""

    STOPPED = "stopped"
    PREPARING = "preparing"
    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HubView:
    """One look at one hub."""

    hub: str
    phase: Phase
    epoch: Epoch | None = None  # what it was started with; None: nothing runs
    generation: int = 0
    address: str = ""  # host:port where the edge sends users, once it answers
    processes: int = 0
    servers: int = 0
    outdated_servers: int = 0
    message: str = ""
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    cpu_millis: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What the site can hold, what is used, and what is not as it should be (Isolated, LimitsEnforced, Overcommitted)."""

    capacity: Capacity
    used: Capacity
    conditions: tuple[Condition, ...] = ()


class ClusterDriver(Protocol):
    """The machines of a site."""

    async def observe(self) -> ClusterView:
        """Look."""
        ...


@dataclass(frozen=True, slots=True)
class HubCapabilities:
    """Declared, so that callers and tests ask instead of knowing names."""

    survives_agent: bool  # hubs run on when the agent dies
    adopts_servers: bool  # students' servers live on over a restart of the hub
    isolates_students: bool
    enforces_limits: bool


class HubDriver(Protocol):
    """Runs hubs."""

    @property
    def capabilities(self) -> HubCapabilities: ...

    async def start(self, order: HubOrder) -> None:
        """Bring the hub to this order: start it, mend what died of it, or restart it where the order needs that.
        Returns when the processes were started; `observe` says when they serve. Same order again: nothing happens."""
        ...

    async def observe(self, hub: str) -> HubView:
        """Look at one hub; a hub that is not here is STOPPED with no processes."""
        ...

    async def list(self) -> tuple[str, ...]:
        """Every hub of which anything runs here, also those started by an earlier agent (for adoption)."""
        ...

    async def stop(self, hub: str, *, grace_s: float | None = None) -> None:
        """Stop every process of the hub and return only when a scan has verified that none is left; else DriverError.
        After `grace_s` (None: the driver's own) what has not ended by itself is killed."""
        ...

    async def roster(self, hub: str) -> tuple[RosterEntry, ...]:
        """The users the running hub knows, read from its API, sorted by name."""
        ...

    def logs(self, hub: str, user: str, *, tail: int, follow: bool) -> AsyncIterator[bytes]:
        """The hub's log, or that of one student's server; the last `tail` lines, then what follows."""
        ...

    async def close(self) -> None:
        """Release the driver's own resources; hubs go on."""
        ...


class HomesDriver(Protocol):
    """Students' directories. One tree per hub uid; a tree outlives the hub."""

    async def ensure(self, hub: str, epoch: Epoch, *, lasting: bool = True) -> str:
        """Make the tree if it is new, mark it with the epoch, and return where it is. Not `lasting` (storage.type none):
        a tree of an earlier epoch is emptied, for nothing in it was promised to stay."""
        ...

    async def where(self, hub: str) -> str | None:
        """Path of the tree, or None if there is none."""
        ...

    async def delete(self, hub: str) -> None:
        """Delete the tree. Idempotent; only ever called for a retired hub whose name was typed."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """Host names -> a hub. Whether users may pass is not said here: the edge reads that from the lease file."""

    hub: str
    epoch: Epoch
    hosts: tuple[str, ...]
    target: str  # host:port


class EdgeDriver(Protocol):
    """The site's front proxy: one address, routes by host name, closed for a hub unless the lease file says otherwise."""

    async def ensure(self) -> str:
        """Start or mend the edge; returns its address host:port."""
        ...

    async def publish(self, routes: tuple[Route, ...]) -> None:
        """Replace the whole routing table."""
        ...

    async def is_open(self, hub: str) -> bool:
        """Seen from outside the edge: does a request for the hub's host pass?"""
        ...

    async def close(self) -> None:
        """Release the driver's own resources; the edge goes on."""
        ...


class Passage(StrEnum):
    """What became of one request to the edge."""

    PASSED = "passed"  # the gate let it through, whatever then answered
    REFUSED = "refused"  # the gate said no
    SILENT = "silent"  # the edge did not answer, or knows nothing of the host


class CanaryDriver(Protocol):
    """Something like a hub, to prove gate and fencer on (PROTOCOL.md H13): same marks, same edge, same file, no class."""

    async def start(self, hub: str) -> str:
        """Start it under this hub name; returns host:port where it answers every request."""
        ...

    async def ask(self, host: str) -> Passage:
        """Send one request for `host` through the site's edge."""
        ...

    async def alive(self, hub: str) -> bool:
        """Whether anything of it lives."""
        ...

    async def stop(self, hub: str) -> None:
        """End what is left of it. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class SiteDrivers:
    """One kind of site, assembled by its factory."""

    cluster: ClusterDriver
    hubs: HubDriver
    homes: HomesDriver
    edge: EdgeDriver
    canary: CanaryDriver

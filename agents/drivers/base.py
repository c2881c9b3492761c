"""The driver interfaces: what every kind of site can do for the agent (DESIGN.md section 6).

Drivers are idempotent and level-triggered: the agent repeats a call until what it observes is what it wants. They
decide nothing about permission: the agent asks `start` and `open` only for hubs that a grant covers, and the edge looks
at the lease file itself. Errors are `DriverError`s. Each interface has one contract suite in `tests/contract`, which
every implementation passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from agents.drivers.edges import CanaryDriver, EdgeDriver
from agents.drivers.preparation import PrepareDriver
from agents.drivers.testers import TesterDriver
from federation.core.room import Node, Size
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
    notice: str = ""  # what whoever comes is told: nobody signs in and no server starts; empty: as usual


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
    used: int = 0  # differs from what it was if a student's server was started or said something since
    draining: bool = False  # it has taken the order's notice: nobody new is let in
    active_servers: int = 0  # of servers, those used within the last minutes; counted only while it drains


@dataclass(frozen=True, slots=True)
class Capacity:
    cpu_millis: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What the site can hold, what is used, and what is not as it should be (Isolated, LimitsEnforced, Overcommitted).
    `nodes`: those on which students' servers run; None: machines are as they are, and none comes or goes."""

    capacity: Capacity
    used: Capacity
    conditions: tuple[Condition, ...] = ()
    nodes: tuple[Node, ...] | None = None


class ClusterDriver(Protocol):
    """The machines of a site."""

    async def observe(self) -> ClusterView:
        """Look."""
        ...

    async def hold(self, nodes: int, shape: Size) -> None:
        """Keep so many whole nodes, each with `shape` for students' servers, free of everything else, whether they are
        there yet or not, until the next call. Whatever is kept gives way at once to any student's server. 0: none. Where
        machines do not come and go there is nothing to do. The same again changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class HubCapabilities:
    """Declared, so that callers and tests ask instead of knowing names."""

    survives_agent: bool  # hubs run on when the agent dies
    adopts_servers: bool  # students' servers live on over a restart of the hub
    isolates_students: bool
    enforces_limits: bool
    version: str = ""  # of the JupyterHub that it starts; empty: not known
    look_s: float = 0.1  # so often a hub that is not yet as wanted is looked at


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


@dataclass(frozen=True, slots=True)
class HomesMark:
    """The epoch that owns a tree, and the copy as which it began at that epoch; None: it began as it was."""

    epoch: Epoch
    copy: CopyRef | None = None


class HomesDriver(Protocol):
    """Students' directories. One tree per hub uid; a tree outlives the hub."""

    async def ensure(self, hub: str, epoch: Epoch, *, lasting: bool = True) -> str:
        """Make the tree if it is new, mark it with the epoch, and return where it is. Not `lasting` (storage.type none):
        a tree of an earlier epoch is emptied, for nothing in it was promised to stay."""
        ...

    async def where(self, hub: str) -> str | None:
        """Path of the tree, or None if there is none."""
        ...

    async def mark(self, hub: str) -> HomesMark | None:
        """What the tree says of itself; None if there is none."""
        ...

    async def delete(self, hub: str) -> None:
        """Delete the tree. Idempotent; only ever called for a retired hub whose name was typed."""
        ...


@dataclass(frozen=True, slots=True)
class SavedHome:
    """One home in a copy. `changed`: since the last copy that this site made of the hub."""

    bytes: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """One copy that is in the store, seen there. `snapshot` is its full id: the home index names it, never "latest"."""

    snapshot: str
    homes: Mapping[str, SavedHome]  # by the student's safe name (`students.slug`)
    files: int
    bytes: int
    bytes_added: int  # to the store, before compression
    seconds: float
    unread: tuple[str, ...] = ()  # what could not be read and is not, or not wholly, in this copy
    database: bool = False  # whether the hub's own database of now is in it


@dataclass(frozen=True, slots=True)
class UnsentHome:
    """What of one home is in a copy of unsent work."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class UnsentWork:
    """What a tree has and the copy that was restored elsewhere has not. Empty `snapshot`: nothing."""

    snapshot: str
    homes: Mapping[str, UnsentHome] = field(default_factory=dict)  # by the student's safe name
    unread: tuple[str, ...] = ()  # what could not be read and is not, or not wholly, in it


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of homes that were to be put into a side folder, by their safe names: `done` now, `there` already, or
    `unknown`: nobody knows whose it is."""

    done: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy as the store lists it. None or 0: it was not made by an agent. `unsent`: it is of work that was never sent,
    made after the ownership had ended, and no takeover may restore it."""

    snapshot: str
    taken: datetime
    epoch: Epoch | None
    run: str = ""
    files: int = 0
    bytes: int = 0
    unsent: bool = False


@dataclass(frozen=True, slots=True)
class CopyRef:
    """One copy, as the home index names it: the site that made it, the hub, the snapshot's id in full."""

    site: str
    hub: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class Restored:
    """The tree after a restore. `kept` are the trees that were there before, oldest first, all of this hub."""

    tree: str
    done: bool  # False: it was as ordered already, and nothing was touched
    kept: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CopiesCapabilities:
    """What the site can. `refusal` says why it can neither save nor read copies; empty: it can, as far as can be seen
    without a password."""

    restic: str  # version; empty: none
    store: str  # where copies lie; empty: none is set
    refusal: str = ""


class CopiesDriver(Protocol):
    """Copies of homes between sites (DESIGN.md 4.5): one repository per (writing site, hub), one writer for ever (I3).

    What restic does in a call ends within `limit_s` from when it is this call's turn (one at a time writes per hub), or is
    killed with all it started: DeadlineExceeded. Repeating is always safe. A password is the repository's, a plain value,
    never logged. To forget and prune copies is another identity's right, at no site: it is not here.
    """

    async def capabilities(self) -> CopiesCapabilities:
        """Look at restic and the store."""
        ...

    async def save(self, hub: str, epoch: Epoch, password: str, *, run: str, limit_s: float = 1800.0) -> Saved:
        """Copy the hub's whole tree and its database, while it runs or not, into this site's own repository, which is
        made if it is new. Files that change or vanish meanwhile are no failure; what was not read is in `unread`.
        DriverError if the tree is not of `epoch`, or why it could not be saved; nothing half saved is ever listed."""
        ...

    async def list(self, site: str, hub: str, password: str, *, limit_s: float = 60.0) -> tuple[Copy, ...]:
        """The copies of the hub that `site` made, oldest first; none if it made none. Never locks."""
        ...

    async def look(self, copy: CopyRef, password: str, *, limit_s: float = 60.0) -> str:
        """Why this copy could not be restored here now; empty if it can: the repository opens, the copy is in it and is
        of this hub, its top can be read, there is room. One sentence. Reads only, and never locks."""
        ...

    async def restore(
        self, copy: CopyRef, epoch: Epoch, password: str, *, classroom: Classroom | None = None, limit_s: float = 3600.0
    ) -> Restored:
        """Make the hub's tree and database here be this copy, marked with `epoch`: written beside, verified, then put in
        place in one step; what was there is kept aside. The same order again changes nothing. DriverError while anything of
        the hub runs here, or with the sentence of `look`; StaleEpoch if the tree is of a newer epoch. From the order until
        its end `HomesDriver.ensure` refuses to take the tree to another epoch (I6). `classroom`: how large homes are."""
        ...

    async def abandon(self, hub: str) -> None:
        """Give up a restore that was ordered and has not ended: what was written of it goes, the tree stays as it is."""
        ...

    async def restore_aside(
        self, copy: CopyRef, user: str, folder: str, password: str, *, limit_s: float = 1800.0
    ) -> bool:
        """Put the student's home of this copy into the new folder `folder` of their home here, theirs, while the hub
        runs or not. Never overwrites: False if there is a `folder` already. NotFound if the copy has no such home."""
        ...

    async def save_unsent(
        self, hub: str, epoch: Epoch, base: CopyRef, password: str, *, run: str, limit_s: float = 3600.0
    ) -> UnsentWork:
        """Save the tree of `epoch`, which another owner has followed, into this site's own repository once more, and
        then only those files that were added or changed since `base`, as a copy for `recover`. Trash and caches are no
        work. The tree is left as it is; one that a restore put aside is found. NotFound if no tree of `epoch` is here,
        DriverError while anything of the hub works in it."""
        ...

    async def recover(
        self, copy: CopyRef, folder: str, users: tuple[str, ...], password: str, *, limit_s: float = 3600.0
    ) -> Placed:
        """Put every home of this copy into the new folder `folder` of that home here, as `restore_aside` does for one.
        `users`: everybody the hub knows. A folder that is there is left alone, so repeating goes on where it ended."""
        ...


@dataclass(frozen=True, slots=True)
class SiteDrivers:
    """One kind of site, assembled by its factory."""

    cluster: ClusterDriver
    hubs: HubDriver
    homes: HomesDriver
    edge: EdgeDriver
    canary: CanaryDriver
    copies: CopiesDriver
    testers: TesterDriver
    preparing: PrepareDriver

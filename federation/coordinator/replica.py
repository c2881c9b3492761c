"""One coordinator replica, assembled from its ports: store, clock, randomness, names, prober. No sockets here.

Any replica serves; while it leads it also runs the loops. Losing leadership cancels all loops before the election
lease can have expired, and every write compares the election key, so a frozen old leader changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import structlog

from federation.coordinator.admission import Admission
from federation.coordinator.agent_service import AgentService
from federation.coordinator.checking import Checking
from federation.coordinator.control_preparing import PrepareDesk
from federation.coordinator.control_service import ControlService
from federation.coordinator.drill_orders import DrillOrders
from federation.coordinator.events import Journalist, trim_regularly
from federation.coordinator.facts import Planner
from federation.coordinator.homes import HomesDesk
from federation.coordinator.hook_desk import HookDesk
from federation.coordinator.hooks_loop import NO_HOOKS, Hooks
from federation.coordinator.leader_loops import NAME_LOOK_S, make_loops
from federation.coordinator.move_orders import MoveOrders
from federation.coordinator.naming import Naming
from federation.coordinator.observations import Observations, Sightings
from federation.coordinator.outlook_loop import LOOK_S, OutlookLoop
from federation.coordinator.probe import Prober
from federation.coordinator.readiness import Readiness
from federation.coordinator.recovering import Recovering
from federation.coordinator.secrets_and_sites import SecretsAndSites
from federation.coordinator.server_tests import ServerTestDesk
from federation.coordinator.sessions import Sessions
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.standing import Leader, LeaderSeen, Standing
from federation.coordinator.trials_loop import TrialsLoop
from federation.coordinator.wanted import GENERATED, WantedBuilder
from federation.coordinator.watching import Watching
from federation.core.relocation import Policy
from federation.dns.interface import NameDriver
from federation.model.errors import FederationError
from federation.model.profile import Profile
from federation.runtime.clock import Clock
from federation.runtime.loop import Loop, Pace
from federation.runtime.supervisor import Supervisor
from federation.store import keys
from federation.store.compaction import compact_regularly
from federation.store.election import Election, Leadership
from federation.store.mirror import Mirror
from federation.store.register import Register
from federation.store.remembered import RememberedRegister

log = structlog.get_logger(__name__)

LOOKS_AT_ONCE = 8  # at classes of other places
TRIALS_AT_ONCE = 4  # a site admits one; a class in which it hangs must not hold up those of other sites
RELIST_S = 300.0
FAULT_LOOK_S = 1.0
WOKEN = {
    keys.OPERATIONS: ("operations", "protection", "hub-reports", "copies", "drills"),
    keys.DRILLS: ("drills",),
    keys.HUBS: ("operations", "protection", "hub-reports"),
    keys.OWNED: ("hub-reports",),
    keys.MODES: ("hub-reports",),
    keys.HOMES: ("protection", "hub-reports"),
    keys.SITES: ("site-reports", "site-alarms"),
    keys.OBSERVED: ("alarms",),
}
"""Folder of the register -> loops that look at the hub or site whose key changed."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that touches the world."""

    register: Register
    names: NameDriver
    prober: Prober
    clock: Clock
    random: Random
    connect_leader: Callable[[str], Leader]
    remembered: RememberedRegister
    hooks: Hooks = NO_HOOKS


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this replica is. `addresses`: of all coordinators, as agents dial them; `patience_s`: how long it leaves the
    lead to the others."""

    id: str
    address: str
    federation: str
    addresses: tuple[str, ...]
    profile: Profile
    witness: bool = False  # the register and the coordinators have a third failure domain
    relocation: Policy = field(default_factory=Policy)
    patience_s: float = 0.0
    place: str = ""  # the failure domain at which it looks at classes of others; empty: it does not
    places: tuple[str, ...] = ()  # those of all coordinators
    server_test_s: float | None = None  # between two test servers in a class; None: none are started
    admins: tuple[str, ...] = ()  # of the federation file: they recover a register that names nobody


class Replica:
    """`run` is eternal; `agent_service` and `control_service` are served by whatever transport the caller has."""

    def __init__(self, identity: Identity, ports: Ports, tasks: Supervisor) -> None:
        self.identity = identity
        self.ports = ports
        self._tasks = tasks
        clock, random, register = ports.clock, ports.random, ports.register
        self.actor = f"coordinator/{identity.id}"
        self.mirror = Mirror(
            register.store,
            clock=clock,
            relist_s=RELIST_S * (0.9 + 0.2 * random.random()),
            distrust=register.distrust,
        )
        register.seen = lambda: self.mirror.revision
        self.snapshot = Snapshot(self.mirror)
        self.journalist = Journalist(clock, random)
        self.observations = Observations(clock)
        self.sightings = Sightings(clock)
        self.sessions = Sessions(clock, random)
        self.planner = Planner(self.snapshot, self.sightings)
        self.watching = Watching(self.snapshot)
        self.naming = Naming(ports.register, ports.names, self.snapshot, self.observations, clock)
        self.standing = Standing(
            identity.id, identity.federation, identity.profile.name, register, self.snapshot, ports.connect_leader
        )
        self.recovering = Recovering(
            register,
            ports.remembered,
            clock,
            identity.profile,
            identity.id,
            identity.federation,
            identity.admins,
            lambda: self.mirror.revision,
        )
        self._loops: dict[str, Loop] = {}
        self.readiness = Readiness(self.snapshot, self.planner, self.standing, self.naming, clock, identity.witness)
        self.server_tests = ServerTestDesk(
            self.snapshot, self.observations, self.sessions, self.standing, clock, identity.server_test_s is not None
        )
        admission = Admission(register, self.snapshot, self.journalist, random)
        self.orders = MoveOrders(admission, self.snapshot, self.planner, self.sightings, identity.profile)
        self.control_service = ControlService(
            self.snapshot,
            Checking(register, self.snapshot, ports.names.capabilities.zone),
            admission,
            self.planner,
            self.sightings,
            self.sessions,
            self.standing,
            self.watching,
            SecretsAndSites(admission, self.snapshot),
            self.orders,
            DrillOrders(self.orders, self.snapshot),
            HookDesk(ports.hooks, self.snapshot, clock, random, identity.id, identity.federation),
            self.readiness,
            self.server_tests,
            HomesDesk(register, self.snapshot, self.sessions, self.journalist, self.standing.require_leader),
            self.recovering,
            PrepareDesk(register, self.snapshot, self.sessions, self.journalist, self.standing.require_leader),
        )
        self.agent_service = AgentService(
            register,
            self.snapshot,
            self.standing,
            self.sessions,
            self.observations,
            self.sightings,
            self,
            self.journalist,
            clock,
            tasks,
            identity.profile,
            identity.addresses,
            self.recovering,
        )
        self.observations.listeners.append(self._reported)

    def builder(self, site: str) -> WantedBuilder:
        """Builder of a site's wanted documents (for sessions)."""
        return WantedBuilder(site, self.snapshot, self.ports.names.url_of, self.ports.clock)

    async def run(self) -> None:
        """Mirror the register, follow its changes, campaign, lead. Eternal."""
        self._tasks.start("mirror", self.mirror.run())
        await self.mirror.synced()
        self._tasks.start("changes", self._follow())
        identity, clock = self.ports.register.identity, self.ports.clock
        self._tasks.start("recovered", self.recovering.ended())
        await self._believed()
        keeping = self.ports.remembered.keep(identity, self._seen_revision, clock)
        self._tasks.start("remember", keeping)
        self._look_around()
        election = Election(
            self.ports.register.store,
            keys.LEADER,
            f"{self.identity.id} {self.identity.address}",
            ttl_s=self.identity.profile.leader_ttl_s,
            clock=self.ports.clock,
            delay_s=self.identity.patience_s,
            held=self._led,
        )
        while True:
            await self._believed()
            async with election.campaign() as leadership:
                await self._lead(leadership)

    async def _believed(self) -> None:
        """Wait while the register is at fault: nobody leads, campaigns or writes then."""
        while self.ports.register.fault:
            await self.ports.clock.sleep(FAULT_LOOK_S)

    def _led(self) -> bool:
        """Whether somebody leads, as far as a copy knows that has just heard from the register."""
        fresh_s = self.identity.profile.leader_ttl_s / 3
        return self.mirror.age_s() < fresh_s and self.mirror.get(keys.LEADER) is not None

    async def _doubted(self) -> None:
        """Return when the register is at fault."""
        while not self.ports.register.fault:
            await self.ports.clock.sleep(FAULT_LOOK_S)

    def _seen_revision(self) -> int:
        """What may be remembered: nothing new of a register that is not believed."""
        return 0 if self.ports.register.fault else self.mirror.revision

    def roles_of(self, user: str) -> tuple[str, ...]:
        """What a person may do. Of a register that is not believed the admins of the federation file are admins, too."""
        known = self.snapshot.roles_of(user)
        return (*known, "admin") if self.ports.register.fault and user in self.identity.admins else known

    def _look_around(self) -> None:
        """Whoever leads: the view from here is worth having as long as this replica lives."""
        if not self.identity.place:
            return
        ports, who = self.ports, self.identity
        outlook = OutlookLoop(ports.register, self.snapshot, ports.names, ports.prober, ports.clock, who.id, who.place)
        pace = Pace(relist_s=LOOK_S, backoff_most_s=LOOK_S, workers=LOOKS_AT_ONCE)
        looks = Loop("outlook", outlook.reconcile, outlook.hubs, clock=ports.clock, random=ports.random, pace=pace)
        self._tasks.start("outlook", looks.run())
        self._tasks.start("outlook-lease", outlook.keep())
        if who.server_test_s is not None:
            trials = TrialsLoop(outlook, self.server_tests.answer, who.server_test_s, ports.random)
            pace = Pace(relist_s=LOOK_S, backoff_most_s=LOOK_S, workers=TRIALS_AT_ONCE)
            loop = Loop("trials", trials.reconcile, trials.hubs, clock=ports.clock, random=ports.random, pace=pace)
            self._tasks.start("trials", loop.run())

    async def _lead(self, leadership: Leadership) -> None:
        """Run the loops until leadership is lost."""
        log.info("leader.elected", coordinator=self.identity.id, epoch=leadership.epoch)
        self.observations.forget_all()
        self.standing.guard, self.standing.epoch = leadership.guard(), leadership.epoch
        self.standing.seen = LeaderSeen(self.identity.id, self.identity.address, leadership.epoch)
        self._loops = make_loops(self)
        try:
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(self._run_loop(loop, leadership.epoch), name=loop.name)
                    for loop in self._loops.values()
                ]
                running.append(group.create_task(compact_regularly(self.ports.register.store, self.ports.clock)))
                trimming = trim_regularly(
                    self.ports.register, self.mirror, self.standing.leader_guard, self.ports.clock
                )
                running.append(group.create_task(trimming))
                lost, doubted = group.create_task(leadership.lost()), group.create_task(self._doubted())
                await asyncio.wait({lost, doubted}, return_when=asyncio.FIRST_COMPLETED)
                for task in (*running, lost, doubted):
                    task.cancel()
        finally:
            self.standing.guard = None
            self._see_leader()  # a term that was over before it was heard of must not hide the one that came after it
            self._loops = {}
            self.readiness.term = None
            self.sessions.end_all()
            log.info("leader.ended", coordinator=self.identity.id, epoch=leadership.epoch)

    async def _run_loop(self, loop: Loop, epoch: int) -> None:
        """Never decide from what was so before one's own election."""
        await self.mirror.reached(epoch)
        await loop.run()

    async def look_at_name(self, hub: str) -> float | None:
        """Repair drift of names of hubs that serve; an operation under way has its own look."""
        stored, operation = self.snapshot.ownership(hub), self.snapshot.operation(hub)
        if stored is None or stored.document.owner is None or (operation is not None and not operation.document.done):
            return None
        before = self.observations.names.get(hub)
        seen = await self.naming.converge(hub)
        if before != seen:
            self._wake("hub-reports", hub)
        return NAME_LOOK_S

    async def _follow(self) -> None:
        """Hand every change of the register to whoever waits for it. Hints only: all of them relist as well."""
        for entry in self.mirror.entries(keys.LEASES):
            self.sightings.listed(keys.tail(entry.key), entry.revision)
        self._see_leader()
        async for key in self.mirror.subscribe():
            try:
                self._changed(key)
            except FederationError as error:  # one document that cannot be read must not end the others' news
                log.warning("change.unreadable", key=key, error=error.message)

    def _changed(self, key: str) -> None:
        self.watching.changed(key)
        folder, tail = key.split("/", 1)[0] + "/", keys.tail(key)
        for loop in WOKEN.get(folder, ()):
            self._wake(loop, tail)
        if folder == keys.LEASES:
            entry = self.mirror.get(key)
            if entry is not None:
                self.sightings.saw(tail, entry.revision)
        elif key == keys.LEADER:
            self._see_leader()
        elif folder == keys.EVENTS:
            for hook in self.ports.hooks.settings:
                self._wake("hooks", hook.name)
        else:
            self._tell_sessions(folder, key)

    def _tell_sessions(self, folder: str, key: str) -> None:
        """Agents hear of what concerns their hubs; an empty site is any, an empty hub too."""
        tail = keys.tail(key)
        if folder in (keys.OWNED, keys.CLOSING):
            self.sessions.changed(key.split("/")[1], tail)
        elif folder == keys.CLASSROOMS:
            record = self.snapshot.classroom(tail)
            if record is not None:
                self.sessions.changed("", record.document.uid)
        elif folder == keys.SECRETS:
            # one that was drawn for a class is its own; a named one may be anybody's
            self.sessions.changed("", tail.removeprefix(GENERATED) if tail.startswith(GENERATED) else "")
        elif folder in (keys.OPERATIONS, keys.HUBS, keys.HOME_KEYS):
            self.sessions.changed("", tail)  # a generation comes into force with a step of its operation

    def _reported(self, site: str, hub: str) -> None:
        if hub:
            self._wake("operations", hub)
            self._wake("hub-reports", hub)
            self._wake("protection", hub)
            self._wake("copies", hub)
        else:
            self._wake("site-reports", site)

    def _wake(self, loop: str, key: str) -> None:
        if loop in self._loops:
            self._loops[loop].wake(key)

    def _see_leader(self) -> None:
        entry = self.mirror.get(keys.LEADER)
        if entry is None:
            self.standing.seen = None
            return
        leader, _, address = entry.value.decode().partition(" ")
        self.standing.seen = LeaderSeen(leader, address, entry.created)

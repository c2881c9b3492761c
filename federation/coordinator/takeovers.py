"""The leader's watch over site leases, and the takeover transaction (DESIGN.md 4.2, PROTOCOL.md section 3).

`look` reads all leases linearizably, counts silence, and begins a failover for every hub of a site whose lease is over.
What becomes of it is decided by `core.takeover.judge` whenever the operation is looked at; `take_over` carries it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

import structlog

from federation.coordinator.events import Journalist
from federation.coordinator.facts import Planner
from federation.coordinator.observations import Observations
from federation.coordinator.snapshot import Snapshot
from federation.core.calendar import urgency
from federation.core.lease_count import LeaseCounts
from federation.core.takeover import Go, Hold, HubAtRisk, Nothing, SiteSight, Target, Verdict, World, judge
from federation.model.errors import Conflict, FederationError
from federation.model.homes import Unsent
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import EarlierOwner, Owned, Pause
from federation.model.placing import Assignment, Event
from federation.model.profile import Profile
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 2  # hubs whose homes are restored at the same time at one site after takeovers
FREEZES = ("failover.frozen", "failover.unfrozen")
RESTORED = ("starting", "serving", "failed")  # phases in which a hub that was taken over keeps no other one waiting
STEP_BACK_S = 10.0  # a hub that could not go when it was its turn comes after all others for so long


@dataclass(slots=True)
class Takeovers:
    """`look` is called every r/2; `verdict` and `take_over` by the operations loop. One per term of leadership."""

    register: Register
    snapshot: Snapshot
    planner: Planner
    observations: Observations
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    profile: Profile
    random: Random
    actor: str
    counts: LeaseCounts = field(init=False)
    world: World | None = None
    _world_mono: float = 0.0
    _turns: frozenset[str] = frozenset()
    _stepped_back: dict[str, float] = field(default_factory=dict)  # hub -> until when, monotonic
    _frozen: str | None = None  # what was said last; None: not by this leader
    _began_mono: float | None = None

    def __post_init__(self) -> None:
        self.counts = LeaseCounts(gap_s=self.look_s + self.profile.renew_s)

    @property
    def look_s(self) -> float:
        """How often the leases are read."""
        return self.profile.renew_s / 2

    async def look(self, _key: str = "") -> float:
        """One read of all leases, and what follows from it."""
        clock = self.journalist.clock
        sent_mono = clock.mono()
        read = await self.register.commit(Changes().range(keys.LEASES))
        now_mono = clock.mono()
        leases = {keys.tail(entry.key): entry.revision for entry in read.ranges[keys.LEASES]}
        if not self.counts.read(leases, sent_mono, now_mono):
            log.info("lease.counts_restarted", sites=sorted(leases))
        self.world, self._world_mono = self._see(now_mono), now_mono
        self._turns = self._whose_turn()
        await self._note_freeze()
        for site in self.world.lapsed:
            for entry in self.snapshot.mirror.entries(keys.owned_by(site)):
                await self._begin(site, keys.tail(entry.key))
        return self.look_s

    def seen_world(self) -> World | None:
        """What the last look saw; None if that is too long ago to decide anything from it."""
        age_s = self.journalist.clock.mono() - self._world_mono
        return self.world if self.world is not None and age_s <= self.counts.gap_s else None

    def verdict(self, operation: Operation) -> Verdict:
        """Whether the hub of a failover that has begun is to be taken over now."""
        world = self.seen_world()
        if world is None:
            return Hold("the register was not read for a while; silence is counted anew")
        risk = self._at_risk(operation.hub, operation)
        return Nothing("nobody owns the hub") if risk is None else judge(risk, world)

    async def take_over(self, stored: Stored[Operation], go: Go, changes: Changes) -> None:
        """The one transaction that moves a hub without its owner: it compares the counted lease (H2), the hub, its
        armed run, the wanted mode (H15 e), the operation and the leader. `changes` records the step."""
        hub = stored.document.hub
        ownership, owned = self.snapshot.ownership(hub), self.snapshot.get(keys.owned(go.source, hub), Owned)
        lease, record = self.snapshot.lease(go.source), self.snapshot.classroom_of(hub)
        mode, forced = self.snapshot.wanted_mode(go.source, hub), stored.document.forced
        if ownership is None or owned is None or lease is None or record is None or (mode is None and not forced):
            raise Conflict(f"{hub} has changed since it was looked at")
        home = self.snapshot.home(hub)
        lasting = record.document.classroom.spec.storage.protection is not None
        if lasting and home is None:  # a student must never start in an empty home where one existed (I6)
            raise Conflict(f"{hub} has no recorded copy to restore")
        before, now = ownership.document, self.journalist.clock.now()
        epoch = before.epoch.next()
        left = EarlierOwner(site=go.source, epoch=before.epoch, members_ack=lease.members_ack)
        earlier = (*(e for e in before.earlier if e.site not in (go.source, go.target)), left)
        restore = home.document.copy_ if lasting and home is not None else None
        after = before.revise(
            owner=go.target,
            epoch=epoch,
            earlier=earlier,
            homes_at=None,
            restore=restore,
            restore_since=epoch if restore is not None else None,
            taken_over=now,
            home=None if go.target == before.home else before.home or go.source,
        )
        changes.unchanged(keys.home(hub), home)
        if restore is not None:  # what the silent site has besides is owed to its students from now on
            owed = Unsent(hub=hub, site=go.source, epoch=before.epoch, base=restore, taken_over=now)
            changes.put(keys.unsent(hub, go.source, str(before.epoch)), owed)
        changes.only_if(Guard(keys.lease(go.source), revision=go.counted))
        changes.unchanged(ownership.key, ownership).unchanged(owned.key, owned)
        changes.unchanged(keys.mode(go.source, hub), mode)
        if not forced:
            changes.absent(keys.PAUSE)
        changes.put(ownership.key, after).put(keys.owned(go.target, hub), Owned(hub=hub, epoch=epoch))
        changes.delete(owned.key).delete(keys.mode(go.source, hub)).delete(keys.closing(go.target, hub))
        changes.put(keys.closing(go.source, hub), Owned(hub=hub, epoch=epoch))
        assigned = Assignment(
            hub=hub, site=go.target, standby=go.source, reason=go.reason, generation=record.document.generation
        )
        changes.put(keys.assignment(hub), assigned)
        self.planner.reserve(hub, go.target, record.document.classroom)
        try:
            committed = await self.register.commit(changes)
        except BaseException:
            self.planner.release(hub)
            raise
        self.planner.committed(hub, committed.revision)
        log.warning("takeover.done", hub=hub, source=go.source, target=go.target, epoch=str(epoch), why=go.reason)

    async def _begin(self, site: str, hub: str) -> None:
        """Record a failover for a hub that may be moved; one that is standing stays with its site, silent or not."""
        operation = self.snapshot.operation(hub)
        if operation is None or not _may_be_interrupted(operation.document):
            return
        risk = self._at_risk(hub)
        if risk is None or self.world is None or isinstance(judge(risk, self.world), Nothing):
            return
        if risk.owned is None or not risk.owned.may_be_taken_over:
            return
        now, sight = self.journalist.clock.now(), self.world.sites[site]
        order = Operation(
            id=f"{OperationKind.FAILOVER.value}-{hub}-{self.random.getrandbits(24):06x}",
            kind=OperationKind.FAILOVER,
            hub=hub,
            name=operation.document.name,
            generation=operation.document.generation,
            created=now,
            actor=self.actor,
            source=site,
            counted=sight.revision,
            interrupted=None if operation.document.done else operation.document,
        ).finished(Step.ADMITTED, now, f"{site} is silent for {sight.silent_s:.0f} s")
        changes = Changes().only_if(self.leader_guard()).unchanged(operation.key, operation)
        changes.put(operation.key, order)
        message = f"{site} has not renewed its lease for {sight.silent_s:.0f} s"
        self.journalist.add(changes, "failover.admitted", message, hub=hub, site=site, actor=self.actor)
        try:
            await self.register.commit(changes)
        except FederationError as error:  # one hub must not keep the others from being looked at
            log.info("failover.not_begun", hub=hub, error=error.message)

    def _at_risk(self, hub: str, operation: Operation | None = None) -> HubAtRisk | None:
        ownership = self.snapshot.ownership(hub)
        if ownership is None or ownership.document.owner is None:
            return None
        document, site = ownership.document, ownership.document.owner or ""
        mode, moved = self.snapshot.wanted_mode(site, hub), document.taken_over
        now = self.journalist.clock.now()
        targets = self.planner.standbys(hub, site)
        if operation is not None and operation.target:  # the person who ordered it has named the site
            targets = (Target(operation.target, self.planner.objection_to(hub, operation.target)),)
        return HubAtRisk(
            ownership=document,
            owned=self.snapshot.owned(site, hub),
            wanted=mode.document if mode is not None else None,
            targets=targets,
            counted=operation.counted if operation is not None else 0,
            moved_s=(now - moved).total_seconds() if moved is not None else None,
            turn=hub in self._turns,
            forced=operation is not None and operation.forced,
        )

    def _see(self, now_mono: float) -> World:
        members = self.snapshot.members()
        pause = self.snapshot.get(keys.PAUSE, Pause)
        return World(
            takeover_s=self.profile.takeover_s,
            fresh_s=2 * self.profile.renew_s,
            sites={member.site: self._sight(member.site, now_mono) for member in members.members},
            members=members,
            paused=pause.document.reason if pause is not None else "",
        )

    def _sight(self, site: str, now_mono: float) -> SiteSight:
        sight, lease = self.counts.sight(site), self.snapshot.lease(site)
        return SiteSight(
            name=site,
            silent_s=self.counts.silent_s(site, now_mono),
            revision=sight.revision if sight is not None else 0,
            hubs=len(self.snapshot.mirror.entries(keys.owned_by(site))),
            members_ack=lease.members_ack if lease is not None else 0,
            counting=sight is not None,
        )

    def step_back(self, hub: str) -> None:
        """It was the hub's turn and it cannot go, e.g. because its copy does not open: others come before it."""
        self._stepped_back[hub] = self.journalist.clock.mono() + STEP_BACK_S

    def _whose_turn(self) -> frozenset[str]:
        """The most urgent of those that could go now, as many as may restore at each site."""
        running = [s.document for s in self.snapshot.under(keys.OPERATIONS, Operation) if _is_failover(s.document)]
        restoring = Counter(site for o in running if (site := self._restores(o)))
        turns = set()
        for operation in sorted(running, key=self._order):
            go = self._could_go(operation)
            if go is not None and restoring[go.target] < MOST_AT_ONCE:
                restoring[go.target] += 1
                turns.add(operation.hub)
        return frozenset(turns)

    def _restores(self, operation: Operation) -> str:
        """The site that owns the hub and is not known to be done with its homes; empty: none. One that has failed to start
        tries again, and may fail for hours: nobody waits for it."""
        stored = self.snapshot.ownership(operation.hub)
        if stored is None or stored.document.owner is None or operation.step is not Step.OWNED:
            return ""
        site = stored.document.owner
        seen = self.observations.seen(site, operation.hub, stored.document.epoch)
        return "" if seen is not None and seen.epoch_matches and seen.phase in RESTORED else site

    def _could_go(self, operation: Operation) -> Go | None:
        """Where to, if it were its turn."""
        if operation.step is not Step.ADMITTED or self.world is None:
            return None
        risk = self._at_risk(operation.hub, operation)
        judged = judge(replace(risk, turn=True), self.world) if risk is not None else None
        return judged if isinstance(judged, Go) else None

    def _order(self, operation: Operation) -> tuple[bool, int, str]:
        stepped_back = self._stepped_back.get(operation.hub, 0.0) > self.journalist.clock.mono()
        record = self.snapshot.classroom_of(operation.hub)
        if record is None:
            return (stepped_back, 99, operation.hub)
        return (stepped_back, urgency(record.document.classroom.spec, self.journalist.clock.now()), operation.hub)

    async def _note_freeze(self) -> None:
        """A freeze is never silent: begun and ended, it is an event. A new leader goes on with what the last one said:
        for the first L of its term it has counted too little to say that it is over."""
        now_mono = self.journalist.clock.mono()
        if self._began_mono is None:
            self._began_mono = now_mono
        said = self._said_before() if self._frozen is None else self._frozen
        frozen = self.world.frozen if self.world is not None and self.world.lapsed else ""
        young = now_mono - self._began_mono <= self.profile.takeover_s + self.profile.contact_s
        if frozen == said:
            self._frozen = said
            return
        if self._frozen is None and not frozen and young:
            return
        message, kind = (frozen, FREEZES[0]) if frozen else ("automatic moves go on", FREEZES[1])
        changes = Changes().only_if(self.leader_guard())
        self.journalist.add(changes, kind, message, site="federation", actor=self.actor)
        await self.register.commit(changes)
        self._frozen = frozen

    def _said_before(self) -> str:
        """The newest word on a freeze, by whichever leader; empty: there is none."""
        said = [s.document for s in self.snapshot.under(keys.event("site-federation", ""), Event)]
        newest = next((event for event in reversed(said) if event.type in FREEZES), None)
        return newest.message if newest is not None and newest.type == FREEZES[0] else ""


def _may_be_interrupted(operation: Operation) -> bool:
    """A failover that waits already, and a retirement, are let be. A planned move is over when its source dies before it
    has given the hub up, and when its target dies after it took it."""
    if operation.done or operation.kind in (OperationKind.PLACE, OperationKind.MOVE):
        return True
    return operation.kind is OperationKind.FAILOVER and operation.step is not Step.ADMITTED


def _is_failover(operation: Operation) -> bool:
    return operation.kind is OperationKind.FAILOVER and not operation.done

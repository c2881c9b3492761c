"""The leader's part of planned moves: what `core.moving` looks at, and the transactions that change the owner.

DESIGN.md 4.4, PROTOCOL.md section 3 (Released, Acquire, Cancel move). Each compares the operation, the hub's record and
the leader; Released also the agent's incarnation, so that a message of an earlier one, whose journal may be lost,
counts for nothing; Acquire also the newest lease of the new owner.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from federation.coordinator.copying import CopiesLoop
from federation.coordinator.facts import Planner
from federation.coordinator.observations import Observations
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.takeovers import Takeovers
from federation.coordinator.whereabouts import hub_there
from federation.core.calendar import Window, current_window, windows
from federation.core.operation_facts import Acquire, Keep, MoveFacts
from federation.core.relocation import no_more
from federation.core.takeover import lease_objection, target_objection
from federation.core.taking_back import Watched
from federation.model.classroom import ClassroomSpec
from federation.model.errors import Conflict
from federation.model.homes import Unsent
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import AgentRecord, Owned, Ownership
from federation.model.placing import Assignment
from federation.runtime.clock import Clock
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

NOT_READ = "the register was not read for a while"
MOVE_LASTS = timedelta(minutes=10)  # from the end of the drain, generously

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PlannedMoves:
    """For the operations loop. One per term of leadership."""

    register: Register
    snapshot: Snapshot
    observations: Observations
    planner: Planner
    takeovers: Takeovers
    copies: CopiesLoop
    clock: Clock
    _watched: dict[str, Watched] = field(default_factory=dict)

    def facts(self, operation: Operation, ownership: Ownership | None) -> MoveFacts | None:
        """What a planned move depends on now; None for other operations."""
        hub, generation = operation.hub, self.snapshot.in_force(operation.hub)
        if operation.kind is not OperationKind.MOVE or ownership is None or generation is None:
            return None
        now, spec = self.clock.now(), generation.classroom.spec
        since = operation.history[-1].at if operation.history else operation.created
        if operation.step is Step.OWNED:
            return self._owned(operation, ownership)
        released = ownership.owner is None
        objection = self._lease(ownership, operation.target)
        if not released:  # a hub that nobody owns any more goes to whoever lives
            could = self.planner.objection_to(hub, operation.target, cordoned_or_not=bool(operation.back))
            objection = could or objection or self._version(operation)
        return MoveFacts(
            objection=objection or self._not_heard(operation),
            source_objection=self._lease(ownership, operation.source) if released else "",
            no_more=self._no_more(operation, ownership) if operation.relocates else "",
            meeting=self._meeting(spec, operation),
            in_step_s=(now - since).total_seconds(),
            lasting=spec.storage.protection is not None,
            has_copy=self.snapshot.home(hub) is not None,
            copied=self.copies.is_final(ownership),
            nothing=self.copies.nothing_there(operation, ownership),
            copy_problem=self.copies.final_error(hub),
        )

    def _owned(self, operation: Operation, ownership: Ownership) -> MoveFacts:
        """Of a target that owns the hub: whether it lives, for how long it has been looked at, and whether the source
        could have the hub back. That one is asked for room, but not to be open for classes that come anew."""
        world = self.takeovers.seen_world()
        could = self.planner.objection_to(operation.hub, operation.source, cordoned_or_not=True)
        return MoveFacts(
            objection=NOT_READ if world is None else lease_objection(operation.target, ownership, world),
            source_objection=self._lease(ownership, operation.source) or could,
            watched_s=self._watched_s(operation, ownership),
        )

    def _no_more(self, operation: Operation, ownership: Ownership) -> str:
        """Why the rule that ordered the move would not do so now, by the newest report of who works there."""
        there = hub_there(self.snapshot, self.clock.now(), ownership)
        if there is None:
            return ""
        report = self.observations.hub_at(there.site, ownership.hub)
        servers = there.servers if report is None else report.servers
        return no_more(replace(there, servers=servers), operation.target)

    def _watched_s(self, operation: Operation, ownership: Ownership) -> float:
        hub, now_mono = operation.hub, self.clock.mono()
        seen = self.observations.seen(ownership.owner or "", hub, ownership.epoch)
        phase = seen.phase if seen is not None and seen.epoch_matches else ""
        before = self._watched.get(hub)
        if before is None or before.operation != operation.id:
            before = Watched(operation.id, phase, now_mono)
        now = self._watched[hub] = before.look(phase, now_mono)
        return now_mono - now.since_mono

    def _meeting(self, spec: ClassroomSpec, operation: Operation) -> Window | None:
        """The class time that is on, or that would begin before the move is over."""
        now = self.clock.now()
        coming = windows(spec, now, now + timedelta(seconds=operation.drain_s) + MOVE_LASTS)
        return current_window(spec, now) or (coming[0] if coming else None)

    def _lease(self, ownership: Ownership, site: str) -> str:
        if any(earlier.site == site for earlier in ownership.earlier):
            return "it has not confirmed that nothing of it runs there since it lost it"
        world = self.takeovers.seen_world()
        if world is None:
            return NOT_READ
        owner = world.sites.get(ownership.owner or "")
        if owner is None:
            return lease_objection(site, ownership, world)
        return target_objection(site, ownership, owner, world)

    def _version(self, operation: Operation) -> str:
        """The hub's database goes along, and an older JupyterHub cannot read that of a newer one; what a site does not
        tell is no objection."""
        there, here = self.snapshot.site(operation.target), self.snapshot.site(operation.source)
        new, old = (site.document.hub_version if site is not None else "" for site in (there, here))
        if not (new and old) or new.split(".")[:2] == old.split(".")[:2]:
            return ""
        return f"it runs JupyterHub {new}, {operation.source} runs {old}: the hub's database would not fit"

    def _not_heard(self, operation: Operation) -> str:
        """A target that died a moment ago looks fresh, and nothing but a person's word could take the hub away from it
        before it is armed there. So it must have been heard since the class was stopped."""
        lease = self.snapshot.mirror.get(keys.lease(operation.target))
        if (
            operation.step not in (Step.STOPPED, Step.COPIED, Step.RELEASED)
            or lease is None
            or lease.revision > operation.counted
        ):
            return ""
        return "it was not heard since the class was stopped"

    def after(self, step: Step, operation: Operation) -> Operation:
        """The operation with what is to be remembered of this step."""
        match step:
            case Step.STOPPED:
                return self._stopped(operation)
            case Step.COPIED:
                return self._copied(operation)
            case Step.OWNED if not operation.back:
                return operation.revise(home=self._ownership(operation.hub).document.home or "")
            case _:
                return operation

    def _stopped(self, operation: Operation) -> Operation:
        """The operation with what the target is to do better than: its newest renewal of now. Also with the age of the
        copy that there was before the final one: what was written since, an outage would have lost."""
        lease, home = self.snapshot.mirror.get(keys.lease(operation.target)), self.snapshot.home(operation.hub)
        return operation.revise(
            counted=lease.revision if lease is not None else 0,
            copied=home.document.taken if home is not None else None,
        )

    def _copied(self, operation: Operation) -> Operation:
        """The operation when its source may give the hub up. One that goes on without a copy of what is there is one
        whose loss is accepted: what was there all the same comes back as unsent work."""
        ownership = self._ownership(operation.hub).document
        bare = bool(operation.back) or self.copies.nothing_there(operation, ownership)
        lossy = operation.accept_loss or (bare and not self.copies.is_final(ownership))
        return operation.revise(accept_loss=lossy)

    def way_back(self, operation: Operation, reason: str) -> Operation:
        """The move that takes the place of one whose target cannot start the hub."""
        now, random = self.clock.now(), self.takeovers.random
        return Operation(
            id=f"{operation.kind.value}-{operation.hub}-{random.getrandbits(24):06x}",
            kind=operation.kind,
            hub=operation.hub,
            name=operation.name,
            generation=operation.generation,
            created=now,
            actor=self.takeovers.actor,
            source=operation.target,
            target=operation.source,
            reason=f"taken back: {reason}",
            now=True,
            rule=True,
            unseen=operation.unseen,
            drill=operation.drill,
            back=reason,
            home=operation.home,
            interrupted=operation.revise(interrupted=None),
        ).finished(Step.ADMITTED, now, reason)

    async def release(self, operation: Operation, changes: Changes) -> None:
        """Nobody owns the hub from now on, at the epoch that its owner has given up for ever."""
        before, site = self._ownership(operation.hub), operation.source
        agent, memory = self.snapshot.get(keys.agent(site), AgentRecord), self.observations.site(site)
        if agent is None or memory is None or memory.incarnation != agent.document.incarnation:
            raise Conflict(f"{site} has another agent than the one that reported")
        home = self.snapshot.home(operation.hub)
        changes.unchanged(before.key, before).unchanged(agent.key, agent)
        changes.unchanged(keys.home(operation.hub), home)
        changes.put(before.key, before.document.revise(owner=None))
        changes.delete(keys.owned(site, operation.hub)).delete(keys.mode(site, operation.hub))
        await self.register.commit(changes)
        log.info("move.released", hub=operation.hub, site=site, epoch=str(before.document.epoch))

    async def acquire(self, operation: Operation, to: Acquire, changes: Changes) -> None:
        """Make `to.site` the owner of the released hub. Its homes there become what the final copy says, unless it made
        that itself and nobody has written since: then they are there."""
        hub, before = operation.hub, self._ownership(operation.hub)
        lease, record = self.snapshot.mirror.get(keys.lease(to.site)), self.snapshot.classroom_of(hub)
        home, generation = self.snapshot.home(hub), self.snapshot.in_force(hub)
        if lease is None or record is None or generation is None:
            raise Conflict(f"{hub} has changed since it was looked at")
        stays = to.site == operation.source
        lasting = generation.classroom.spec.storage.protection is not None and not stays
        if lasting and home is None:  # a student must never start in an empty home where one existed (I6)
            raise Conflict(f"{hub} has no recorded copy to restore")
        epoch, restore = before.document.epoch.next(), before.document.restore
        since = before.document.restore_since if stays else epoch
        if lasting and home is not None:
            own = operation.back and home.document.copy_.site == to.site
            restore = None if own else home.document.copy_
        after = before.document.revise(
            owner=to.site,
            epoch=epoch,
            earlier=tuple(e for e in before.document.earlier if e.site != to.site),
            restore=restore,
            restore_since=since if restore is not None else None,
            taken_over=self._taken_over(before.document, operation, to),
            home=_home(before.document, operation, to),
        )
        other = operation.source if to.site == operation.target else operation.target
        assigned = Assignment(
            hub=hub, site=to.site, standby=other, reason=to.reason, generation=record.document.generation
        )
        if operation.accept_loss and lasting and home is not None:  # what was accepted as lost comes back later
            owed = Unsent(
                hub=hub,
                site=operation.source,
                epoch=before.document.epoch,
                base=home.document.copy_,
                taken_over=self.clock.now(),
            )
            changes.put(keys.unsent(hub, operation.source, str(before.document.epoch)), owed)
        changes.only_if(Guard(keys.lease(to.site), revision=lease.revision))
        changes.unchanged(before.key, before).unchanged(keys.home(hub), home)
        changes.put(before.key, after).put(keys.owned(to.site, hub), Owned(hub=hub, epoch=epoch))
        changes.delete(keys.closing(to.site, hub)).put(keys.assignment(hub), assigned)
        self.planner.reserve(hub, to.site, record.document.classroom)
        try:
            committed = await self.register.commit(changes)
        except BaseException:
            self.planner.release(hub)
            raise
        self.planner.committed(hub, committed.revision)
        log.info("move.acquired", hub=hub, site=to.site, epoch=str(epoch), why=to.reason)

    async def keep(self, operation: Operation, why: Keep, changes: Changes) -> None:
        """The owner stays, at the next epoch: it may have given up this one, and would refuse it for ever (H8 c)."""
        hub, before = operation.hub, self._ownership(operation.hub)
        owned = self.snapshot.get(keys.owned(operation.source, hub), Owned)
        if owned is None:
            raise Conflict(f"{hub} has changed since it was looked at")
        epoch = before.document.epoch.next()
        changes.unchanged(before.key, before).unchanged(owned.key, owned)
        restore = None if self.copies.is_final(before.document) else before.document.restore
        since = before.document.restore_since if restore is not None else None
        kept = before.document.revise(epoch=epoch, restore=restore, restore_since=since)
        changes.put(before.key, kept).put(owned.key, Owned(hub=hub, epoch=epoch))
        changes.delete(keys.mode(operation.source, hub))
        await self.register.commit(changes)
        log.info("move.kept", hub=hub, site=operation.source, epoch=str(epoch), why=why.reason)

    def _taken_over(self, before: Ownership, operation: Operation, to: Acquire) -> datetime | None:
        """When the hub was last moved by itself. A move that was taken back does not count: a takeover may follow it."""
        if not operation.unseen or to.site == operation.source:
            return before.taken_over
        return None if operation.back else self.clock.now()

    def _ownership(self, hub: str) -> Stored[Ownership]:
        stored = self.snapshot.ownership(hub)
        if stored is None:
            raise Conflict(f"{hub} has no owner's record")
        return stored


def _home(before: Ownership, operation: Operation, to: Acquire) -> str | None:
    """Where the hub is at home after this. A rehearsal, and a move that comes to nothing, end where they began; what
    was moved on purpose stays where it is."""
    if operation.drill or to.site == operation.source:
        return before.home
    return operation.home or None if operation.back else None

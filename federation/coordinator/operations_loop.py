"""Drives operations: read the facts, ask `core.operations.next_move`, carry it out with one guarded write.

Every write compares the leader's election key, the operation and, where ownership is touched, the hub's record; so a
step is recorded once whoever leads, and a new leader goes on from whatever is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import structlog

from federation.coordinator.copying import CopiesLoop
from federation.coordinator.events import Journalist
from federation.coordinator.facts import Planner
from federation.coordinator.moves import PlannedMoves
from federation.coordinator.naming import Naming, former_hosts, hosts_of
from federation.coordinator.observations import Observations
from federation.coordinator.probe import Prober
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.takeovers import Takeovers
from federation.coordinator.wanted import auth_secret
from federation.core.in_force import meeting_to_wait_for
from federation.core.operation_facts import (
    Acquire,
    Assign,
    Confirm,
    End,
    Facts,
    Finish,
    Keep,
    LookAtCopies,
    Move,
    Name,
    Probe,
    Release,
    TakeBack,
    TakeOver,
    Unname,
    Wait,
    Withdraw,
)
from federation.core.operations import next_move
from federation.core.placement import Choice
from federation.model.identity import Epoch
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import EarlierOwner, Owned, Ownership
from federation.model.placing import Assignment
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class OperationsLoop:
    """`reconcile(hub)` for `runtime.loop.Loop`."""

    register: Register
    snapshot: Snapshot
    observations: Observations
    planner: Planner
    takeovers: Takeovers
    copies: CopiesLoop
    moves: PlannedMoves
    naming: Naming
    prober: Prober
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    actor: str

    def keys(self) -> list[str]:
        """Hubs with an unfinished operation."""
        return [s.document.hub for s in self.snapshot.under(keys.OPERATIONS, Operation) if not s.document.done]

    async def reconcile(self, hub: str) -> float | None:
        """One move of one operation."""
        stored = self.snapshot.operation(hub)
        if stored is None or stored.document.done:
            return None
        facts = self._facts(stored.document)
        move = next_move(facts)
        if isinstance(move, Probe | Name | Unname | LookAtCopies):
            move = next_move(await self._look(facts, move))
        return await self._carry_out(stored, move)

    async def _carry_out(self, stored: Stored[Operation], move: Move) -> float:
        match move:
            case Assign(choice):
                await self._assign(stored, choice)
            case TakeOver(go):
                message = f"{go.target} takes over: {go.reason}"
                await self.takeovers.take_over(stored, go, self._step(stored, Step.OWNED, message))
            case Withdraw(message):
                await self._withdraw(stored, message)
            case End():
                await self._end(stored)
            case Release() | Acquire() | Keep() | TakeBack():
                await self._change_owner(stored, move)
            case Confirm(step, message):
                await self._confirm(stored, step, message)
            case Finish(step, message):
                await self._finish(stored, step, message)
            case Wait(reason, look_s):
                await self._wait(stored, reason)
                return look_s
            case Probe() | Name() | Unname() | LookAtCopies():
                return 0.5  # it was looked at a moment ago and could not be told
            case _ as never:
                assert_never(never)
        return 0.0

    async def _change_owner(self, stored: Stored[Operation], move: Release | Acquire | Keep | TakeBack) -> None:
        operation = stored.document
        match move:
            case Release(message):
                await self.moves.release(operation, self._step(stored, Step.RELEASED, message))
            case Acquire(site, reason):
                await self.moves.acquire(operation, move, self._step(stored, Step.OWNED, f"{site} owns it: {reason}"))
            case Keep(reason):
                message = f"it stays at {operation.source}: {reason}"
                await self.moves.keep(operation, move, self._step(stored, Step.OWNED, message))
            case TakeBack(reason):
                await self._take_back(stored, reason)
            case _ as never:
                assert_never(never)

    def _facts(self, operation: Operation) -> Facts:
        hub = operation.hub
        stored = self.snapshot.ownership(hub)
        ownership = stored.document if stored else None
        seen = earlier_seen = None
        if ownership is not None and ownership.owner is not None:
            seen = self.observations.seen(ownership.owner, hub, ownership.epoch)
        if ownership is not None and ownership.earlier:
            earlier_seen = self.observations.seen(ownership.earlier[-1].site, hub, ownership.epoch)
        record = self.snapshot.classroom_of(hub)

        def choice() -> Choice:
            if record is None:
                return Choice(None, None, "the classroom's document is not there yet", ())
            homes_at = ownership.homes_at if ownership else None
            secret = self.snapshot.secret(auth_secret(record.document))
            sealed_to = frozenset(secret.sealed) if secret is not None else None
            return self.planner.choose(record.document.classroom, homes_at, sealed_to)

        no_room = ""
        if record is not None and ownership is not None and ownership.owner and operation.step is Step.ADMITTED:
            no_room = self.planner.growth(hub, ownership.owner, record.document.classroom)
        meeting = meeting_to_wait_for(record.document, operation, self.journalist.clock.now()) if record else None
        return Facts(
            operation,
            ownership,
            choice,
            takeover=lambda: self.takeovers.verdict(operation),
            seen=seen,
            earlier_seen=earlier_seen,
            in_meeting=meeting,
            no_room=no_room,
            move=self.moves.facts(operation, ownership),
        )

    async def _look(self, facts: Facts, move: Probe | Name | Unname | LookAtCopies) -> Facts:
        """Do what the move asks and add what was seen to the facts."""
        hub = facts.operation.hub
        if isinstance(move, LookAtCopies):
            problem = await self.copies.look(hub, move.site)
            if problem:
                self.takeovers.step_back(hub)
            return replace(facts, copies=problem)
        if isinstance(move, Name):
            seen = await self.naming.converge(hub)
            return replace(facts, name_leads_here=seen.leads_here, problem=seen.problem)
        if isinstance(move, Unname):
            problem = await self.naming.remove(hub)
            return replace(facts, name_exists=bool(problem), problem=problem)
        owner = facts.ownership.owner if facts.ownership else None
        record, site = self.snapshot.classroom_of(hub), self.snapshot.site(owner or "")
        if record is None or site is None or not site.document.edge_address:
            return replace(facts, verified=False, problem="the site has not reported the address of its edge")
        host = hosts_of(record.document.classroom)[0]
        problem = await self.prober.login_page(site.document.edge_address, host)
        return replace(facts, verified=not problem, problem=problem)

    async def _assign(self, stored: Stored[Operation], choice: Choice) -> None:
        operation, site = stored.document, choice.site
        if site is None:
            return
        hub, before = operation.hub, self.snapshot.ownership(operation.hub)
        epoch = before.document.epoch.next() if before else Epoch(era=self.register.identity.era, n=1)
        record = self.snapshot.classroom_of(hub)
        assignment = Assignment(
            hub=hub,
            site=site,
            standby=choice.standby,
            reason=choice.reason,
            verdicts=choice.verdicts,
            generation=operation.generation,
        )
        earlier = tuple(e for e in before.document.earlier if e.site != site) if before else ()
        restore = before.document.restore if before else None  # retired before its homes were back: still due (I6)
        since = before.document.restore_since if before else None
        changes = self._step(stored, Step.ASSIGNED, f"{site}: {choice.reason}")
        changes.unchanged(keys.ownership(hub), before)
        owned = Ownership(
            hub=hub, owner=site, epoch=epoch, earlier=earlier, restore=restore, restore_since=since if restore else None
        )
        changes.put(keys.ownership(hub), owned)
        changes.delete(keys.closing(site, hub))  # the earlier owner itself: nothing of it is to be closed any more
        changes.put(keys.owned(site, hub), Owned(hub=hub, epoch=epoch))
        changes.put(keys.assignment(hub), assignment)
        if record is not None:
            self.planner.reserve(hub, site, record.document.classroom)
        try:
            committed = await self.register.commit(changes)
        except BaseException:
            self.planner.release(hub)
            raise
        if record is not None:
            self.planner.committed(hub, committed.revision)

    async def _end(self, stored: Stored[Operation]) -> None:
        """The tombstone is the positive evidence on which the site stops (PROTOCOL.md H6)."""
        hub = stored.document.hub
        before = self.snapshot.ownership(hub)
        if before is None:
            return
        ownership = before.document
        ended = ownership.revise(owner=None, epoch=ownership.epoch.next(), tombstone=True)
        changes = self._step(stored, Step.CLOSED, "ownership ended").unchanged(keys.ownership(hub), before)
        site = ownership.owner or ownership.homes_at  # retired before: the site still has the homes to delete
        if site:
            lease = self.snapshot.lease(site)
            left = EarlierOwner(site=site, epoch=ownership.epoch, members_ack=lease.members_ack if lease else 0)
            rest = (e for e in ownership.earlier if e.site != site)
            ended = ended.revise(earlier=(*rest, left), homes_at=site)
            changes.delete(keys.owned(site, hub)).delete(keys.mode(site, hub))
            changes.put(keys.closing(site, hub), Owned(hub=hub, epoch=ended.epoch))
        changes.put(keys.ownership(hub), ended).delete(keys.assignment(hub))
        await self.register.commit(changes)

    async def _confirm(self, stored: Stored[Operation], step: Step, message: str) -> None:
        hub = stored.document.hub
        before = self.snapshot.ownership(hub)
        if before is None or not before.document.earlier:
            return
        closed = before.document.earlier[-1].site
        changes = self._step(stored, step, message).unchanged(keys.ownership(hub), before)
        changes.put(keys.ownership(hub), before.document.revise(earlier=before.document.earlier[:-1]))
        changes.delete(keys.closing(closed, hub))
        await self.register.commit(changes)

    async def _finish(self, stored: Stored[Operation], step: Step, message: str) -> None:
        changes, before = self._step(stored, step, message), self.snapshot.ownership(stored.document.hub)
        if step is Step.STARTED and before is not None and before.document.restore is not None:
            # it was started, so its homes are what they must be; from now on they are newer than that copy
            changes.unchanged(before.key, before).put(
                before.key, before.document.revise(restore=None, restore_since=None)
            )
        await self.register.commit(changes)
        log.info("operation.step", hub=stored.document.hub, step=step.value, operation_id=stored.document.id)

    async def _withdraw(self, stored: Stored[Operation], message: str) -> None:
        """The site lives after all: what was under way before goes on, else the failover is on record as over."""
        operation = stored.document
        changes = self._guarded(stored)
        over = operation.finished(Step.DONE, self.journalist.clock.now(), f"withdrawn: {message}")
        changes.put(stored.key, operation.interrupted or over)
        self.journalist.add(changes, "failover.withdrawn", message, hub=operation.hub, actor=self.actor)
        await self.register.commit(changes)

    async def _take_back(self, stored: Stored[Operation], reason: str) -> None:
        """A move in the other direction takes the place of one whose target cannot start the hub."""
        order = self.moves.way_back(stored.document, reason)
        changes, kind = self._guarded(stored).put(stored.key, order), f"{order.event}.taken_back"
        message = f"from {order.source} to {order.target}: {reason}"
        self.journalist.add(changes, kind, message, hub=order.hub, site=order.source, actor=self.actor)
        await self.register.commit(changes)
        log.warning("move.taken_back", hub=order.hub, site=order.source, why=reason)

    async def _wait(self, stored: Stored[Operation], reason: str) -> None:
        """The reason is stored on change, so that whoever waits sees what for."""
        if stored.document.waiting_for != reason:
            changes = self._guarded(stored)
            changes.put(stored.key, stored.document.revise(waiting_for=reason))
            await self.register.commit(changes)

    def _step(self, stored: Stored[Operation], step: Step, message: str) -> Changes:
        operation = stored.document.finished(step, self.journalist.clock.now(), message)
        if operation.kind is OperationKind.MOVE:
            operation = self.moves.after(step, operation)
        changes = self._guarded(stored).put(stored.key, operation)
        if step in (Step.ASSIGNED, Step.OWNED):
            self._give_up_former_hosts(changes, operation.hub)
        kind = f"{operation.event}.{step.value}"
        return self.journalist.add(changes, kind, message, hub=operation.hub, actor=self.actor)

    def _give_up_former_hosts(self, changes: Changes, hub: str) -> None:
        """From now on the newest generation is in force, and others may have the host names that it does not use."""
        record = self.snapshot.classroom_of(hub)
        for host in former_hosts(record.document) if record is not None else ():
            changes.delete(keys.host(host))

    def _guarded(self, stored: Stored[Operation]) -> Changes:
        return Changes().only_if(self.leader_guard()).unchanged(stored.key, stored)

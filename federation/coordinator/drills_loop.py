"""Carries drills out: orders the move to the standby and the move back, and keeps what was measured (`core.drilling`).

Each step is one transaction that compares the drill, the newest operation and the leader. A move carries the drill's id,
so that whoever leads next sees from the register how far it has come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import structlog

from federation.coordinator.admission import Admission
from federation.coordinator.drill_orders import unarmed_because
from federation.coordinator.events import Journalist
from federation.coordinator.facts import Planner
from federation.coordinator.snapshot import Snapshot
from federation.core.calendar import current_window, windows
from federation.core.drilling import (
    LOOK_S,
    Abandon,
    Begin,
    Facts,
    Record,
    Rest,
    Return,
    costs,
    decide,
    meets,
    summary,
    with_steps,
)
from federation.model.drill import Drill, Drills, Outcome
from federation.model.errors import Conflict
from federation.model.operation import Operation, OperationKind
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class DrillsLoop:
    """`reconcile(hub)`."""

    register: Register
    snapshot: Snapshot
    planner: Planner
    admission: Admission
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    takeover_s: float
    actor: str

    def hubs(self) -> list[str]:
        """Hubs with a drill that is ordered or under way."""
        found = self.snapshot.under(keys.DRILLS, Drills)
        return [stored.document.hub for stored in found if stored.document.running is not None]

    async def reconcile(self, hub: str) -> float | None:
        """One step of one drill."""
        stored, operation = self.snapshot.get(keys.drill(hub), Drills), self.snapshot.operation(hub)
        if stored is None or stored.document.running is None or operation is None:
            return None
        drill = stored.document.running
        facts = self._facts(hub, drill, operation.document)
        if facts is None:
            return LOOK_S
        step = decide(facts)
        drill = with_steps(drill, operation.document)
        changes = self._guarded(stored, operation)
        match step:
            case Rest(reason, look_s):
                if drill.waiting_for != reason:
                    changes.put(stored.key, stored.document.revise(running=drill.revise(waiting_for=reason)))
                    await self.register.commit(changes)
                return look_s
            case Begin() | Return():
                self._add_move(changes, stored.document, drill, step)
            case Abandon(reason):
                changes.put(operation.key, operation.document.revise(cancelled=reason))
            case Record(outcome, reason):
                self._add_record(changes, stored.document, drill, outcome, reason)
            case _ as never:
                assert_never(never)
        await self.register.commit(changes)
        log.info("drill.step", hub=hub, drill=drill.id, step=type(step).__name__.lower())
        return 0.0

    def _facts(self, hub: str, drill: Drill, operation: Operation) -> Facts | None:
        ownership, record = self.snapshot.ownership(hub), self.snapshot.classroom_of(hub)
        generation = self.snapshot.in_force(hub)
        if ownership is None or record is None or generation is None:
            return None
        owner, now = ownership.document.owner, self.journalist.clock.now()
        targets = self.planner.standbys(hub, owner) if owner is not None else ()
        fit = next((target.site for target in targets if not target.objection), "")
        told = "; ".join(f"{target.site}: {target.objection}" for target in targets)
        return Facts(
            drill=drill,
            operation=operation,
            owner=owner,
            now=now,
            retired=record.document.retired is not None,
            not_now=meets(generation.classroom.spec, now),
            unarmed=unarmed_because(self.snapshot, hub, owner or ""),
            target=fit,
            refused=f"no site can take it ({told or 'no other site is allowed'})",
            in_meeting=current_window(generation.classroom.spec, now) is not None,
            met=max((w.end for w in windows(generation.classroom.spec, drill.at, now) if w.end <= now), default=None),
        )

    def _add_move(self, changes: Changes, drills: Drills, drill: Drill, step: Begin | Return) -> None:
        """One of the two moves takes the place of the operation before it."""
        hub, now = drills.hub, self.journalist.clock.now()
        record = self.snapshot.classroom_of(hub)
        if record is None:
            raise Conflict(f"{hub} has changed since it was looked at")
        if isinstance(step, Begin):
            drill = drill.revise(
                began=now,
                source=step.source,
                target=step.target,
                unarmed=step.unarmed,
                waiting_for="",
                there=(),
                back=(),
            )
            source, target, kind = drill.source, drill.target, "drill.begun"
        else:
            drill = drill.revise(waiting_for="", reason=step.failed)
            source, target, kind = drill.target, drill.source, "drill.returning"
        order = self.admission.operation(OperationKind.MOVE, record.document, drill.actor).revise(
            source=source,
            target=target,
            reason="a rehearsal" if isinstance(step, Begin) else "back from a rehearsal",
            now=drill.now,
            drain_s=drill.drain_s,
            rule=True,
            drill=drill.id,
        )
        changes.unchanged(record.key, record).put(keys.operation(hub), order)
        changes.put(keys.drill(hub), drills.revise(running=drill))
        message = f"from {source} to {target}" + (f"; {drill.reason}" if drill.reason else "")
        if isinstance(step, Begin) and drill.unarmed:
            message += f"; not armed: {'; '.join(drill.unarmed)}"
        self.journalist.add(changes, kind, message, hub=hub, site=source, actor=drill.actor)

    def _add_record(self, changes: Changes, drills: Drills, drill: Drill, outcome: Outcome, reason: str) -> None:
        ended = self.journalist.clock.now()
        drill = drill.revise(outcome=outcome, reason=reason, ended=ended, waiting_for="")
        if drill.began is not None:
            drill = drill.revise(costs=costs(drill, self.takeover_s))
        changes.put(keys.drill(drills.hub), drills.recorded(drill))
        message = reason if outcome is not Outcome.PASSED else summary(drill)
        self.journalist.add(changes, f"drill.{outcome.value}", message, hub=drills.hub, actor=self.actor)

    def _guarded(self, stored: Stored[Drills], operation: Stored[Operation]) -> Changes:
        changes = Changes().only_if(self.leader_guard())
        return changes.unchanged(stored.key, stored).unchanged(operation.key, operation)

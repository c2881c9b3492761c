"""The calls of the control API about drills. `ControlService` is made of these, too."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from federation.api.v1 import control_pb2, types_pb2
from federation.coordinator.control_moves import actor
from federation.coordinator.drill_orders import DrillOrder, DrillOrders
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.standing import Standing
from federation.coordinator.views import stamp
from federation.core.drilling import with_steps
from federation.model.drill import Costs, Drill, Drills
from federation.model.errors import InvalidRequest, NotFound
from federation.model.identity import name_of
from federation.model.operation import Operation, StepRecord
from federation.store import keys

MEASURED = ("serve_s", "rto_s", "rpo_s", "away_s", "away_back_s")


class DrillCalls:
    """Orders become durable here; the leader's loop carries them out."""

    __slots__ = ()
    snapshot: Snapshot
    standing: Standing
    drill_orders: DrillOrders

    async def Drill(self, request: control_pb2.DrillRequest, context: Any) -> control_pb2.DrillResponse:  # noqa: ARG002
        asked = DrillOrder(
            actor(), read_time(request.at), now=request.now, anyway=request.anyway, drain_s=request.drain_s
        )
        hub, drill, changed = await self.drill_orders.order(request.name, asked)
        return control_pb2.DrillResponse(drill=drill_message(hub, drill), changed=changed)

    async def CancelDrill(
        self,
        request: control_pb2.CancelDrillRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.DrillResponse:
        hub, drill, changed = await self.drill_orders.cancel(request.name, actor())
        return control_pb2.DrillResponse(
            drill=drill_message(hub, drill) if drill is not None else None, changed=changed
        )

    async def ListDrills(
        self,
        request: control_pb2.ListDrillsRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.ListDrillsResponse:
        hubs = [keys.tail(entry.key) for entry in self.snapshot.mirror.entries(keys.DRILLS)]
        if request.name:
            stored = self.snapshot.find(request.name)
            if stored is None:
                raise NotFound(f"no classroom is named {request.name}")
            hubs = [stored.document.uid]
        items = [message for hub in hubs for message in drill_messages(self.snapshot, hub)]
        items.sort(key=lambda drill: drill.began or drill.at)
        return control_pb2.ListDrillsResponse(items=items, freshness=self.standing.freshness())


def read_time(text: str) -> datetime | None:
    """None: at once. InvalidRequest for what is no time with a zone."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidRequest(f"{text!r} is no time with a zone", help="E.g. 2026-11-30T06:00:00Z.")
    return at


def drill_messages(snapshot: Snapshot, hub: str) -> list[control_pb2.Drill]:
    """All that are known of a hub, oldest first; the steps of one that is under way are those of now."""
    stored = snapshot.get(keys.drill(hub), Drills)
    if stored is None:
        return []
    found = [drill_message(hub, drill) for drill in stored.document.history]
    running, operation = stored.document.running, snapshot.operation(hub)
    if running is not None:
        found.append(drill_message(hub, _up_to_now(running, operation.document if operation is not None else None)))
    return found


def _up_to_now(drill: Drill, operation: Operation | None) -> Drill:
    if drill.began is None or operation is None or operation.drill != drill.id:
        return drill
    return with_steps(drill, operation).revise(waiting_for=operation.waiting_for or drill.waiting_for)


def drill_message(hub: str, drill: Drill) -> control_pb2.Drill:
    """The wire form."""
    began = drill.began or drill.ordered
    return control_pb2.Drill(
        id=drill.id,
        name=name_of(hub),
        hub=hub,
        actor=drill.actor,
        ordered=stamp(drill.ordered),
        at=stamp(drill.at),
        began=stamp(drill.began) if drill.began is not None else "",
        ended=stamp(drill.ended) if drill.ended is not None else "",
        site=drill.source,
        standby=drill.target,
        outcome=drill.outcome.value if drill.outcome is not None else "",
        reason=drill.reason,
        waiting_for=drill.waiting_for,
        unarmed=drill.unarmed,
        costs=_costs_message(drill.costs) if drill.costs is not None else None,
        there=[_step_message(record, began) for record in drill.there],
        back=[_step_message(record, began) for record in drill.back],
    )


def _step_message(record: StepRecord, began: datetime) -> types_pb2.OperationStep:
    return types_pb2.OperationStep(
        step=record.step.value,
        at=stamp(record.at),
        seconds=(record.at - began).total_seconds(),
        message=record.message,
    )


def _costs_message(costs: Costs) -> control_pb2.DrillCosts:
    """What could not be measured is left out: 0 would be a number."""
    measured = {name: getattr(costs, name) for name in MEASURED}
    known = {name: value for name, value in measured.items() if value is not None}
    return control_pb2.DrillCosts(lease_s=costs.lease_s, **known)

"""The calls of the control API that change where classes run. `ControlService` is made of these, too."""

from __future__ import annotations

from typing import Any

from federation.api.v1 import control_pb2
from federation.coordinator import views
from federation.coordinator.admission import Admitted
from federation.coordinator.move_orders import FailoverOrder, MoveOrder, MoveOrders
from federation.coordinator.snapshot import Snapshot
from federation.runtime.access import current_principal


class MoveCalls:
    """Orders become durable here; the leader's loops carry them out."""

    __slots__ = ()
    snapshot: Snapshot
    orders: MoveOrders

    async def Move(self, request: control_pb2.MoveRequest, context: Any) -> control_pb2.MoveResponse:  # noqa: ARG002
        asked = MoveOrder(
            actor(), request.to, request.reason, request.now, drain_s=request.drain_s, accept_loss=request.accept_loss
        )
        return self._moved(await self.orders.move(request.name, asked))

    async def CancelMove(
        self,
        request: control_pb2.CancelMoveRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.MoveResponse:
        return self._moved(await self.orders.cancel(request.name, actor()))

    async def Failover(
        self,
        request: control_pb2.FailoverRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.MoveResponse:
        asked = FailoverOrder(actor(), request.reason, request.vouched_site, request.to, request.accept_loss)
        return self._moved(await self.orders.failover(request.name, asked))

    async def SetCordon(
        self,
        request: control_pb2.SetCordonRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.SetCordonResponse:
        changed, notes = await self.orders.cordon(
            request.site, request.reason if request.cordoned else None, actor(), drain=request.drain
        )
        return control_pb2.SetCordonResponse(changed=changed, notes=notes)

    def _moved(self, admitted: Admitted) -> control_pb2.MoveResponse:
        return control_pb2.MoveResponse(
            hub=views.hub_message(admitted.record, self.snapshot),
            operation=views.operation_message(admitted.operation),
            changed=admitted.changed,
        )


def actor() -> str:
    """Who calls, from the certificate."""
    return current_principal().label

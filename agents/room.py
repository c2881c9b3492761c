"""Room for classes that are about to meet: looks at the nodes, decides by one pure call, and has whole nodes kept for them.

Only where nodes come and go. What cannot be kept is said to people and never stops a class: edge and hubs go on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from agents.drivers.base import ClusterDriver, ClusterView
from agents.hub_orders import HubOrders
from agents.lease import SiteLease
from agents.wanted import WantedHubs
from federation.core.room import Plan, RunningClass, Size, plan
from federation.model.errors import DriverError, FederationError
from federation.model.status import Condition, Truth
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

BELIEVED_S = 60.0  # what was found out longer ago is not said any more
RUNNING = "running"  # a class that drains lets nobody in, and needs no seats


@dataclass(slots=True)
class RoomForClasses:
    """`keep` at each look at the machines; `said` is what people read of a class."""

    cluster: ClusterDriver
    lease: SiteLease
    wanted: WantedHubs
    orders: HubOrders
    clock: Clock
    _said: dict[str, Condition] = field(default_factory=dict)
    _until_mono: float = 0.0

    async def keep(self, seen: ClusterView) -> None:
        """Have as many nodes kept as are needed now."""
        if seen.nodes is None:
            return
        now = self.clock.now()
        found = plan(self._classes(seen), seen.nodes, now)
        trouble = await self._hold(found)
        said = {room.wish.hub: room.condition(found.shape, now) for room in found.rooms}
        self._said = {hub: _with(condition, trouble) for hub, condition in said.items()}
        self._until_mono = self.clock.mono() + BELIEVED_S

    def said(self, hub: str) -> tuple[Condition, ...]:
        """Of a class that wants seats now; nothing at other times."""
        condition = self._said.get(hub) if self.clock.mono() < self._until_mono else None
        return () if condition is None else (condition,)

    async def _hold(self, found: Plan) -> str:
        """Returns why it could not be done; empty: it was."""
        if found.shape is None and found.rooms:
            return ""  # a cluster that shows no node now may show them again: what is kept stays so
        try:
            await self.cluster.hold(found.nodes, found.shape or Size())
        except FederationError as error:
            log.warning("room.not_held", nodes=found.nodes, error=error.message)
            return error.message
        return ""

    def _classes(self, seen: ClusterView) -> list[RunningClass]:
        return [one for hub in sorted(self.lease.held) if (one := self._class(hub, seen)) is not None]

    def _class(self, hub: str, seen: ClusterView) -> RunningClass | None:
        directive = self.wanted.hubs.get(hub)
        if directive is None or directive.state != RUNNING or self.lease.lapsed(hub):
            return None
        try:
            spec = self.orders.of(hub).classroom.spec
        except DriverError:
            return None  # it cannot run here, and says why itself
        return RunningClass(hub, spec, sum(node.servers.get(hub, 0) for node in seen.nodes or ()))


def _with(condition: Condition, trouble: str) -> Condition:
    """Seats that are there do not need what could not be done."""
    if not trouble or condition.status is Truth.TRUE:
        return condition
    return condition.revise(message=f"{condition.message}, which failed: {trouble}")
